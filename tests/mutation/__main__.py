"""
C{python -m tests.mutation}: which small defects of modules the tests do not notice.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import Mutant, mutantsOf
from tests.mutation.patching import Patch
from tests.mutation.running import settled
from tests.mutation.trial import PROJECT, TESTS, ColdTrial, Outcome, WarmTrial


def modulesIn(names: list[str]) -> Iterator[Path]:
    """
    The modules that are named, and those in the directories that are.
    """
    for name in names:
        path = PROJECT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def sample(module: Path, count: int, seed: int) -> tuple[list[Mutant], int]:
    """
    Some mutants of a module.

    @param count: How many, or 0 for all.
    @return: These, and how many there are.
    """
    everything = list(mutantsOf(module))
    chosen = everything
    if 0 < count < len(everything):
        name = module.relative_to(PROJECT)
        chosen = random.Random(f"{seed} {name}").sample(everything, count)
    return sorted(chosen, key=lambda mutant: mutant.line), len(everything)


def main(arguments: list[str]) -> int:
    """
    Try a sample of the mutants of each module.

    @return: 0 if all were noticed or are explained, and 1 if some were not.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="+", help="such as muxd/device/window.py, or muxd/wire")
    parser.add_argument("--count", type=int, default=20, help="of each module, 0 is all (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (0)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for a run (300)")
    parser.add_argument("--lines", default="", help="only these, as 10-20 (all)")
    parser.add_argument("--kept", default="", help="a file with what the tests see")
    parser.add_argument("--verbose", action="store_true", help="say what noticed, too")
    parser.add_argument("--functions", action="store_true", help="not what runs at an import")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="modules (see trial.TESTS)")
    options = parser.parse_args(arguments)
    os.nice(10)
    settled()
    modules = list(modulesIn(options.modules))
    chosen: dict[Path, list[Mutant]] = {}
    possible: dict[Path, int] = {}
    for module in modules:
        chosen[module], possible[module] = sample(module, options.count, options.seed)
        if options.lines:
            first, _, last = options.lines.partition("-")
            lines = range(int(first), int(last or first) + 1)
            chosen[module] = [each for each in chosen[module] if each.line in lines]
    began = time.monotonic()
    outcomes: dict[Path, list[Outcome]] = {module: [] for module in modules}

    def add(outcome: Outcome) -> None:
        mutant = outcome.mutant
        outcomes[mutant.module].append(outcome)
        name = mutant.module.relative_to(PROJECT)
        if options.verbose or not outcome.isNoticed:
            told = f"{outcome.verdict.value} {outcome.test or ''}".strip()
            print(f"{name}:{mutant.line}: {told}: {mutant.difference()}", flush=True)

    patches = {mutant: Patch(mutant) for module in modules for mutant in chosen[module]}
    cold = ColdTrial(options.tests)
    for mutant, patch in patches.items():
        if not patch.isPossible and not options.functions:
            add(cold.attempt(mutant, options.timeout))
    kept = Path(options.kept or f"build/mutation-sight-{os.getpid()}.json")
    kept.parent.mkdir(exist_ok=True)
    warm = WarmTrial(kept, options.tests)
    for module in modules:
        for mutant in chosen[module]:
            if patches[mutant].isPossible:
                add(warm.attempt(mutant, patches[mutant]))
    if not options.kept:
        kept.unlink(missing_ok=True)
    return report(outcomes, possible, time.monotonic() - began)


def report(outcomes: dict[Path, list[Outcome]], possible: dict[Path, int], seconds: float) -> int:
    """
    Print a table.

    @return: 0 if all were noticed or are explained, and 1 if some were not.
    """
    print("\n| Module | possible | tried | noticed | explained | not noticed |")
    print("|---|---|---|---|---|---|")
    sums = [0] * 5
    for module, found in outcomes.items():
        name = str(module.relative_to(PROJECT))
        explained = sum(
            not each.isNoticed and (name, each.mutant.difference()) in EXPLAINED for each in found
        )
        noticed = sum(each.isNoticed for each in found)
        row = [possible[module], len(found), noticed, explained, len(found) - noticed - explained]
        if found:
            print(f"| `{name}` | {' | '.join(map(str, row))} |")
        sums = [one + other for one, other in zip(sums, row, strict=True)]
    print(f"| in all | {' | '.join(map(str, sums))} |\n{seconds:.0f} s", flush=True)
    return int(sums[-1] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
