# -*- test-case-name: tests.bench.test_commandline -*-
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

from bench import pictures, report
from bench.daemons import DaemonError
from bench.isolation import CannotIsolate, isolate
from bench.machine import describe
from bench.results import Column, Results, ResultsError, Setting
from bench.rig import RigError, build
from bench.runner import Run
from bench.subjects import BUILT_IN, USUAL, SubjectError, builds, named
from bench.workloads import Workload, workloads

ROUNDS = 3
SECONDS = 1.0
QUICK_SECONDS = 0.4
ALL = "all"


def parser() -> argparse.ArgumentParser:
    """
    Make the parser of the options.
    """
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure muxd, compiled and pure, and Debian's C usbmuxd side by side on the"
        " same stand-in bus.",
    )
    add = made.add_argument
    add("--quick", action="store_true", help="one short round of the most telling workloads")
    add("--rounds", type=int, metavar="N", help=f"rounds, of which medians are taken [{ROUNDS}]")
    add("--seconds", type=float, metavar="T", help=f"of one measurement [{SECONDS:g}]")
    add("--only", action="append", metavar="PATTERN", help="rows such as 'usb2.*'; repeatable")
    add("--list", action="store_true", help="show the rows' names and measure nothing")
    add(
        "--cpu",
        action="append",
        metavar="N",
        help="run everything on this CPU; 'all': on all; repeatable, each is a part of the table"
        " [all]",
    )
    add(
        "--realtime",
        action="store_true",
        help="ahead of all other programs of the machine, which needs root: for a busy one",
    )
    add(
        "--subject",
        action="append",
        metavar="NAME[=CMD]",
        help=f"what is measured: {', '.join(BUILT_IN)}, or a name and a command with {{socket}},"
        " {directory} and, for the rows that need them, {source} and {port}; repeatable, the last"
        f" is what the others are compared with [{', '.join(USUAL)}]",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--render", type=Path, metavar="FILE", help="measure nothing: show what this JSON has")
    add("--markdown", type=Path, metavar="FILE", help="write the table, or renew the one there")
    add("--pictures", type=Path, metavar="DIR", help="draw the pictures there")
    add("--keep", type=Path, metavar="DIR", help="keep sockets and logs there")
    return made


def chosen(only: Sequence[str] | None, quick: bool) -> list[Workload]:
    """
    Return the workloads with a row that was asked for.
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


def settings(cpus: Sequence[str] | None) -> list[Setting]:
    """
    Return the settings of a run.

    @raise ValueError: One is neither a CPU of this machine nor C{all}.
    """
    here = tuple(sorted(os.sched_getaffinity(0)))
    found = {}
    for text in cpus or [ALL]:
        if text != ALL and not (text.isdecimal() and int(text) in here):
            raise ValueError(
                f"there is no CPU {text!r}: expected {ALL} or {', '.join(map(str, here))}"
            )
        found[text] = Setting(text, here if text == ALL else (int(text),))
    return list(found.values())


def main(arguments: Sequence[str]) -> int:
    """
    Measure, or show what was measured.

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
        if options.render:
            results = Results.fromJSON(options.render.read_text())
        else:
            isolate(arguments)
            build()
            results = _measured(options, selected)
    except (
        *(CannotIsolate, DaemonError, OSError, ResultsError, RigError, SubjectError),
        ValueError,
    ) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    _write(options, results)
    return int(results.missed)


def _measured(options: argparse.Namespace, selected: Sequence[Workload]) -> Results:
    parts = settings(options.cpu)
    subjects = [named(text) for text in options.subject or USUAL]
    if options.realtime:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError as error:
            raise CannotIsolate(f"--realtime is for root, or with CAP_SYS_NICE: {error}") from None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="muxd-bench-") as temporary:
        directory: Path = options.keep or Path(temporary)
        present, notes = builds(subjects)
        if not present:
            raise SubjectError("; ".join(notes))
        for note in notes:
            print(f"bench: {note}", file=sys.stderr)
        run = Run(
            subjects=present,
            settings=parts,
            rounds=options.rounds or (1 if options.quick else ROUNDS),
            length=options.seconds or (QUICK_SECONDS if options.quick else SECONDS),
            directory=directory,
        )
        about = {**describe(), "rounds": run.rounds, "seconds": run.length}
        return Results(
            about=about,
            columns=[Column.of(subject) for subject in present],
            settings=parts,
            comparisons=run.measure(selected),
            notes=notes,
        )


def _write(options: argparse.Namespace, results: Results) -> None:
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(results.toJSON())
    if options.markdown:
        file: Path = options.markdown
        before = file.read_text() if file.exists() else ""
        file.write_text(report.inserted(before, report.markdown(results)))
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for name, drawn in pictures.drawn(results).items():
            (options.pictures / name).write_text(drawn)
    _show(report.text(results))


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
