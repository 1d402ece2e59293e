"""
The command line: C{python -m tests.system}, or C{make system-test}.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.integration.daemon import REQUIRED
from tests.system.campaign import Campaign
from tests.system.contenders import Contender, Model
from tests.system.guest.daemons import PROJECT
from tests.system.laboratory import Laboratory, Unavailable
from tests.system.plan import Share, divide
from tests.system.report import Report
from tests.system.scenario import Scenario
from tests.system.scenarios import CATALOGUE

MACHINES = 2

UNSTEADY = 4
"""Where more scenarios than that have failed, it is not for a want of time."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    What is wanted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.system",
        description="Run daemons on a real Linux USB stack, in virtual machines.",
    )
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="scenarios like 'sizes-*'; repeatable"
    )
    parser.add_argument(
        "--daemon",
        action="append",
        type=Contender,
        metavar="{async,threads,c}",
        help="whom to run them with; repeatable; by default all",
    )
    parser.add_argument(
        "--phone",
        type=Model,
        default=Model.STANDALONE,
        metavar="{standalone,muxd}",
        help="the simulated phone: one that shares no code with muxd (default), or muxd's own",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="try once more, each on a machine of its own, what muxd has failed;"
        " that counts, and is told",
    )
    parser.add_argument("--machines", type=int, default=MACHINES, help="how many at a time")
    parser.add_argument(
        "--out",
        type=Path,
        default=PROJECT / "build/system-test",
        help="directory for logs, emptied first",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the machines' consoles")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """
    @return: The exit status.
    """
    options = parse(arguments)
    scenarios = CATALOGUE.matching(options.only or ())
    contenders = options.daemon or list(Contender)
    if options.list:
        print(*(f"{each.name:15} {each.shows}" for each in scenarios), sep="\n")
        return 0
    if not scenarios:
        print(f"no scenario is like {' or '.join(options.only)}", file=sys.stderr)
        return 2
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f}] {text}", flush=True)

    try:
        parts = Laboratory.standard(say).parts()
    except Unavailable as error:
        return giveUp(str(error), scenarios, contenders)
    shutil.rmtree(options.out, ignore_errors=True)
    # In there, it would be done anew for each process.
    for package in ("muxd", "tests", "twisted"):
        compileall.compile_dir(PROJECT / package, quiet=2)
    campaign = Campaign(parts, options.out, say, options.verbose)
    campaign.run(divide(scenarios, contenders, options.phone, options.machines), options.machines)
    first = [cell.outcome.trial for cell in campaign.cells if cell.isFailure]
    if options.again and len(first) <= UNSTEADY:
        say(f"once more: {', '.join(map(str, first)) or 'nothing'}")
        campaign.run([Share(options.phone, (trial,)) for trial in first], options.machines)
    report = Report(scenarios, contenders, options.phone, campaign.cells)
    print("", report.table(), "", report.details(), "", sep="\n")
    print(report.summary())
    return 1 if report.failed else 0


def giveUp(reason: str, scenarios: Sequence[Scenario], contenders: Sequence[Contender]) -> int:
    """
    No virtual machine can be had, which is a failure where nothing may be missing.

    @return: The exit status.
    """
    count = len(scenarios) * sum(each.isMuxd for each in contenders)
    isRequired = REQUIRED in os.environ
    verb = "failed" if isRequired else "skipped"
    print(f"system tests {verb}: no virtual machine can be had: {reason}")
    print(
        f"0 passed, {count} failed, 0 skipped"
        if isRequired
        else f"0 passed, 0 failed, {count} skipped"
    )
    return 1 if isRequired else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
