# -*- test-case-name: tests.fleet.test_race -*-
"""
Attempts at several places for programs without a reactor, each in a thread of its own: as
L{muxd.fleet.attempts} does it for programs with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

P = TypeVar("P")
T = TypeVar("T")


class Race(Generic[P, T]):
    """
    Attempts, of which one is to succeed: one after the other where they fail, and beside each other
    where nothing is heard of them.
    """

    def __init__(
        self,
        attempt: Callable[[P], T],
        apart: float,
        failed: Callable[[P], object],
        discard: Callable[[T], object],
    ) -> None:
        """
        @param attempt: Called with a place, in another thread; it has to end in some time.
        @param apart: Seconds until the next place is tried beside one of which nothing is heard.
        @param failed: Called with each where it fails.
        @param discard: Called with what comes of an attempt after another one has succeeded.
        """
        self._attempt = attempt
        self._apart = apart
        self._failed = failed
        self._discard = discard
        self._ended: SimpleQueue[tuple[P, T | Exception]] = SimpleQueue()
        self._lock = Lock()
        self._isOver = False

    def run(self, places: Sequence[P], expected: type[Exception]) -> tuple[P, T]:
        """
        Try them.

        @param places: In the order in which they are tried, one at least.
        @param expected: What an attempt fails with, after which the next place is tried.
        @return: The first place where it succeeds, and what comes of it there.
        @raise Exception: What the last one has failed with, or one with something else.
        """
        left, trying = list(places), 0
        try:
            while True:
                if left:
                    Thread(target=self._try, args=(left.pop(0),), daemon=True).start()
                    trying += 1
                try:
                    place, ended = self._ended.get(timeout=self._apart if left else None)
                except Empty:
                    continue
                trying -= 1
                if not isinstance(ended, Exception):
                    return place, ended
                self._failed(place)
                if not isinstance(ended, expected) or not (left or trying):
                    raise ended
        finally:
            self._finish()

    def _try(self, place: P) -> None:
        try:
            ended: T | Exception = self._attempt(place)
        except Exception as error:
            ended = error
        with self._lock:
            if not self._isOver:
                self._ended.put((place, ended))
                return
        self._drop(ended)

    def _finish(self) -> None:
        """
        What comes from now on is not wanted, nor what has come and was not looked at.
        """
        with self._lock:
            self._isOver = True
        while not self._ended.empty():
            self._drop(self._ended.get()[1])

    def _drop(self, ended: T | Exception) -> None:
        if not isinstance(ended, Exception):
            self._discard(ended)
