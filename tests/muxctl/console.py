"""
C{muxctl} in this process, with streams of ours.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from muxd.client.address import UnixAddress
from muxd.muxctl.commandline import main
from tests.client.fakedaemon import Peer, answering, deviceEntry, listOf

NOWHERE = UnixAddress("/nonexistent/usbmuxd")

LISTED = answering(listOf(deviceEntry()))
BLOB = bytes(range(256)) * 8192
"""2 MiB: more than all buffers on the way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a run left behind.
    """

    status: int
    out: str
    err: str


def muxctl(*words: str, address: UnixAddress = NOWHERE, stdin: bytes = b"") -> Outcome:
    """
    Run it with this daemon in its environment.
    """
    given, out, err = (io.TextIOWrapper(io.BytesIO(data), "utf-8") for data in (stdin, b"", b""))
    status = main(words, given, out, err, {"USBMUXD_SOCKET_ADDRESS": str(address)})
    return Outcome(status, written(out).decode(), written(err).decode())


def written(stream: io.TextIOWrapper) -> bytes:
    """
    What was written to a stream.
    """
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def shout(peer: Peer) -> None:
    """
    A phone that answers when it has heard everything.
    """
    peer.socket.sendall(peer.rest().upper())


def echo(peer: Peer) -> None:
    """
    A phone that answers at once.
    """
    while data := peer.socket.recv(65536):
        peer.socket.sendall(data)
