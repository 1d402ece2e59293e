# -*- test-case-name: tests.net.test_halfclosed -*-
"""
Peers that have finished sending, and may be waiting for an answer.

A peer that is on this machine is waited for as long as it holds its socket, however late
the answer comes, and what is done for it ends when it closes (L{muxd.net.peers}).  No
event tells of that: a socket that has sent its end of file has nothing to send when it is
closed.  So they are looked at now and then, as long as there are any.

Whether a peer elsewhere is still there is not known.  It has a grace: what is done
for it ends when for so long nothing has moved.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from itertools import islice
from socket import socket
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.net.peers import Presence, presenceOf, tcpPresences, tcpQuestion

LOOK = 0.04
"""Seconds between two looks at peers on this machine."""

AT_ONCE = 512
"""
TCP peers that are looked at each time, in 2 ms; where there are more they take turns.
"""

GRACE_LOOKS = 4
"""How often it is looked during a grace whether something has moved."""


class FinishedPeer(Protocol):
    """
    What has read the end of a peer's sending.
    """

    def peerGone(self) -> None:
        """
        The peer has closed its socket: nothing is left to be done for it.
        """

    def graceOver(self) -> None:
        """
        Whether the peer is still there is not known, and nothing has moved for so long
        that it is taken to have gone.  It gets what was sent to it.
        """

    def progress(self) -> object:
        """
        What is different when a byte has moved in either direction; None while something
        waits for the peer to read.
        """

    def isTaken(self) -> bool:
        """
        Whether all that the peer has sent has arrived where it was meant to go.
        """


@dataclass(slots=True)
class _Unknown:
    """
    A peer of which it is not known whether it is still there.

    @ivar progress: What had moved when it was looked at last.
    @ivar since: Since when nothing else has, in the clock's seconds.
    """

    progress: object
    since: float


class HalfClosedWatch:
    """
    Peers that have finished sending.  It has timers only while there are some.

    @ivar grace: How many seconds of silence end what is done for a peer of which nothing
        knows whether it is still there; 0 if there is to be no doubt in its favour.
    """

    def __init__(self, clock: IReactorTime, grace: float, patience: float) -> None:
        """
        @param patience: As the grace, while what the peer has sent has not been taken.
        """
        self._clock = clock
        self.grace = grace
        self._patience = max(grace, patience)
        self._unknown: dict[FinishedPeer, _Unknown] = {}
        self._unix: dict[FinishedPeer, int] = {}
        self._atDescriptor: dict[int, FinishedPeer] = {}
        self._hangUps = select.poll() if hasattr(select, "poll") else None
        self._tcp: dict[FinishedPeer, bytes] = {}
        self._look: IDelayedCall | None = None
        self._graceLook: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._unknown) + len(self._unix) + len(self._tcp)

    def add(self, peer: FinishedPeer, descriptor: int) -> Presence:
        """
        A peer has finished sending: tell once, later, when it has gone.

        @param descriptor: Of our socket; -1 if there is none.
        @return: what is known of the peer.  If it is L{Presence.GONE}, nothing will be
            told; nor if it is L{Presence.UNKNOWN} and there is no grace.
        """
        presence = presenceOf(descriptor)
        if presence is Presence.HELD:
            self._hold(peer, descriptor)
        elif presence is Presence.UNKNOWN and self.grace > 0:
            self._unknown[peer] = _Unknown(peer.progress(), self._clock.seconds())
            if self._graceLook is None:
                self._graceLook = self._clock.callLater(
                    self.grace / GRACE_LOOKS, self._lookAtUnknown
                )
        return presence

    def remove(self, peer: FinishedPeer) -> None:
        """
        Tell nothing of a peer, if anything was to be told.  To be called before another
        file can have the descriptor's number.
        """
        if self._unknown.pop(peer, None) or self._tcp.pop(peer, None):
            return
        descriptor = self._unix.pop(peer, None)
        if descriptor is not None and self._hangUps is not None:
            del self._atDescriptor[descriptor]
            self._hangUps.unregister(descriptor)

    def stop(self) -> None:
        """
        Leave no timer behind.
        """
        if self._look is None and self._graceLook is None and not len(self):
            return  # nearly always, and this is asked for often
        for peer in (*self._unknown, *self._unix, *self._tcp):
            self.remove(peer)
        for timer in (self._look, self._graceLook):
            if timer is not None:
                timer.cancel()
        self._look = self._graceLook = None

    def _hold(self, peer: FinishedPeer, descriptor: int) -> None:
        """
        Look at a peer that is on this machine until it has gone.
        """
        ours = socket(fileno=descriptor)
        question = tcpQuestion(ours)
        # It is not ours to close.
        ours.detach()
        if question is not None:
            self._tcp[peer] = question
        elif self._hangUps is not None:
            self._unix[peer] = descriptor
            self._atDescriptor[descriptor] = peer
            # No event is asked for: the kernel tells of a hang-up in any case.
            self._hangUps.register(descriptor, 0)
        if self._look is None:
            self._look = self._clock.callLater(LOOK, self._lookAtHeld)

    def _lookAtHeld(self) -> None:
        self._look = None
        gone = []
        if self._unix and self._hangUps is not None:
            gone = [self._atDescriptor[descriptor] for descriptor, _ in self._hangUps.poll(0)]
        turn = dict(islice(self._tcp.items(), AT_ONCE))
        # One that was found before and is not there any more has gone as well.
        for peer, presence in zip(turn, tcpPresences([*turn.values()]), strict=False):
            # The others have their turn next.
            self._tcp[peer] = self._tcp.pop(peer)
            if presence is not Presence.HELD:
                gone.append(peer)
        for peer in gone:
            # What is done for one may have ended what was done for another.
            if peer in self._unix or peer in self._tcp:
                self.remove(peer)
                peer.peerGone()
        if (self._unix or self._tcp) and self._look is None:
            self._look = self._clock.callLater(LOOK, self._lookAtHeld)

    def _lookAtUnknown(self) -> None:
        self._graceLook = None
        now = self._clock.seconds()
        for peer, unknown in list(self._unknown.items()):
            progress = peer.progress()
            if progress is None or progress != unknown.progress:
                unknown.progress, unknown.since = progress, now
            elif (
                now - unknown.since >= (self.grace if peer.isTaken() else self._patience)
                # What is done for one may have ended what was done for another.
                and self._unknown.pop(peer, None) is not None
            ):
                peer.graceOver()
        if self._unknown and self._graceLook is None:
            self._graceLook = self._clock.callLater(self.grace / GRACE_LOOKS, self._lookAtUnknown)
