# -*- test-case-name: tests.wifi.test_parser -*-
"""
What an operator may say about phones on a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from muxd.identity import udidKey


class AddressLayout(Enum):
    """
    How the C{sockaddr} in a phone's entry is laid out, which programs read in their own way.

    @cvar BSD: As Apple has it; C{iproxy -n}, frida and libimobiledevice up to 1.3 read it.
    @cvar LINUX: As Linux has it; newer tools of libimobiledevice read it.
    """

    BSD = "bsd"
    LINUX = "linux"


USUAL = AddressLayout.BSD
"""As libimobiledevice up to 1.3 reads it, which Debian 12 and Ubuntu 24.04 have, and the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiSettings:
    """
    The settings of one source of phones on a network.

    @ivar host: Where the only phone is, which is not looked for; empty for those that are.
    @ivar udid: Which phone that is, if it is known.
    @ivar layout: Of their addresses.
    @ivar asUSB: Whether they are listed as phones on a cable.
    @ivar awake: Whether they are kept from sleep while there are streams to them.
    @ivar only: The phones to use, in L{udidKey} form; all when empty.
    @ivar deny: Phones that are not to be used.
    """

    host: str = ""
    udid: str = ""
    layout: AddressLayout = USUAL
    asUSB: bool = False
    awake: bool = False
    only: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def wants(self, udid: str) -> bool:
        """
        Whether this phone is to be used.
        """
        key = udidKey(udid)
        if self.udid and key != udidKey(self.udid):
            return False
        return key not in self.deny and (not self.only or key in self.only)
