# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A phone at the other end of a link that is only memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.protocols.wire import Chargen, Discard, Echo
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.device import MuxedDevice
from muxd.device.muxer import Muxer
from muxd.interfaces import Buffer, IPacketLink, IPacketReceiver
from muxd.limits import Limits
from muxd.phone.mux.muxer import PhoneMuxer
from muxd.phone.services.inet import Daytime, ServiceFactory
from muxd.testing import fakeIdentity
from muxd.wire.mux import BULK_PAYLOAD

ECHO, DISCARD, DAYTIME, CHARGEN = 7, 9, 13, 19


@implementer(IPacketLink)
class Wire:
    """
    Holds what each side has sent until it is carried.

    @ivar capacity: How many packets it wants to hold for the phone.
    """

    maxPacketSize = 512
    isFast = False
    bulkPayload = BULK_PAYLOAD

    def __init__(self) -> None:
        self.down: deque[bytes] = deque()
        self.up: deque[bytes] = deque()
        self.capacity = 4
        self.receiver: IPacketReceiver | None = None
        self._isAwaited = False

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Remember the receiver.
        """
        self.receiver = receiver

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Hold a packet.
        """
        self.down.append(b"".join(parts))

    def hasRoom(self, size: int) -> bool:
        """
        Whether few are held.
        """
        hasRoom = len(self.down) < self.capacity
        self._isAwaited = self._isAwaited or not hasRoom
        return hasRoom

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)

    def carry(self, phone: PhoneMuxer, count: int) -> bool:
        """
        Carry so many packets each way.

        @return: Whether there were any.
        """
        moved = min(count, max(len(self.down), len(self.up)))
        for _ in range(min(count, len(self.down))):
            phone.hostPacket(self.down.popleft())
        if self._isAwaited and len(self.down) < self.capacity:
            self._isAwaited = False
            assert self.receiver is not None
            self.receiver.roomAvailable()
        packets = [self.up.popleft() for _ in range(min(count, len(self.up)))]
        if packets:
            assert self.receiver is not None
            self.receiver.packetsReceived([memoryview(one) for one in packets])
        return moved > 0


class WiredPhone:
    """
    A simulated phone's muxer and ours, joined.

    @ivar device: As the floors above see it.
    """

    def __init__(self, clock: Clock, number: int, limits: Limits, version: int = 2) -> None:
        self.clock = clock
        self.wire = Wire()
        identity = fakeIdentity(number)
        services = {
            ECHO: ServiceFactory(Echo),
            DISCARD: ServiceFactory(Discard),
            DAYTIME: ServiceFactory(lambda: Daytime(clock.seconds)),
            CHARGEN: ServiceFactory(Chargen),
        }
        self.phone = PhoneMuxer(
            clock,
            self.wire.up.append,
            services,
            mux=version,
            udid=identity.udid,
            hasRoom=lambda: len(self.wire.up) < 4,
        )
        self.muxer = Muxer(clock, identity.udid, limits)
        self.device = MuxedDevice(identity, self.muxer)
        self.muxer.handshake(self.wire).addErrback(lambda failure: None)
        self.carry(2)

    def carry(self, count: int) -> bool:
        """
        Let so many packets pass each way.

        @return: Whether there were any.
        """
        moved = self.wire.carry(self.phone, count)
        self.phone.roomAvailable()
        return moved

    def settle(self, rounds: int = 50) -> None:
        """
        Let packets pass until there are none, or so many.
        """
        for _ in range(rounds):
            self.clock.advance(0)
            if not self.carry(8):
                return

    def unplug(self) -> None:
        """
        Pull it out.
        """
        self.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        self.phone.lost()
