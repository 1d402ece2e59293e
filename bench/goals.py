# -*- test-case-name: tests.bench.test_goals -*-
"""
What the daemon has to reach, row by row, always against figures of the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Verdict(Enum):
    """
    How a row stands to one of its goals.
    """

    MET = "met"
    FLOOR = "above the floor"
    MISSED = "MISSED"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Pair:
    """
    One row's medians.

    @ivar ours: The figure of the daemon under test.
    @ivar theirs: The same of the daemon it is compared with.
    @ivar ourCost: CPU per MB or operation, where the row has it.
    @ivar theirCost: The same of the other.
    """

    ours: float | None = None
    theirs: float | None = None
    ourCost: float | None = None
    theirCost: float | None = None


class IGoal(Protocol):
    """
    One demand on one row.
    """

    def __str__(self) -> str: ...

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        @param row: The row it is about.
        @param table: All rows by their keys.
        """


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


def _verdict(value: float | None, goal: float, floor: float | None, *, atLeast: bool) -> Verdict:
    if value is None:
        return Verdict.UNKNOWN
    if value >= goal if atLeast else value <= goal:
        return Verdict.MET
    if floor is not None and (value >= floor if atLeast else value <= floor):
        return Verdict.FLOOR
    return Verdict.MISSED


@dataclass(frozen=True, slots=True)
class AtLeastTimes:
    """
    So many times the other daemon's figure, or more.
    """

    times: float
    floor: float | None = None

    def __str__(self) -> str:
        floor = "" if self.floor is None else f" (floor {self.floor:g}x)"
        return f">= {self.times:g}x{floor}"

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By the ratio.
        """
        return _verdict(_ratio(row.ours, row.theirs), self.times, self.floor, atLeast=True)


@dataclass(frozen=True, slots=True)
class AtMostTimes:
    """
    So many times the other daemon's figure, or less.
    """

    times: float
    floor: float | None = None

    def __str__(self) -> str:
        floor = "" if self.floor is None else f" (floor {self.floor:g}x)"
        return f"<= {self.times:g}x{floor}"

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By the ratio.
        """
        return _verdict(_ratio(row.ours, row.theirs), self.times, self.floor, atLeast=False)


@dataclass(frozen=True, slots=True)
class CPUAtMostTimes:
    """
    So many times the other daemon's CPU for the same work, or less.
    """

    times: float

    def __str__(self) -> str:
        return f"CPU <= {self.times:g}x"

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By the ratio of the costs.
        """
        return _verdict(_ratio(row.ourCost, row.theirCost), self.times, None, atLeast=False)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """
    A figure of its own, whatever the other daemon does.
    """

    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By our figure.
        """
        return _verdict(row.ours, self.value, None, atLeast=True)


@dataclass(frozen=True, slots=True)
class AtMost:
    """
    A limit of its own, whatever the other daemon does.
    """

    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By our figure.
        """
        return _verdict(row.ours, self.value, None, atLeast=False)


@dataclass(frozen=True, slots=True)
class LikeOwn:
    """
    Within some percent of our own figure in another row.

    @ivar other: The key of that row.
    @ivar lowerIsBetter: Whether the figure is a time.
    """

    percent: float
    other: str
    lowerIsBetter: bool = False

    def __str__(self) -> str:
        return f"within {self.percent:g} % of our {self.other}"

    def judge(self, row: Pair, table: Mapping[str, Pair]) -> Verdict:
        """
        By the ratio to that row.
        """
        value = _ratio(row.ours, table.get(self.other, Pair()).ours)
        if self.lowerIsBetter:
            return _verdict(value, 1 + self.percent / 100, None, atLeast=False)
        return _verdict(value, 1 - self.percent / 100, None, atLeast=True)


def _share(percent: float, megabytes: float) -> AtLeast:
    return AtLeast(percent / 100 * megabytes, f">= {percent:g} % of the bus")


_ALMOST_ALL = _share(95, 400)
_USB2_DOWN = (_share(98, 53), CPUAtMostTimes(1.2))
_USB2_UP = (_share(96, 53), CPUAtMostTimes(1.2))

GOALS: Mapping[str, tuple[IGoal, ...]] = {
    "unpaced.start": (AtMost(1000, "<= 1 s"),),
    "unpaced.download-1": (AtLeastTimes(5),),
    "unpaced.download-4": (AtLeastTimes(1.2, 0.9),),
    "unpaced.download-16": (AtLeastTimes(1.2, 0.9),),
    "unpaced.upload-1": (AtLeastTimes(1, 0.6),),
    "unpaced.upload-4": (AtLeastTimes(1, 0.6),),
    "unpaced.8-phones-download-1": (AtLeastTimes(8),),
    "unpaced.echo-1": (AtMostTimes(1, 1.5),),
    "unpaced.echo-1-beside-downloads": (AtMostTimes(1, 2.5),),
    "unpaced.connects-1": (AtLeastTimes(1, 0.5),),
    "unpaced.connects-32": (AtLeastTimes(1, 0.5),),
    "unpaced.stuck-32-kept": (AtLeast(95, "others lose <= 5 %"),),
    "unpaced.plug-last": (AtMostTimes(1),),
    "unpaced.rest-30": (AtMost(1, "< 1 % of a core"),),
    "unpaced.idle-100-memory": (AtMostTimes(1),),
    "unpaced.idle-1000-memory": (AtMostTimes(1),),
    "unpaced.idle-4000-memory": (AtMostTimes(1),),
    "unpaced.idle-4000-opening": (AtLeastTimes(4), LikeOwn(10, "unpaced.idle-100-opening")),
    "unpaced.idle-4000-download": (AtLeastTimes(10), LikeOwn(10, "unpaced.download-4")),
    "unpaced.idle-4000-echo": (AtMostTimes(0.1), LikeOwn(10, "unpaced.echo-1", True)),
    "unpaced.idle-4000-connects": (AtLeastTimes(4), LikeOwn(10, "unpaced.connects-1")),
    "usb2.download-1": _USB2_DOWN,
    "usb2.download-4": _USB2_DOWN,
    "usb2.download-16": _USB2_DOWN,
    "usb2.upload-1": _USB2_UP,
    "usb2.upload-4": _USB2_UP,
    "usb2.upload-16": _USB2_UP,
    "usb2.echo-1": (AtMostTimes(1),),
    "usb2.echo-1-beside-downloads": (AtMostTimes(1),),
    "usb2.echo-1-beside-uploads": (AtMostTimes(0.13),),
    "usb2.stuck-32-kept": (AtLeast(95, "others lose <= 5 %"),),
    "super.download-1": (_ALMOST_ALL,),
    "super.download-4": (_ALMOST_ALL,),
    "super.upload-1": (_ALMOST_ALL,),
    "super.upload-4": (_ALMOST_ALL,),
}
