"""
C{python -m tests.mutation}: which small defects of a module the tests do not notice.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tests.mutation.mutants import mutantsOf
from tests.mutation.trial import PROJECT, Laboratory, testsOf


def main(arguments: list[str]) -> int:
    """
    Try a sample of the mutants of each module.

    @return: 0 if all were noticed, and 1 if some were not.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", help="such as muxd/device/window.py")
    parser.add_argument("--count", type=int, default=20, help="of each module, 0 is all (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (0)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a run (120)")
    options = parser.parse_args(arguments)
    noticed = tried = 0
    for name in options.modules:
        module = PROJECT / Path(name)
        everything = list(mutantsOf(module))
        chosen = everything
        if options.count and options.count < len(everything):
            chosen = sorted(
                random.Random(f"{options.seed} {name}").sample(everything, options.count),
                key=lambda mutant: mutant.line,
            )
        laboratory = Laboratory()
        try:
            began = time.monotonic()
            if not all(laboratory.run(tests, 10 * options.timeout) for tests in testsOf(module)):
                print(f"{name}: the tests fail without a defect", flush=True)
                return 2
            outcomes = []
            for mutant in chosen:
                outcome = laboratory.attempt(mutant, options.timeout)
                outcomes.append(outcome)
                if not outcome.isNoticed:
                    print(f"{name}:{mutant.line}: {mutant.difference()}", flush=True)
        finally:
            laboratory.close()
        count = sum(outcome.isNoticed for outcome in outcomes)
        print(
            f"{name}: {count} of {len(outcomes)} noticed (there are {len(everything)}),"
            f" {time.monotonic() - began:.0f} s",
            flush=True,
        )
        noticed += count
        tried += len(outcomes)
    print(f"in all {noticed} of {tried}, {100 * noticed / max(1, tried):.0f} %")
    return int(noticed < tried)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
