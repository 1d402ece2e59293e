# -*- test-case-name: tests.remote.test_parser -*-
"""
What an operator may say about another host's daemon.
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.identity import udidKey

GRACE = 5.0
"""Seconds for which the phones of a daemon that was lost count as still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """
    The settings of one source of another host's phones.

    @ivar name: What the host is called in logs.
    @ivar only: The phones to use, in L{udidKey} form; all when empty.
    @ivar deny: Phones that are not to be used.
    @ivar grace: Seconds for which phones outlive the connection to their daemon.
    """

    name: str
    only: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    grace: float = GRACE

    def wants(self, udid: str) -> bool:
        """
        Whether this phone is to be used.
        """
        key = udidKey(udid)
        return key not in self.deny and (not self.only or key in self.only)
