# -*- test-case-name: tests.capture.test_capture -*-
"""
One capture: which packets are wanted, and the pcapng file that is made of them.

A capture never waits.  What its sink has no room for is dropped and counted: the next
packet of that interface says how many are missing before it, and so do the interface's
statistics, which are written once a second while packets are being dropped, and at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred

from muxd import __version__
from muxd.capture.blocks import (
    enhancedPacket,
    interfaceDescription,
    interfaceStatistics,
    nameResolution,
    sectionHeader,
)
from muxd.capture.packets import LARGEST, Addresses, packetParts
from muxd.identity import DeviceIdentity, sameUDID

MOST_INTERFACES = 1024
"""
Phones that a capture tells apart; packets of more are dropped.  A phone that has been
replugged is the same one.
"""

REPORT = 1.0
"""Seconds from one word of dropped packets to the next."""

COMMENT = (
    "What programs on this machine and phones on its USB have said to each other, payloads"
    " included. Addresses are made up, TCP checksums are left out, and what goes over TLS,"
    " as most of lockdown does, is encrypted here as well."
)


class PacketSink(Protocol):
    """
    A receiver of whole blocks.
    """

    def room(self) -> int:
        """
        How many bytes it can take without waiting.
        """

    def write(self, data: bytes) -> None:
        """
        Take a block; also one that there is no room for.
        """

    def end(self) -> Deferred[None]:
        """
        Take no more.

        @return: fires when everything is where it belongs.
        """


@dataclass(eq=False, slots=True)
class ObservedSession:
    """
    A session that has been seen from its beginning.

    @ivar client: What is known of the client, for a comment.
    @ivar toldTo: The captures that have it already.
    """

    client: str
    toldTo: set[Capture] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class _Interface:
    """
    A phone, in one file.

    @ivar number: Its own there; negative until it has been described.
    @ivar began: When its first packet was seen.
    @ivar missing: How many packets were dropped since the last that was not.
    @ivar reported: How many of C{dropped} the file knows of by statistics.
    """

    addresses: Addresses
    began: float
    number: int = -1
    received: int = 0
    dropped: int = 0
    missing: int = 0
    reported: int = 0
    reportedAt: float = 0.0


class Capture:
    """
    A capture that is going on.

    @ivar received: How many packets it was shown that are wanted.
    @ivar dropped: How many of them there was no room for.
    """

    def __init__(
        self,
        timeOfDay: Callable[[], float],
        sink: PacketSink,
        udid: str | None = None,
        port: int | None = None,
    ) -> None:
        """
        @param timeOfDay: Seconds since the epoch.
        @param udid: The phone that is wanted, with or without its dash; None for all.
        @param port: The phone's port that is wanted; None for all.
        """
        self.udid = udid
        self.port = port
        self.received = 0
        self.dropped = 0
        self._timeOfDay = timeOfDay
        self._sink = sink
        self._interfaces: dict[str, _Interface] = {}
        self._described = 0
        sink.write(sectionHeader(f"muxd {__version__}", sys.platform, COMMENT))

    def wants(self, identity: DeviceIdentity) -> bool:
        """
        Whether the packets of a phone are wanted.
        """
        return self.udid is None or sameUDID(self.udid, identity.udid)

    def packet(
        self,
        identity: DeviceIdentity,
        port: int,
        segment: bytes,
        session: ObservedSession | None,
        *,
        isInbound: bool,
    ) -> None:
        """
        Write a segment down, if it is wanted and there is room.

        @param port: The phone's port.
        @param segment: Header and payload.
        @param session: Its session, if that is known.
        """
        if self.port is not None and port != self.port:
            return
        now = self._timeOfDay()
        self.received += 1
        interface = self._interfaceOf(identity, now)
        if interface is None:
            self.dropped += 1
            return
        interface.received += 1
        isNews = session is not None and self not in session.toldTo
        data = b""
        if len(segment) <= LARGEST:
            data = enhancedPacket(
                self._described if interface.number < 0 else interface.number,
                now,
                packetParts(interface.addresses, segment, isInbound=isInbound),
                isInbound=isInbound,
                comment=session.client if session is not None and isNews else "",
                dropped=interface.missing,
            )
            if interface.number < 0:
                data = self._description(identity, interface.addresses) + data
        if not data or len(data) > self._sink.room():
            self.dropped += 1
            interface.dropped += 1
            interface.missing += 1
            return
        if interface.number < 0:
            interface.number = self._described
            self._described += 1
        if session is not None and isNews:
            session.toldTo.add(self)
        interface.missing = 0
        if interface.dropped != interface.reported and now - interface.reportedAt >= REPORT:
            data += self._statistics(interface, now)
        self._sink.write(data)

    def _interfaceOf(self, identity: DeviceIdentity, now: float) -> _Interface | None:
        """
        A phone's interface; None if there are too many.
        """
        interface = self._interfaces.get(identity.udid)
        if interface is None and len(self._interfaces) < MOST_INTERFACES:
            interface = _Interface(Addresses(identity.udid), now)
            self._interfaces[identity.udid] = interface
        return interface

    def end(self) -> Deferred[None]:
        """
        Write the last words of each interface.

        @return: fires when all is where it belongs.
        """
        now = self._timeOfDay()
        for interface in self._interfaces.values():
            if interface.number >= 0:
                self._sink.write(self._statistics(interface, now))
        return self._sink.end()

    def _description(self, identity: DeviceIdentity, addresses: Addresses) -> bytes:
        """
        An interface, and what its addresses are called.
        """
        place = f", port {identity.portPath}" if identity.portPath else ""
        what = "simulated phone" if identity.isSimulated else "phone"
        text = f"{what} {identity.udid}, product {identity.productID:04x}{place}"
        names = {addresses.host: "host", addresses.phone: f"phone-{_hostName(identity.udid)}"}
        return interfaceDescription(identity.udid, text, addresses.host) + nameResolution(names)

    def _statistics(self, interface: _Interface, now: float) -> bytes:
        interface.reported, interface.reportedAt = interface.dropped, now
        return interfaceStatistics(
            interface.number, interface.began, now, interface.received, interface.dropped
        )


def _hostName(udid: str) -> str:
    """
    A UDID in the characters of a host's name.
    """
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in udid)
