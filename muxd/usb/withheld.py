# -*- test-case-name: tests.usb.test_releasing -*-
"""
Phones that an operator has released: other programs of this machine may have them.
"""

from __future__ import annotations

from muxd.identity import canonicalUDID, udidKey


class WithheldPhones:
    """
    The phones that are not to be opened.  The reactor's thread changes them, and the one that
    opens phones asks for them.
    """

    def __init__(self) -> None:
        # Never changed, only exchanged: a thread that looks sees one or the other.
        self._names: dict[str, str] = {}

    def __contains__(self, udid: str) -> bool:
        """
        Whether a phone is one of them.
        """
        return udidKey(udid) in self._names

    @property
    def udids(self) -> list[str]:
        """
        Their UDIDs, in alphabetical order.
        """
        return sorted(self._names.values())

    def add(self, udid: str) -> None:
        """
        A phone is not to be opened from now on.
        """
        self._names = {**self._names, udidKey(udid): canonicalUDID(udid)}

    def discard(self, udid: str) -> None:
        """
        It is to be opened again.  Harmless for any other.
        """
        key = udidKey(udid)
        self._names = {each: name for each, name in self._names.items() if each != key}
