# -*- test-case-name: tests.device.test_lending -*-
"""
Any link as one that lends memory.
"""

from __future__ import annotations

from typing import cast

from muxd.interfaces import ILendingLink, IPacketLink
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import DEVICE_MRU


def lender(link: IPacketLink) -> ILendingLink:
    """
    The link itself if it lends memory, and otherwise one that does it for it.
    """
    if ILendingLink.providedBy(link):
        return link
    return cast("ILendingLink", Lender(link))


class Lender:
    """
    Lends the same memory again and again, and sends a copy of what is put there.
    """

    def __init__(self, link: IPacketLink) -> None:
        self._link = link
        self._memory = PacketMemory(DEVICE_MRU)

    @property
    def bulkPayload(self) -> int:
        """
        The link's.
        """
        return self._link.bulkPayload

    def hasRoom(self, size: int) -> bool:
        """
        The link's.
        """
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
