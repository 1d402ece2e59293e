# -*- test-case-name: tests.integration.test_process -*-
"""
The daemon's process: how it starts, how it does not, and what it leaves.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import DAEMONISED, TWIST, TWISTD, Daemon, DaemonTestCase
from tests.integration.test_tools import ECHO


class EndTests(DaemonTestCase):
    """
    The daemon is stopped while a client is listening and another one is
    connected to a phone.
    """

    def setUp(self) -> None:
        """
        Have a daemon with something to tidy up.
        """
        self.daemon = self.startDaemon(phones=2)
        self.busy()

    def busy(self) -> None:
        """
        Have clients.
        """
        listening = self.daemon.conversation()
        self.addCleanup(listening.close)
        listening.ask("Listen")
        self.stream = self.daemon.connect(ECHO)
        self.addCleanup(self.stream.close)
        self.stream.socket.sendall(b"echo")
        self.assertEqual(self.stream.exactly(4), b"echo")

    def test_terminate(self) -> None:
        """
        SIGTERM ends it with status 0, and it leaves nothing.
        """
        self.stop(self.daemon, signal.SIGTERM)
        self.assertEqual(self.stream.untilClosed(), b"")

    def test_interrupt(self) -> None:
        """
        So does SIGINT.
        """
        self.stop(self.daemon, signal.SIGINT)

    def test_hangUp(self) -> None:
        """
        And SIGHUP, which comes when its terminal is closed.
        """
        self.stop(self.daemon, signal.SIGHUP)

    def test_impatience(self) -> None:
        """
        So do both of them together.
        """
        assert self.daemon.process is not None
        # Stopped, so that it cannot have ended when the second one is sent.
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            self.daemon.process.send_signal(number)
        self.assertEqual(self.daemon.wait(), 0)
        self.assertLeftNothing(self.daemon)

    def test_killed(self) -> None:
        """
        SIGKILL leaves the socket's file; the next daemon replaces it, and
        leaves nothing.
        """
        self.daemon.kill()
        self.assertTrue(os.path.exists(self.daemon.socket))
        self.restart(self.daemon, phones=2)
        self.busy()
        self.stop(self.daemon)


class RefusedStartTests(DaemonTestCase):
    """
    A start that cannot succeed is one line and status 1.
    """

    def setUp(self) -> None:
        """
        Have a daemon that has not been started.
        """
        self.daemon = self.makeDaemon()

    def refused(self, *runner: str) -> str:
        """
        Start a daemon that must refuse.

        @return: its line.
        """
        before = self.daemon.log()
        done = subprocess.run(
            [
                *runner,
                sys.executable,
                *TWISTD,
                "usbmuxd",
                *self.daemon.arguments,
                "-s",
                "simulated",
            ],
            cwd="/",
            env=self.daemon.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(self.daemon.log(), before)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        lines = [line for line in done.stdout.splitlines() if self.daemon.socket in line]
        self.assertEqual(len(lines), 1, done.stdout)
        self.assertNotIn("Traceback", done.stdout)
        return lines[0]

    def test_second(self) -> None:
        """
        A second daemon on the same socket is refused, and the first one goes on.
        """
        self.restart(self.daemon, "--no-preflight")
        self.waitFor(self.daemon, "attached as device")
        self.assertIn("another daemon is listening there already", self.refused())
        with self.daemon.connect(ECHO) as stream:
            stream.socket.sendall(b"echo")
            self.assertEqual(stream.exactly(4), b"echo")

    def test_noSocket(self) -> None:
        """
        A file that is no socket is left alone.
        """
        Path(self.daemon.socket).write_text("precious")
        self.assertIn("is not a socket", self.refused())
        self.assertEqual(Path(self.daemon.socket).read_text(), "precious")

    def test_noDirectory(self) -> None:
        """
        A directory that is missing is not made.
        """
        self.daemon.socket = str(self.daemon.directory / "cellar" / "s")
        self.assertIn("there is no directory", self.refused())
        self.assertEqual(list(self.daemon.directory.iterdir()), [])

    def test_noPermission(self) -> None:
        """
        A directory in which the user may not write is told as such.
        """
        directory = self.daemon.directory / "theirs"
        directory.mkdir()
        self.daemon.socket = str(directory / "s")
        directory.chmod(0o555)
        runner: tuple[str, ...] = ()
        if os.geteuid() == 0:
            # Root may write anywhere, unless this is taken from it.
            runner = (self.tool("setpriv"), "--bounding-set=-dac_override", "--inh-caps=-all")
        self.assertIn("may not create a socket there", self.refused(*runner))
        self.assertEqual(list(directory.iterdir()), [])


class RunnerTests(DaemonTestCase):
    """
    The other ways to run the daemon.
    """

    def use(self, daemon: Daemon) -> None:
        """
        Use it.
        """
        with daemon.connect(ECHO) as stream:
            stream.socket.sendall(b"echo")
            self.assertEqual(stream.exactly(4), b"echo")

    def test_twist(self) -> None:
        """
        Under C{twist}, it works and ends in the same way.
        """
        daemon = self.startDaemon(runner=TWIST)
        self.use(daemon)
        self.stop(daemon)

    def test_daemonised(self) -> None:
        """
        As a daemon that has left the terminal, it works, has a pid file and a
        log, and leaves the log when it is stopped.
        """
        daemon = self.makeDaemon()
        pidfile = daemon.directory / "pid"
        options = ("--pidfile", str(pidfile), "--logfile", str(daemon.directory / "twistd.log"))
        self.addCleanup(self.ensureGone, pidfile)
        self.restart(daemon, runner=(*DAEMONISED, *options))
        self.assertEqual(daemon.wait(), 0)
        self.use(daemon)
        number = int(pidfile.read_text())
        os.kill(number, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while Path(f"/proc/{number}/stat").exists() and time.monotonic() < end:
            state = re.sub(r".*\) ", "", _stat(number))
            if state.startswith("Z"):
                # Nobody in this container waits for orphans.
                break
            time.sleep(0.01)
        self.assertLeftNothing(daemon)
        self.assertIn("Server Shut Down", daemon.log())

    def ensureGone(self, pidfile: Path) -> None:
        """
        Kill a daemon that a test which failed has left.
        """
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)


def _stat(number: int) -> str:
    """
    What Linux says of a process.
    """
    try:
        return Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return ""
