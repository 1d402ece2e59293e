# -*- test-case-name: tests.muxctl.test_authority -*-
"""
The names that certificates of a farm may have.

They are apart from the authority, which needs an extra and takes its time to import: what is
typed is looked at first.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address

LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, appendix A.1)."""

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.@-]*[A-Za-z0-9_])?", re.ASCII)


def checkedName(name: str) -> str:
    """
    A name as a certificate has it.

    @raise ValueError: It is none.
    """
    with suppress(ValueError):
        return str(ip_address(name))
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"expected a name of up to {LONGEST_NAME} letters, digits, dots and dashes, or an IP"
            f" address, got {name!r:.80}"
        )
    return name
