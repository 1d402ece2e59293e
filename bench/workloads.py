# -*- test-case-name: tests.bench.test_workloads -*-
"""
Workloads that are measured, and the rows of the table that each one fills.

A workload is one run of C{bench/rig/build/load}, which answers with many
figures; a row is one of them that is worth comparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from bench.bus import SIMULATED, SUPER, UNPACED, USB2, Bus

DIRECTIONS = ("download", "upload")


class Via(Enum):
    """
    The way of clients to the phone.
    """

    SOCKET = "the daemon's UNIX socket"
    TCP = "a TCP listener of the daemon"
    RELAY = "a relay in front of the daemon"


@dataclass(frozen=True, slots=True)
class Section:
    """
    A part of the table, in which phones and clients are connected in the same way.

    @ivar key: What its rows begin with.
    @ivar title: For people.
    @ivar bus: Where the phones are.
    @ivar via: How clients reach them.
    """

    key: str
    title: str
    bus: Bus
    via: Via = Via.SOCKET


ON_UNPACED = Section(UNPACED.key, UNPACED.title, UNPACED)
ON_USB2 = Section(USB2.key, USB2.title, USB2)
ON_SUPER = Section(SUPER.key, SUPER.title, SUPER)
OVER_TCP = Section(
    "tcp", "a TCP listener of the daemon; beside it iproxy in front of muxd", UNPACED, Via.TCP
)
OVER_RELAY = Section(
    "relay", "a relay in front of muxd; muxctl relay beside iproxy", UNPACED, Via.RELAY
)
FARM = Section("farm", "a farm of 30 phones on SuperSpeed", SUPER)
AT_REST = Section("simulated", "simulated phones in the daemon, at rest", SIMULATED)
SECTIONS = (ON_UNPACED, ON_USB2, ON_SUPER, OVER_TCP, OVER_RELAY, FARM, AT_REST)


@dataclass(frozen=True, slots=True)
class Row:
    """
    A row of the table.

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
    A workload: one measurement.

    @ivar section: Where it is in the table.
    @ivar phones: How many are plugged in.
    @ivar arguments: For the load generator; empty: what is measured is the
        daemon's start.
    @ivar seconds: How long, in units of the run's length.
    @ivar quick: Whether a quick run includes it.
    @ivar fresh: Whether it needs a daemon that has done nothing before.
    """

    section: Section
    phones: int = 1
    arguments: tuple[str, ...]
    rows: tuple[Row, ...]
    seconds: float = 1
    quick: bool = True
    fresh: bool = False


@dataclass(slots=True)
class _Table:
    """
    A table collects the workloads of one section, and prefixes the keys of their rows.
    """

    section: Section
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
        prefixed = tuple(replace(row, key=f"{self.section.key}.{row.key}") for row in rows)
        self.workloads.append(
            Workload(
                section=self.section,
                phones=phones,
                arguments=tuple(command.split()),
                rows=prefixed,
                seconds=seconds,
                quick=quick,
                fresh=fresh,
            )
        )

    def withoutCosts(self) -> None:
        """
        Leave the CPU out of all rows so far.
        """
        self.workloads = [
            replace(each, rows=tuple(replace(row, cost="", costUnit="") for row in each.rows))
            for each in self.workloads
        ]


def workloads() -> tuple[Workload, ...]:
    """
    Return all of them, those that share their phones and their way to them next to each other.
    """
    return tuple(workload for section in SECTIONS for workload in _in(section))


def _in(section: Section) -> Iterator[Workload]:
    table = _Table(section)
    if section.via is not Via.SOCKET:
        _overTCP(table)
    elif section is FARM:
        _farm(table)
    elif section is AT_REST:
        _simulated(table)
    else:
        _onBus(table)
    yield from table.workloads


def _onBus(table: _Table) -> None:
    if table.section is ON_UNPACED:
        table.add(
            "",
            Row("start", "start to the first Attached", "start_ms", "ms"),
            Row("start-memory", "memory when it has started", "peak_MB", "MB"),
            fresh=True,
        )
    _bulk(table)
    _echo(table)
    _connects(table)
    if table.section is not ON_SUPER:
        _neverReaders(table)
    if table.section is ON_UNPACED:
        _listeners(table)
        _rest(table, 1)
        for count in (100, 1000, 4000):
            _idle(table, count)
        _manyPhones(table)
        _rest(table, 30)
    elif table.section is ON_USB2:
        _idle(table, 1000)


def _overTCP(table: _Table) -> None:
    """
    A way over TCP has the rows of the daemon that say what the way itself costs; the larger
    echo shows whether its last segment is held back.
    """
    relay = table.section.via is Via.RELAY
    _bulk(table, DIRECTIONS if relay else DIRECTIONS[:1])
    for size, text in ((1, "1 B"), (60_000, "60,000 B")):
        table.add(f"echo --size {size}", *_echoRows(f"echo-{size}", f"echo {text}", _OPERATION))
    if relay:
        # With rests: iproxy does not read from a client whose descriptor has a higher number than
        # its own to the daemon, as happens when the previous client goes at that moment.
        table.add(
            "connects --width 1 --pause 0.002",
            Row("connect", "connect + echo, with rests, p50", "p50_us", "us", *_OPERATION),
            Row("connect-p99", "connect + echo, with rests, p99", "p99_us", "us"),
        )
        _connects(table)
    else:
        table.withoutCosts()  # a daemon's are no relay's


def _farm(table: _Table) -> None:
    carried = "30 phones, 4 MB/s down and 0.5 MB/s up each"
    table.add(
        "farm",
        Row("cpu", f"{carried}: CPU", "cpu_pct", "% CPU"),
        Row("echo", f"{carried}: echo 1 B, p50", "p50_us", "us"),
        Row("echo-p99", f"{carried}: echo 1 B, p99", "p99_us", "us"),
        Row("down", f"{carried}: what comes down", "down_MBps", "MB/s"),
        Row("up", f"{carried}: what goes up", "up_MBps", "MB/s"),
        Row("memory", f"{carried}: peak memory", "peak_MB", "MB"),
        phones=30,
        seconds=5,
        quick=False,
    )


def _simulated(table: _Table) -> None:
    phones = 60
    table.add(
        "rest",
        Row("rest-60", f"at rest, {phones} simulated phones", "cpu_pct", "% CPU"),
        Row("threads-60", f"threads with {phones} simulated phones", "threads", ""),
        Row("memory-60", f"memory with {phones} simulated phones", "peak_MB", "MB"),
        phones=phones,
        seconds=3,
        quick=False,
    )


def _bulk(table: _Table, directions: Sequence[str] = DIRECTIONS) -> None:
    for direction in directions:
        for sessions in (1, 4, 16):
            plural = "session" if sessions == 1 else "sessions"
            table.add(
                f"{direction} --sessions {sessions}",
                _rate(f"{direction}-{sessions}", f"{direction}, {sessions} {plural}"),
                quick=sessions < 16 and table.section.via is Via.SOCKET,
            )


def _manyPhones(table: _Table) -> None:
    for direction in DIRECTIONS:
        for each in (1, 4):
            plural = "session" if each == 1 else "sessions"
            table.add(
                f"{direction} --sessions {8 * each}",
                _rate(f"8-phones-{direction}-{each}", f"8 phones x {each} {plural}, {direction}"),
                phones=8,
            )


def _rate(key: str, title: str) -> Row:
    return Row(key, title, "MBps", "MB/s", "cpu_ms_per_MB", "ms/MB")


_OPERATION = ("cpu_us_each", "us/op")
_SHARE = ("cpu_pct", "% CPU")


def _echo(table: _Table) -> None:
    for beside in ("", "download", "upload"):
        for size, text in ((1, "1 B"), (4096, "4 KiB")):
            where = f"beside 4 {beside}s" if beside else "alone"
            key = f"echo-{size}-beside-{beside}s" if beside else f"echo-{size}"
            # Beside bulk data the CPU is that of the bulk data.
            table.add(
                f"echo --size {size}" + (f" --beside {beside}" if beside else ""),
                *_echoRows(key, f"echo {text} {where}", _SHARE if beside else _OPERATION),
                quick=size == 1,
            )


def _echoRows(key: str, title: str, cost: tuple[str, str]) -> tuple[Row, Row]:
    return (
        Row(key, f"{title}, p50", "p50_us", "us", *cost),
        Row(f"{key}-p99", f"{title}, p99", "p99_us", "us"),
    )


def _connects(table: _Table) -> None:
    for width, where in ((1, "one at a time"), (32, "32 at once")):
        title = f"connect + echo + close, {where}"
        table.add(
            f"connects --width {width}",
            Row(f"connects-{width}", title, "per_s", "/s", *_OPERATION),
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
        quick=count == 1000 and table.section is ON_UNPACED,
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
            quick=count == 32 and table.section is ON_USB2,
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
