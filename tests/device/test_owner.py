"""
Tests of L{muxd.device.owner}: a session needs nothing of its muxer but what is said there.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.acknowledging import Debtor
from muxd.device.muxer import Muxer
from muxd.device.outbound import Ported
from muxd.device.owner import SessionOwner
from muxd.device.session import Session
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.net.packetmemory import PacketMemory
from tests.device.links import ACK, ScriptedPhone
from tests.device.sessionends import RecordingEnd


class Narrow(SessionOwner):
    """
    What L{SessionOwner} names of a muxer, and nothing else.
    """

    def __init__(self, muxer: Muxer) -> None:
        self.clock = muxer.clock
        self.label = muxer.label
        self.limits = muxer.limits
        self.counters = muxer.counters
        self.times = muxer.times
        self.phoneLog = muxer.phoneLog
        self.openings = muxer.openings
        self.outbound = muxer.outbound
        self.delayed = muxer.delayed
        self._muxer = muxer

    def sessionOpened(self, session: Ported) -> None:
        """
        As the muxer does.
        """
        self._muxer.sessionOpened(session)

    def sessionEnded(self, session: Ported) -> None:
        """
        As the muxer does.
        """
        self._muxer.sessionEnded(session)

    def touch(self, session: Debtor, size: int) -> None:
        """
        As the muxer does.
        """
        self._muxer.touch(session, size)


class OwnerTests(SynchronousTestCase):
    """
    A session of an owner that is no muxer.
    """

    def test_enough(self) -> None:
        """
        It sends, receives and ends.
        """
        phone = ScriptedPhone.ready()
        owner: SessionOwner = Narrow(phone.muxer)
        session = Session(owner, 9, 62078, SendWindow(), ReceiveWindow(131072), 0.0)
        session.end = end = RecordingEnd(session)
        memory = PacketMemory(5)
        memory.write(0, b"hello")
        session.segmentReceived(0, 0, ACK, 131072, memory, 0, 5)
        end.say(b"world")
        self.assertEqual((end.heard, [one.payload for one in phone.take()]), (b"hello", [b"world"]))
        session.abort()
        self.assertEqual(len(end.losses), 1)
