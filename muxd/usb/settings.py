# -*- test-case-name: tests.usb.test_parser -*-
"""
What an operator may say about the USB source.
"""

from __future__ import annotations

from dataclasses import dataclass

ENGINES = ("auto", "threads", "async")


def canonicalUDID(udid: str) -> str:
    """
    A UDID as it is compared: people write it with and without its dash, in
    capitals or not.
    """
    return udid.replace("-", "").strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class USBSettings:
    """
    The settings of one USB source.

    @ivar poll: Seconds between two looks at the bus.
    @ivar only: The phones to use, in L{canonicalUDID} form; all when empty.
    @ivar mode: The USB mode to switch phones to (protocol 1.3); C{None} leaves
        every phone in the mode it is in.
    @ivar engine: How transfers are moved, one of L{ENGINES}.
    @ivar libusb: The path of the library to use instead of looking for one.
    """

    poll: float = 1.0
    only: frozenset[str] = frozenset()
    mode: int | None = None
    engine: str = "auto"
    libusb: str | None = None

    def wants(self, udid: str) -> bool:
        """
        Whether this phone is to be used.
        """
        return not self.only or canonicalUDID(udid) in {canonicalUDID(each) for each in self.only}
