# -*- test-case-name: tests.server.test_telling -*-
"""
Telling thousands of listeners of an event, some of them in each turn of the reactor.

A listener costs two hundredths of a millisecond, and of five thousand the last one may wait, but
not everything else meanwhile.  So telling is work that has its turns, with the requests of clients
(L{muxd.net.turns}).  Each listener hears of all events in their order, as an event is told to all
before the next one is; and each event is in memory once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from twisted.logger import Logger

from muxd.net.turns import Turns

AT_ONCE = 16
"""So many listeners are told before it is looked at the time."""

MOST_WAITING = 256
"""With so many events waiting, all but the last of them are told at once: phones come and go
faster than listeners can be told."""


class Told(Protocol):
    """
    What is told of an event.

    @ivar number: The client's own number.
    @ivar version: The format it wants events in.
    """

    number: int
    version: int

    def sendEvent(self, event: bytes) -> None:
        """
        Queue a whole event.
        """


T = TypeVar("T", bound=Told)


class Addressees(Generic[T]):
    """
    Listeners that events are for, in the order in which they came.

    There may be thousands of them, and hundreds of events that each of them asks for: so the
    place of one is looked up, not looked for.

    @ivar listeners: All of them.
    """

    __slots__ = ("_numbers", "listeners")

    def __init__(self, listeners: Sequence[T], numbers: Mapping[T, int]) -> None:
        """
        @param numbers: Of each listener, larger the later it came.
        """
        self.listeners = listeners
        self._numbers = array("q", [numbers[one] for one in listeners])

    def __len__(self) -> int:
        return len(self.listeners)

    def placeOf(self, number: int) -> int:
        """
        The place of a listener with a number; -1 if it is none of them.
        """
        numbers = self._numbers
        place = bisect_left(numbers, number)
        return place if place < len(numbers) and numbers[place] == number else -1


class _Event:
    """
    One event, and those that have yet to be told.
    """

    __slots__ = ("_bodies", "_encoded", "addressees", "ahead", "place", "present")

    def __init__(
        self,
        addressees: Addressees[Any],
        present: Container[Told],
        encoded: Callable[[int], bytes],
    ) -> None:
        self.addressees = addressees
        self.present = present
        self.place = 0
        # Those that were told before it was their turn.
        self.ahead: set[Told] = set()
        self._encoded = encoded
        self._bodies: dict[int, bytes] = {}

    def body(self, version: int) -> bytes:
        """
        The event in a format, encoded once.
        """
        body = self._bodies.get(version)
        if body is None:
            body = self._bodies[version] = self._encoded(version)
        return body


class Teller:
    """
    Tells listeners of events.

    @cvar owner: Telling has turns like a user.
    """

    _log = Logger()

    owner: Hashable = "events"

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._events: deque[_Event] = deque()
        self._isTelling = False

    def __len__(self) -> int:
        """
        How many events have not been told to all yet.
        """
        return len(self._events)

    def tell(
        self,
        addressees: Addressees[Any],
        present: Container[Told],
        encoded: Callable[[int], bytes],
    ) -> None:
        """
        Tell listeners of an event, now or when their turn has come.

        @param addressees: Those that are there at this moment.
        @param present: Those that are still there when it is told.
        @param encoded: Makes a whole event in a format.
        """
        self._events.append(_Event(addressees, present, encoded))
        if len(self._events) == 1:
            self.takeTurn()
        elif len(self._events) > MOST_WAITING:
            self._tellUntil(len(self._events) - 1)

    def finish(self) -> None:
        """
        Tell all that has not been told yet.
        """
        self._turns.forget(self)
        self._tellUntil(len(self._events))

    def tellAhead(self, listener: Told, number: int) -> None:
        """
        Tell one listener of all that has happened, before it is its turn.

        @param number: As its L{Addressees} have it.
        """
        for event in list(self._events):
            isAwaited = event.addressees.placeOf(number) >= event.place
            if isAwaited and listener not in event.ahead:
                event.ahead.add(listener)
                self._tell(event, listener)

    def takeTurn(self) -> None:
        """
        Tell as many as there is time for.
        """
        if self._isTelling:
            return
        turns = self._turns
        if turns.begin():
            self._isTelling = True
            try:
                while self._events:
                    self._tellSome()
                    if turns.isOver():
                        break
            finally:
                self._isTelling = False
                turns.end()
        if self._events:
            turns.wait(self)

    def _tellUntil(self, events: int) -> None:
        """
        Tell all listeners of so many events.
        """
        last = self._events[events - 1] if events else None
        while last is not None and last in self._events:
            self._tellSome()

    def _tellSome(self) -> None:
        """
        Tell some of those that come next.
        """
        event = self._events[0]
        start, event.place = event.place, event.place + AT_ONCE
        for listener in event.addressees.listeners[start : event.place]:
            if listener not in event.ahead:
                self._tell(event, listener)
        if event.place >= len(event.addressees) and self._events and self._events[0] is event:
            self._events.popleft()

    def _tell(self, event: _Event, listener: Told) -> None:
        if listener in event.present:
            try:
                listener.sendEvent(event.body(listener.version))
            except Exception:
                self._log.failure("client {number} could not be told", number=listener.number)
