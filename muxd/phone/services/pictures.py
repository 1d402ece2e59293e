# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
Pictures of one colour, as PNG: what is on a simulated phone's screen; and the service that takes
them, C{com.apple.mobile.screenshotr}.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from muxd.lockdown.plists import Message
from muxd.phone.services.devicelink import DeviceLink

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST_PIXELS = 5000
"""In each direction."""


def plainPNG(width: int, height: int, colour: bytes = b"\x20\x60\xa0") -> bytes:
    """
    A picture.

    @param colour: Red, green and blue.
    """
    width, height = (min(max(size, 1), MOST_PIXELS) for size in (width, height))
    row = b"\0" + colour * width
    # Row by row: all of them would be megabytes, for a request of a few bytes.
    packer = zlib.compressobj(9)
    rows = [packer.compress(row) for _ in range(height)]
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", b"".join((*rows, packer.flush()))),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


class Screenshotr(DeviceLink):
    """
    One host, which wants pictures of the screen.
    """

    def __init__(self, picture: Callable[[], bytes]) -> None:
        """
        @param picture: Takes one.
        """
        self._picture = picture

    def processReceived(self, message: Message) -> None:
        """
        The host wants a picture.
        """
        if message.get("MessageType") != "ScreenShotRequest":
            self.malformed(f"expected ScreenShotRequest, got {message.get('MessageType')!r:.80}")
            return
        reply = {"MessageType": "ScreenShotReply", "ScreenShotData": self._picture()}
        self.say("DLMessageProcessMessage", reply)
