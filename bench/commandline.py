# -*- test-case-name: tests.bench.test_commandline,tests.bench.test_daemons -*-
"""
C{python -m bench}: its options, and what they start.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.daemons import DaemonError, muxd, usbmuxd
from bench.isolation import CannotIsolate, isolate
from bench.machine import describe
from bench.results import Comparison, lines
from bench.rig import RigError, build
from bench.runner import Run
from bench.workloads import Workload, workloads

ROUNDS = 3
SECONDS = 1.0
QUICK_SECONDS = 0.4


def parser() -> argparse.ArgumentParser:
    """
    The options.
    """
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure muxd and Debian's C usbmuxd side by side on the same stand-in bus.",
    )
    add = made.add_argument
    add("--quick", action="store_true", help="one short round of the most telling workloads")
    add("--rounds", type=int, metavar="N", help=f"rounds, of which medians are taken [{ROUNDS}]")
    add("--seconds", type=float, metavar="T", help=f"of one measurement [{SECONDS:g}]")
    add("--only", action="append", metavar="PATTERN", help="rows such as 'usb2.*'; repeatable")
    add("--list", action="store_true", help="show the rows' names and measure nothing")
    add("--cpu", type=int, metavar="N", help="run everything on one core")
    add(
        "--realtime",
        action="store_true",
        help="ahead of all other programs of the machine, which needs root: for a busy one",
    )
    add(
        "--muxd",
        metavar="CMD",
        help="the daemon under test, with {socket} and {directory}; 'usbmuxd': the C one",
    )
    add("--against", metavar="CMD", help="the daemon to compare with, in the same way [usbmuxd]")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--markdown", type=Path, metavar="FILE", help="write the table, or renew the one there")
    add("--keep", type=Path, metavar="DIR", help="keep sockets and logs there")
    return made


def chosen(only: Sequence[str] | None, quick: bool) -> list[Workload]:
    """
    The workloads with a row that was asked for.
    """
    return [
        workload
        for workload in workloads()
        if (
            any(fnmatch.fnmatch(row.key, pattern) for row in workload.rows for pattern in only)
            if only
            else workload.quick or not quick
        )
    ]


def main(arguments: Sequence[str]) -> int:
    """
    @return: The exit status: 1 if a goal was missed or something failed.
    """
    options = parser().parse_args(arguments)
    selected = chosen(options.only, options.quick)
    if options.list:
        _show("\n".join(row.key for workload in selected for row in workload.rows))
        return 0
    if not selected:
        print(f"no row is called {' or '.join(options.only)}; see --list", file=sys.stderr)
        return 2
    try:
        isolate(arguments)
        build()
        comparisons = _run(options, selected)
    except (CannotIsolate, RigError, DaemonError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return int(any(line.missed for line in lines(comparisons)))


def _show(text: str) -> None:
    """
    Print a text whose reader may have had enough of it, as C{head} has.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be complained about at the very end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run(options: argparse.Namespace, selected: Sequence[Workload]) -> Sequence[Comparison]:
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    if options.realtime:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError as error:
            raise CannotIsolate(f"--realtime is for root, or with CAP_SYS_NICE: {error}") from None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="muxd-bench-") as temporary:
        run = Run(
            ours=muxd(options.muxd),
            theirs=usbmuxd(options.against),
            rounds=options.rounds or (1 if options.quick else ROUNDS),
            length=options.seconds or (QUICK_SECONDS if options.quick else SECONDS),
            directory=options.keep or Path(temporary),
        )
        about = {**describe(), "rounds": run.rounds, "seconds": run.length}
        comparisons = run.measure(selected)
    names = run.ours.name, run.theirs.name
    _show(report.text(comparisons, *names))
    if options.markdown:
        table = report.markdown(comparisons, *names, about)
        file: Path = options.markdown
        file.write_text(report.inserted(file.read_text() if file.exists() else "", table))
    if options.json:
        options.json.write_text(report.toJSON(comparisons, about))
    return comparisons
