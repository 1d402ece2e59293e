# -*- test-case-name: tests.muxctl.test_script -*-
"""
The console script C{muxctl}: what has to be so before the rest is imported.

The rest takes a tenth of a second, on a busy machine a second, in which an interrupt would be a
traceback from within an import.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn, TextIO


def console() -> NoReturn:
    """
    Run C{muxctl}.  Until it has begun, and when it is done, SIGINT ends the process as it ends
    any program; a process that was started without that, as a shell's job in the background may
    be, goes on without.
    """
    sys.stdout, sys.stderr = _stream(sys.stdout), _stream(sys.stderr)
    isInterruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if isInterruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from muxd.muxctl.commandline import run
    from muxd.muxctl.errors import INTERRUPTED

    try:
        if isInterruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = run()
        if isInterruptible:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _stream(stream: TextIO | None) -> TextIO:
    """
    A standard stream, or one that leads nowhere for one that was closed at the start.
    """
    return open(os.devnull, "w", encoding="utf-8") if stream is None else stream
