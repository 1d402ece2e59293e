# -*- test-case-name: tests.status.test_capture -*-
"""
C{GET /api/capture}: what phones and clients say to each other, as it is said, in the format
pcapng (L{muxd.capture}).

A capture has what all users of the phones have said, so it is not for all that may look
at the daemon's state, but for its own user and for root; and these are known by UNIX
sockets alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.web.server import NOT_DONE_YET, Request

from muxd.capture.capture import Capture
from muxd.capture.sinks import StreamSink
from muxd.identity import canonicalUDID
from muxd.net.credentials import Peer, peerOf
from muxd.service import MuxService
from muxd.status.answers import RequestError, StatusResource
from muxd.status.streaming import AnswerStream

CONTENT_TYPE = b"application/x-pcapng"

MOST = 8
"""Captures at once, each of which has memory for what its reader does not take."""

LONGEST_UDID = 255
MOST_PORT = 65535

_log = Logger()


def peerOfRequest(request: Request) -> Peer | None:
    """
    The process that asks, if the kernel tells.
    """
    transport = getattr(request.channel, "transport", None)
    return peerOf(getattr(transport, "socket", None))


class CaptureResource(StatusResource):
    """
    Captures that go on until their readers go, or the daemon ends.
    """

    isLeaf = True
    isStream = True

    def __init__(
        self, service: MuxService, peerOf: Callable[[Request], Peer | None] = peerOfRequest
    ) -> None:
        """
        @param peerOf: Tells which process asks.
        """
        super().__init__()
        self._service = service
        self._peerOf = peerOf
        self._captures: set[Capture] = set()

    def render_GET(self, request: Request) -> Any:
        """
        Begin a capture.

        @raise RequestError: There will be none.
        """
        peer = self._peerOf(request)
        if peer is None:
            raise RequestError(
                403,
                "a capture is for the daemon's own user and root, who are known by a UNIX socket"
                " alone",
                "ask at the UNIX socket of --status",
            )
        if peer.uid not in (0, os.geteuid()):
            raise RequestError(
                403,
                "a capture has what all users say to phones, so it is for the daemon's own user"
                f" and root, and not for user {peer.uid}",
                "use sudo",
            )
        udid, port = self._wanted(request)
        if len(self._captures) >= MOST:
            raise RequestError(503, f"there are {MOST} captures already", "end one of them")
        sink = StreamSink(self._service.limits.captureQueue)
        capture: Capture | None = None

        def ended() -> None:
            sink.gone()
            if capture is not None:
                self._captures.discard(capture)
                self._service.endCapture(capture)

        stream = AnswerStream(request, CONTENT_TYPE, ended, sink.resumed)
        capture = self._service.capture(sink, udid, port)
        self._captures.add(capture)
        sink.begin(stream)
        _log.info(
            "{peer} captures what {udid} says on {port}",
            peer=peer,
            udid=udid or "each phone",
            port="all ports" if port is None else f"port {port}",
        )
        return NOT_DONE_YET

    def _wanted(self, request: Request) -> tuple[str | None, int | None]:
        """
        The phone and the port that are wanted, None for all.

        @raise RequestError: They make no sense.
        """
        given: dict[bytes, list[bytes]] = request.args or {}
        unknown = sorted(set(given) - {b"udid", b"port"})
        if unknown or any(len(each) > 1 for each in given.values()):
            raise RequestError(400, "capture takes one udid and one port, which may be left out")
        udid = port = None
        if b"udid" in given:
            text = given[b"udid"][0].decode("utf-8", "replace")
            if not text or len(text) > LONGEST_UDID or not text.isprintable():
                raise RequestError(400, "udid: expected a UDID")
            udid = canonicalUDID(text)
        if b"port" in given:
            digits = given[b"port"][0]
            port = int(digits) if digits.isdigit() and len(digits) < 6 else 0
            if not 0 < port <= MOST_PORT:
                raise RequestError(400, f"port: expected 1 to {MOST_PORT}")
        return udid, port
