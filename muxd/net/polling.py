# -*- test-case-name: tests.net.test_polling -*-
"""
Waiting for many descriptors at once, with Linux's C{epoll}.

B{Two builds.}  This module is compiled from C{polling.pyx} where there is a compiler,
and is this file everywhere else (L{muxd.build}).
"""

from __future__ import annotations

import os
import select
from time import monotonic

from muxd.net.streams import checkNumbers

BUILD = "pure"

MOST = 64
"""How many descriptors one L{Poller.wait} tells of; the others have their turn next."""

LONGEST = 86400.0
"""The longest time to wait, in seconds; a longer one ends earlier."""

LONGEST_LOOK = 0.01
"""The longest time to look, in seconds: neither timers nor signals have their turn meanwhile."""


class Poller:
    """
    Descriptors, and what is to be told when something happens to them.

    L{wait} fills the lists C{ready} and C{events}, which are used again by the next
    one.  Nothing else may change them.

    @ivar ready: The owners of what is ready, or None at the place of one that has been
        removed since.
    @ivar events: What is ready, at the same places: C{EPOLLIN} and its like, joined.
    @ivar count: How many places of these two are in use.
    @ivar looked: How long the last L{look} took, in seconds.
    """

    __slots__ = (
        "_epoll",
        "_found",
        "_owners",
        "_poll",
        "_size",
        "count",
        "events",
        "looked",
        "ready",
    )

    def __init__(self) -> None:
        """
        @raise OSError: The system has no descriptor to give.
        @raise AttributeError: This system has no C{epoll}.
        """
        self._epoll = select.epoll()
        # By their descriptors, which the kernel gives from the lowest on.
        self._owners: list[object] = []
        self._size = 0
        self._found: list[tuple[int, int]] = []
        # Made once, as it is called with each wait.
        self._poll = self._epoll.poll
        self.ready: list[object] = [None] * MOST
        self.events = [0] * MOST
        self.count = 0
        self.looked = 0.0

    def fileno(self) -> int:
        """
        Its own descriptor, which is readable when something is ready.

        @raise ValueError: It is closed.
        """
        return self._epoll.fileno()

    def add(self, descriptor: int, events: int, owner: object) -> None:
        """
        Watch a descriptor.

        @param owner: What L{wait} is to put in C{ready}; never None.
        @raise ValueError: The descriptor or the events are negative or too large, there
            is no owner, or this is closed.
        @raise OSError: The kernel refuses: it is watched already (C{EEXIST}), is closed
            (C{EBADF}), or cannot be watched (C{EPERM}).
        """
        self._check(descriptor, events)
        if owner is None:
            raise ValueError("expected an owner, got None")
        self._epoll.register(descriptor, events)
        # Only now, as a number that is no descriptor may be large.
        owners = self._owners
        if descriptor >= len(owners):
            try:
                owners.extend([None] * (descriptor + 1 - len(owners)))
            except MemoryError:
                self._epoll.unregister(descriptor)
                raise
        owners[descriptor] = owner
        self._size += 1

    def modify(self, descriptor: int, events: int) -> None:
        """
        Watch it for other events from now on.

        @raise ValueError: As of L{add}.
        @raise OSError: It is not watched (C{ENOENT}), or is closed (C{EBADF}).
        """
        self._check(descriptor, events)
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> bool:
        """
        Watch it no more, and take it out of what L{wait} has found: its owner is told
        of nothing that comes later, not even in the same turn.  To be called before the
        descriptor is closed, as its number is another file's after that.

        @return: Whether it was watched.
        @raise ValueError: The descriptor is negative or too large, or this is closed.
        """
        owners = self._owners
        if (
            type(descriptor) is not int
            or not 0 <= descriptor < len(owners)
            or owners[descriptor] is None
        ):
            self._check(descriptor, 0)
            return False
        owners[descriptor] = None
        self._size -= 1
        for place, (other, _) in enumerate(self._found):
            if other == descriptor:
                self.ready[place] = None
        try:
            self._epoll.unregister(descriptor)
        except OSError:  # it was closed, which has removed it
            pass
        return True

    # The time of a clock that runs steadily.
    seconds = staticmethod(monotonic)

    def watched(self) -> list[object]:
        """
        The owners of what is watched.
        """
        return [owner for owner in self._owners if owner is not None]

    def size(self) -> int:
        """
        How many descriptors are watched.
        """
        return self._size

    def wait(self, seconds: float) -> int:
        """
        Wait until something is ready, or for that long; handlers of signals run
        meanwhile.

        @param seconds: 0 to look and not to wait, a negative number for no limit.
        @return: How many places of C{ready} and C{events} are in use; 0 if the time is
            over.
        @raise ValueError: The time is not a number, or this is closed.
        """
        poll = self._poll
        self._found = found = poll(LONGEST if seconds > LONGEST else seconds, MOST)
        ready, events, owners = self.ready, self.events, self._owners
        count = 0
        for descriptor, what in found:
            ready[count] = owners[descriptor]
            events[count] = what
            count += 1
        if count < self.count:
            for place in range(count, self.count):
                ready[place] = None
        self.count = count
        return count

    def look(self, seconds: float) -> int:
        """
        Look again and again until something is ready, for that long at most, without
        sleeping.  Other programs that want this processor have it in between.

        @param seconds: At most L{LONGEST_LOOK}.
        @return: As of L{wait}.
        @raise ValueError: The time is longer, negative or not a number, or this is closed.
        """
        if not 0 <= seconds <= LONGEST_LOOK:
            raise ValueError(f"expected at most {LONGEST_LOOK} seconds, got {seconds}")
        began = monotonic()
        while True:
            count = self.wait(0)
            self.looked = monotonic() - began
            if count or self.looked >= seconds:
                return count
            os.sched_yield()

    def close(self) -> None:
        """
        Watch nothing any more.
        """
        self._epoll.close()
        self._owners.clear()
        self._size = 0
        self._found = []
        self.ready[:] = [None] * MOST
        self.count = 0

    def _check(self, descriptor: int, events: int) -> None:
        if (
            type(descriptor) is int
            and type(events) is int
            and 0 <= descriptor <= 0x7FFFFFFF
            and 0 <= events <= 0xFFFFFFFF
            and not self._epoll.closed
        ):
            return
        checkNumbers(descriptor, events)
        if self._epoll.closed:
            raise ValueError("this poller is closed")
        if not 0 <= descriptor < 1 << 31:
            raise ValueError(f"expected a descriptor, got {descriptor}")
        if not 0 <= events < 1 << 32:
            raise ValueError(f"expected events of 32 bits, got {events}")
