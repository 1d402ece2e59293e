"""
A host for scenarios, on a real reactor, with what it needs to see what is left of it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import threading
from collections.abc import Coroutine
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from usb.core import find

from bench.soak.pattern import pattern
from muxd.device.muxer import Muxer
from muxd.device.transport import SessionTransport
from muxd.limits import LIMITS, Limits
from muxd.usb.asynchronous.link import AsynchronousLink
from muxd.usb.engines import LinkState, linkFactory
from muxd.usb.libraries import newContext
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded.link import ThreadedLink

ECHO = 7
CHARGEN = 19
MEBIBYTE = 1 << 20


def control(command: str) -> dict[str, Any]:
    """
    Tell the phones something.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(os.environ["RIG_CONTROL"])
        channel.send(command.encode())
        answer: dict[str, Any] = json.loads(channel.recv(65536))
        return answer


def leftovers() -> tuple[list[str], list[str]]:
    """
    The files that are open and the threads that are the engine's.

    The stand-in's library has an inotify descriptor where libusb has none, and closes it
    in its own time.
    """
    gc.collect()
    files = []
    for name in os.listdir("/proc/self/fd"):
        try:
            kind, _, what = os.readlink(f"/proc/self/fd/{name}").partition(":")
        except OSError:  # what the directory itself was read with
            continue
        if what != "inotify":
            files.append(kind)
    return sorted(files), [t.name for t in threading.enumerate() if t.name.startswith("usb-")]


class Client(Protocol):
    """
    Collects what comes.

    @ivar session: Its transport.
    @ivar enough: Fires when as much has come as was asked for.
    @ivar lost: Fires with why when the session has ended.
    """

    session: SessionTransport

    def __init__(self, size: int) -> None:
        self.received = bytearray()
        self.enough: Deferred[None] = Deferred()
        self.lost: Deferred[str] = Deferred()
        self._size = size

    def connectionMade(self) -> None:
        """
        Remember what is being talked to.
        """
        self.session = cast(SessionTransport, self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what was asked for.
        """
        if len(self.received) < self._size:
            self.received += data
            if len(self.received) >= self._size:
                self.enough.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        Tell.
        """
        assert reason is not None
        self.lost.callback(reason.getErrorMessage())
        if len(self.received) < self._size:
            self.enough.errback(reason)


class Host:
    """
    One phone, opened as the daemon does, without the daemon.
    """

    link: AsynchronousLink | ThreadedLink
    muxer: Muxer

    def __init__(self, reactor: Any, engine: str, limits: Limits = LIMITS) -> None:
        self.reactor = reactor
        self.engine = engine
        self.limits = limits
        # pyusb keeps the first context for itself.
        newContext()
        self.before = leftovers()

    async def open(self) -> None:
        """
        Find the first phone and agree with it on a version.
        """
        device = find(backend=newContext(), idVendor=0x05AC)
        phone = PhoneOpener(USBSettings()).open(device)
        link = linkFactory(self.engine)(self.reactor, phone, self.limits)
        self.link = cast(AsynchronousLink, link)
        self.muxer = Muxer(self.reactor, "phone", self.limits)
        await self.muxer.handshake(self.link)

    async def connect(self, port: int, size: int) -> Client:
        """
        Open a session.
        """
        client = Client(size)
        factory = Factory.forProtocol(lambda: client)
        await self.muxer.connect(port, factory)
        return client

    async def echo(self, size: int) -> None:
        """
        Have random bytes sent back, and compare them.
        """
        client = await self.connect(ECHO, size)
        data = random.randbytes(size)
        client.session.write(data)
        await client.enough
        assert client.received == data, "the echo is not what was sent"
        client.session.loseConnection()
        await client.lost

    async def download(self, size: int) -> None:
        """
        Read from a port that sends for ever, and compare that.
        """
        client = await self.connect(CHARGEN, size)
        await client.enough
        client.session.abortConnection()
        assert client.received[:size] == pattern(0, size), "the download is not what was sent"

    async def busy(self) -> list[Client]:
        """
        Sessions that have transfers on the way in both directions, and do not
        end by themselves.
        """
        clients = [await self.connect(port, MEBIBYTE) for port in (ECHO, CHARGEN) * 2]
        for client in clients[::2]:
            client.session.write(bytes(64 * MEBIBYTE))
        for client in clients:
            await client.enough
        return clients

    async def close(self) -> None:
        """
        End; see that nothing is left.
        """
        self.muxer.stop()
        await self.link.close()
        assert self.link.state is LinkState.CLOSED
        del self.link, self.muxer
        after = leftovers()
        assert after == self.before, f"before: {self.before}, after: {after}"


async def everything(*coroutines: Coroutine[Any, Any, None]) -> None:
    """
    Wait for several things that happen at once.
    """
    deferreds = [Deferred.fromCoroutine(each) for each in coroutines]
    await DeferredList(deferreds, fireOnOneErrback=True, consumeErrors=True)
