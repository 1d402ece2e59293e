# -*- test-case-name: tests.integration.test_relay -*-
"""
C{twistd tcprelay} and C{muxctl relay} with daemons in processes of their own.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import cast
from unittest import SkipTest

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, TWISTD
from tests.integration.relays import BULK, ECHO, MIB, RelayCase

CROWD = 500
MUXCTL = (sys.executable, "-m", "muxd.muxctl")


class TransferTests(RelayCase):
    """
    What goes through a relay.
    """

    def test_bulk(self) -> None:
        """
        256 MiB come back as they were; the log has one line about it.
        """
        port = self.startRelay(self.sharedDaemon(), f"{ECHO}:0")
        with self.dial(port) as stream:
            self.assertBulk(stream)
        line = self.waitFor(
            self.relay, r"sent (\d+) bytes to port 7 of the only phone and got (\d+)"
        )
        self.assertEqual((int(line[1]), int(line[2])), (BULK, BULK))

    def test_halfClose(self) -> None:
        """
        A client that has finished sending still gets all of the answer.
        """
        port = self.startRelay(self.sharedDaemon(), "-b", "64", f"{ECHO}:0")
        stream = self.dial(port)
        stream.sendall(bytes(MIB))
        stream.shutdown(socket.SHUT_WR)
        count = 0
        while count < MIB and (chunk := stream.recv(MIB)):
            count += len(chunk)
        self.assertEqual(count, MIB)

    def test_crowd(self) -> None:
        """
        500 connections at once are 500 echoes.
        """
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < 4 * CROWD:
            raise SkipTest(f"only {hard} open files are allowed here")
        port = self.startRelay(self.sharedDaemon(), f"{ECHO}:0")
        selector = selectors.DefaultSelector()
        self.addCleanup(selector.close)
        waiting = {}
        for number in range(CROWD):
            stream = self.dial(port)
            text = f"connection {number}".encode()
            stream.sendall(text)
            waiting[stream] = text
            selector.register(stream, selectors.EVENT_READ)
        end = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < end:
            for key, _ in selector.select(1.0):
                stream = cast(socket.socket, key.fileobj)
                data = stream.recv(1024)
                self.assertTrue(waiting[stream].startswith(data) and data)
                waiting[stream] = waiting[stream][len(data) :]
                if not waiting[stream]:
                    del waiting[stream]
                    selector.unregister(stream)
        self.assertEqual(waiting, {})

    def test_pairs(self) -> None:
        """
        Any listening endpoint leads to any client endpoint, and C{muxctl relay}
        is the same program.
        """
        daemon = self.sharedDaemon()
        path = f"{self.makeDirectory()}/relay"
        process = subprocess.Popen(
            [*MUXCTL, "relay", "--from", f"unix:{path}", "--to", f"usbmux:port={ECHO}"],
            env=daemon.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if "listening on" in line:
                break
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(PATIENCE)
            stream.connect(path)
            self.assertEchoes(stream)
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_taken(self) -> None:
        """
        A port that is taken is one line under either name; the exit status is 1 as of any daemon
        that cannot start, and with C{muxctl} the one that its manual has for what fails.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            word = f"{ECHO}:{taken.getsockname()[1]}"
            relays = ((sys.executable, *TWISTD, "tcprelay"), 1), ((*MUXCTL, "relay"), 5)
            for command, status in relays:
                done = subprocess.run(
                    [*command, word],
                    env={**os.environ, "PYTHONPATH": str(PROJECT)},
                    cwd=self.makeDirectory(),
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                output = done.stdout + done.stderr
                self.assertEqual(done.returncode, status, output)
                self.assertEqual(output.count("Address already in use"), 1)
                self.assertNotIn("Traceback", output)


class OtherReactorTests(TransferTests):
    """
    The same where the reactor has no event loop of ours.
    """

    runnerOptions = ("--reactor=poll",)


class ChangeTests(RelayCase):
    """
    A relay outlives phones and daemons.
    """

    def test_replugged(self) -> None:
        """
        When the phone is pulled out its connections end; when it is plugged in
        again, the next ones work.
        """
        daemon = self.startPhone()
        assert daemon.process is not None
        port = self.startRelay(daemon, f"{ECHO}:0")
        stream = self.dial(port)
        self.assertEchoes(stream)
        daemon.process.send_signal(signal.SIGUSR2)
        self.assertEqual(stream.recv(1), b"")
        self.eventually(lambda: not self.answers(port))
        daemon.process.send_signal(signal.SIGUSR2)
        self.eventually(lambda: self.answers(port))
        self.waitFor(self.relay, "was not connected to port 7 of the only phone: .* knows no phone")

    def test_daemonKilled(self) -> None:
        """
        When the daemon is killed the connections end; when there is another, the
        next ones work.
        """
        daemon = self.startDaemon()
        port = self.startRelay(daemon, f"{ECHO}:0")
        stream = self.dial(port)
        self.assertEchoes(stream)
        daemon.kill()
        self.assertEqual(stream.recv(1), b"")
        self.assertFalse(self.answers(port))
        self.restart(daemon)
        self.assertTrue(self.answers(port))
        self.waitFor(self.relay, "was not connected to port 7 of the only phone: no usbmuxd at ")


class CDaemonTests(RelayCase):
    """
    The relay with the C daemon.
    """

    def test_bulk(self) -> None:
        """
        The relay works with the C daemon as well.
        """
        daemon = self.startCDaemon()
        port = self.startRelay(daemon, f"{ECHO}:0")
        with self.dial(port) as stream:
            self.assertBulk(stream, BULK // 8)
