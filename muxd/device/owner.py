# -*- test-case-name: tests.device.test_owner -*-
"""
What sessions, and those that are being opened, ask of what they belong to.

A muxer is one.  It is said here, in a floor below both, so that neither needs to
import the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from muxd.device.acknowledging import Debtor, DelayedAcknowledgements
from muxd.device.outbound import Outbound, Ported
from muxd.limits import Limits

if TYPE_CHECKING:
    from muxd.device.counters import MuxerCounters
    from muxd.device.deadlines import Deadlines
    from muxd.device.phonelog import PhoneLog
    from muxd.device.times import SessionTimes


class SessionOwner:
    """
    What a session belongs to.  All are subclasses, so that compiled code calls them without
    asking Python what they have.

    @ivar clock: Makes all timers.
    @ivar seconds: What the clock says; found once, as sessions come and go.
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
    seconds: Callable[[], float]
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
