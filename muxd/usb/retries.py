# -*- test-case-name: tests.usb.test_retries -*-
"""
Phones that do not answer, and when each is opened again.

There may be nothing wrong with such a phone: it is still booting, or this machine
has not given the daemon a processor for seconds.  So none is given up while it is
plugged in; but opening one has its price, on both sides, and becomes seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.limits import Limits
from muxd.usb.hotplug import Location
from muxd.usb.opening import OpenToken


@dataclass(frozen=True, slots=True)
class Setback:
    """
    A failure, as its phone's others have made it.

    @ivar failures: How many there were, with this one.
    @ivar delay: Seconds from the phone's end until it may be opened again.
    """

    failures: int
    delay: float


class Retries:
    """
    The phones whose last handshake has failed, by where they are.

    Such a phone is known from C{failed} until it is forgotten, because it has answered
    or is gone.  In between it is open, or it waits for its timer, or it was released
    and is to be opened.

    @param release: What opens a phone again.
    """

    def __init__(
        self, clock: IReactorTime, release: Callable[[OpenToken], object], limits: Limits
    ) -> None:
        self._clock = clock
        self._release = release
        self._limits = limits
        self._setbacks: dict[Location, Setback] = {}
        self._timers: dict[Location, IDelayedCall] = {}

    def __contains__(self, location: Location) -> bool:
        """
        Whether the last handshake of this phone has failed.
        """
        return location in self._setbacks

    def isWaiting(self, location: Location) -> bool:
        """
        Whether this phone waits until it may be opened again.
        """
        return location in self._timers

    def failed(self, location: Location) -> Setback:
        """
        A handshake has failed.
        """
        before = self._setbacks.get(location)
        if before is None:
            setback = Setback(1, 0.0)
        else:
            delay = before.delay * 2 or self._limits.handshakeRetry
            setback = Setback(before.failures + 1, min(delay, self._limits.longestHandshakeRetry))
        self._setbacks[location] = setback
        return setback

    def ended(self, opening: OpenToken) -> None:
        """
        Nothing of a phone is open any more: it is released now, or when it has waited.
        """
        location = opening.location
        if location in self._timers:
            return
        setback = self._setbacks.get(location)
        if setback is None or not setback.delay:
            self._release(opening)
        else:
            self._timers[location] = self._clock.callLater(setback.delay, self._due, opening)

    def forget(self, location: Location) -> None:
        """
        The phone has answered, or it is gone.
        """
        self._setbacks.pop(location, None)
        timer = self._timers.pop(location, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """
        Forget all, and leave no timer behind.
        """
        for location in list(self._setbacks):
            self.forget(location)

    def _due(self, opening: OpenToken) -> None:
        del self._timers[opening.location]
        self._release(opening)
