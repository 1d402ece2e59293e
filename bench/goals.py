# -*- test-case-name: tests.bench.test_goals -*-
"""
Goals: what each build of muxd has to reach, row by row, always beside figures of the same run.

The compiled build has a goal, and a floor below which a row is missed.  The pure one has a floor
alone, which is written as its goal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import Protocol

from bench.subjects import Build


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
    A figure of a subject beside the same of the reference.

    @ivar ours: The subject's median.
    @ivar theirs: The reference's median.
    @ivar ratio: The median of the rounds' ratios; None if there is none.
    """

    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None

    @classmethod
    def of(cls, ours: Sequence[float | None], theirs: Sequence[float | None]) -> Pair:
        """
        Make a pair of what was measured, a round each; None where a round has failed.

        What changes on the machine from round to round meets both subjects of a round, so the
        ratios are taken in each round, and then their median.
        """
        ratios = [
            one / other
            for one, other in zip(ours, theirs, strict=False)
            if one is not None and other
        ]
        return cls(_median(ours), _median(theirs), _median(ratios))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How a subject stands in a row.

    @ivar figure: What the row shows.
    @ivar cost: The CPU for it, where the row has it.
    """

    figure: Pair = field(default_factory=Pair)
    cost: Pair = field(default_factory=Pair)


class Goal(Protocol):
    """
    One demand on one row.
    """

    def __str__(self) -> str: ...

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge a row.

        @param table: All rows of the same subject, by their keys.
        """


def _verdict(value: float | None, goal: float, floor: float | None, *, atLeast: bool) -> Verdict:
    if value is None:
        return Verdict.UNKNOWN
    if value >= goal if atLeast else value <= goal:
        return Verdict.MET
    if floor is not None and (value >= floor if atLeast else value <= floor):
        return Verdict.FLOOR
    return Verdict.MISSED


def _times(sign: str, times: float, floor: float | None) -> str:
    return f"{sign} {times:g}x" + ("" if floor is None else f" (floor {floor:g}x)")


@dataclass(frozen=True, slots=True)
class AtLeastTimes:
    """
    So many times the reference's figure, or more.
    """

    times: float
    floor: float | None = None

    def __str__(self) -> str:
        return _times(">=", self.times, self.floor)

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the ratio.
        """
        return _verdict(row.figure.ratio, self.times, self.floor, atLeast=True)


@dataclass(frozen=True, slots=True)
class AtMostTimes:
    """
    So many times the reference's figure, or less.
    """

    times: float
    floor: float | None = None

    def __str__(self) -> str:
        return _times("<=", self.times, self.floor)

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the ratio.
        """
        return _verdict(row.figure.ratio, self.times, self.floor, atLeast=False)


@dataclass(frozen=True, slots=True)
class CPUAtMostTimes:
    """
    So many times the reference's CPU for the same work, or less.
    """

    times: float
    floor: float | None = None

    def __str__(self) -> str:
        return f"CPU {_times('<=', self.times, self.floor)}"

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the ratio of the costs.
        """
        return _verdict(row.cost.ratio, self.times, self.floor, atLeast=False)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """
    A figure of its own, whatever the reference does.
    """

    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the subject's figure.
        """
        return _verdict(row.figure.ours, self.value, None, atLeast=True)


@dataclass(frozen=True, slots=True)
class AtMost:
    """
    A limit of its own, whatever the reference does.
    """

    value: float
    text: str

    def __str__(self) -> str:
        return self.text

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the subject's figure.
        """
        return _verdict(row.figure.ours, self.value, None, atLeast=False)


@dataclass(frozen=True, slots=True)
class LikeOwn:
    """
    Within some percent of the subject's own figure in another row.

    @ivar other: The key of that row.
    @ivar lowerIsBetter: Whether the figure is a time.
    """

    percent: float
    other: str
    lowerIsBetter: bool = False

    def __str__(self) -> str:
        return f"within {self.percent:g} % of our {self.other}"

    def judge(self, row: Standing, table: Mapping[str, Standing]) -> Verdict:
        """
        Judge by the ratio to that row.
        """
        ours, other = row.figure.ours, table.get(self.other, Standing()).figure.ours
        value = None if ours is None or not other else ours / other
        if self.lowerIsBetter:
            return _verdict(value, 1 + self.percent / 100, None, atLeast=False)
        return _verdict(value, 1 - self.percent / 100, None, atLeast=True)


@dataclass(frozen=True, slots=True)
class Demand:
    """
    A goal, and where it holds.

    @ivar builds: The builds that it is for.
    @ivar oneCPUAlone: Whether it is only for a run on one CPU: on two the C daemon's downloads
        stand still beside the echo, and its row says nothing.
    """

    goal: Goal
    builds: tuple[Build, ...] = tuple(Build)
    oneCPUAlone: bool = False


def _both(*goals: Goal) -> tuple[Demand, ...]:
    return tuple(Demand(goal) for goal in goals)


def _each(compiled: Goal, pure: Goal | None, *, oneCPUAlone: bool = False) -> tuple[Demand, ...]:
    demands = [Demand(compiled, (Build.COMPILED,), oneCPUAlone)]
    if pure is not None:
        demands.append(Demand(pure, (Build.PURE,), oneCPUAlone))
    return tuple(demands)


def _rate(goal: float, floor: float, pure: float) -> tuple[Demand, ...]:
    return _each(AtLeastTimes(goal, floor), AtLeastTimes(pure))


def _time(
    goal: float, floor: float, pure: float | None, *, oneCPUAlone: bool = False
) -> tuple[Demand, ...]:
    floored = None if pure is None else AtMostTimes(pure)
    return _each(AtMostTimes(goal, floor), floored, oneCPUAlone=oneCPUAlone)


def _cost(goal: float, floor: float, pure: float) -> tuple[Demand, ...]:
    return _each(CPUAtMostTimes(goal, floor), CPUAtMostTimes(pure))


def _share(percent: float, megabytes: float) -> AtLeast:
    return AtLeast(percent / 100 * megabytes, f">= {percent:g} % of the bus")


_USB2_DOWN, _USB2_UP, _SUPER = _share(98, 53), _share(96, 53), _share(95, 400)
_SUPER_COST = _cost(0.75, 1.0, 1.8)

DEMANDS: Mapping[str, tuple[Demand, ...]] = {
    "unpaced.start": _both(AtMost(1000, "<= 1 s")),
    "unpaced.download-1": _rate(2, 1.4, 1.0),
    "unpaced.download-4": _rate(2, 1.4, 1.0),
    "unpaced.download-16": _rate(2, 1.4, 1.1),
    "unpaced.upload-1": _rate(1.25, 1.0, 0.7),
    "unpaced.upload-4": _rate(1.4, 1.0, 0.65),
    "unpaced.upload-16": _rate(1.5, 1.1, 0.8),
    "unpaced.8-phones-download-1": _both(AtLeastTimes(8)),
    "unpaced.8-phones-upload-1": _rate(1.3, 1.0, 0.45),
    "unpaced.echo-1": _time(0.8, 1.05, 1.4),
    "unpaced.echo-1-beside-downloads": _time(0.7, 1.0, 1.7, oneCPUAlone=True),
    "unpaced.echo-1-beside-uploads": _time(0.6, 1.0, 1.5),
    "unpaced.connects-1": _rate(1.5, 1.1, 0.6),
    "unpaced.connects-32": _rate(1.5, 1.1, 0.55),
    "unpaced.stuck-32-kept": _both(AtLeast(95, "others lose <= 5 %")),
    "unpaced.plug-last": _both(AtMostTimes(1)),
    "unpaced.rest-30": _both(AtMost(1, "< 1 % of a core")),
    "unpaced.idle-100-memory": _both(AtMostTimes(1)),
    "unpaced.idle-1000-memory": _both(AtMostTimes(1)),
    "unpaced.idle-4000-memory": _both(AtMostTimes(1)),
    "unpaced.idle-4000-opening": _both(AtLeastTimes(4), LikeOwn(10, "unpaced.idle-100-opening")),
    "unpaced.idle-4000-download": _both(AtLeastTimes(10), LikeOwn(10, "unpaced.download-4")),
    "unpaced.idle-4000-echo": _both(AtMostTimes(0.1), LikeOwn(10, "unpaced.echo-1", True)),
    "unpaced.idle-4000-connects": _both(AtLeastTimes(4), LikeOwn(10, "unpaced.connects-1")),
    "usb2.download-1": (*_both(_USB2_DOWN), *_cost(1.0, 1.3, 2)),
    "usb2.download-4": (*_both(_USB2_DOWN), *_cost(1.0, 1.3, 2)),
    "usb2.download-16": _both(_USB2_DOWN),
    "usb2.upload-1": (*_both(_USB2_UP), *_cost(1.1, 1.6, 2)),
    "usb2.upload-4": (*_both(_USB2_UP), *_cost(1.4, 2.2, 2)),
    "usb2.upload-16": _both(_USB2_UP),
    "usb2.echo-1": _time(1.0, 1.05, 1.4),
    "usb2.echo-1-beside-downloads": _both(AtMostTimes(1)),
    "usb2.echo-1-beside-uploads": _both(AtMostTimes(0.13, 0.155)),
    "usb2.stuck-32-kept": _both(AtLeast(95, "others lose <= 5 %")),
    "super.download-1": (*_both(_SUPER), *_SUPER_COST),
    "super.download-4": (*_both(_SUPER), *_SUPER_COST),
    "super.upload-1": (*_both(_SUPER), *_SUPER_COST),
    "super.upload-4": (*_both(_SUPER), *_SUPER_COST),
    "super.echo-1-beside-downloads": _time(0.6, 0.8, None),
    "super.echo-1-beside-uploads": _time(0.35, 0.6, None),
    "tcp.echo-60000": _both(AtMost(5000, "<= 5 ms")),
    "relay.download-1": _both(AtLeastTimes(1)),
    "relay.download-4": _both(AtLeastTimes(1)),
    "relay.download-16": _both(AtLeastTimes(1)),
    "relay.upload-1": _both(AtLeastTimes(1)),
    "relay.upload-4": _both(AtLeastTimes(1)),
    "relay.upload-16": _both(AtLeastTimes(1)),
    "relay.echo-1": _both(AtMostTimes(1)),
    "relay.echo-60000": _both(AtMostTimes(1)),
    "relay.connect": _both(AtMostTimes(1)),
    "relay.connects-1": _both(AtLeastTimes(1)),
    "relay.connects-32": _both(AtLeastTimes(1)),
    "simulated.rest-60": _both(AtMost(1, "<= 1 % of a core")),
}


def goals(key: str, build: Build | None, *, oneCPU: bool) -> tuple[Goal, ...]:
    """
    Return the goals of a row.

    @param build: Of the subject; None: it has no goals.
    @param oneCPU: Whether the run is on one CPU.
    """
    return tuple(
        demand.goal
        for demand in DEMANDS.get(key, ())
        if build in demand.builds and (oneCPU or not demand.oneCPUAlone)
    )
