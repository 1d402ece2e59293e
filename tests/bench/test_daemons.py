# -*- test-case-name: tests.bench.test_daemons -*-
"""
Tests of L{bench.daemons} and L{bench.isolation}.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from bench.daemons import (
    Daemon,
    DaemonError,
    Relay,
    freePort,
    listening,
)
from bench.subjects import Command, Subject
from muxd.phone.examine.mounts import withPrivateMounts
from tests.running.processes import startsProcesses


class IsolationTests(SynchronousTestCase):
    """
    Tests of L{withPrivateMounts}.
    """

    def test_privateMounts(self) -> None:
        """
        The daemon's own words follow the mounts unchanged.
        """
        command = withPrivateMounts(Path("/d"), ["daemon", "a b"])
        self.assertEqual(command[-3:], ["/d", "daemon", "a b"])
        self.assertIn('exec "$@"', command[-4])


class PortTests(SynchronousTestCase):
    """
    Tests of L{freePort} and L{listening}.
    """

    def test_listening(self) -> None:
        """
        A port is seen to be listened on without connecting to it.
        """
        if not Path("/proc/self/net/tcp").exists():
            self.skipTest("this kernel does not list its sockets")
        port = freePort()
        self.assertNotIn(port, listening())
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
            one.listen()
            self.assertIn(port, listening())


@startsProcesses
class RelayTests(SynchronousTestCase):
    """
    Tests of L{Relay}, with programs of a line.
    """

    def relay(self, program: str) -> Relay:
        """
        Start a relay that is a Python program, which finds its ports in C{sys.argv}.
        """
        if not Path("/proc/self/net/tcp").exists():
            self.skipTest("this kernel does not list its sockets")
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, directory)
        daemon = Daemon.__new__(Daemon)
        daemon.socket = directory / "socket"
        words = f"{sys.executable} -c '{program}' {{socket}} {{echo}} {{discard}} {{chargen}}"
        subject = Subject(key="x", name="X", daemon=Command("none"), relay=Command(words))
        return Relay(subject, daemon, directory)

    def test_ready(self) -> None:
        """
        A relay is ready when it listens on all its ports; ending it ends the process.
        """
        relay = self.relay(
            "import socket,sys,time;"
            'all=[socket.create_server(("127.0.0.1",int(p))) for p in sys.argv[2:]];'
            "time.sleep(60)"
        )
        self.assertTrue(set(relay.ports) <= listening())
        self.assertTrue(relay.running)
        relay.close()
        self.assertFalse(relay.running)

    def test_ends(self) -> None:
        """
        A relay that ends is told with its status and its last words.
        """
        error = self.assertRaises(
            DaemonError, self.relay, 'import sys; print("no phone"); sys.exit(3)'
        )
        for part in ("the relay of X", "status 3", "no phone"):
            self.assertIn(part, str(error))
