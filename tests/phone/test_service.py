# -*- test-case-name: tests.phone.test_service -*-
"""
Tests of L{muxd.phone.service}.
"""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.limits import LIMITS
from muxd.net.socketfile import CannotListen
from muxd.phone.iphone import Phone
from muxd.phone.service import PhoneService
from muxd.phone.usbip.server import UsbipFactory
from muxd.phone.usbip.vhci import VirtualController
from muxd.testing import BudgetTransport

USBIP = "tcp:3240:interface=127.0.0.1"


class PhoneServiceTests(SynchronousTestCase):
    """
    Tests of L{PhoneService}.
    """

    def setUp(self) -> None:
        """
        Two phones.
        """
        self.reactor = MemoryReactorClock()
        self.phones = [Phone(self.reactor, serial=f"{n:024}") for n in range(2)]

    def make(self, **options: Any) -> PhoneService:
        """
        A service of theirs.
        """
        return PhoneService(self.reactor, self.phones, **options)

    def plugged(self, service: PhoneService) -> list[bool]:
        """
        Which phones are plugged in.
        """
        return [bool(each.stats()["plugged"]) for each in service.stations]

    def connect(self, number: int) -> BudgetTransport:
        """
        A connection to one of the listening ports.
        """
        return BudgetTransport.connect(self.reactor, self.reactor.tcpServers[number][1])

    def test_interface(self) -> None:
        """
        It is a service.
        """
        verifyObject(IService, self.make())

    def test_start(self) -> None:
        """
        The phones are plugged in once it runs, and hosts and programs can connect.
        """
        service = self.make(usbip=[USBIP], control=["tcp:7000:interface=127.0.0.1"])
        self.assertEqual(self.plugged(service), [False, False])
        service.startService()
        self.assertEqual(self.plugged(service), [True, True])
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [3240, 7000])
        program = self.connect(1)
        program.deliver(b"plug 1\n")
        self.assertEqual(program.value(), b'{"error": "it is plugged in already"}\n')

    def test_unplugged(self) -> None:
        """
        They can be left unplugged.
        """
        service = self.make(plugged=False)
        service.startService()
        self.assertEqual(self.plugged(service), [False, False])

    def test_stop(self) -> None:
        """
        Stopping pulls the phones out and closes what is open, and it can be started
        again.
        """
        service = self.make(usbip=[USBIP], control=["tcp:7000:interface=127.0.0.1"])
        service.startService()
        transports = [self.connect(0), self.connect(1)]
        stopped = service.stopService()
        self.reactor.pump([0, 0, 0])
        self.successResultOf(stopped)
        self.assertEqual([t.disconnected for t in transports], [True, True])
        self.assertEqual(self.plugged(service), [False, False])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        service.startService()
        self.assertEqual(self.plugged(service), [True, True])

    def test_stopWithoutReader(self) -> None:
        """
        A program that does not read its answers delays the end no longer than the
        limit says.
        """
        service = self.make(control=["tcp:7000:interface=127.0.0.1"])
        service.startService()
        transport = self.connect(0)
        transport.budget = 0
        transport.deliver(b"help\n")
        stopped = service.stopService()
        self.reactor.pump([0, 0])
        self.assertNoResult(stopped)
        self.reactor.advance(LIMITS.stopTimeout)
        self.successResultOf(stopped)

    def test_refused(self) -> None:
        """
        A start that is not possible leaves nothing: phones that found no place stay
        out, and nobody listens.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        controller = VirtualController(self.reactor, directory=directory)
        service = self.make(usbip=[USBIP], controller=controller)
        error = self.assertRaises(CannotListen, service.startService)
        self.assertIn("phone 1: ", str(error))
        self.assertIn("modprobe vhci-hcd", str(error))
        self.assertEqual(self.reactor.tcpServers, [])

    def test_inTheWay(self) -> None:
        """
        Nor are they plugged in where the control socket's place is taken.
        """
        path = os.path.abspath(self.mktemp())
        os.makedirs(path)
        service = self.make(control=[f"unix:{path}"])
        error = self.assertRaises(CannotListen, service.startService)
        self.assertIn("is not a socket", str(error))
        self.assertEqual(self.plugged(service), [False, False])

    def test_noSuchAddress(self) -> None:
        """
        Nor where a phone's address on the network is none of this machine's, which is one line.
        """
        service = self.make(wifi=["192.0.2.1"])
        refused = CannotListenError("192.0.2.1", 62078, "Cannot assign requested address")
        with patch.object(self.reactor, "listenTCP", side_effect=refused):
            error = self.assertRaises(CannotListen, service.privilegedStartService)
        self.assertIn("192.0.2.1, port 62078: Cannot assign requested address", str(error))
        self.assertEqual(self.plugged(service), [False, False])

    def test_wrongDescription(self) -> None:
        """
        What is no endpoint is refused before anything is done.
        """
        self.assertRaises(ValueError, self.make, usbip=["nonsense"])

    def test_quit(self) -> None:
        """
        Without a process to end, the command stops the service.
        """
        service = self.make(control=["tcp:7000:interface=127.0.0.1"])
        service.startService()
        transport = self.connect(0)
        transport.deliver(b"quit\n")
        self.reactor.pump([0, 0, 0])
        self.assertEqual(transport.value(), b'"ok"\n')
        self.assertFalse(service.running)

    def test_controller(self) -> None:
        """
        On a controller of this machine stopping waits for the kernel.
        """

        class Controller(VirtualController):
            def plug(self, gadget: Any) -> int:
                return 5

        service = self.make(controller=Controller(self.reactor))
        service.startService()
        self.successResultOf(service.stopService())

    def test_factory(self) -> None:
        """
        Hosts are let in by a L{UsbipFactory}.
        """
        self.make(usbip=[USBIP]).startService()
        self.assertIsInstance(self.reactor.tcpServers[0][1], UsbipFactory)
