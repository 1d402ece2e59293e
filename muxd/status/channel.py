# -*- test-case-name: tests.status.test_channel -*-
"""
HTTP with limits: how long a request may be, how long it may take, how many there are, and
how long an answer may wait for its reader.

C{twisted.web} has a time-out for silence, which a sender of one byte a minute never
meets, none for readers that do not read, and no limit to a body.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from muxd.limits import Limits
from muxd.ratelimit import RateLimit
from muxd.status.answers import RequestError, answerError, encode
from muxd.status.visitors import Doorkeeper

HEADERS = (
    (b"Cache-Control", b"no-store"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        b" img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Server", b"usbmuxd"),
)
"""What each answer says."""

SILENCE = 1.0
"""Seconds for which a connection has to have been silent before it gives way to another one."""

PARAMETERS = 16
"""How many parameters a query may have."""


class StatusRequest(Request):
    """
    A request whose body has a limit, and is read by none but its resource.

    @ivar isRefused: Whether it has been answered before it was complete.
    """

    isRefused = False
    channel: StatusChannel

    def gotLength(self, length: int | None) -> None:
        """
        The headers are complete.

        @param length: How long the body says it is; None if it does not say.
        """
        self.content = BytesIO()
        if length is not None and length > self.channel.site.limits.statusBody:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Some of the body has come.
        """
        if self.isRefused:
            return
        assert self.content is not None
        if self.content.tell() + len(data) > self.channel.site.limits.statusBody:
            self._refuse()
        else:
            self.content.write(data)

    def _refuse(self) -> None:
        self.isRefused = True
        most = self.channel.site.limits.statusBody
        self.channel.refuse(413, b"Content Too Large", f"expected a body of at most {most} bytes")

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        The request is complete.  Its body is not looked at here, whatever it says it is.
        """
        if self.isRefused:
            return
        assert self.content is not None
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        try:
            self.args = parse_qs(query, True, max_num_fields=PARAMETERS)
        except ValueError:
            self.args = {}
        self.process()

    def process(self) -> None:
        """
        Answer it, if it may be answered.
        """
        self.channel.isBusy = True
        for name, value in HEADERS:
            self.setHeader(name, value)
        try:
            self.channel.site.doorkeeper.check(self)
        except RequestError as error:
            body = answerError(self, error)
            self.write(body)
            self.finish()
            return
        super().process()

    def render(self, resrc: IResource) -> None:
        """
        Have a resource answer it.
        """
        self.setHeader(b"Server", b"usbmuxd")
        super().render(resrc)


class StatusChannel(HTTPChannel):
    """
    A connection.

    @ivar isBusy: Whether a whole request has come, whose answer is not done; otherwise it is
        silent, and has to go when there is no room for others.
    """

    isBusy = False
    totalHeadersSize = 8192
    maxHeaders = 64
    site: StatusSite
    transport: Any
    _isOver = False
    _unread: http.Request | None = None

    def connectionMade(self) -> None:
        """
        It is counted; one too many is told so and let go.
        """
        super().connectionMade()
        if not self.site.admit(self):
            self.refuse(
                503,
                b"Service Unavailable",
                f"there are {self.site.limits.statusConnections} connections already",
            )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.site.gone(self)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """
        More has come, of which nothing is read behind a request that was refused.
        """
        if not self._isOver:
            super().dataReceived(data)

    def resetTimeout(self) -> None:
        """
        The time for a request is counted from its beginning, or from the last answer,
        however many bytes come in between.
        """

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        A line has no end.
        """
        self.refuse(431, b"Request Header Fields Too Large", "expected shorter headers")

    def requestDone(self, request: http.Request) -> None:
        """
        A request has been answered.  The next one has to wait until the answer is read:
        there may be a thousand of them in what has been received already.
        """
        if self._waitingForTransport:
            self._unread = request
            self.setTimeout(self.site.timeOut)
        else:
            self._answered(request)

    def resumeProducing(self) -> None:
        """
        What was written has been read.
        """
        super().resumeProducing()
        request, self._unread = self._unread, None
        if request is not None:
            self._answered(request)

    def _answered(self, request: http.Request) -> None:
        self.isBusy = False
        self.site.silent(self)
        super().requestDone(request)

    def refuse(self, status: int, phrase: bytes, text: str) -> None:
        """
        Answer without more ado, and let the client go.
        """
        body = encode({"error": text})
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nConnection: close\r\n" % (
            status,
            phrase,
        )
        self.transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        self._isOver = True
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        Close when the last answer has been read, but do not wait for that forever.
        """
        if self._abortingCall is None:
            self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        super().loseConnection()

    def timeoutConnection(self) -> None:
        """
        No request has come in time: that is worth no line.
        """
        self.loseConnection()

    def forceAbortClient(self) -> None:
        """
        It does not read its answer.
        """
        self._abortingCall = None
        self.site.dropped("connections to the status socket whose client does not read")
        self.transport.abortConnection()


class StatusSite(Site):
    """
    What all connections have in common.

    @ivar limits: What they may cost.
    @ivar doorkeeper: Says which requests are taken.
    @ivar streams: How many answers without an end are being sent.
    """

    _log = Logger()
    noisy = False
    protocol = StatusChannel  # type: ignore[assignment]
    requestFactory = StatusRequest

    def __init__(
        self, resource: IResource, clock: IReactorTime, limits: Limits, doorkeeper: Doorkeeper
    ) -> None:
        super().__init__(resource, timeout=limits.statusTimeout, reactor=clock)
        self.limits = limits
        self.doorkeeper = doorkeeper
        self.streams = 0
        self._clock = clock
        # Since when they may have been silent; those for the longest come first.
        self._channels: dict[StatusChannel, float] = {}
        self._limit = RateLimit(clock, self._summarise)

    def startFactory(self) -> None:
        """
        There is no log of requests, whose lines would have a time that is kept up to date.
        """

    def stopFactory(self) -> None:
        """
        It listens no more.
        """
        self._limit.stop()

    def log(self, request: http.Request) -> None:
        """
        A request was answered, which is worth no line.
        """

    @property
    def connections(self) -> int:
        """
        How many clients are connected.
        """
        return len(self._channels)

    def admit(self, channel: StatusChannel) -> bool:
        """
        A client is there; if there are too many, the one that has been silent for the longest
        gives way, unless it has hardly had the time to speak.

        @return: Whether there is room for it.
        """
        now = self._clock.seconds()
        if len(self._channels) >= self.limits.statusConnections:
            longest = next((each for each in self._channels if not each.isBusy), None)
            if longest is None or now - self._channels[longest] < SILENCE:
                self.dropped("connections to the status socket beyond its limit")
                return False
            self.dropped("silent connections to the status socket, as there are too many")
            self.gone(longest)
            longest.transport.abortConnection()
        self._channels[channel] = now
        return True

    def silent(self, channel: StatusChannel) -> None:
        """
        A client has had its answer.
        """
        if channel in self._channels:
            del self._channels[channel]
            self._channels[channel] = self._clock.seconds()

    def gone(self, channel: StatusChannel) -> None:
        """
        A client has gone, or was not let in.
        """
        self._channels.pop(channel, None)

    def disconnect(self) -> None:
        """
        Make all clients go: the daemon ends.
        """
        for channel in tuple(self._channels):
            channel.transport.abortConnection()

    def dropped(self, kind: str) -> None:
        """
        A connection was ended by us.
        """
        if self._limit.admit(kind):
            self._log.info("dropped one of the {kind}", kind=kind)

    def _summarise(self, kind: str, count: int) -> None:
        self._log.info("... and {count} more {kind}.", count=count, kind=kind)
