# -*- test-case-name: tests.bench.test_workloads -*-
"""
What is measured: workloads, and the rows of the table that each one fills.

A workload is one run of C{bench/rig/build/load}, which answers with many
figures; a row is one of them that is worth comparing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.bus import BUSES, SUPER, UNPACED, USB2, Bus


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table.

    @ivar key: Its name, unique in the table; goals refer to it.
    @ivar title: For people.
    @ivar figure: Which of the workload's figures it shows.
    @ivar unit: Of that figure.
    @ivar cost: The figure that is the daemon's CPU for it, if any.
    @ivar costUnit: Of that cost.
    """

    key: str
    title: str
    figure: str
    unit: str
    cost: str = ""
    costUnit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """
    One measurement.

    @ivar phones: How many are plugged in.
    @ivar arguments: For the load generator; empty: what is measured is the
        daemon's start.
    @ivar seconds: How long, in units of the run's length.
    @ivar quick: Whether a quick run includes it.
    @ivar fresh: Whether it needs a daemon that has done nothing before.
    """

    bus: Bus
    phones: int = 1
    arguments: tuple[str, ...]
    rows: tuple[Row, ...]
    seconds: float = 1
    quick: bool = True
    fresh: bool = False


@dataclass(slots=True)
class _Table:
    """
    Collects workloads of one bus, and prefixes the keys of their rows.
    """

    bus: Bus
    workloads: list[Workload] = field(default_factory=list)

    def add(
        self,
        command: str,
        *rows: Row,
        phones: int = 1,
        seconds: float = 1,
        quick: bool = True,
        fresh: bool = False,
    ) -> None:
        prefixed = tuple(
            Row(
                f"{self.bus.key}.{row.key}", row.title, row.figure, row.unit, row.cost, row.costUnit
            )
            for row in rows
        )
        self.workloads.append(
            Workload(
                bus=self.bus,
                phones=phones,
                arguments=tuple(command.split()),
                rows=prefixed,
                seconds=seconds,
                quick=quick,
                fresh=fresh,
            )
        )


def workloads() -> tuple[Workload, ...]:
    """
    All of them, those that share a bus and its phones next to each other.
    """
    return tuple(workload for bus in BUSES for workload in _onBus(bus))


def _onBus(bus: Bus) -> Iterator[Workload]:
    table = _Table(bus)
    if bus is UNPACED:
        table.add("", Row("start", "start to the first Attached", "start_ms", "ms"), fresh=True)
    _bulk(table)
    _echo(table)
    _connects(table)
    if bus is not SUPER:
        _neverReaders(table)
    if bus is UNPACED:
        _listeners(table)
        _rest(table, 1)
        for count in (100, 1000, 4000):
            _idle(table, count)
        _manyPhones(table)
        _rest(table, 30)
    elif bus is USB2:
        _idle(table, 1000)
    yield from table.workloads


def _bulk(table: _Table) -> None:
    for direction in ("download", "upload"):
        for sessions in (1, 4, 16):
            plural = "session" if sessions == 1 else "sessions"
            table.add(
                f"{direction} --sessions {sessions}",
                _rate(f"{direction}-{sessions}", f"{direction}, {sessions} {plural}"),
                quick=sessions < 16,
            )


def _manyPhones(table: _Table) -> None:
    for direction in ("download", "upload"):
        for each in (1, 4):
            plural = "session" if each == 1 else "sessions"
            table.add(
                f"{direction} --sessions {8 * each}",
                _rate(f"8-phones-{direction}-{each}", f"8 phones x {each} {plural}, {direction}"),
                phones=8,
            )


def _rate(key: str, title: str) -> Row:
    return Row(key, title, "MBps", "MB/s", "cpu_ms_per_MB", "ms/MB")


def _echo(table: _Table) -> None:
    for beside in ("", "download", "upload"):
        for size, text in ((1, "1 B"), (4096, "4 KiB")):
            where = f"beside 4 {beside}s" if beside else "alone"
            key = f"echo-{size}-beside-{beside}s" if beside else f"echo-{size}"
            # Beside bulk data the CPU is that of the bulk data.
            cost = ("cpu_pct", "% CPU") if beside else ("cpu_us_each", "us/op")
            table.add(
                f"echo --size {size}" + (f" --beside {beside}" if beside else ""),
                Row(key, f"echo {text} {where}, p50", "p50_us", "us", *cost),
                Row(f"{key}-p99", f"echo {text} {where}, p99", "p99_us", "us"),
                quick=size == 1,
            )


def _connects(table: _Table) -> None:
    for width, where in ((1, "one at a time"), (32, "32 at once")):
        table.add(
            f"connects --width {width}",
            Row(
                f"connects-{width}",
                f"connect + echo + close, {where}",
                "per_s",
                "/s",
                "cpu_us_each",
                "us/op",
            ),
        )


def _idle(table: _Table, count: int) -> None:
    key = f"idle-{count}"
    beside = f"beside {count:,} idle sessions"
    table.add(
        f"idle --count {count}",
        Row(
            f"{key}-opening",
            f"opening {count:,} idle sessions",
            "open_per_s",
            "/s",
            "open_cpu_us",
            "us/op",
        ),
        Row(f"{key}-memory", f"memory of each of {count:,} idle sessions", "kB_each", "kB"),
        _rate(f"{key}-download", f"download, 4 sessions, {beside}"),
        Row(f"{key}-echo", f"echo 1 B {beside}, p50", "echo_p50_us", "us", "echo_cpu_us", "us/op"),
        Row(f"{key}-echo-p99", f"echo 1 B {beside}, p99", "echo_p99_us", "us"),
        Row(
            f"{key}-connects",
            f"connect + echo + close {beside}",
            "connects_per_s",
            "/s",
            "connects_cpu_us",
            "us/op",
        ),
        seconds=0.6,
        quick=count == 1000 and table.bus is UNPACED,
        fresh=True,  # memory that was freed before would be theirs for nothing
    )


def _neverReaders(table: _Table) -> None:
    for count, readers in ((1, "1 reader that never reads"), (32, "32 readers that never read")):
        leave = "leaves" if count == 1 else "leave"
        table.add(
            f"stuck --count {count}",
            _rate(f"stuck-{count}", f"download, 4 sessions, beside {readers}"),
            Row(f"stuck-{count}-kept", f"what {readers} {leave}", "kept_pct", "%"),
            seconds=0.6,
            quick=count == 32 and table.bus is USB2,
        )


def _listeners(table: _Table) -> None:
    cost = ("cpu_ms_each", "ms/plug")
    table.add(
        "listeners --count 1000",
        Row("plug-first", "1,000 listeners, plug: first told", "attach_first_ms", "ms"),
        Row("plug-last", "1,000 listeners, plug: last told", "attach_last_ms", "ms", *cost),
    )


def _rest(table: _Table, phones: int) -> None:
    table.add(
        "rest",
        Row(
            f"rest-{phones}",
            f"at rest, {phones} phone{'s' * (phones > 1)}",
            "cpu_pct",
            "% CPU",
        ),
        phones=phones,
        seconds=3,
    )
