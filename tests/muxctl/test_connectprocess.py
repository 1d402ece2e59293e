"""
Tests for C{muxctl connect} as a process: L{muxd.muxctl.stdio}.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.client.fakedaemon import (
    PATIENCE,
    FakeDaemon,
    Peer,
    Script,
    connecting,
    untilClosed,
)
from tests.muxctl.console import BLOB, LISTED, echo
from tests.running.processes import startsProcesses


@startsProcesses
class ProcessTests(SynchronousTestCase):
    """
    C{muxctl connect} as a process of its own.
    """

    def start(self, phone: Script, **streams: object) -> subprocess.Popen[bytes]:
        """
        Start it.
        """
        fake = FakeDaemon(self, LISTED, connecting(phone))
        environ = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        command = [sys.executable, "-m", "muxd.muxctl", "-s", fake.address.path, "connect", "7"]
        options: dict[str, object] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        # Whoever runs us may have this signal ignored, and so would the program.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                env=environ,
                **(options | streams),  # type: ignore[call-overload]  # keywords from a dictionary
            )
        finally:
            signal.signal(signal.SIGINT, before)
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        return process

    def test_pipes(self) -> None:
        """
        It copies pipes both ways.
        """
        out, err = self.start(echo).communicate(BLOB, PATIENCE)
        self.assertEqual(err, b"")
        self.assertEqual(out, BLOB)

    def test_exitWithInputOpen(self) -> None:
        """
        It ends with the phone, cleanly, while its input is still open.
        """
        process = self.start(lambda peer: peer.socket.sendall(b"bye"))
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.read(), b"bye")
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(process.stderr.read(), b"")

    def test_interrupt(self) -> None:
        """
        An interrupt ends it without a traceback.
        """

        def phone(peer: Peer) -> None:
            peer.socket.sendall(b"ready")
            untilClosed(peer)

        process = self.start(phone)
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.read(5), b"ready")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 130)
        self.assertEqual(process.stderr.read(), b"")

    def test_nobodyReads(self) -> None:
        """
        So does an output that nobody reads.
        """
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as stdout:

            def phone(peer: Peer) -> None:
                peer.socket.sendall(b"x")
                untilClosed(peer)

            process = self.start(phone, stdout=stdout)
            assert process.stderr is not None
            self.assertEqual(process.wait(PATIENCE), 141)
            self.assertEqual(process.stderr.read(), b"")
