# -*- test-case-name: tests.usb.test_engines -*-
"""
The engines that move transfers, all behind one contract.

An engine is chosen by name (C{usb:engine=...}): C{threads} works wherever pyusb
does, C{async} gives libusb's asynchronous transfers to the reactor, and C{auto}
takes that one where it works, and otherwise the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.interfaces import IPacketLink
from muxd.limits import Limits
from muxd.wire.assembly import PacketAssembler

if TYPE_CHECKING:
    from muxd.usb.opening import OpenedPhone

_log = Logger()

SMALL_PACKET = 4096 + 36
"""A packet of no more than L{Limits.smallWrite} and its headers is let past bulk ones."""


class EngineError(Exception):
    """
    The engine cannot be used here; the text says why.
    """


class NoThread(Exception):
    """
    A link is lost before it has worked, for want of a thread: that may pass.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: let this process have more (TasksMax= of systemd, pids.max of a "
            "container, ulimit -u)"
        )


class LinkState(Enum):
    """
    Where a link is in its life.
    """

    IDLE = auto()
    RUNNING = auto()
    LOST = auto()
    CLOSING = auto()
    CLOSED = auto()


class IUSBLink(IPacketLink):
    """
    A link over USB.
    """

    def lose(reason: Failure) -> None:
        """
        The phone has left the bus: end as if a transfer had failed, since none
        may (an old libusb context may not notice).  Harmless when the link is
        lost or closed already.
        """


LinkFactory = Callable[[Any, "OpenedPhone", Limits], IUSBLink]
"""
Takes a reactor, an L{OpenedPhone}, which is the link's from then on, and the
limits.
"""

_ENGINES = {
    "threads": ("muxd.usb.threaded.link", "ThreadedLink"),
    "async": ("muxd.usb.asynchronous.link", "AsynchronousLink"),
}

_AUTOMATIC = ("async", "threads")
"""What C{auto} tries, in this order, for each phone."""


def usableEngines(engine: str) -> list[str]:
    """
    The engines that a link may have, the one that is tried first in front.

    @param engine: As an operator has chosen it.
    """
    return list(_AUTOMATIC) if engine == "auto" else [engine]


def linkFactory(engine: str) -> LinkFactory:
    """
    What makes links of this engine.

    @raise EngineError: There is no such engine, or not here.  What is returned
        may raise it, too, if that shows only with a phone.
    """
    names = usableEngines(engine)
    factories: list[LinkFactory] = []
    problem = f"engine {engine!r} does not exist: expected auto, {', '.join(_ENGINES)}"
    for name in names:
        if name in _ENGINES:
            module, attribute = _ENGINES[name]
            try:
                factories.append(getattr(import_module(module), attribute))
            except ImportError as error:
                problem = f"engine {name!r} cannot be used here: {error}"
    if not factories:
        raise EngineError(problem)
    return partial(_makeLink, factories)


def _makeLink(
    factories: list[LinkFactory], reactor: Any, phone: OpenedPhone, limits: Limits
) -> IUSBLink:
    """
    A link of the first engine that can make one.
    """
    *preferred, last = factories
    for factory in preferred:
        try:
            return factory(reactor, phone, limits)
        except EngineError as error:
            _log.debug(
                "{udid}: not the fastest engine: {reason}",
                udid=phone.identity.udid,
                reason=str(error),
            )
    return last(reactor, phone, limits)


def mayFollow(size: int, packets: int, bulk: int, limits: Limits) -> bool:
    """
    Whether one more packet of this size has room on a bus whose pace is not measured.

    @param packets: How many are on their way already.
    @param bulk: How many of them are larger than L{SMALL_PACKET}.
    """
    if packets >= limits.packetsInFlight:
        return False
    return size <= SMALL_PACKET or bulk < limits.bulkInFlight


def assemblerFor(udid: str, log: Logger) -> PacketAssembler:
    """
    An assembler for what one phone sends.

    What is no packet is logged once as a warning, and from then on for debugging
    alone: a phone that sends garbage sends much of it.

    @param log: The link's.
    """

    def dropped(count: int, reason: str) -> None:
        tell = log.warn if assembler.drops == 1 else log.debug
        tell(
            "dropped {count} bytes from {udid} that are no packet: {reason}",
            count=count,
            udid=udid,
            reason=reason,
        )

    assembler = PacketAssembler(dropped)
    return assembler
