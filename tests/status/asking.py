"""
What the tests of the status socket have in common: a service, its status socket, and
clients of that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.service import MuxService
from muxd.status.server import StatusServer
from muxd.testing import BudgetTransport
from tests.shelf import Source

TINY = Limits(
    statusConnections=4,
    statusStreams=2,
    statusBody=1000,
    statusTimeout=30.0,
    statusPatience=20.0,
    actionTimeout=60.0,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An answer of HTTP.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> Reply:
        """
        The one answer that these bytes are.
        """
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return cls(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body)

    @property
    def values(self) -> Any:
        """
        The body's JSON.
        """
        return json.loads(self.body)


def request(
    path: str, method: str = "GET", body: bytes = b"", host: str = "localhost", **headers: str
) -> bytes:
    """
    The bytes of a request.

    @param headers: More of them, with underscores for dashes.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def posted(path: str, values: object, **headers: str) -> bytes:
    """
    The bytes of a request for an action.
    """
    return request(
        path, "POST", json.dumps(values).encode(), Content_Type="application/json", **headers
    )


class StatusTestCase(SynchronousTestCase):
    """
    A service with one phone, whose status socket is asked in memory.
    """

    limits = TINY
    place = "unix:/nowhere/status"

    def setUp(self) -> None:
        """
        Have the service, and watch the log.
        """
        self.reactor = MemoryReactorClock()
        self.service = MuxService(
            self.reactor,
            listen=["tcp:27015"],
            sources=[Source],
            configDir=self.mktemp(),
            limits=self.limits,
        )
        self.server = StatusServer(
            self.reactor, self.service, self.place, now=lambda: 1e9, names=lambda: "farm1.example"
        )
        (source,) = self.service.sources
        assert isinstance(source, Source)
        self.source = source
        # The phone of this source has no lockdownd that could be asked.
        self.patch(self.server.overview.details, "of", lambda attached: {})
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def client(self, budget: int | None = None) -> BudgetTransport:
        """
        A client that has connected.
        """
        return BudgetTransport.connect(self.reactor, self.server.site, budget)

    def ask(self, data: bytes) -> Reply:
        """
        What a new client is answered.
        """
        client = self.client()
        client.deliver(data)
        reply = Reply.parse(client.value())
        client.lose()
        return reply

    def get(self, path: str, host: str = "localhost") -> Reply:
        """
        What a question is answered.
        """
        return self.ask(request(path, host=host))
