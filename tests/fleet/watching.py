"""
A watcher of a fleet that remembers.
"""

from __future__ import annotations

from zope.interface import implementer

from muxd.fleet.interfaces import IFleetWatcher
from muxd.fleet.values import Change, Snapshot, after


@implementer(IFleetWatcher)
class Watcher:
    """
    Remembers what it is told.

    @ivar known: The fleet as far as it has been told.
    @ivar changes: All changes.
    @ivar health: C{fresh}, or why it is stale.
    """

    def __init__(self) -> None:
        self.known = Snapshot(revision=0)
        self.changes: list[Change] = []
        self.begins = 0
        self.health = ""

    def began(self, snapshot: Snapshot) -> None:
        """
        Forget what was known before.
        """
        self.known = snapshot
        self.begins += 1

    def changed(self, change: Change) -> None:
        """
        Revisions only ever grow.
        """
        assert change.revision > self.known.revision, (change, self.known.revision)
        self.changes.append(change)
        self.known = after(self.known, [change])

    def stale(self, why: str) -> None:
        """
        Remember why.
        """
        self.health = why

    def fresh(self) -> None:
        """
        All is well.
        """
        self.health = "fresh"

    @property
    def udids(self) -> list[str]:
        """
        The phones that there are.
        """
        return sorted(phone.udid for phone in self.known.phones)

    @property
    def tokens(self) -> list[int]:
        """
        The tokens in force.
        """
        return sorted(one.token for one in self.known.reservations)
