# -*- test-case-name: tests.bench.test_soak -*-
"""
C{python -m bench.soak}: its options, and what they start.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.python.failure import Failure

from bench.bus import USB2
from bench.daemons import Daemon, DaemonError
from bench.isolation import CannotIsolate, isolate
from bench.machine import describe
from bench.rig import NoPhones, Phones, RigError, build
from bench.soak import report
from bench.soak.phones import PluggablePhones, RequestSocket, RigPhones, SimulatedPhones
from bench.soak.run import Plan, Run
from bench.soak.samples import SoakResult, failures
from bench.subjects import Command, Subject

MINUTES = 10.0
ROUNDS = 6
PHONES = 8
CLIENTS = 48
PAUSE = 0.2
PLUGGING = 1.0
TAC = Path(__file__).with_name("daemon.tac")
CONFIGURATION = Path(__file__).with_name("soak.toml")


def parser() -> argparse.ArgumentParser:
    """
    Make the parser of the options.
    """
    made = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Load the daemon for a long time, break what is around it, and see whether"
        " every byte is right and the daemon stays as small as it was.",
    )
    add = made.add_argument
    add("--minutes", type=float, metavar="N", default=MINUTES, help=f"all in all [{MINUTES:g}]")
    add("--rounds", type=int, metavar="N", default=ROUNDS, help=f"rests between [{ROUNDS}]")
    add(
        "--bus",
        choices=("rig", "simulated"),
        default="rig",
        help="phones of bench/rig behind the fast engine, in a process of their own; or simulated"
        " ones behind threads, in the daemon's [rig]",
    )
    add("--phones", type=int, metavar="N", default=PHONES, help=f"how many [{PHONES}]")
    add("--clients", type=int, metavar="N", default=CLIENTS, help=f"at once [{CLIENTS}]")
    add("--pause", type=float, metavar="S", default=PAUSE, help=f"between jobs [{PAUSE:g}]")
    add("--plugging", type=float, metavar="S", default=PLUGGING, help=f"between pulls [{PLUGGING}]")
    add("--seed", type=int, metavar="N", default=1, help="what all chance comes from [1]")
    add("--json", type=Path, metavar="FILE", help="write everything that was seen")
    add("--markdown", type=Path, metavar="FILE", help="write the report, or renew the one there")
    add("--render", type=Path, metavar="FILE", help="run nothing: the report of this JSON")
    add("--keep", type=Path, metavar="DIR", help="keep sockets and logs there")
    return made


def main(arguments: Sequence[str]) -> int:
    """
    @return: The exit status: 1 if the run has failed, 2 if there was none.
    """
    options = parser().parse_args(arguments)
    if options.render:
        result = SoakResult.fromJSON(options.render.read_text())
    else:
        try:
            isolate(arguments, "bench.soak")
            result = _measured(options)
        except (CannotIsolate, RigError, DaemonError) as error:
            print(f"soak: {error}", file=sys.stderr)
            return 2
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(result.toJSON())
    text = report.markdown(result)
    if options.markdown:
        file: Path = options.markdown
        before = file.read_text() if file.exists() else ""
        file.write_text(report.inserted(before, text, result.about["bus"]))
    print(text)
    return int(bool(failures(result)))


def _measured(options: argparse.Namespace) -> SoakResult:
    if options.bus == "rig":
        build()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="muxd-soak-") as temporary:
        return _run(options, options.keep or Path(temporary))


def subject(bus: str, phones: int, observer: Path) -> Subject:
    """
    Make the subject: the daemon with a probe in it.
    """
    source = "usb" if bus == "rig" else f"simulated:count={phones}:engine=threads"
    words = ["--listen", "unix:{socket}", "--config-dir", "{directory}/lockdown"]
    words += ["--source", source, "--config", str(CONFIGURATION)]
    if bus == "rig":
        words.append("--no-preflight")  # these phones have no lockdownd
    twistd = Path(sys.executable).parent / "twistd"
    command = [
        *(f"MUXD_SOAK={json.dumps(words)}", f"MUXD_SOAK_OBSERVE={observer}"),
        *(str(twistd if twistd.exists() else "twistd"), "--nodaemon", "--pidfile="),
        *("--no_save", f"--python={TAC}"),
    ]
    return Subject(key="muxd", name="muxd", daemon=Command(shlex.join(command)))


def _run(options: argparse.Namespace, directory: Path) -> SoakResult:
    directory.mkdir(parents=True, exist_ok=True)
    observer = directory / "observer"
    about = {**describe(), "bus": options.bus, "phones": options.phones}
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    kind = Phones if options.bus == "rig" else NoPhones
    with kind(directory, USB2, options.phones) as phones:
        daemon = Daemon(subject(options.bus, options.phones, observer), phones)
        try:
            asking = RequestSocket(observer, socket.SOCK_STREAM)
            pluggable: PluggablePhones = (
                RigPhones(phones) if options.bus == "rig" else SimulatedPhones(asking)
            )
            plan = Plan(
                seconds=options.minutes * 60 / (options.rounds + 1),
                rounds=options.rounds,
                clients=options.clients,
                pause=options.pause,
                plugging=options.plugging,
                seed=options.seed,
            )
            return _inReactor(plan, daemon, asking, pluggable, about)
        finally:
            daemon.close()


def _inReactor(
    plan: Plan,
    daemon: Daemon,
    asking: RequestSocket,
    phones: PluggablePhones,
    about: dict[str, Any],
) -> SoakResult:
    from twisted.internet import reactor

    run = Run(reactor, plan, daemon, asking, phones, about)
    problems: list[Failure] = []
    ended = ensureDeferred(run.perform())
    ended.addErrback(problems.append)
    ended.addBoth(lambda _: reactor.stop())
    reactor.run()
    if not ended.called:
        # The daemon has ended, or the run was interrupted.
        run.cutShort()
    for problem in problems:
        problem.raiseException()
    return run.result
