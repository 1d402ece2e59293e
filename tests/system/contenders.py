"""
Who is put to the test.
"""

from __future__ import annotations

from enum import Enum


class Contender(Enum):
    """
    A daemon, and how it is run.  The value is its name on the command line.
    """

    ASYNC = "async"
    THREADS = "threads"
    C = "c"

    @property
    def title(self) -> str:
        """
        Its name in the table.
        """
        return {"async": "muxd [async]", "threads": "muxd [threads]", "c": "C usbmuxd"}[self.value]

    @property
    def isMuxd(self) -> bool:
        """
        Whether it is ours, and a failure is one of ours.
        """
        return self is not Contender.C


class Model(Enum):
    """
    Which simulated phone is plugged in: the one in F{vm}, which shares no code
    with muxd, or muxd's own.
    """

    STANDALONE = "standalone"
    MUXD = "muxd"
