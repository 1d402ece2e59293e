"""
The daemon in a process of its own, and the programs that are its clients.

Everything here blocks, so the test cases are synchronous; every wait has an end.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from unittest import SkipTest

from twisted.python.reflect import qual
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

import muxd
from tests.integration.conversation import PATIENCE, Conversation
from tests.running.batches import SHARED
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=")
DAEMONISED = ("-c", "from twisted.scripts.twistd import run; run()")
TWIST = ("-m", "twisted")

REQUIRED = "MUXD_REQUIRE_INTEGRATION"
"""Where this is in the environment, nothing may be missing."""

PACKAGES = {
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "iproxy": "libusbmuxd-tools",
    "inetcat": "libusbmuxd-tools",
    "promtool": "prometheus",
    "setpriv": "util-linux",
    "tshark": "tshark",
    "usbip": "usbip",
}
"""The Debian packages of programs; all others are in libimobiledevice-utils."""

TROUBLE = re.compile(r"Traceback|Unhandled|#(error|critical)\]")
"""What no log should have in it."""


class Daemon:
    """
    A daemon that runs in a process and a directory of its own.

    @ivar directory: For all of its files; short, as the path of a UNIX socket is
        limited to 107 bytes.
    @ivar socket: Where it listens, unless its arguments say otherwise.
    @ivar process: The one that was started; a daemonised one is its grandchild.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = str(directory / "s")
        self.records = directory / "lockdown"
        self.process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"

    @property
    def environment(self) -> dict[str, str]:
        """
        What a program needs to find this daemon; and the daemon, its plugins.
        """
        return {
            **os.environ,
            "USBMUXD_SOCKET_ADDRESS": f"UNIX:{self.socket}",
            "PYTHONPATH": str(PROJECT),
            "PYTHONDONTWRITEBYTECODE": "1",
            # For a daemon that hangs, see stop().
            "PYTHONFAULTHANDLER": "1",
        }

    @property
    def arguments(self) -> list[str]:
        """
        Of the command C{usbmuxd}: a socket and records that are nobody else's.
        """
        return ["--listen", f"unix:{self.socket}", "--config-dir", str(self.records)]

    def run(self, *words: str, runner: Sequence[str] = TWISTD) -> None:
        """
        Run C{twistd} or its like, and do not wait.

        @param words: What comes after the options of the runner.
        """
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *runner, *words],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """
        What it has written so far, to its log or to the terminal.
        """
        logs = [self._log, self.directory / "twistd.log"]
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def conversation(self) -> Conversation:
        """
        Connect to it, as soon as it listens and has a place in its queue.
        """
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return Conversation(self.socket)
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as error:
                if self.process is not None and self.process.poll():
                    raise AssertionError(
                        f"it ended with status {self.process.returncode}"
                    ) from error
                if time.monotonic() > end:
                    raise AssertionError(f"nobody listens on {self.socket}") from error
            time.sleep(0.01)

    def devices(self, count: int = 1) -> dict[str, int]:
        """
        The phones that are attached, once there are as many as C{count}: their
        UDIDs and device ids.
        """
        found: dict[str, int] = {}
        with self.conversation() as listening:
            reply = listening.ask("Listen", kLibUSBMuxVersion=3)
            if reply != {"MessageType": "Result", "Number": 0}:
                raise AssertionError(f"Listen: expected result 0, got {reply}")
            while len(found) < count:
                event = listening.receive()
                properties: Mapping[str, Any] = event["Properties"]
                found[properties["SerialNumber"]] = event["DeviceID"]
        return found

    def connect(self, port: int, deviceID: int | None = None) -> Conversation:
        """
        A stream to a phone's port.

        @param deviceID: Which phone; any if C{None}.
        """
        if deviceID is None:
            deviceID = min(self.devices().values())
        stream = self.conversation()
        result = stream.connect(deviceID, port)
        if result != 0:
            stream.close()
            raise AssertionError(f"Connect: expected result 0, got {result}")
        return stream

    def wait(self) -> int:
        """
        Its exit status, once it has ended.  One that does not end says what its
        threads do, and is killed.
        """
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(PATIENCE)
            raise AssertionError(f"it did not end within {PATIENCE:g} s") from None

    def kill(self) -> None:
        """
        End it with C{SIGKILL}, which leaves no time to tidy up.
        """
        assert self.process is not None
        self.process.kill()
        self.wait()


@startsProcesses
class DaemonTestCase(SynchronousTestCase):
    """
    What tests of daemon processes need.  Where one of them fails, the logs of
    its daemons follow.
    """

    if platform.isWindows():
        skip = "Windows has no UNIX sockets here"

    def run(self, result: Any = None) -> None:
        """
        Run the test.
        """
        self._logs: list[str] = []
        super().run(_Watched(result, self._logs))

    def makeDirectory(self) -> Path:
        """
        A directory with a short path, which is removed after the test.
        """
        directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        return directory

    def makeDaemon(self) -> Daemon:
        """
        A daemon that has not been started.  If it still runs after the test, it
        is stopped, and that must be a clean end.
        """
        daemon = Daemon(self.makeDirectory())
        self.addCleanup(self._finish, daemon)
        return daemon

    def startDaemon(
        self,
        *words: str,
        phones: int = 1,
        trust: str = "accept",
        runner: Sequence[str] = TWISTD,
    ) -> Daemon:
        """
        A daemon that listens and has simulated phones, all of which are
        attached.

        @param words: Further arguments of C{usbmuxd}.
        @param trust: What is done when the phones ask whether to trust somebody.
        """
        daemon = self.makeDaemon()
        self.restart(daemon, *words, phones=phones, trust=trust, runner=runner)
        return daemon

    def restart(
        self,
        daemon: Daemon,
        *words: str,
        phones: int = 1,
        trust: str = "accept",
        runner: Sequence[str] = TWISTD,
    ) -> None:
        """
        The same for a daemon that has ended, or has not been started.
        """
        source = ["--source", f"simulated:count={phones}:trust={trust}"]
        daemon.run("usbmuxd", *daemon.arguments, *source, *words, runner=runner)
        daemon.devices(phones)

    def sharedDaemon(self, *words: str, phones: int = 1, trust: str = "accept") -> Daemon:
        """
        The same, but one daemon for all tests of a class, which do not change it
        for each other.
        """

        def start(daemon: Daemon) -> None:
            self.restart(daemon, *words, phones=phones, trust=trust)

        return self.share(start)

    def share(self, start: Callable[[Daemon], None]) -> Daemon:
        """
        The daemon of all tests of a class.  When they have been run, it is
        stopped, and that must be a clean end.

        @param start: Starts it.
        """

        def make() -> tuple[Daemon, Callable[[], None]]:
            daemon = Daemon(Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp")))

            def end() -> None:
                try:
                    self._finish(daemon)
                except Exception:
                    print(self._logs[-1])
                    raise
                finally:
                    shutil.rmtree(daemon.directory)

            try:
                start(daemon)
            except BaseException:
                end()
                raise
            return daemon, end

        daemon: Daemon = SHARED.get(f"{qual(type(self))}: its daemon", make)
        self.addCleanup(lambda: self._logs.append(self._logOf(daemon)))
        return daemon

    def startCDaemon(self) -> Daemon:
        """
        The C daemon, with one phone on the stand-in bus of F{bench/rig}; what is
        stored is where it stores it, in its own view of the file system.
        """
        unshare = shutil.which("unshare")
        installed = shutil.which("usbmuxd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        for name, found in (("usbmuxd", installed), ("unshare", unshare), ("make", "make")):
            if found is None or shutil.which(found) is None:
                self.missing(f"there is no {name}")
        assert unshare is not None
        daemon = Daemon(self.makeDirectory())
        asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
        words = [unshare, "--net", *asRoot, "--", sys.executable]
        process = subprocess.Popen(
            [*words, "-m", "tests.differential.host", "usbmuxd", str(daemon.directory)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.addCleanup(process.communicate, timeout=PATIENCE)
        ready, _, pid = process.stdout.readline().partition(" ")
        if ready != "ready":
            _, errors = process.communicate(timeout=PATIENCE)
            if "Operation not permitted" in errors:
                raise SkipTest("namespaces cannot be made here")
            self.fail(errors)
        daemon.socket = str(daemon.directory / "run" / "usbmuxd")
        daemon.records = Path(f"/proc/{int(pid)}/root/var/lib/lockdown")
        return daemon

    def stop(self, daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> None:
        """
        Stop a daemon; it must end with status 0, leave nothing, and have
        nothing in its log that an operator would have to look into.
        """
        assert daemon.process is not None
        daemon.process.send_signal(number)
        self.assertEqual(daemon.wait(), 0)
        self.assertLeftNothing(daemon)

    def muxctlSays(self, daemon: Daemon, *words: str) -> str:
        """
        Run C{muxctl} with a daemon; it must end with status 0 and complain of nothing.

        @return: what it prints.
        """
        done = subprocess.run(
            [sys.executable, "-m", "muxd.muxctl", *words],
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def assertLeftNothing(self, daemon: Daemon) -> None:
        """
        Neither the socket nor anything that belongs to it is there, and the log
        is one of a daemon that is well.
        """
        left = sorted(path.name for path in daemon.directory.iterdir())
        self.assertEqual(set(left) - {"log", "twistd.log", "lockdown"}, set())
        troubles = [line for line in daemon.log().splitlines() if TROUBLE.search(line)]
        self.assertEqual(troubles, [])

    def _finish(self, daemon: Daemon) -> None:
        """
        The end of a test: stop what still runs.
        """
        process = daemon.process
        try:
            if process is not None and process.poll() is None:
                self.stop(daemon)
        finally:
            if process is not None and process.poll() is None:
                daemon.kill()
            self._logs.append(self._logOf(daemon))

    def _logOf(self, daemon: Daemon) -> str:
        return f"--- log of the daemon in {daemon.directory}\n{daemon.log()}---"

    def tool(self, name: str) -> str:
        """
        The path of a program that must be installed; without it the test is
        skipped.
        """
        found = shutil.which(name)
        if found is None:
            package = PACKAGES.get(name, "libimobiledevice-utils")
            self.missing(f"there is no {name}: apt install {package}")
        return found

    def missing(self, reason: str) -> NoReturn:
        """
        Skip the test, unless nothing may be missing.
        """
        if REQUIRED in os.environ:
            self.fail(reason)
        raise SkipTest(reason)

    def runTool(self, daemon: Daemon, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Run a program that uses a daemon to its end.
        """
        return subprocess.run(
            [self.tool(name), *words],
            env=daemon.environment,
            capture_output=True,
            input="",
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def waitFor(self, process: Daemon, pattern: str) -> re.Match[str]:
        """
        The first match in the log, once it is there.
        """
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, process.log())) is None:
            assert process.process is not None
            if process.process.poll() is not None or time.monotonic() > end:
                self.fail(f"no {pattern!r} in the log")
            time.sleep(0.02)
        return found

    def output(self, daemon: Daemon, name: str, *words: str) -> str:
        """
        What a program prints that has nothing to complain of.
        """
        done = self.runTool(daemon, name, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{name} {words}")
        return done.stdout


class TwistdCase(DaemonTestCase):
    """
    What tests of services under plain C{twistd} need.
    """

    def stop(self, daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> None:
        """
        Stop it.  C{twistd} ends itself by the signal that it has got, if nothing
        prevents that.
        """
        assert daemon.process is not None
        daemon.process.send_signal(number)
        self.assertIn(daemon.wait(), (0, -number))
        self.assertLeftNothing(daemon)


class _Watched:
    """
    The result of whatever runs a test; the logs are printed where it has failed.
    """

    def __init__(self, result: Any, logs: Sequence[str]) -> None:
        self._failed = False
        self._result = result
        self._logs = logs

    def stopTest(self, test: Any) -> None:
        """
        The test has ended: what it prints from now on is no longer its own.
        """
        if self._failed:
            print(*self._logs, sep="\n")
        self._result.stopTest(test)

    def __getattr__(self, name: str) -> Any:
        """
        Pass everything else on.
        """
        if name in ("addError", "addFailure"):
            self._failed = True
        return getattr(self._result, name)
