"""
C{python -m bench}.
"""

import sys

from bench.commandline import main

sys.exit(main(sys.argv[1:]))
