# -*- test-case-name: tests.muxctl.test_reader -*-
"""
Commands that go on until interrupted, and a pipe that nothing reads any more: as in
C{muxctl watch | head -1}, where without a look the next event would be waited for to find out.
"""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable
from typing import TextIO

from muxd.muxctl.errors import NO_READER


def endWithReader(output: TextIO, leave: Callable[[int], object] = os._exit) -> None:
    """
    Have the process end as soon as its output is a pipe without a reader.  It is not asked while
    it waits for a daemon, so a thread ends it.

    @param leave: What ends it, given the exit status.
    """
    try:
        descriptor = output.fileno()
        isPipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, ValueError):
        return
    # Windows cannot wait for that.
    if isPipe and hasattr(select, "poll"):
        threading.Thread(target=_await, args=(descriptor, leave), daemon=True).start()


def _await(descriptor: int, leave: Callable[[int], object]) -> None:
    waiting = select.poll()
    # Errors and hang-ups are told of in any case.
    waiting.register(descriptor, 0)
    waiting.poll()
    leave(NO_READER)
