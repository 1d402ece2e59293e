"""
C{python -m bench.attack}.
"""

import sys

from bench.attack.commandline import main

sys.exit(main(sys.argv[1:]))
