# -*- test-case-name: tests.usb.test_parser -*-
"""
What an operator may say about the USB source.
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.identity import NO_PHONES, Selection

ENGINES = ("auto", "threads", "async")


@dataclass(frozen=True, slots=True, kw_only=True)
class USBSettings:
    """
    The settings of one USB source.

    @ivar poll: Seconds between two looks at the bus.
    @ivar only: The phones to use; all when empty.
    @ivar deny: Phones that are not to be used, even if C{only} has them.
    @ivar products: The only product ids to use; whatever has a muxer when empty.
    @ivar mode: The USB mode to switch phones to (protocol 1.3); C{None} leaves
        every phone in the mode it is in.
    @ivar engine: How transfers are moved, one of L{ENGINES}.
    @ivar simulated: Whether the phones are simulated ones, as people are told.
    @ivar libusb: The path of the library to use instead of looking for one.
    """

    poll: float = 1.0
    only: Selection = NO_PHONES
    deny: Selection = NO_PHONES
    products: tuple[range, ...] = ()
    mode: int | None = None
    engine: str = "auto"
    libusb: str | None = None
    simulated: bool = False

    def wants(self, udid: str, portPath: str = "") -> bool:
        """
        Whether this phone is to be used.
        """
        if self.deny.has(udid, portPath, "USB"):
            return False
        return not self.only or self.only.has(udid, portPath, "USB")
