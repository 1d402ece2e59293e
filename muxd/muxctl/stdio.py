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

The phone is not told of it, as its protocol has no words for that, so a service that
would end with its input goes on.  One thing can be told from here: that all that was
sent has come back, and nothing else.
"""

from __future__ import annotations

import io
import select
import socket
import zlib
from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import BinaryIO, TextIO

from muxd.client import blocking
from muxd.client.socketerrors import UsbmuxError
from muxd.client.socketio import LONGEST
from muxd.muxctl.terminal import Terminal

CHUNK = 65536

ECHO_SILENCE = 0.5
"""
Seconds of silence that end it when all that was sent has come back: a service that repeats
what it is told may have more to say.
"""

NOTICE = 1.0
"""Seconds of waiting after the end of the input that are worth a word."""

WAITING = (
    "muxctl: the input has ended; waiting for the phone to close the connection"
    " (Ctrl-C ends it, or --linger SECONDS of silence)\n"
)


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
        input, before it is over, and the daemon not told of anything before; None to
        tell it at once, and wait for the phone to close.
    @raise OSError: The input could not be read to its end, nor the output
        written.
    """
    heard, sent, received = Event(), Traffic(), Traffic()
    upwards = _Upwards(terminal, phone, heard, sent, received, linger)
    upwards.start()
    try:
        _downwards(phone, terminal.stdout, heard, received)
    finally:
        _end(phone)
        heard.set()
    if upwards.trouble is not None:
        raise upwards.trouble


@dataclass(slots=True)
class Traffic:
    """
    What has gone in one direction.

    @ivar size: How many bytes.
    @ivar checksum: Of all of them.
    @ivar isUnderway: Whether some are being passed on.
    """

    size: int = 0
    checksum: int = 0
    isUnderway: bool = False

    def add(self, data: bytes) -> None:
        """
        Count bytes.
        """
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)

    def isEchoOf(self, other: Traffic) -> bool:
        """
        Whether it is the same, and something.
        """
        return self.size == other.size > 0 and self.checksum == other.checksum


class _Upwards(Thread):
    """
    From standard input to the phone.

    @ivar trouble: Why the input could not be read to its end.
    """

    def __init__(
        self,
        terminal: Terminal,
        phone: socket.socket,
        heard: Event,
        sent: Traffic,
        received: Traffic,
        linger: float | None,
    ) -> None:
        # A daemon thread: it may sit in a read that nothing will end.
        super().__init__(name="standard input", daemon=True)
        self.trouble: OSError | None = None
        self._stdin = None if terminal.stdin is None else _unbuffered(terminal.stdin)
        self._stderr = terminal.stderr
        self._phone = phone
        self._heard = heard
        self._sent = sent
        self._received = received
        self._linger = linger

    def run(self) -> None:
        """
        Copy until the input ends, or the phone takes no more.
        """
        while data := self._read():
            self._sent.add(data)
            try:
                self._phone.sendall(data)
            except OSError:
                # Closed at the other end: the main thread sees that as well, and
                # may still have something to write out before.
                return
        if self._linger is None:
            self._shutDown(socket.SHUT_WR)
        self._awaitSilence()
        # The main thread reads to an end now.
        self._shutDown(socket.SHUT_RDWR)

    def _awaitSilence(self) -> None:
        """
        Wait until it is over, for as long as it takes; say what for if that is long.
        """
        silence, hasTold = 0.0, False
        while self._phone.fileno() >= 0:
            enough = self._enough()
            pause = (enough if hasTold else min(enough, max(NOTICE, silence))) - silence
            if pause > 0 and self._heard.wait(pause):
                self._heard.clear()
                silence = 0.0
                continue
            silence += max(pause, 0.0)
            if self._received.isUnderway:
                # The phone is not silent, but what it says is not taken.
                silence = 0.0
            elif silence >= enough:
                return
            elif not hasTold:
                hasTold = True
                self._stderr.write(WAITING)
                self._stderr.flush()

    def _enough(self) -> float:
        """
        How many seconds of silence end it.
        """
        if self._linger is not None:
            return min(self._linger, LONGEST)
        return ECHO_SILENCE if self._received.isEchoOf(self._sent) else LONGEST

    def _shutDown(self, how: int) -> None:
        # It may have been closed just now.
        with suppress(OSError):
            self._phone.shutdown(how)

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


def _downwards(phone: socket.socket, stdout: TextIO, heard: Event, received: Traffic) -> None:
    """
    From the phone to standard output, until the phone closes.

    @raise BrokenPipeError: The output has no reader any more.
    """
    output = _unbuffered(stdout)
    while data := _receive(phone):
        received.add(data)
        received.isUnderway = True
        heard.set()
        left = memoryview(data)
        while left:
            written = output.write(left)
            if written is None:
                select.select([], [output], [])
            else:
                left = left[written:]
        received.isUnderway = False
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
    no reader should have to wait until a buffer is full.
    """
    buffer = stream.buffer
    return buffer.raw if isinstance(buffer, io.BufferedReader | io.BufferedWriter) else buffer
