# -*- test-case-name: tests.device.test_lending -*-
"""
Memory that packets are sent from, lent by links.
"""

from __future__ import annotations

from muxd.interfaces import ILendingLink, IPacketLink
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import DEVICE_MRU


class Lender:
    """
    Lends memory for one packet at a time, and sends the packet.

    All lenders are subclasses, so that compiled code calls them without asking Python what
    they have.

    @ivar payload: What the largest segment should carry, in bytes, by what is known since
        L{hasRoom} was called last.
    @ivar lonePayload: The same for a session that has been the only one to send for a while.
    """

    __slots__ = ("lonePayload", "payload")

    lonePayload: int
    payload: int

    def hasRoom(self, size: int) -> bool:
        """
        Whether a packet of this many bytes should be sent now: as
        L{IPacketLink.hasRoom}.
        """
        raise NotImplementedError

    def borrow(self, size: int) -> PacketMemory:
        """
        Lend memory for one packet of at most this many bytes.  It is to be given back, or
        transmitted, before more is borrowed.
        """
        raise NotImplementedError

    def transmit(self, memory: PacketMemory, size: int) -> None:
        """
        Send the first C{size} bytes of borrowed memory, as L{IPacketLink.send} does.
        """
        raise NotImplementedError

    def giveBack(self, memory: PacketMemory) -> None:
        """
        Take back what was not needed.
        """
        raise NotImplementedError


def lender(link: IPacketLink) -> Lender:
    """
    The link's own, and otherwise one that lends in its place.
    """
    if ILendingLink.providedBy(link):
        own: Lender = link.lender
        return own
    return CopyingLender(link)


class CopyingLender(Lender):
    """
    Lends the same memory again and again, and has a link send a copy of what is put there.
    """

    __slots__ = ("_link", "_memory")

    def __init__(self, link: IPacketLink) -> None:
        self._link = link
        self._memory = PacketMemory(DEVICE_MRU)
        self.payload = self.lonePayload = link.bulkPayload

    def hasRoom(self, size: int) -> bool:
        """
        The link's.
        """
        self.payload = self.lonePayload = self._link.bulkPayload
        return self._link.hasRoom(size)

    def borrow(self, size: int) -> PacketMemory:
        """
        The one memory there is.
        """
        return self._memory

    def transmit(self, memory: PacketMemory, size: int) -> None:
        """
        Send a copy.
        """
        self._link.send((memory.read(0, size),))

    def giveBack(self, memory: PacketMemory) -> None:
        """
        It stays where it is.
        """
