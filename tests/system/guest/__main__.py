"""
The program that the virtual machine runs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.system.contenders import Contender, Model
from tests.system.guest.launcher import startLauncher
from tests.system.guest.runner import Runner
from tests.system.scenarios import CATALOGUE


def main() -> None:
    """
    Run the scenarios that are named, in this order.
    """
    parser = argparse.ArgumentParser(description="Run scenarios; root, in a virtual machine.")
    parser.add_argument("--contender", type=Contender, required=True)
    parser.add_argument("--model", type=Model, required=True)
    parser.add_argument("--udev-tree", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("scenarios", nargs="+")
    options = parser.parse_args()
    # The programs that it becomes shall not find our arguments.
    launcher = None
    if options.contender.isMuxd or options.model is Model.MUXD:
        launcher = startLauncher()
        if launcher is None:
            return
    byName = {each.name: each for each in CATALOGUE.matching()}
    runner = Runner(options.contender, options.model, launcher, options.udev_tree, options.out)
    runner.run([byName[name] for name in options.scenarios])
    os.sync()


if __name__ == "__main__":
    main()
