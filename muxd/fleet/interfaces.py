"""
The contract of a fleet's registry, whatever keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from muxd.fleet.values import (
        Change,
        HostRecord,
        PhoneRecord,
        Request,
        Reservation,
        Snapshot,
        Waiting,
    )


class IFleetWatcher(Interface):
    """
    What is told of a fleet.
    """

    def began(snapshot: Snapshot) -> None:
        """
        This is what there is.  Called first, and again when changes may have been missed.
        """

    def changed(change: Change) -> None:
        """
        Something has happened, after all that was told before.
        """

    def stale(why: str) -> None:
        """
        What was told may not be true any more: the registry is out of reach.
        """

    def fresh() -> None:
        """
        It is true again.
        """


class IFleetRegistry(Interface):
    """
    A registry of hosts, phones and reservations.

    Whatever it has acknowledged holds, also when its process is killed right afterwards.
    Everything ends by itself unless it is renewed: a host's lease, and a reservation.  Deferreds
    fail with a C{FleetError}.
    """

    isFresh: bool = Attribute("Whether what it tells is true at present.")

    def announce(host: HostRecord, term: float) -> Deferred[int]:
        """
        A host is there.  One of this name that was there before is the same one: its phones
        stay until it has told of all of them anew.

        @param term: Seconds that its lease lasts unless it is renewed.
        @return: fires with the number of its lease, which no lease has had before.
        """

    def keepAlive(lease: int) -> Deferred[bool]:
        """
        A host is still there.

        @return: fires with whether its lease goes on; if not, it has to announce itself anew.
        """

    def leave(lease: int) -> Deferred[None]:
        """
        A host takes leave, and its phones with it.  Harmless if its lease is over.
        """

    def tell(lease: int, phones: Sequence[PhoneRecord], isComplete: bool = False) -> Deferred[bool]:
        """
        A host has these phones, or there is more to say of them.

        @param isComplete: Whether it has told of all by now: others that it had are gone.
        @return: fires with whether its lease goes on.
        """

    def untell(lease: int, udids: Sequence[str]) -> Deferred[bool]:
        """
        A host does not have these phones any more.

        @return: fires with whether its lease goes on.
        """

    def drain(host: str, isDraining: bool) -> Deferred[None]:
        """
        Give no more of a host's phones to jobs, or give them again.  Jobs that have one keep it.
        """

    def watch(watcher: IFleetWatcher) -> Deferred[None]:
        """
        Tell a watcher of all there is, and then of each change, once and in order.

        @return: fires when the first has been told.
        """

    def unwatch(watcher: IFleetWatcher) -> None:
        """
        Tell it no more.  Harmless if it does not watch.
        """

    def reserve(request: Request) -> Deferred[Reservation]:
        """
        Give a job a phone for itself, at once or when it is its turn.  Cancelling it leaves the
        queue.

        One with a ticket that has a place in the queue gets that, whichever hub has served it
        until then; what had asked with it before fails.  One that was given a phone with it, and
        may not know, has that.

        @return: fires with the reservation.  It fails with why there is none.
        """

    def keepPlace(request: Request) -> None:
        """
        A job with a ticket is gone, and may be back, here or at another hub: its connection is
        lost, or it was sent on.  What it has asked for fails, but it does not leave the queue for
        L{muxd.fleet.values.KEPT}, in which nothing behind it is served with what is meant for it.
        Harmless if it does not wait here.
        """

    def renew(token: int, key: str) -> Deferred[Reservation]:
        """
        A job goes on: its reservation has its whole term again.

        @return: fires with it.  It fails with C{Why.OVER} if it is over, or not this job's.
        """

    def confirm(token: int) -> Deferred[None]:
        """
        A phone's host enforces a reservation, as it was granted or renewed last: watchers are
        told.  Harmless if it is over.
        """

    def release(token: int, key: str) -> Deferred[None]:
        """
        A job is done.  Harmless if its reservation is over.
        """

    def waiting() -> Deferred[list[Waiting]]:
        """
        The queue, the job that has waited for the longest first.
        """
