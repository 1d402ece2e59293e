# -*- test-case-name: tests.device.test_owner -*-
"""
What sessions, and those that are being opened, ask of what they belong to.

A muxer is one.  It is said here, in a floor below both, so that neither needs to
import the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from muxd.device.acknowledging import Debtor, DelayedAcknowledgements
from muxd.device.outbound import Outbound, Ported
from muxd.limits import Limits
from muxd.net.packetmemory import PacketMemory

if TYPE_CHECKING:
    from muxd.device.counters import MuxerCounters
    from muxd.device.deadlines import Deadlines
    from muxd.device.phonelog import PhoneLog
    from muxd.device.times import SessionTimes


class Addressee(Protocol):
    """
    What segments with its ports are for: a session, or one that is being opened.
    """

    sourcePort: int
    port: int

    def segmentReceived(
        self,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        memory: PacketMemory,
        start: int,
        size: int,
    ) -> None:
        """
        A segment has come.

        @param window: In bytes.
        @param memory: The link's, good for this call only.
        @param start: Where its payload begins there.
        @param size: How many bytes that has.
        """

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        There is no more to come.

        @param reset: Whether the phone is to be told.
        """


class SessionOwner:
    """
    What a session belongs to.  All are subclasses, so that compiled code calls them without
    asking Python what they have.

    @ivar clock: Makes all timers.
    @ivar label: What the phone is called in logs: its UDID.
    @ivar limits: What may be exceeded by neither side.
    @ivar counters: What has happened so far.
    @ivar times: How long it took.
    @ivar phoneLog: What was wrong with the phone.
    @ivar outbound: What waits to be sent.
    @ivar delayed: Acknowledgements that wait for a timer.
    @ivar openings: The deadlines of sessions that the phone has not answered.
    """

    clock: IReactorTime
    label: str
    limits: Limits
    counters: MuxerCounters
    times: SessionTimes
    phoneLog: PhoneLog
    outbound: Outbound
    delayed: DelayedAcknowledgements
    openings: Deadlines

    def sessionOpened(self, session: Ported) -> None:
        """
        The phone has accepted.
        """
        raise NotImplementedError

    def sessionEnded(self, session: Ported) -> None:
        """
        Its ports are free, after a rest; packets for it are strays.
        """
        raise NotImplementedError

    def touch(self, session: Debtor, size: int) -> None:
        """
        A segment brought bytes: see to their acknowledgement after the batch.
        """
        raise NotImplementedError
