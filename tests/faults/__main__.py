"""
Many fault plans: C{python -m tests.faults --plans 100000 --jobs 2}.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from twisted.python import usage

from muxd.phone.bus.faultplan import FaultPlan
from tests.faults.exploration import Exploration
from tests.faults.findings import Findings, beginLogging, explore

BATCH = 250
PROGRESS = 5000


class Options(usage.Options):
    """
    Which plans.
    """

    synopsis = "[options]"
    longdesc = "Run fault plans over the whole daemon, in memory; print those that go wrong."
    optParameters = [
        ["plans", None, 1000, "How many.", int],
        ["seed", None, 0, "The first one's seed; the others' follow.", int],
        ["jobs", None, 1, "Processes to run them in.", int],
        ["plan", None, None, "This one (see muxd.phone.bus.faultplan) instead of the seed's."],
    ]
    optFlags = [["verbose", None, "Tell of each step, and of each plan."]]

    def opt_plan(self, text: str) -> None:
        """
        This one (see muxd.phone.bus.faultplan) instead of the seed's.
        """
        try:
            self["plan"] = FaultPlan.fromString(text)
        except ValueError as error:
            raise usage.UsageError(f"--plan: {error}") from error


def batches(first: int, count: int) -> Iterator[range]:
    """
    Seeds, a batch at a time.
    """
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


def runAll(options: Options) -> Findings:
    """
    Run them, and print what is found as it is found.
    """
    total = Findings()
    start = time.monotonic()
    with ProcessPoolExecutor(
        options["jobs"], mp_context=get_context("spawn"), initializer=beginLogging
    ) as pool:
        for findings in pool.map(explore, batches(options["seed"], options["plans"])):
            for text in findings.wrong:
                print(text, flush=True)
            total.add(findings)
            if total.scenarios % PROGRESS == 0:
                elapsed = time.monotonic() - start
                print(
                    f"{total.scenarios} of {options['plans']} in {elapsed:.0f} s, "
                    f"{len(total.wrong)} went wrong",
                    flush=True,
                )
    return total


def main(arguments: list[str]) -> int:
    """
    Run them.

    @return: The exit status.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        print(f"{options}\n{error}", file=sys.stderr)
        return 2
    if options["verbose"] or options["plan"]:
        isWrong = False
        for seed in range(options["seed"], options["seed"] + options["plans"]):
            outcome = Exploration(seed, options["plan"], trace=bool(options["verbose"])).run()
            print(outcome)
            isWrong = isWrong or bool(outcome.wrong)
        return int(isWrong)
    total = runAll(options)
    print(total)
    print(f"{len(total.wrong)} went wrong")
    return int(bool(total.wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
