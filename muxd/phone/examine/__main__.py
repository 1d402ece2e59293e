"""
C{python -m muxd.phone.examine DAEMON}.
"""

from __future__ import annotations

import sys

from muxd.phone.examine.commandline import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
