# -*- test-case-name: tests.phone.test_bus -*-
"""
A device that a program has opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxd.phone.attachment import Attachment


class Handle:
    """
    What a program on the host has opened.
    """

    __slots__ = ("attachment",)

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
