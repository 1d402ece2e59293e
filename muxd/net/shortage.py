# -*- test-case-name: tests.net.test_shortage -*-
"""
What a process or its system can run out of, and what a person can do about it.

The system's own words say what is short.  They do not say where to turn.
"""

from __future__ import annotations

from errno import EDQUOT, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC

_MEMORY = "free memory, or let this process have more (MemoryMax= of systemd)"
_REMEDIES = {
    EMFILE: "raise the limit of this process (LimitNOFILE= of systemd, ulimit -n), or see which"
    " program connects so often",
    ENFILE: "see which program has so many files open on this machine (lsof), or raise the"
    " limit for all (sysctl fs.file-max)",
    ENOBUFS: _MEMORY,
    ENOMEM: _MEMORY,
    ENOSPC: "free space on this disk",
    EDQUOT: "free some of this user's space on this disk, or raise the quota",
}


def remedy(error: OSError) -> str | None:
    """
    What to do when something is short, without a full stop; C{None} if an error is not
    of that kind.
    """
    return None if error.errno is None else _REMEDIES.get(error.errno)
