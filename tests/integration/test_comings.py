# -*- test-case-name: tests.integration.test_comings -*-
"""
Connections that come and go: nothing of theirs waits for Python's collector.

A connection that leaves a circle of objects behind stays in memory until the collector
looks, and it looked among hundreds of thousands then, for seconds.
"""

from __future__ import annotations

import gc
import socket
from collections import Counter

from twisted.internet import unix
from twisted.internet.threads import deferToThread

from muxd.device.device import MuxedDevice
from muxd.wire.messages import HEADER, connectMessage, plistMessage
from tests.integration.inprocess import ServiceTestCase

COUNT = 400
LIST_DEVICES = plistMessage({"MessageType": "ListDevices"}, 1).encode()
LISTEN = plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 1).encode()
LOCKDOWND = 62078
NOBODYS = 1
"""A port that nothing listens on."""

OURS = ("muxd.server.", "muxd.net.", "muxd.device.")
"""Where the classes are that a connection has objects of."""

LARGE = 20
"""
More objects of one class than this have been left by connections: others are of the
service itself, and few.
"""


def _read(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise EOFError(f"expected {count} bytes, got {len(data)}")
        data += more
    return data


def _ask(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    length = HEADER.unpack(_read(client, HEADER.size))[0]
    return _read(client, length - HEADER.size)


def _objects() -> Counter[str]:
    """
    How many objects there are of each class that a connection has objects of.
    """
    kinds = (type(each) for each in gc.get_objects())
    names = (
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if str(kind.__module__).startswith(OURS) or kind is unix.Server
    )
    return Counter(names)


class ComingsTests(ServiceTestCase):
    """
    Many connections, one after the other, with the collector switched off.
    """

    async def leaveNothing(self, *requests: bytes, count: int = COUNT) -> None:
        """
        Have so many clients connect, ask, read the answers, and leave.
        """

        def come() -> None:
            for _ in range(count):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(self.path)
                    client.settimeout(30)
                    for request in requests:
                        _ask(client, request)

        gc.collect()
        before = _objects()
        gc.disable()
        self.addCleanup(gc.enable)
        await deferToThread(come)
        factory = self.service._factory
        self.assertTrue(await self.until(lambda: not factory.clients))
        [attached] = self.service.registry.attached()
        device = attached.device
        assert isinstance(device, MuxedDevice)
        await self.until(lambda: not list(device.muxer.sessions))
        more = _objects() - before
        self.assertEqual({name: number for name, number in more.items() if number > LARGE}, {})

    async def test_silent(self) -> None:
        """
        Clients that connect and leave.
        """
        await self.leaveNothing()

    async def test_commands(self) -> None:
        """
        Clients that ask for something.
        """
        await self.leaveNothing(LIST_DEVICES)

    async def test_listeners(self) -> None:
        """
        Clients that listen.
        """
        await self.leaveNothing(LISTEN)

    async def test_streams(self) -> None:
        """
        Clients that are led to a phone at once.
        """
        await self.leaveNothing(connectMessage(1, LOCKDOWND, 1).encode(), count=COUNT // 4)

    async def test_streamsLater(self) -> None:
        """
        Clients that are led to a phone when they have asked for something else.
        """
        connect = connectMessage(1, LOCKDOWND, 1).encode()
        await self.leaveNothing(LIST_DEVICES, connect, count=COUNT // 4)

    async def test_refused(self) -> None:
        """
        Clients that ask for a port that there is not.
        """
        await self.leaveNothing(connectMessage(1, NOBODYS, 1).encode(), count=COUNT // 4)
