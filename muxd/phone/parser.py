# -*- test-case-name: tests.phone.test_source -*-
"""
C{simulated:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports no pyusb
and no reactor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import count as countFrom

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.description import Description, choiceFrom, expectKnown
from muxd.identity import serialFromUDID, udidFromSerial
from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IDeviceSourceParser,
    IDistinguishingParser,
)
from muxd.phone.bus.faultplan import NO_FAULTS, FaultPlan
from muxd.phone.places import checkFeed, checkKept

UDID = re.compile(r"[0-9A-Za-z-]{1,64}")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
FIRST_SERIAL = "00008110000A1B2C3D4E5F60"
IDENTITY = ("name", "product", "version", "values")
"""What is said of the phones themselves, see L{muxd.phone.identity.PhoneIdentity}."""

ARGUMENTS = (
    *(
        "count",
        "udid",
        "first",
        "bus",
        *IDENTITY,
        "mux",
        "trust",
        "buid",
        "files",
        "state",
        "log",
        "apps",
        "service",
        "faults",
    ),
    *("engine", "control"),
)
BUID = ("lenient", "strict")
"""Whether a host whose BUID has changed has a session; the first is the usual one."""

TRUST = ("ask", "accept", "deny", "locked")
"""What the owner does with the Trust dialog, see L{muxd.phone.lockdown.trust}."""

ENGINES = ("reactor", "threads")
"""How packets are moved, see L{muxd.phone.bus.link}; the first is the usual one."""

MOST_PHONES = 100
"""A bus has room for 126 devices."""

MOST_BUSES = 255
"""The number of a bus is a byte of what tells where a phone is."""


def serials(count: int, skipped: int = 0) -> tuple[str, ...]:
    """
    Serial numbers, the same ones each time.

    @param skipped: How many to leave to other phones.
    """
    first = int(FIRST_SERIAL[8:], 16) + skipped
    return tuple(f"{FIRST_SERIAL[:8]}{first + index:016X}" for index in range(count))


def distinctPhones(descriptions: Sequence[str]) -> list[str]:
    """
    Descriptions of sources in which no two simulated phones have one UDID: each source of
    simulated phones numbers its own on from those of the ones before it.

    What is wrong with a description is left to the parser to say.

    @raise ValueError: Two phones are given one UDID.
    """
    distinct = list(descriptions)
    named: set[str] = set()
    numbered: list[tuple[int, int]] = []
    for index, parsed in _simulated(descriptions):
        counts = (*parsed.positional, parsed.keywords.get("count", "1"))
        try:
            count = number("count", counts[0], MOST_PHONES)
        except ValueError:
            continue
        if "first" in parsed.keywords:
            continue
        if "udid" in parsed.keywords:
            serial = serialFromUDID(parsed.keywords["udid"])
            if serial in named:
                raise ValueError(
                    f"{descriptions[index]!r}: another simulated phone has this UDID already"
                )
            named.add(serial)
        else:
            numbered.append((index, count))
    taken = 0
    for index, count in numbered:
        while named.intersection(serials(count, taken)):
            taken += 1
        if taken:
            distinct[index] = f"{descriptions[index]}:first={taken + 1}"
        taken += count
    return distinct


def distinctBuses(descriptions: Sequence[str]) -> list[str]:
    """
    Descriptions of sources in which no two sources of simulated phones have one bus, so that no
    two phones are at one place: the next number each, but where one is given.

    What is wrong with a description is left to the parser to say.
    """
    distinct = list(descriptions)
    taken: set[str] = set()
    unnumbered: list[int] = []
    for index, parsed in _simulated(descriptions):
        if "bus" in parsed.keywords:
            taken.add(parsed.keywords["bus"])
        else:
            unnumbered.append(index)
    numbers = (str(number) for number in countFrom(1) if str(number) not in taken)
    for index, chosen in zip(unnumbered, numbers, strict=False):
        if chosen != "1":
            distinct[index] = f"{descriptions[index]}:bus={chosen}"
    return distinct


def _simulated(descriptions: Sequence[str]) -> Iterator[tuple[int, Description]]:
    """
    Those that are of simulated phones, and where they stand.
    """
    for index, text in enumerate(descriptions):
        try:
            parsed = _withFactory(Description.fromString(text))
        except ValueError:
            continue
        if parsed.name.lower() == SimulatedSourceParser.prefix:
            yield index, parsed


def _withFactory(parsed: Description) -> Description:
    """
    A description whose service is written as C{service=NAME=MODULE:FACTORY}, without the backslash
    that belongs before its colon: FACTORY is then an argument without a name, which otherwise is a
    count.
    """
    service, words = parsed.keywords.get("service", ""), parsed.positional
    _, isOwn, place = service.rpartition(",")[2].partition("=")
    if not isOwn or ":" in place or not words or not _FACTORY.fullmatch(words[-1]):
        return parsed
    keywords = {**parsed.keywords, "service": f"{service}:{words[-1]}"}
    return Description(parsed.name, words[:-1], keywords)


@implementer(IPlugin, IDeviceSourceParser, IDistinguishingParser)
class SimulatedSourceParser:
    """
    Makes a source of simulated iPhones.
    """

    prefix = "simulated"
    usage = (
        "simulated[:count=N][:udid=UDID][:first=N][:bus=N][:name=NAME][:product=TYPE][:version=V]"
        "[:values=FILE|MODEL][:mux=1|2][:trust=ask|accept|deny|locked][:buid=lenient|strict]"
        "[:files=DIR][:state=DIR][:log=FILE][:apps=DIR][:service=NAME=MODULE:FACTORY][:faults=PLAN][:engine=reactor|threads]"
        "[:control=ENDPOINT]"
    )

    def distinguish(self, descriptions: Sequence[str]) -> list[str]:
        """
        Number the phones of all sources on, and their buses.
        """
        return distinctBuses(distinctPhones(descriptions))

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source; C{simulated:3} is short for C{simulated:count=3}.

        @raise ValueError: An argument is wrong.
        """
        given = _withFactory(Description(self.prefix, args, kwargs))
        args, kwargs = given.positional, given.keywords
        expectKnown(kwargs, ARGUMENTS)
        if len(args) > 1 or (args and "count" in kwargs):
            raise ValueError(f"expected one count, got {args[-1]!r} as well")
        count = number("count", args[0] if args else kwargs.get("count", "1"), MOST_PHONES)
        mux = number("mux", kwargs.get("mux", "2"), 2)
        first = number("first", kwargs.get("first", "1"), 1 << 16) - 1
        bus = number("bus", kwargs.get("bus", "1"), MOST_BUSES)
        chosen = serials(count, first)
        if "udid" in kwargs:
            if count != 1:
                raise ValueError(f"udid is for one phone, and count is {count}")
            chosen = (serialOption(kwargs["udid"]),)
        trust = choiceFrom("trust", kwargs.get("trust", "accept"), TRUST)
        buid = choiceFrom("buid", kwargs.get("buid", BUID[0]), BUID)
        engine = choiceFrom("engine", kwargs.get("engine", ENGINES[0]), ENGINES)
        files = kwargs.get("files")
        apps = kwargs.get("apps")
        for key, place in (("files", files), ("apps", apps)):
            if place is not None and not os.path.isdir(place):
                raise ValueError(f"{key}: there is no directory {place!r}")
        if "log" in kwargs:
            checkFeed("log", kwargs["log"])
        # An empty one is how to say that nothing is to be kept, where it would be with -C.
        state = kwargs.get("state") or None
        if state is not None:
            checkKept("state", state)
        try:
            faults = FaultPlan.fromString(kwargs["faults"]) if "faults" in kwargs else NO_FAULTS
        except ValueError as error:
            raise ValueError(f"faults: {error}") from error
        from muxd.phone.identity import PhoneIdentity
        from muxd.phone.lockdown.trust import Owner
        from muxd.phone.services.own import parseServices
        from muxd.phone.source import SimulatedSource

        extra = parseServices(kwargs["service"]) if "service" in kwargs else None
        identity = PhoneIdentity.fromWords(**{key: kwargs.get(key) for key in IDENTITY})
        description = ":".join(
            [self.prefix, *args, *(f"{key}={value}" for key, value in kwargs.items())]
        )
        return SimulatedSource(
            reactor,
            receiver,
            description,
            serials=chosen,
            identity=identity,
            strict=buid == "strict",
            mux=mux,
            owner=Owner(trust),
            files=files,
            state=state,
            log=kwargs.get("log"),
            apps=apps,
            extra=extra,
            first=first,
            bus=bus,
            faults=faults,
            threads=engine == "threads",
            control=[kwargs["control"]] if "control" in kwargs else (),
        )


def number(name: str, text: str, most: int) -> int:
    """
    A number from 1 to C{most}.

    @raise ValueError: It is none.
    """
    isNumber = text.isascii() and text.isdecimal() and len(text) < 10
    if not (isNumber and 1 <= int(text) <= most):
        raise ValueError(f"{name}: expected a number from 1 to {most}, got {text!r:.80}")
    return int(text)


def serialOption(udid: str) -> str:
    """
    The USB serial number of a phone that shall have this UDID.

    @raise ValueError: No phone could.
    """
    serial = serialFromUDID(udid)
    if not UDID.fullmatch(udid) or udidFromSerial(serial) not in (udid, udidFromSerial(udid)):
        raise ValueError(
            f"udid: expected letters, digits and dashes, such as {udidFromSerial(FIRST_SERIAL)}, "
            f"got {udid!r}"
        )
    return serial
