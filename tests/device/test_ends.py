"""
Tests of L{muxd.device.ends}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.ends import NO_END
from muxd.net.packetmemory import PacketMemory


class NoEndTests(SynchronousTestCase):
    """
    The end of a session that is over.
    """

    def test_nothing(self) -> None:
        """
        It has nothing for the phone, and will have nothing; it takes nothing.
        """
        memory = PacketMemory(9)
        memory.write(0, b"untouched")
        self.assertEqual((NO_END.fill(memory, 0, 9), memory.read(0, 9)), (0, b"untouched"))
        NO_END.deliver(memory, 0, 9)
        self.assertEqual(NO_END.waiting(), 0)
        self.assertIs(NO_END.isFinished(), True)
        self.assertIs(NO_END.isTaking(), False)
