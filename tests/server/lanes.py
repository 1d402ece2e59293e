"""
The fast lane, with a phone that the test plays and real sockets.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.device import MuxedDevice
from muxd.limits import LIMITS
from muxd.net.streams import StreamSocket
from muxd.server.factory import ControlFactory
from muxd.server.fastlane import FastLane, LaneClient
from muxd.server.registry import DeviceRegistry
from muxd.testing import ImmediateRecords, MemoryRecordStore, fakeIdentity
from muxd.wire.messages import (
    MessageReader,
)
from tests.device.links import LOCKDOWN, SYN, ScriptedPhone
from tests.net.eventloops import handDrivenLoop
from tests.server.serving import plist

LINUX = sys.platform.startswith("linux")


class Adopting:
    """
    The reactor, as far as the lane needs one.

    @ivar adopted: What has become an ordinary client: the file, and what had been read.
    @ivar protocols: Their protocols.
    """

    def __init__(self) -> None:
        self.adopted: list[tuple[socket.socket, bytes]] = []
        self.protocols: list[Any] = []
        self.numbers: list[int] = []
        self.refusal: OSError | None = None

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> None:
        """
        Keep a copy.
        """
        if self.refusal is not None:
            raise self.refusal
        copy = os.dup(descriptor)
        self.numbers.append(copy)
        protocol = factory.buildProtocol(None)
        self.protocols.append(protocol)
        self.adopted.append((socket.socket(fileno=copy), protocol.early))


@skipUnless(LINUX, "there is no epoll")
class LaneCase(SynchronousTestCase):
    """
    A lane with one phone, which has the number 1.
    """

    limits = LIMITS

    def setUp(self) -> None:
        """
        Make it.
        """
        self.phone = ScriptedPhone.ready()
        self.clock = self.phone.clock
        self.registry = DeviceRegistry()
        records = ImmediateRecords(MemoryRecordStore())
        self.server = ControlFactory(self.clock, self.registry, records, limits=self.limits)
        self.counters = self.server.counters
        self.entrance = self.server.entrance
        self.device = MuxedDevice(fakeIdentity(), self.phone.muxer)
        self.registry.deviceAttached(self.device)
        self.reactor = Adopting()
        self.loop = handDrivenLoop()
        self.lane = FastLane(self.reactor, self.loop, self.server)

    def tearDown(self) -> None:
        """
        Nothing is left.
        """
        self.phone.muxer.stop()
        for client, _ in self.reactor.adopted:
            client.close()
        self.clock.advance(1000)
        self.assertEqual((self.server.clients, self.loop.owners), (set(), []))

    def client(self, data: bytes = b"") -> socket.socket:
        """
        One that has come, and had said this by then.
        """
        client, ours = socket.socketpair()
        client.setblocking(False)
        self.addCleanup(client.close)
        if data:
            client.sendall(data)
        self.letIn(ours.detach())
        return client

    def letIn(self, descriptor: int, family: int = socket.AF_UNIX) -> None:
        """
        Let in the client at the other end of a socket.
        """
        LaneClient(self.lane, StreamSocket(descriptor), family, self.entrance).begin()

    def answer(self, flags: int, payload: bytes = b"") -> None:
        """
        Have the phone answer the last SYN.
        """
        (syn,) = [one for one in self.phone.take() if one.flags == SYN]
        self.phone.deliver(self.phone.segment(LOCKDOWN, syn.sourcePort, 0, 1, flags, payload))
        self.source = syn.sourcePort

    def adopted(self) -> list[bytes]:
        """
        What had been read of those who have become ordinary clients.
        """
        return [data for _, data in self.reactor.adopted]

    def result(self, client: socket.socket) -> tuple[int, int]:
        """
        The tag and number of the Result that a client has got.
        """
        reader = MessageReader(1 << 16)
        reader.feed(client.recv(1 << 16))
        (message,) = list(reader)
        return message.tag, plist(message)["Number"]
