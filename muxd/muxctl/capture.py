# -*- test-case-name: tests.muxctl.test_capture -*-
"""
C{muxctl capture}: what phones and clients say to each other, to a file or a pipe.

Only whole blocks are written, so that what was captured can be read whenever it ends.
"""

from __future__ import annotations

import os
import struct
from argparse import Namespace
from http.client import HTTPResponse
from typing import BinaryIO
from urllib.parse import urlencode

from muxd.client.socketerrors import UsbmuxError
from muxd.muxctl.reader import endWithReader
from muxd.muxctl.status import clientFor
from muxd.muxctl.terminal import Terminal

STDOUT = "-"
AT_ONCE = 1 << 20
"""Bytes that are read at once, if as many have come."""

LONGEST_BLOCK = 1 << 20
"""A packet of 64 KiB is the most that a daemon sends as one, with a few others before it."""

MODE = 0o600
"""Payloads are private."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_LENGTH_AT = 4
_ORDER_AT = 8
_LITTLE = bytes.fromhex("4d3c2b1a")


class Blocks:
    """
    The bytes of a pcapng file, put together to whole blocks.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._order = ""

    def add(self, data: bytes) -> bytes:
        """
        Take the next bytes.

        @return: The blocks that are whole now.
        @raise ValueError: They are no blocks.
        """
        held = self._data
        held += data
        if not self._order:
            if len(held) < _ORDER_AT + len(_LITTLE):
                return b""
            order = held[_ORDER_AT : _ORDER_AT + len(_LITTLE)]
            if order not in (_LITTLE, _LITTLE[::-1]):
                raise ValueError("it has no section header")
            self._order = "<I" if order == _LITTLE else ">I"
        end = 0
        while len(held) - end >= _ORDER_AT:
            [length] = struct.unpack_from(self._order, held, end + _LENGTH_AT)
            if not 12 <= length <= LONGEST_BLOCK:
                raise ValueError(f"it has a block of {length} bytes")
            if len(held) - end < length:
                break
            end += length
        whole = bytes(held[:end])
        del held[:end]
        return whole


def capture(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl capture}.

    @raise UsbmuxError: There is no capture, or it ends because something does.
    """
    isPiped = options.write == STDOUT
    if isPiped and terminal.stdout.isatty():
        raise UsbmuxError(
            "a capture is not for a terminal: say -w FILE, or lead it to wireshark -k -i -"
        )
    wanted = {"udid": options.udid, "port": options.port}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    path = f"/api/capture?{query}" if query else "/api/capture"
    with clientFor(options, terminal).stream(path) as response:
        if isPiped:
            endWithReader(terminal.stdout)
            return _copy(response, terminal.stdout.buffer)
        with os.fdopen(os.open(options.write, _FLAGS, MODE), "wb") as file:
            os.fchmod(file.fileno(), MODE)
            terminal.remark(f"capturing to {options.write} until interrupted")
            try:
                return _copy(response, file)
            except KeyboardInterrupt:
                return 0


def _copy(response: HTTPResponse, output: BinaryIO) -> int:
    """
    Write what comes, as soon as it comes.

    @return: The exit status.
    """
    blocks = Blocks()
    while data := response.read1(AT_ONCE):
        try:
            whole = blocks.add(data)
        except ValueError as error:
            raise UsbmuxError(f"what came is no capture ({error})") from error
        if whole:
            output.write(whole)
            output.flush()
    return 0
