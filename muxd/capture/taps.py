# -*- test-case-name: tests.capture.test_taps -*-
"""
Where captures see packets: every phone that sources attach, and whatever is connected to
it, by clients or by the daemon itself.

A phone's muxer is observed while a capture wants that phone, and at no other time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from muxd.capture.capture import Capture, ObservedSession, PacketSink
from muxd.capture.packets import RST, flagsOf, portsOf
from muxd.device.device import MuxedDevice
from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice, IDeviceReceiver
from muxd.net.packetmemory import PacketMemory

_log = Logger()

OURS = "the daemon's own"
"""What the client of a session is called that no client of a socket has asked for."""


class _PhoneTap:
    """
    The observer of one phone.
    """

    def __init__(self, taps: CaptureTaps, identity: DeviceIdentity) -> None:
        self._taps = taps
        self._identity = identity
        self._sessions: dict[int, ObservedSession] = {}
        self.captures: tuple[Capture, ...] = ()

    def sessionOpening(self, sourcePort: int, port: int) -> None:
        """
        See L{SegmentObserver}.
        """
        client = self._taps.takeClient(self._identity.udid, port) or OURS
        self._sessions[port << 16 | sourcePort] = ObservedSession(f"client: {client}")

    def segmentReceived(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        See L{SegmentObserver}.
        """
        try:
            segment = memory.read(start, size)
            port, sourcePort = portsOf(segment)
            self._seen(sourcePort, port, segment, isInbound=True)
        except Exception:
            self._failed()

    def segmentSent(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        See L{SegmentObserver}.
        """
        try:
            segment = memory.read(start, size)
            sourcePort, port = portsOf(segment)
            self._seen(sourcePort, port, segment, isInbound=False)
        except Exception:
            self._failed()

    def _seen(self, sourcePort: int, port: int, segment: bytes, *, isInbound: bool) -> None:
        key = port << 16 | sourcePort
        session = self._sessions.get(key)
        for capture in self.captures:
            capture.packet(self._identity, port, segment, session, isInbound=isInbound)
        if session is not None and flagsOf(segment) & RST:
            del self._sessions[key]

    def _failed(self) -> None:
        """
        A defect of a capture is not to be one of a stream.
        """
        _log.failure("the capture of {udid} has failed", udid=self._identity.udid)
        self._taps.endAll()


@implementer(IDeviceReceiver)
class CaptureTaps:
    """
    A receiver of devices before another one, which captures see the devices of.
    """

    def __init__(
        self,
        clock: IReactorTime,
        receiver: IDeviceReceiver,
        changed: Callable[[bool], object],
        timeOfDay: Callable[[], float] = time.time,
    ) -> None:
        """
        @param receiver: Is told of all devices.
        @param changed: Called with whether anything is captured, when that changes.
        @param timeOfDay: Seconds since the epoch: what packets are dated with.
        """
        self._clock = clock
        self._timeOfDay = timeOfDay
        self._receiver = receiver
        self._changed = changed
        self._phones: dict[MuxedDevice, _PhoneTap | None] = {}
        self._captures: list[Capture] = []
        self._asked: tuple[str, int, str] | None = None

    # Captures

    def begin(self, sink: PacketSink, udid: str | None = None, port: int | None = None) -> Capture:
        """
        Begin a capture.

        @param udid: The phone that is wanted, which need not be there yet; None for all.
        @param port: The phone's port that is wanted; None for all.
        """
        capture = Capture(self._timeOfDay, sink, udid, port)
        self._captures.append(capture)
        self._observe()
        if len(self._captures) == 1:
            self._changed(True)
        return capture

    def end(self, capture: Capture) -> Deferred[None]:
        """
        End a capture; harmless for one that has ended.

        @return: fires when all of it is where it belongs.
        """
        if capture in self._captures:
            self._captures.remove(capture)
            self._observe()
            if not self._captures:
                self._changed(False)
            _log.info(
                "a capture has ended: {received} packets, {dropped} of them dropped",
                received=capture.received,
                dropped=capture.dropped,
            )
        return capture.end()

    def endAll(self) -> list[Deferred[None]]:
        """
        End all captures.
        """
        return [self.end(capture) for capture in tuple(self._captures)]

    def _observe(self) -> None:
        for device in tuple(self._phones):
            self._observePhone(device)

    def _observePhone(self, device: MuxedDevice) -> None:
        """
        Have those captures see a phone that want it.
        """
        wanting = tuple(each for each in self._captures if each.wants(device.identity))
        tap = self._phones[device]
        if not wanting:
            if tap is not None:
                tap.captures = ()
                self._phones[device] = None
                device.muxer.observe(None)
            return
        if tap is None:
            tap = self._phones[device] = _PhoneTap(self, device.identity)
            device.muxer.observe(tap)
        tap.captures = wanting

    # Clients

    def clientConnecting(self, udid: str, port: int, client: str) -> None:
        """
        A client asks for a port of a phone: the session for it is opened in this same turn
        of the reactor.
        """
        self._asked = (udid, port, client)
        self._clock.callLater(0, self._forgetClient)

    def takeClient(self, udid: str, port: int) -> str:
        """
        The client that has asked for a port; empty if none has.
        """
        asked, self._asked = self._asked, None
        return asked[2] if asked is not None and asked[:2] == (udid, port) else ""

    def _forgetClient(self) -> None:
        self._asked = None

    # From sources

    def deviceAttached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        if isinstance(device, MuxedDevice):
            self._phones[device] = None
            self._observePhone(device)
        self._receiver.deviceAttached(device)

    def devicePaired(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        self._receiver.devicePaired(device)

    def deviceDetached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        if isinstance(device, MuxedDevice):
            self._phones.pop(device, None)
        self._receiver.deviceDetached(device)
