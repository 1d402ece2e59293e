"""
Compare: C{python -m tests.differential [--seconds 60] [--count N] [--seed 1] [--case S:N]}.
"""

from __future__ import annotations

import sys

from tests.differential.commandline import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
