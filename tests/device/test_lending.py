"""
Tests of L{muxd.device.lending}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.device.lending import lender
from muxd.interfaces import ILendingLink
from muxd.net.packetmemory import PacketMemory
from tests.device.links import RecordingLink


@implementer(ILendingLink)
class LendingLink(RecordingLink):
    """
    One that lends memory by itself.
    """

    def borrow(self, size: int) -> PacketMemory:
        """
        New memory.
        """
        return PacketMemory(size)

    def transmit(self, memory: PacketMemory, size: int) -> None:
        """
        Keep the packet.
        """
        self.sent.append(memory.read(0, size))

    def giveBack(self, memory: PacketMemory) -> None:
        """
        Forget it.
        """

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)


class LenderTests(SynchronousTestCase):
    """
    What lends the memory.
    """

    def test_itself(self) -> None:
        """
        A link that lends memory is used as it is.
        """
        link = LendingLink()
        self.assertIs(lender(link), link)

    def test_another(self) -> None:
        """
        For one that does not, what was put into the memory is sent as a copy, whatever is
        put there later.
        """
        link = RecordingLink()
        lending = lender(link)
        for packet in (b"a long packet", b"short"):
            memory = lending.borrow(len(packet))
            memory.write(0, packet)
            lending.transmit(memory, len(packet))
        lending.giveBack(lending.borrow(1))
        self.assertEqual(link.sent, [b"a long packet", b"short"])

    def test_room(self) -> None:
        """
        Room, and the size of segments, are the link's, as they are at the time.
        """
        link = RecordingLink()
        lending = lender(link)
        link.room = 0
        link.bulkPayload = 99
        self.assertEqual((lending.hasRoom(1), lending.bulkPayload), (False, 99))
