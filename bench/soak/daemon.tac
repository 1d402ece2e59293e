"""
The daemon under observation: twistd --python bench/soak/daemon.tac
"""

import os

from twisted.internet import reactor

from bench.soak.probe import observed

application = observed(reactor, os.environ)
