"""
Tests of L{muxd.tap.servicemanager}.
"""

from __future__ import annotations

import os
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.servicemanager import LOOK, ServiceManager, sendDatagram, watchdogInterval


class ServiceManagerTests(SynchronousTestCase):
    """
    What systemd is told.
    """

    def setUp(self) -> None:
        """
        A daemon that systemd waits for, 6 s at a time.
        """
        self.clock = Clock()
        self.told: list[str] = []
        self.status = "0 phones"
        self.environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "6000000"}

    def manager(self) -> ServiceManager:
        """
        The way to it.
        """
        return ServiceManager(
            self.clock,
            lambda: self.status,
            self.environ,
            lambda address, data: self.told.append(f"{address} {data.decode()}"),
        )

    def test_ready(self) -> None:
        """
        That the daemon is ready comes first, then its status and that it is alive, three times
        in the time that systemd waits; a status is told when it has changed.
        """
        manager = self.manager()
        manager.ready()
        self.clock.advance(2)
        self.status = "1 phone"
        self.clock.advance(2)
        self.clock.advance(1.9)
        self.assertEqual(
            self.told,
            [
                "/run/n READY=1",
                "/run/n WATCHDOG=1\nSTATUS=0 phones",
                "/run/n WATCHDOG=1",
                "/run/n WATCHDOG=1\nSTATUS=1 phone",
            ],
        )

    def test_stopping(self) -> None:
        """
        A daemon that ends says so, and then nothing more; no timer is left.
        """
        manager = self.manager()
        manager.ready()
        self.told.clear()
        manager.stopping()
        self.assertEqual(self.told, ["/run/n STOPPING=1\nSTATUS=stopping"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        manager.stopping()

    def test_reloading(self) -> None:
        """
        One that reads its configuration again says when it began, and is ready once more.
        """
        manager = self.manager()
        manager.ready()
        self.told.clear()
        manager.reloading()
        manager.ready()
        self.assertRegex(self.told[0], r"^/run/n RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(self.told[1], "/run/n READY=1")

    def test_unwatched(self) -> None:
        """
        Where systemd does not wait for signs of life, it is told of changes alone.
        """
        del self.environ["WATCHDOG_USEC"]
        self.manager().ready()
        self.clock.pump([LOOK, LOOK])
        self.assertEqual(self.told, ["/run/n READY=1", "/run/n STATUS=0 phones"])

    def test_nobody(self) -> None:
        """
        A daemon that systemd has not started tells nothing, and has no timer.
        """
        self.environ.clear()
        manager = self.manager()
        manager.ready()
        manager.reloading()
        manager.stopping()
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))

    def test_deaf(self) -> None:
        """
        That nothing is heard at the other end does no harm.
        """

        def refuse(*_: object) -> None:
            raise ConnectionRefusedError

        manager = ServiceManager(self.clock, lambda: self.status, self.environ, refuse)
        manager.ready()
        self.clock.advance(2)
        manager.stopping()

    def test_interval(self) -> None:
        """
        What the environment says counts for the process that it names, and if it makes sense.
        """
        pid = os.getpid()
        for environ, seconds in (
            ({}, 0.0),
            ({"WATCHDOG_USEC": "30000000"}, 30.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(pid)}, 30.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(pid + 1)}, 0.0),
            ({"WATCHDOG_USEC": "soon"}, 0.0),
        ):
            self.assertEqual(watchdogInterval(environ, pid), seconds)


class DatagramTests(SynchronousTestCase):
    """
    Tests of L{sendDatagram}.
    """

    def test_file(self) -> None:
        """
        A socket with a file gets the whole datagram.
        """
        self.receive(path := os.path.relpath(self.mktemp()), path)

    def test_abstract(self) -> None:
        """
        So does one without.
        """
        name = f"muxd-test-{os.getpid()}"
        self.receive(f"\0{name}", f"@{name}")

    def receive(self, name: str, address: str) -> None:
        """
        See a datagram arrive.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(name)
            sendDatagram(address, b"READY=1\nSTATUS=x")
            receiver.settimeout(5)
            self.assertEqual(receiver.recv(100), b"READY=1\nSTATUS=x")

    def test_nobody(self) -> None:
        """
        One that is not there is an error.
        """
        self.assertRaises(OSError, sendDatagram, "/nowhere/at/all", b"")
