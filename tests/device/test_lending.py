"""
Tests of L{muxd.device.lending}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.device.lending import Lender, lender
from muxd.interfaces import ILendingLink
from muxd.net.packetmemory import PacketMemory
from tests.device.links import RecordingLink


@implementer(ILendingLink)
class LendingLink(RecordingLink):
    """
    One that lends memory by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lender = Lender()

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
        Memory is lent by the link's own lender, if it has one.
        """
        link = LendingLink()
        self.assertIs(lender(link), link.lender)

    def test_abstract(self) -> None:
        """
        A lender that does not say how it does something cannot do it.
        """
        memory, one = PacketMemory(1), Lender()
        for call in (
            lambda: one.hasRoom(1),
            lambda: one.borrow(1),
            lambda: one.transmit(memory, 1),
            lambda: one.giveBack(memory),
        ):
            self.assertRaises(NotImplementedError, call)

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
        self.assertEqual((lending.hasRoom(1), lending.payload), (False, 99))
