# -*- test-case-name: tests.muxctl.test_stdio,tests.muxctl.test_connectprocess -*-
"""
C{muxctl connect}: standard input and output joined to a port of a phone.

Two threads, one for each direction, since no one way to wait works for all that
standard input can be: epoll knows no files, Windows' select only sockets.  The
main thread writes what the phone sends, so that an interrupt finds it; the other
one reads the input and is simply left behind when the phone closes first, for
nothing can end a read of a terminal.

The end of the input is told to the daemon by shutting down our half of the
socket, and what the phone still has to say is waited for.  The C daemon takes this
for the end of everything, hence C{--linger}.
"""

from __future__ import annotations

import io
import select
import socket
from argparse import Namespace
from contextlib import suppress
from threading import Event, Thread
from typing import BinaryIO, TextIO

from muxd.client import blocking
from muxd.client.socketerrors import UsbmuxError
from muxd.client.socketio import LONGEST
from muxd.muxctl.terminal import Terminal

CHUNK = 65536


def connectPort(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl connect}.
    """
    timeout = options.timeout or blocking.CONNECT
    phone = blocking.connect(
        options.port,
        options.udid,
        network=options.network,
        wait=options.wait,
        timeout=timeout,
        address=terminal.address,
    )
    join(phone, terminal, options.linger)
    return 0


def join(phone: socket.socket, terminal: Terminal, linger: float | None = None) -> None:
    """
    Copy both ways until the phone closes, and close.

    @param linger: How long the phone has to be silent, after the end of the
        input, before its side is told of that; None to tell it at once.
    @raise OSError: The input could not be read to its end, nor the output
        written.
    """
    heard = Event()
    upwards = _Upwards(terminal.stdin, phone, heard, linger)
    upwards.start()
    try:
        _downwards(phone, terminal.stdout, heard)
    finally:
        _end(phone)
        heard.set()
    if upwards.trouble is not None:
        raise upwards.trouble


class _Upwards(Thread):
    """
    From standard input to the phone.

    @ivar trouble: Why the input could not be read to its end.
    """

    def __init__(
        self, stdin: TextIO | None, phone: socket.socket, heard: Event, linger: float | None
    ) -> None:
        # A daemon thread: it may sit in a read that nothing will end.
        super().__init__(name="standard input", daemon=True)
        self.trouble: OSError | None = None
        self._stdin = None if stdin is None else _unbuffered(stdin)
        self._phone = phone
        self._heard = heard
        self._linger = linger

    def run(self) -> None:
        """
        Copy until the input ends, or the phone takes no more.
        """
        while data := self._read():
            try:
                self._phone.sendall(data)
            except OSError:
                # Closed at the other end: the main thread sees that as well, and
                # may still have something to write out before.
                return
        while self._linger is not None and self._heard.wait(min(self._linger, LONGEST)):
            self._heard.clear()
            if self._phone.fileno() < 0:
                return
        # It may have been closed just now.
        with suppress(OSError):
            self._phone.shutdown(socket.SHUT_WR)

    def _read(self) -> bytes:
        """
        Whatever there is; nothing at the end.
        """
        if self._stdin is None:
            return b""
        try:
            while (data := self._stdin.read(CHUNK)) is None:
                # Non-blocking, as another program made our terminal or pipe.
                select.select([self._stdin], [], [])
        except OSError as error:
            self.trouble = error
            return b""
        except ValueError:
            # Its owner has closed it, which is an end as well.
            return b""
        return data


def _downwards(phone: socket.socket, stdout: TextIO, heard: Event) -> None:
    """
    From the phone to standard output, until the phone closes.

    @raise BrokenPipeError: Nobody reads the output.
    """
    output = _unbuffered(stdout)
    while data := _receive(phone):
        heard.set()
        left = memoryview(data)
        while left:
            written = output.write(left)
            if written is None:
                select.select([], [output], [])
            else:
                left = left[written:]
    output.flush()


def _receive(phone: socket.socket) -> bytes:
    try:
        return phone.recv(CHUNK)
    except ConnectionError as error:
        raise UsbmuxError(f"lost the connection to the phone: {error.strerror}") from error


def _end(phone: socket.socket) -> None:
    """
    Close, and wake the other thread from a C{sendall} before.
    """
    # If the other end was quicker there may be nothing to shut down.
    with suppress(OSError):
        phone.shutdown(socket.SHUT_RDWR)
    phone.close()


def _unbuffered(stream: TextIO) -> BinaryIO | io.RawIOBase:
    """
    The bytes beneath a text stream: one system call for each read and write, as
    nobody should have to wait until a buffer is full.
    """
    buffer = stream.buffer
    return buffer.raw if isinstance(buffer, io.BufferedReader | io.BufferedWriter) else buffer
