"""
What tests of the daemons' options need.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.usbmuxd import Options


class Runner(usage.Options):
    """
    The options of a C{twist} or, without a level, of a C{twistd}.
    """

    def __init__(self, **values: object) -> None:
        super().__init__()
        self.update(values)


class OptionsTestCase(SynchronousTestCase):
    """
    What tests of L{Options} need.
    """

    def setUp(self) -> None:
        """
        Have options that do not use the global reactor.
        """
        self.reactor = MemoryReactorClock()
        self.options = Options()
        self.options.reactor = self.reactor

    def refused(self, *words: str) -> str:
        """
        Why these words are refused: one line.
        """
        error = self.assertRaises(usage.UsageError, self.options.parseOptions, list(words))
        self.assertNotIn("\n", str(error))
        return str(error)
