# -*- test-case-name: tests.tap.test_twistedfiles -*-
"""
Files that C{twistd} opens by itself, and standard output: what is wrong with them is one line, and
no traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

LOG = "twistd.log"
"""Where C{twistd} logs in the background, if nothing is said."""


def complaintAbout(option: str, path: str) -> str:
    """
    Why a file of C{twistd}'s cannot be used, if it is known before C{twistd} opens it, which ends
    in a traceback; else nothing.
    """
    whole = os.path.abspath(path)
    directory = os.path.dirname(whole)
    if os.path.isdir(whole):
        return f"{option} {path}: it is a directory; name a file in it"
    if not os.path.isdir(directory):
        return (
            f"{option} {path}: there is no directory {directory}; make it, or choose another place"
        )
    if not os.access(whole if os.path.exists(whole) else directory, os.W_OK):
        return f"{option} {path}: this user may not write there; choose another place"
    return ""


def complaintAboutFiles(twistd: Mapping[str, Any]) -> str:
    """
    Why C{twistd} could not log, or write its pid file, where it is told to; else nothing.

    @param twistd: Its options.
    """
    if twistd.get("chroot"):
        # Its files are somewhere else by then.
        return ""
    isElsewhere = twistd.get("syslog") or twistd.get("logger")
    log = twistd.get("logfile") or (None if twistd.get("nodaemon") else LOG)
    if log and log != "-" and not isElsewhere and (complaint := complaintAbout("--logfile", log)):
        return complaint
    if not twistd.get("pidfile"):
        return ""
    path = os.path.normpath(os.path.join(twistd.get("rundir") or "", twistd["pidfile"]))
    complaint = complaintAbout("--pidfile", path)
    return f"{complaint}, or write --pidfile= for none" if complaint else ""


def printAndExit(program: str, text: str) -> NoReturn:
    """
    Print what was asked for, and end: with status 1 and one line if that is not possible.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # The interpreter flushes once more when it exits, and would complain.
        with suppress(OSError, ValueError):
            output = sys.stdout.fileno()
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        if not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            print(f"{program}: standard output cannot be written: {reason}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
