# -*- test-case-name: tests.fuzz.test_main -*-
"""
Inputs once more, without atheris::

    python -m tests.fuzz.repeat TARGET FILE...

Prints the traceback of the first that fails; one that takes too long shows where it
is.
"""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path

from tests.fuzz.target import targetNamed

DEADLINE = 30.0
"""Seconds for one input."""


def main(arguments: list[str]) -> None:
    """
    Raises what the target raises.
    """
    if len(arguments) < 3:
        raise SystemExit(__doc__)
    run = targetNamed(arguments[1]).load()
    for name in arguments[2:]:
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        print(name, flush=True)
        run(Path(name).read_bytes())
    faulthandler.cancel_dump_traceback_later()
    print(f"{len(arguments) - 2} inputs, and nothing to object to")


if __name__ == "__main__":
    main(sys.argv)
