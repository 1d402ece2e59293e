"""
The program that the virtual machine runs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.system.contenders import Model
from tests.system.guest.launcher import startLauncher
from tests.system.guest.runner import Runner
from tests.system.plan import Trial
from tests.system.scenarios import CATALOGUE


def main() -> None:
    """
    Make the trials that are named, in this order.
    """
    parser = argparse.ArgumentParser(description="Run scenarios; root, in a virtual machine.")
    parser.add_argument("--model", type=Model, required=True)
    parser.add_argument("--udev-tree", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("trials", nargs="+", type=Trial.fromString)
    options = parser.parse_args()
    launcher = None
    isOurs = options.model is Model.MUXD or any(each.contender.isMuxd for each in options.trials)
    if isOurs:
        launcher = startLauncher()
        if launcher is None:
            return
    scenarios = {each.name: each for each in CATALOGUE.matching()}
    Runner(options.model, launcher, options.udev_tree, options.out).run(options.trials, scenarios)
    os.sync()


if __name__ == "__main__":
    main()
