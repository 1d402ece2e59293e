"""
What tests of the daemons' options need.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap import master, usbmuxd
from muxd.tap.options import CommandOptions

AnyOptions = TypeVar("AnyOptions", bound=CommandOptions)


class Runner(usage.Options):
    """
    The options of a C{twist} or, without a level, of a C{twistd}.
    """

    def __init__(self, **values: object) -> None:
        super().__init__()
        self.update(values)


class OptionsTestCase(SynchronousTestCase, Generic[AnyOptions]):
    """
    A daemon's options on a reactor in memory, in a process that is left as it is.

    @cvar kind: Whose they are.
    @ivar stopping: The reactors that signals would stop.
    """

    kind: type[AnyOptions]

    def setUp(self) -> None:
        """
        Have options that do not use the global reactor.
        """
        self.reactor = MemoryReactorClock()
        self.options = self.kind()
        self.options.reactor = self.reactor
        self.stopping: list[object] = []
        self.patch(master, "raiseFileLimit", lambda: None)
        self.patch(master, "keepFreedMemory", lambda: True)
        self.patch(master, "limitLogLevel", lambda publisher, level: None)
        self.patch(master, "stopOnSignals", self.stopping.append)

    def refused(self, *words: str) -> str:
        """
        Why these words are refused: one line.
        """
        error = self.assertRaises(usage.UsageError, self.options.parseOptions, list(words))
        self.assertNotIn("\n", str(error))
        return str(error)


class UsbmuxdTestCase(OptionsTestCase[usbmuxd.Options]):
    """
    The options of C{usbmuxd}.
    """

    kind = usbmuxd.Options
