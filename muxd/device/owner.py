# -*- test-case-name: tests.device.test_owner -*-
"""
What sessions, and those that are being opened, ask of what they belong to.

A muxer is one.  It is said here, in a floor below both, so that neither needs to
import the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from muxd.limits import Limits

if TYPE_CHECKING:
    from muxd.device.acknowledging import DelayedAcknowledgements
    from muxd.device.complaints import Complaints
    from muxd.device.counters import MuxerCounters
    from muxd.device.opening import Opening
    from muxd.device.outbound import Outbound
    from muxd.device.session import Session


class SessionOwner(Protocol):
    """
    What a session belongs to.

    @ivar clock: Makes all timers.
    @ivar label: What the phone is called in logs: its UDID.
    @ivar limits: What may be exceeded by neither side.
    @ivar counters: What has happened so far.
    @ivar complaints: What was wrong with the phone.
    @ivar outbound: What waits to be sent.
    @ivar delayed: Acknowledgements that wait for a timer.
    """

    clock: IReactorTime
    label: str
    limits: Limits
    counters: MuxerCounters
    complaints: Complaints
    outbound: Outbound
    delayed: DelayedAcknowledgements

    def sessionOpened(self, session: Session) -> None:
        """
        The phone has accepted what was an L{Opening}.
        """

    def sessionEnded(self, session: Session | Opening) -> None:
        """
        Its ports are free, after a rest; packets for it are strays.
        """

    def touch(self, session: Session, size: int) -> None:
        """
        A segment brought bytes: see to their acknowledgement after the batch.
        """
