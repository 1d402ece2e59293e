# -*- test-case-name: tests.fleet.test_source -*-
"""
Tests of L{muxd.fleet.source}, L{muxd.fleet.phone} and L{muxd.fleet.reserved}: what clients see.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from muxd.client.access import DaemonAccess
from muxd.client.client import UsbmuxClient
from muxd.fleet.interfaces import IFleetWatcher
from muxd.fleet.reserved import ReservedService
from muxd.fleet.source import FleetSource
from muxd.fleet.ways import Ways
from muxd.interfaces import IDeviceSource, IForeignDevice
from muxd.server.intake import DeviceIntake
from muxd.service import MuxService
from tests.fleet.fleets import udid
from tests.fleet.world import ECHO, Stream, WorldCase, listed

ALL = "/all"


class SourceTests(WorldCase):
    """
    A hub's socket.
    """

    def setUp(self) -> None:
        """
        A daemon whose phones are those of the fleet, and two hosts.
        """
        super().setUp()
        # That needs the records' thread, which is none of this world.
        self.patch(DeviceIntake, "_compareIdentities", lambda intake, device: None)
        world = self.world
        ways = Ways(world.reactor, "unix:/hub")
        self.mux = MuxService(
            world.reactor,
            sources=[lambda receiver: FleetSource(world.reactor, receiver, world.hub, ways)],
            configDir=world.directory,
        )
        (source,) = self.mux.sources
        assert isinstance(source, FleetSource)
        self.source = source
        source.startService()
        self.addCleanup(source.stopService)
        world.listeners[ALL] = self.mux.server
        self.a = world.addHost("a", 1)
        self.b = world.addHost("b", 2)

    def phone(self, number: int) -> Any:
        """
        A phone, as clients have it.
        """
        attached = self.mux.registry.findByUDID(udid(number))
        assert attached is not None
        return attached.device

    def test_interfaces(self) -> None:
        """
        It is a source, and its phones are other hosts'.
        """
        self.assertTrue(verifyObject(IDeviceSource, self.source))
        self.assertTrue(verifyObject(IFleetWatcher, self.source))
        self.assertTrue(verifyObject(IForeignDevice, self.phone(1)))
        self.assertEqual(self.phone(1).identity.host, "a")

    def test_listed(self) -> None:
        """
        Every phone is there, until it is pulled out or its host goes.
        """
        self.assertEqual(listed(self.world, ALL), [udid(1), udid(2)])
        self.a.plug(3)
        self.b.host.stopService()
        self.world.settle()
        self.assertEqual(listed(self.world, ALL), [udid(1), udid(3)])

    def test_stream(self) -> None:
        """
        A phone that no job has can be used; one that a job has is cut, refused, and listed.
        """
        stream = self.world.stream(self.phone(1))
        stream.transport.write(b"hello")  # type: ignore[union-attr]
        self.world.settle()
        self.assertEqual(self.a.received(1), b"hello")
        session = self.world.session()
        reserved = self.world.result(session.reserve(udid(1)))
        self.world.settle()
        self.assertFalse(stream.isOpen)
        opened = self.phone(1).endpoint(ECHO).connect(Factory.forProtocol(Stream))
        self.assertIsInstance(self.world.failure(opened), ConnectionLost)
        self.assertIn(udid(1), listed(self.world, ALL))
        self.world.result(session.release(reserved))
        self.world.stream(self.phone(1))

    def test_moves(self) -> None:
        """
        A phone that is plugged into another host is another device.
        """
        before = self.phone(1)
        self.a.unplug(1)
        self.b.plug(1)
        self.world.settle()
        self.assertIsNot(self.phone(1), before)
        self.assertEqual(self.phone(1).identity.host, "b")

    def test_saysMore(self) -> None:
        """
        One of which more is known stays the same device.
        """
        before = self.phone(1)
        self.a.details.said[udid(1)] = {"version": "17.1"}
        self.world.advance(3)
        self.assertEqual(self.world.hub.phones[before.record.key].version, "17.1")
        self.assertIs(self.phone(1), before)

    def test_hostGone(self) -> None:
        """
        A connect to a phone whose host is gone, or silent, fails.
        """
        phone = self.phone(1)
        del self.world.listeners[self.a.path]
        opened = phone.endpoint(ECHO).connect(Factory.forProtocol(Stream))
        self.assertIsInstance(self.world.failure(opened), ConnectionLost)
        self.a.host.stopService()
        self.world.settle()
        opened = phone.endpoint(ECHO).connect(Factory.forProtocol(Stream))
        self.assertIsInstance(self.world.failure(opened), ConnectionLost)

    def test_reserved(self) -> None:
        """
        A reservation's own daemon has that phone alone, and when it is over, none.
        """
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(udid(2)))
        directory = self.mktemp()
        os.mkdir(directory)
        service = ReservedService(self.world.reactor, client.phone(reserved), directory)
        (source,) = service.sources
        source.startService()
        self.world.listeners["/mine"] = service.server
        self.assertEqual(listed(self.world, "/mine"), [udid(2)])
        where = UNIXClientEndpoint(self.world.reactor, "/mine")
        mine = UsbmuxClient(self.world.reactor, DaemonAccess(self.world.reactor, where, "/mine"))
        (phone,) = self.world.result(mine.listDevices())
        connecting = mine.connect(phone, ECHO, Factory.forProtocol(Stream))
        stream: Any = self.world.result(connecting)
        # The phone's host is frozen: it ends nothing.
        self.world.split.add(self.a.path)
        service.lose()
        self.world.settle()
        self.assertFalse(stream.isOpen)
        self.assertEqual(listed(self.world, "/mine"), [])
