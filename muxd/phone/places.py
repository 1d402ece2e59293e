# -*- test-case-name: tests.phone.test_places -*-
"""
Files and directories that are named for simulated phones: whether they can be what they are for.

A phone that finds out later says so in the log, and goes on without; a name that is mistyped is
refused when the phone is made.
"""

from __future__ import annotations

import os


def checkFeed(name: str, path: str) -> None:
    """
    See that a phone's log can be fed from a file or a pipe.  It need not be there yet, but its
    directory.

    @param name: What names it, for complaints.
    @raise ValueError: It cannot.
    """
    if not path:
        raise ValueError(f"{name}: expected a path, got ''")
    directory = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        problem = "is a directory; name a file or a pipe"
    elif not os.path.isdir(directory):
        problem = f"there is no directory {directory}; make it, or choose another place"
    elif os.path.exists(path) and not os.access(path, os.R_OK):
        problem = "this user may not read it; change its mode, or choose another one"
    else:
        return
    raise ValueError(f"{name}: {path}: {problem}")


def checkKept(name: str, path: str) -> None:
    """
    See that phones can keep something in a directory, which is made if it is not there.

    @param name: What names it, for complaints.
    @raise ValueError: They cannot.
    """
    if not path:
        raise ValueError(f"{name}: expected a path, got ''")
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        problem = f"{there} is no directory; choose another place"
    elif not os.access(there, os.W_OK | os.X_OK):
        problem = f"this user may not write to {there}; change its mode, or choose another place"
    else:
        return
    raise ValueError(f"{name}: {path}: {problem}")
