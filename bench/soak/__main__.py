"""
C{python -m bench.soak}.
"""

import sys

from bench.soak.commandline import main

sys.exit(main(sys.argv[1:]))
