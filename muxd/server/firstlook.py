# -*- test-case-name: tests.server.test_firstlook -*-
"""
The time after a start in which phones that are there may not have been found yet.

A program that a socket of systemd has started the daemon for asks at once which phones
there are, and an empty list would be wrong.  So the first lists and listeners wait until
every source has looked once, and what it has found is listed; but not for long, as a phone
may be locked, or asleep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from muxd.interfaces import AttachedDevice, IDeviceListener
from muxd.server.registry import DeviceRegistry


@implementer(IDeviceListener)
class FirstLook:
    """
    Knows whether the first look is over, and tells when it is.

    @ivar isOver: Whether what is attached now is all that there was at the start.  True
        before a start: nothing is on its way then.
    """

    def __init__(self, clock: IReactorTime, registry: DeviceRegistry, longest: float) -> None:
        """
        @param longest: Seconds after which it is over, whatever is still on its way.
        """
        self.isOver = True
        self._clock = clock
        self._registry = registry
        self._longest = longest
        self._deadline: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._looking = 0

    def begin(self, looks: Iterable[Callable[[], Deferred[None]]]) -> None:
        """
        Sources have been started.

        @param looks: Of each source: makes a Deferred that fires when it has looked.
        """
        self.isOver = False
        self._registry.subscribe(self)
        self._deadline = self._clock.callLater(self._longest, self._end)
        pending = [look() for look in looks]
        self._looking = len(pending)
        for look in pending:
            look.addBoth(self._looked)
        self._check()

    def wait(self) -> Deferred[None]:
        """
        @return: fires when it is over.
        """
        waiting: Deferred[None] = Deferred()
        if self.isOver:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """
        The service stops: answer all waiting clients.
        """
        self._end()

    # IDeviceListener

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        A device is listed: it may have been the last one.
        """
        self._check()

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        A device that was listed is gone, which says nothing of others.
        """

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        A device has been paired, which says nothing of others.
        """

    def _looked(self, _: object) -> None:
        self._looking -= 1
        self._check()

    def _check(self) -> None:
        if not self._looking and not self._registry.hasHidden:
            self._end()

    def _end(self) -> None:
        if self.isOver:
            return
        self.isOver = True
        self._registry.unsubscribe(self)
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
