# -*- test-case-name: tests.fleet.test_turns -*-
"""
Which of the phones that are free is meant for which of the jobs that wait, as a machine without
I/O: each job has the turn with one phone at most, and none has another's that has come before it.

That matters where a job cannot have its phone at once: its connection is lost, and its place in the
queue is kept for a while, or another hub serves it.  What is meant for it waits for it, and no
more than that.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from muxd.fleet.requirement import Requirement
from muxd.fleet.values import PhoneRecord

J = TypeVar("J", bound=Hashable)


@dataclass(slots=True)
class _Waiting:
    """
    A job that waits.

    @ivar order: Its place among all; it is lower than that of every job that has come later.
    @ivar key: Of the phone that is meant for it; None if there is none.
    """

    order: int
    requirement: Requirement
    key: str | None = None


class Turns(Generic[J]):
    """
    Phones that are free, jobs that wait, and which is meant for which.  When L{settle} has been
    called there is no phone that a job fits and that is meant for none, or for a later one, while
    nothing is meant for that job.

    @ivar free: The phones that a job may have by their keys, those first that are free for the
        longest, so that they take turns.
    """

    def __init__(self) -> None:
        self.free: dict[str, PhoneRecord] = {}
        self._jobs: dict[J, _Waiting] = {}
        self._last = 0
        self._isUnordered = False
        self._meant: dict[str, J] = {}
        # What is to be looked at: phones that are meant for no job, and jobs without one.
        self._phones: dict[str, None] = {}
        self._looking: dict[J, None] = {}

    def offer(self, phone: PhoneRecord) -> None:
        """
        A phone has become free, or is another one in some way.
        """
        self._part(phone.key)
        self.free[phone.key] = phone
        self._phones.setdefault(phone.key)

    def withhold(self, key: str) -> None:
        """
        A phone is not free, or not there.
        """
        self._part(key)
        self.free.pop(key, None)
        self._phones.pop(key, None)

    def come(self, job: J, order: int, requirement: Requirement) -> None:
        """
        A job waits.  Harmless if it does so already.
        """
        before = self._jobs.get(job)
        if before is not None and (before.order, before.requirement) == (order, requirement):
            return
        self.leave(job)
        # A snapshot of a queue is not in its order.
        self._isUnordered |= order < self._last
        self._last = max(self._last, order)
        self._jobs[job] = _Waiting(order, requirement)
        self._looking[job] = None

    def leave(self, job: J) -> None:
        """
        It waits no longer.  Harmless if it does not.
        """
        waiting = self._jobs.pop(job, None)
        self._looking.pop(job, None)
        if waiting is not None and waiting.key is not None:
            del self._meant[waiting.key]
            self._phones.setdefault(waiting.key)

    def of(self, job: J) -> str | None:
        """
        The key of the phone that is meant for a job.
        """
        waiting = self._jobs.get(job)
        return None if waiting is None else waiting.key

    def unmeant(self, requirement: Requirement) -> Iterator[PhoneRecord]:
        """
        The phones that one which comes now may have.
        """
        for key in self._free(requirement):
            phone = self.free[key]
            if key not in self._meant and requirement.fits(phone):
                yield phone

    def settle(self) -> list[J]:
        """
        Have phones be meant for jobs, after something has changed.

        @return: The jobs that another phone is meant for than before.
        """
        if self._isUnordered:
            self._isUnordered = False
            self._jobs = dict(sorted(self._jobs.items(), key=lambda one: one[1].order))
        news: dict[J, None] = {}
        phones, self._phones = self._phones, {}
        for key in phones:
            phone = self.free[key]
            for job, waiting in self._jobs.items():
                if waiting.key is None and waiting.requirement.fits(phone):
                    self._mean(job, key)
                    news[job] = None
                    break
        # None of these has been passed over by what is above.
        looking, self._looking = self._looking, {}
        for job in sorted(looking, key=lambda one: self._jobs[one].order):
            passed: Iterable[str] = phones
            loser: J | None = job
            while loser is not None and self._jobs[loser].key is None:
                finder, loser = loser, self._find(loser, passed)
                news[finder] = None
                passed = ()
        return [job for job in news if self._jobs[job].key is not None]

    def _find(self, job: J, passed: Iterable[str]) -> J | None:
        """
        Have a phone be meant for a job: one that is meant for none, or for the latest of those
        that have come after it.

        @param passed: The phones that it cannot have.
        @return: The job that has lost it by that, if one has.
        """
        waiting = self._jobs[job]
        best, latest = None, float(waiting.order)
        for key in self._free(waiting.requirement):
            other = self._meant.get(key)
            order = float("inf") if other is None else self._jobs[other].order
            if order > latest and key not in passed and waiting.requirement.fits(self.free[key]):
                best, latest = key, order
                if other is None:
                    break
        if best is None:
            return None
        loser = self._meant.get(best)
        if loser is not None:
            self._jobs[loser].key = None
        self._mean(job, best)
        return loser

    def _mean(self, job: J, key: str) -> None:
        self._meant[key] = job
        self._jobs[job].key = key

    def _part(self, key: str) -> None:
        """
        A phone is not what it was: it is meant for no job until that is settled.
        """
        job = self._meant.pop(key, None)
        if job is not None:
            self._jobs[job].key = None
            self._looking[job] = None

    def _free(self, requirement: Requirement) -> Iterable[str]:
        """
        The keys of the free phones that may do: of ten thousand one, if one is wanted.
        """
        only = requirement.udid
        return self.free if only is None else [only] if only in self.free else []
