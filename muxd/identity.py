# -*- test-case-name: tests.test_identity -*-
"""
The identity of a device, as clients are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Self


def udidFromSerial(serial: str) -> str:
    """
    The UDID of a device with this USB serial number: exactly 24 characters get
    a dash after the eighth, all others stay as they are (protocol 1.5).
    """
    return f"{serial[:8]}-{serial[8:]}" if len(serial) == 24 else serial


def serialFromUDID(udid: str) -> str:
    """
    The USB serial number of the phone with this UDID (protocol 1.5).
    """
    dashed = len(udid) == 25 and udid[8] == "-"
    return udid.replace("-", "", 1) if dashed else udid


def canonicalUDID(udid: str) -> str:
    """
    A UDID as devices and the names of pair records have it, however it was typed: of
    24 hexadecimal digits in upper case, with a dash after the eighth, of 40 in lower
    case (protocol 1.5).  What is neither stays as it is.
    """
    digits = udid.replace("-", "")
    if not re.fullmatch("[0-9A-Fa-f]+", digits):
        return udid
    match len(digits):
        case 24:
            return udidFromSerial(digits.upper())
        case 40:
            return digits.lower()
        case _:
            return udid


def udidKey(text: str) -> str:
    """
    A UDID as it is compared, however it was typed; anything else as well.
    """
    return text.replace("-", "").strip().lower()


def udidSpellings(text: str) -> list[str]:
    """
    The spellings of a UDID under which a file may be named, the usual one first.  What is
    no UDID has none.
    """
    key = udidKey(text)
    if len(key) not in (24, 40) or not re.fullmatch("[0-9a-f]+", key):
        return []
    usual = canonicalUDID(key)
    plain = usual.replace("-", "")
    spellings = (usual, plain, usual.lower(), plain.lower(), usual.upper(), plain.upper())
    return list(dict.fromkeys(spellings))


def sameUDID(one: str, other: str) -> bool:
    """
    Whether two UDIDs are of one device, each with or without its dash and in either
    case.
    """
    return udidKey(one) == udidKey(other)


NAMED = 5
"""Phones that a text names; a farm has sixty."""


def namedInBrief(names: Iterable[str]) -> str:
    """
    Phones for a sentence: the first few in alphabetical order, and how many there are
    besides; nothing if there are none.
    """
    sortedNames = sorted(names)
    more = len(sortedNames) - NAMED
    return ", ".join(sortedNames[:NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """
    What never changes while a device is attached (protocol 4.9).

    @ivar udid: With its dash, as pair records are named.
    @ivar serial: The USB serial number, without a dash.
    @ivar productID: The USB product id.
    @ivar locationID: At most 32 bits: for USB the number that Apple makes of bus and
        ports, or bus number << 16 | address where the ports are not known.
    @ivar portPath: Where it is plugged in, such as C{3-1.4.2}: the bus, and the ports of
        all hubs on the way; the same after each plug.  Empty where that is not known.
    @ivar speed: Of the connection, in bit/s.
    @ivar connectionType: "USB" or "Network".
    @ivar name: What to call it in a log before anything better is known.
    @ivar networkAddress: Of one on the network: its C{sockaddr} as clients are told it.
    @ivar interfaceIndex: The number of the scope of that address, if it has one.
    @ivar serviceName: The full name of the service that it announces, if it does.
    @ivar isSimulated: Whether it is no real phone, as people are told.
    @ivar host: The name of the host that it is plugged into; empty if that is this one.
    """

    udid: str
    serial: str
    productID: int
    locationID: int
    speed: int = 480_000_000
    connectionType: str = "USB"
    name: str = ""
    portPath: str = ""
    isSimulated: bool = False
    host: str = ""
    networkAddress: bytes = b""
    interfaceIndex: int = 0
    serviceName: str = ""


CONNECTION_TYPES = {"usb": "USB", "network": "Network"}
"""How phones are connected: in the words of an operator, and in those of the protocol."""

PORT = "port"
LABEL = "label"

_PORT_PATH = re.compile(r"[0-9]{1,5}-[0-9]{1,3}(\.[0-9]{1,3})*")
_HUB_PATH = re.compile(r"([0-9]{1,5}-[0-9]{1,3}(?:\.[0-9]{1,3})*)\.\*")
_UDID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{16}|[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    Some phones, by what they are, by where they are plugged in, or by how they are connected.

    @ivar udids: In L{udidKey} form.
    @ivar ports: Such as C{3-1.4.2}: bus, and the ports of all hubs on the way.
    @ivar hubs: Such as C{3-1}: all that is behind that hub.
    @ivar types: "USB" or "Network".
    """

    udids: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    hubs: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.udids or self.ports or self.hubs or self.types)

    def __or__(self, other: Selection) -> Selection:
        """
        The phones of both.
        """
        return Selection(
            **{one.name: getattr(self, one.name) | getattr(other, one.name) for one in fields(self)}
        )

    def has(self, udid: str, portPath: str, connectionType: str = "") -> bool:
        """
        Whether a phone is one of these.
        """
        return (
            udidKey(udid) in self.udids
            or connectionType in self.types
            or (bool(portPath) and self._hasPort(portPath))
        )

    def _hasPort(self, portPath: str) -> bool:
        return portPath in self.ports or any(portPath.startswith(f"{hub}.") for hub in self.hubs)

    def hasDevice(self, identity: DeviceIdentity) -> bool:
        """
        The same of an attached device.  Ports are this machine's.
        """
        portPath = "" if identity.host else identity.portPath
        return self.has(identity.udid, portPath, identity.connectionType)

    @classmethod
    def fromWords(cls, words: Iterable[str], labels: Mapping[str, Selection] | None = None) -> Self:
        """
        The phones that an operator names: UDIDs, however they are typed, C{port:3-1.4} or
        C{3-1.4}, C{port:3-1.*} for all behind a hub, C{usb}, C{network}, and labels, with
        C{label:} before them or not.

        @param labels: The names there are for phones.  Without any, whatever is nothing else
            is taken for a UDID.
        @raise ValueError: A word is none of these, or there is none.
        """
        found = Selection()
        for word in filter(None, (each.strip() for each in words)):
            found |= _named(word, labels)
        if not found:
            raise ValueError(f"expected {_expected(labels)}, got none")
        return cls(udids=found.udids, ports=found.ports, hubs=found.hubs, types=found.types)


NO_PHONES = Selection()


def _named(word: str, labels: Mapping[str, Selection] | None) -> Selection:
    """
    The phones that one word names.
    """
    kind, colon, value = word.partition(":")
    place = value if colon and kind == PORT else word
    hub = _HUB_PATH.fullmatch(place)
    if hub is not None:
        return Selection(hubs=frozenset((hub[1],)))
    if _PORT_PATH.fullmatch(place) and not _UDID.fullmatch(place):
        return Selection(ports=frozenset((place,)))
    name = value if colon and kind == LABEL else word
    if labels and name in labels:
        return labels[name]
    if word.lower() in CONNECTION_TYPES:
        return Selection(types=frozenset((CONNECTION_TYPES[word.lower()],)))
    isUDID = labels is None and not colon and word != PORT
    if isUDID or _UDID.fullmatch(word):
        return Selection(udids=frozenset((udidKey(word),)))
    hint = nearest(name, labels or ())
    raise ValueError(f"expected {_expected(labels)}, got {word!r:.200}{hint}")


def _expected(labels: Mapping[str, Selection] | None) -> str:
    return "UDIDs or port:BUS-PORT.PORT" + ("" if labels is None else ", usb, network or labels")


def nearest(word: str, known: Iterable[str]) -> str:
    """
    What to write behind the complaint about a word that is not known: the known one that
    it resembles most, if there is one.
    """
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def joinPorts(
    positional: Iterable[str], keywords: Mapping[str, str], names: Iterable[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """
    Put C{port:3-1.4} together again in the arguments of a description: its colon separates
    them, unless the operator has written a backslash before it.

    @param positional: The arguments without a name.
    @param names: Those of the arguments that may name phones.
    """
    joined = dict(keywords)
    rest = list(positional)
    for key in (key for key in keywords if key in set(names)):
        while joined[key].rpartition(",")[2].strip() == PORT:
            path = next((each for each in rest if _isPlace(each.partition(",")[0])), None)
            if path is None:
                break
            rest.remove(path)
            joined[key] += f":{path}"
    return tuple(rest), joined


def _isPlace(text: str) -> bool:
    return bool(_PORT_PATH.fullmatch(text) or _HUB_PATH.fullmatch(text))
