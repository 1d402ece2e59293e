# -*- test-case-name: tests.bench.test_attack -*-
"""
C{python -m bench.attack}: one attack after the other, on this daemon and on the C daemon.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.attack.flooders import KINDS
from bench.bus import SIMULATED, UNPACED
from bench.daemons import PROJECT, Daemon, DaemonError
from bench.isolation import CannotIsolate, isolate
from bench.machine import describe
from bench.processes import residentMemory
from bench.rig import NoPhones, Phones, RigError, build
from bench.subjects import Command, Subject, SubjectError, named

SECONDS = 8.0
SETTLING = 1.5
ATTACKER, VICTIM = 65534, 65533
"""Users that own nothing."""

NOT_C = frozenset({"keys", "phone"})
"""What the C daemon cannot be attacked with here: the rig's phones have no lockdownd."""

MOST_GROWTH = 128
"""MB that this daemon may need more under attack."""

MOST_LINES = 200
"""Lines of its log."""

OURS = "muxd"
NOBODY = "nothing"
HEADINGS = (
    "attack",
    "daemon",
    "list: p50 / p99 / max, ms",
    "new client, ms",
    "longest turn, ms",
    "RSS before / most / after, MB",
    "lines of log",
    "sent",
)


@dataclass(frozen=True, slots=True)
class Row:
    """
    What came of one attack.

    @ivar asking: The median, 99th percentile and maximum of the victim's answers, in ms.
    @ivar coming: The same of its new connections.
    @ivar failures: How often it had no answer.
    @ivar turn: The longest turn of the reactor, in ms; None if it is not known.
    @ivar memory: MB before, at most, and two seconds after.
    @ivar lines: Of the daemon's log.
    @ivar done: What the attacker did, how often.
    @ivar sent: And with how many bytes.
    """

    attack: str
    daemon: str
    asking: list[float]
    coming: list[float]
    failures: int
    turn: float | None
    memory: list[int]
    lines: int
    done: int
    sent: int

    def cells(self) -> Iterator[str]:
        """
        The same for a table.
        """
        yield self.attack
        yield self.daemon
        yield _times(self.asking) + (f" ({self.failures} failed)" if self.failures else "")
        yield _times(self.coming)
        yield "" if self.turn is None else f"{self.turn:g}"
        yield " / ".join(map(str, self.memory))
        yield str(self.lines)
        yield f"{self.done:,}; {self.sent / 1e6:.1f} MB"


def _times(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """
    Rows in Markdown.
    """
    yield f"| {' | '.join(HEADINGS)} |"
    yield f"|{'---|' * len(HEADINGS)}"
    for row in rows:
        yield f"| {' | '.join(row.cells())} |"


def complaints(row: Row) -> Iterator[str]:
    """
    What must not be, whatever the machine: times are for people to judge.
    """
    before, most, after = row.memory
    if not after:
        yield f"{row.attack}: the daemon is gone"
    elif most - before > MOST_GROWTH:
        yield f"{row.attack}: {most - before} MB more, expected at most {MOST_GROWTH}"
    if row.lines > MOST_LINES:
        yield f"{row.attack}: {row.lines} lines in the log, expected at most {MOST_LINES}"
    if row.failures:
        yield f"{row.attack}: the victim had no answer {row.failures} times"


def megabytes(pid: int) -> int:
    """
    The memory of a process.
    """
    return residentMemory(pid) >> 20


def ours(phones: Phones, isHostile: bool) -> Subject:
    """
    The daemon of this tree, with what measures its turns.
    """
    words = [sys.executable, "-m", "bench.attack.daemon", "{socket}", "{directory}/lockdown"]
    words += [str(phones.directory / "turns"), *(["hostile"] if isHostile else [])]
    return Subject(key=OURS, name=OURS, daemon=Command(shlex.join(words)))


def attack(kind: str, daemon: Daemon, seconds: float, turns: Path | None) -> Row:
    """
    Attack a daemon that runs, and look at it, at another user, and at its log.
    """
    path = str(daemon.socket)
    time.sleep(SETTLING)
    before = megabytes(daemon.pid)
    logged = len(daemon.log().splitlines())
    if turns is not None:
        os.kill(daemon.pid, signal.SIGUSR1)
    programs = [_start("victim", path, str(seconds), str(VICTIM))]
    if kind != NOBODY:
        programs.append(_start("flooders", kind, path, str(seconds), str(ATTACKER)))
    most = before
    while programs[0].poll() is None and daemon.running:
        most = max(most, megabytes(daemon.pid))
        time.sleep(0.05)
    said = [json.loads(program.communicate()[0] or "{}") for program in programs]
    turn = None if turns is None else float(turns.read_text())
    lines = len(daemon.log().splitlines()) - logged
    time.sleep(2)
    after = megabytes(daemon.pid) if daemon.running else 0
    flooder = said[1] if len(said) > 1 else {"done": 0, "sent": 0}
    return Row(
        attack=kind,
        daemon=daemon.subject.name,
        asking=said[0].get("asking", []),
        coming=said[0].get("coming", []),
        failures=said[0].get("failures", 0),
        turn=turn,
        memory=[before, most, after],
        lines=lines,
        done=flooder.get("done", 0),
        sent=flooder.get("sent", 0),
    )


def _start(module: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"bench.attack.{module}", *words]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def attackOurs(kind: str, seconds: float) -> Row:
    """
    Attack the daemon of this tree.
    """
    with tempfile.TemporaryDirectory(prefix="muxd-attack-") as name:
        directory = _open(name)
        phones = NoPhones(directory, SIMULATED, 1)
        turns = directory / "turns"
        daemon = Daemon(ours(phones, kind == "phone"), phones)
        try:
            return attack(kind, daemon, seconds, turns)
        finally:
            daemon.close()


def attackOther(kind: str, seconds: float, subject: Subject) -> Row:
    """
    Attack another daemon, on a bus of bench/rig.
    """
    with (
        tempfile.TemporaryDirectory(prefix="muxd-attack-") as name,
        Phones(_open(name), UNPACED, 1) as phones,
    ):
        daemon = Daemon(subject, phones)
        try:
            return attack(kind, daemon, seconds, None)
        finally:
            daemon.close()


def _open(name: str) -> Path:
    """
    A directory that other users may pass through.
    """
    directory = Path(name)
    directory.chmod(0o711)
    return directory


def parser() -> argparse.ArgumentParser:
    """
    Make the parser of the options.
    """
    made = argparse.ArgumentParser(prog="python -m bench.attack", description=__doc__)
    add = made.add_argument
    add("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} [all, and none at all]")
    add("--seconds", type=float, metavar="N", default=SECONDS, help=f"for each [{SECONDS:g}]")
    add("--without-c", action="store_true", help="leave the C daemon out")
    add("--json", type=Path, metavar="FILE", help="write the rows there, too")
    return made


def main(arguments: Sequence[str]) -> int:
    """
    Attack, and print the table.

    @return: The exit status: 1 if something does not work here, or if an attack has cost what it
        must not.
    """
    options = parser().parse_args(list(arguments))
    kinds = options.kinds or [NOBODY, *KINDS]
    unknown = set(kinds) - {NOBODY, *KINDS}
    if unknown:
        print(f"there is no attack {', '.join(unknown)}: choose of {', '.join(KINDS)}")
        return 1
    rows: list[Row] = []
    try:
        isolate(arguments, "bench.attack")
        others: list[Subject] = []
        if not options.without_c:
            build()
            others.append(named("c"))
        for kind in kinds:
            rows.append(attackOurs(kind, options.seconds))
            print(" | ".join(rows[-1].cells()), flush=True)
            for subject in others:
                if kind not in NOT_C:
                    rows.append(attackOther(kind, options.seconds, subject))
                    print(" | ".join(rows[-1].cells()), flush=True)
    except (CannotIsolate, RigError, SubjectError, DaemonError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(["", *table(rows)]))
    if options.json is not None:
        written = {"machine": describe(), "rows": [asdict(row) for row in rows]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(written, indent=1))
    found = [text for row in rows if row.daemon == OURS for text in complaints(row)]
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))
