# -*- test-case-name: tests.integration.test_exhaustion -*-
"""
What a daemon does when there is too much of everything, or nothing left of
something: clients, file descriptors, space on the disk.

What can be shown with a clock and without sockets is elsewhere: requests that never
end in L{tests.server.test_badinput}, listeners that do not read in
L{tests.server.test_listeners}, Connects without an answer in
L{tests.server.test_exhaustion}, disks that are full in
L{tests.server.test_recordtrouble}.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from twisted.internet.task import deferLater

from bench.processes import openFiles, residentMemory
from tests.integration.conversation import PATIENCE, Conversation, request
from tests.integration.daemon import Daemon, DaemonTestCase
from tests.integration.inprocess import PhoneStream, ServiceTestCase
from tests.integration.test_tools import ECHO

IDLE = 5000
OF_EACH = 16 * 1024
"""Bytes that an idle client may cost the daemon; it costs about half of that."""

BACKED_UP = 1 << 20
"""
More bytes than a client can be rid of while its phone takes none: a window, the
session's buffer and those of two sockets are half of it.
"""

STILL = 50
"""Turns of the reactor in which nothing is taken any more."""

FEW = 256
"""Files that a daemon may have open which is to run out of them."""

ANSWERS = 1000
"""
To a client that asks on and on.  A read of the socket for each answer would be 64 MiB.
"""

GROWTH = 8 << 20
"""Bytes by which the daemon may grow meanwhile."""

CLOSED = 9999
"""A port that the phone has not."""

SPARE = 16
"""Some of these that clients never get."""


def limited(files: int) -> Sequence[str]:
    """
    A C{twistd} that may have so many files open, and cannot have more.
    """
    return (
        "-c",
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}));"
        "from twisted.scripts.twistd import run; run()",
        "--nodaemon",
        "--pidfile=",
    )


class CrowdTestCase(DaemonTestCase):
    """
    A daemon with very many clients.
    """

    if not os.path.exists("/proc/self/status"):
        skip = "there is no /proc to look at the daemon in"

    def setUp(self) -> None:
        """
        Let this process have as many files open as it may.
        """
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.clients = ExitStack()
        self.addCleanup(self.clients.close)

    def files(self, daemon: Daemon) -> int:
        """
        How many files a daemon has open.
        """
        assert daemon.process is not None
        return openFiles(daemon.process.pid)

    def memory(self, daemon: Daemon) -> int:
        """
        What of it is in memory, in bytes.
        """
        assert daemon.process is not None
        return residentMemory(daemon.process.pid)

    def assertComesTo(self, daemon: Daemon, files: int) -> None:
        """
        Fail unless a daemon has no more files open than these, sooner or later.
        """
        end = time.monotonic() + PATIENCE
        while (now := self.files(daemon)) > files:
            self.assertLess(time.monotonic(), end, f"{now} files are open, expected {files}")
            time.sleep(0.02)

    def assertServed(self, stream: Conversation) -> None:
        """
        Fail unless what is sent to a phone's echo comes back.
        """
        noise = os.urandom(20000)
        stream.socket.sendall(noise)
        self.assertEqual(stream.exactly(len(noise)), noise)


class IdleTests(CrowdTestCase):
    """
    Thousands who are there and do nothing.
    """

    def test_idle(self) -> None:
        """
        A client that does nothing costs little; others are served meanwhile, and
        of 5,000 of them nothing is left when they have gone.
        """
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < IDLE + 500:
            self.missing(f"{IDLE} clients need that many files")
        daemon = self.startDaemon()
        stream = daemon.connect(ECHO)
        self.assertServed(stream)
        files, memory = self.files(daemon), self.memory(daemon)
        for number in range(IDLE):
            idle = self.clients.enter_context(daemon.conversation())
            # Most say nothing at all, some listen, and some hang in mid-word.
            if number % 10 == 0:
                idle.send("Listen")
            elif number % 10 == 1:
                idle.socket.sendall(b"\x20\0\0\0")
        with daemon.conversation() as last:
            self.assertEqual(len(last.ask("ListDevices")["DeviceList"]), 1)
            listeners = last.ask("ListListeners")["ListenerList"]
            self.assertEqual(len(listeners), IDLE // 10)
        self.assertServed(stream)
        self.assertGreater(self.files(daemon), IDLE)
        self.assertLess((self.memory(daemon) - memory) / IDLE, OF_EACH)
        self.clients.close()
        self.assertComesTo(daemon, files)
        self.assertServed(stream)
        stream.close()


class DescriptorTests(CrowdTestCase):
    """
    A daemon that may not open another file.
    """

    def test_outOfDescriptors(self) -> None:
        """
        Whoever is there is served; whoever comes waits, and is served when others
        have gone.  The log tells it once, and the daemon does not run in circles.
        """
        daemon = self.startDaemon(runner=limited(FEW))
        stream = daemon.connect(ECHO)
        waiting = [self.clients.enter_context(daemon.conversation()) for _ in range(FEW + 100)]
        for one in waiting:
            one.send("ReadBUID")
        served = [one for one in waiting[:50] if "BUID" in one.receive()]
        self.assertEqual(len(served), 50)
        for _ in range(20):
            self.assertServed(stream)
        self.assertLess(self.files(daemon), FEW - SPARE)
        while waiting:
            self.assertLess(self.files(daemon), FEW - SPARE)
            # Those that came first go first.
            first = waiting.pop(0)
            if first not in served:
                self.assertIn("BUID", first.receive())
            first.close()
        with daemon.conversation() as late:
            self.assertIn("BUID", late.ask("ReadBUID"))
        self.assertServed(stream)
        stream.close()
        told = [line for line in daemon.log().splitlines() if "descriptor" in line]
        self.assertEqual(len(told), 1, told)

    def test_limitIsLowered(self) -> None:
        """
        A daemon that is left without a descriptor at one go, and could not see it
        coming, cuts nobody off: who comes waits, and is served when there are some
        again.  This is told once.
        """
        if not hasattr(resource, "prlimit"):
            self.missing("no other process's limits can be set here")
        daemon = self.startDaemon()
        assert daemon.process is not None
        pid, kind = daemon.process.pid, resource.RLIMIT_NOFILE
        stream = daemon.connect(ECHO)
        self.assertServed(stream)
        allowed = resource.prlimit(pid, kind)
        # Lower than the number of any file that it could open.
        resource.prlimit(pid, kind, (3, allowed[1]))
        waiting = [self.clients.enter_context(daemon.conversation()) for _ in range(20)]
        for one in waiting:
            one.send("ReadBUID")
        end = time.monotonic() + PATIENCE
        while "not accepting clients" not in daemon.log():
            self.assertLess(time.monotonic(), end, "nobody is told to wait")
            self.assertServed(stream)
        resource.prlimit(pid, kind, allowed)
        for one in waiting:
            self.assertIn("BUID", one.receive())
        self.assertServed(stream)
        stream.close()
        told = [line for line in daemon.log().splitlines() if "not accepting clients" in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn("Too many open files; raise the limit", told[0])
        for sign in ("EMFILE", "Could not accept"):
            self.assertNotIn(sign, daemon.log())

    def test_recordsAreSaved(self) -> None:
        """
        What the daemon itself has to open it can, also then.
        """
        daemon = self.startDaemon(runner=limited(FEW))
        with daemon.conversation() as first:
            for _ in range(FEW + 100):
                self.clients.enter_context(daemon.conversation())
            data = plistlib.dumps({"HostID": "x"})
            for _ in range(5):
                reply = first.ask("SavePairRecord", PairRecordID="A-1", PairRecordData=data)
                self.assertEqual(reply["Number"], 0)
                stored = first.ask("ReadPairRecord", PairRecordID="A-1")["PairRecordData"]
                self.assertEqual(plistlib.loads(stored), {"HostID": "x"})


class AskingTests(CrowdTestCase):
    """
    A client that never stops asking, whatever it is answered.
    """

    def flood(self, daemon: Daemon, kind: str, **keys: object) -> None:
        """
        Send requests as fast as they are taken, until there are enough replies.
        """
        requests = request(kind, **keys) * 100
        with daemon.conversation() as client:

            def write() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        client.socket.sendall(requests)

            writer = threading.Thread(target=write)
            writer.start()
            try:
                for _ in range(ANSWERS):
                    self.assertNotEqual(client.receive()["Number"], 0)
            finally:
                client.socket.shutdown(socket.SHUT_RDWR)
                writer.join()

    def test_bounded(self) -> None:
        """
        It is read from no faster than it is answered, also where that takes time:
        what has not been answered stays in its socket, and so with the client.
        """
        daemon = self.startDaemon()
        stream = daemon.connect(ECHO)
        self.assertServed(stream)
        before = self.memory(daemon)
        self.flood(daemon, "Connect", DeviceID=1, PortNumber=socket.htons(CLOSED))
        self.flood(daemon, "ReadPairRecord", PairRecordID="nobody")
        self.assertLess(self.memory(daemon) - before, GROWTH)
        self.assertServed(stream)
        stream.close()


class EndlessTests(ServiceTestCase):
    """
    A client that never stops writing.
    """

    timeout = 120

    async def test_phoneTakesNothing(self) -> None:
        """
        A phone that takes nothing holds its client back: what is under way stays
        within a window and some buffers, however long the client tries.  When the
        phone goes on, all of it arrives.
        """
        client = await self.stream(PhoneStream(self.attendance.present[self.phones[0].udid], ECHO))
        assert client.transport is not None
        echoed = 0

        def received(data: bytes) -> None:
            nonlocal echoed
            echoed += len(data)

        self.patch(client, "streamReceived", received)
        [phone] = self.phones
        phone.hold()
        flood = socket.fromfd(client.transport.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)  # type: ignore[attr-defined]
        self.addCleanup(flood.close)
        flood.setblocking(False)
        written = still = 0
        while still < STILL and written < BACKED_UP:
            try:
                written += flood.send(bytes(65536))
                still = 0
            except BlockingIOError:
                still += 1
            await deferLater(self.reactor, 0.01)
        self.assertLess(written, BACKED_UP)
        phone.release()
        self.assertTrue(await self.until(lambda: echoed == written, attempts=3000))
        self.assertEqual(phone.violations, [])
        client.transport.loseConnection()
        await client.lost


class DiskTests(CrowdTestCase):
    """
    A disk without space.
    """

    def test_full(self) -> None:
        """
        A record that does not fit on the disk is refused, the old one stays whole,
        nothing is left of the attempt, and with space again it is saved.
        """
        directory = self.makeDirectory()
        if os.geteuid() or self.mount(directory):
            self.missing("only root can mount a small file system")
        self.addCleanup(subprocess.run, ["umount", str(directory)], check=True)
        daemon = self.startDaemon("--config-dir", str(directory / "records"))
        old, new = (
            plistlib.dumps({"HostID": name, "Key": os.urandom(20000)}) for name in ("old", "new")
        )
        with daemon.conversation() as client:

            def save(data: bytes) -> int:
                return int(
                    client.ask("SavePairRecord", PairRecordID="A-1", PairRecordData=data)["Number"]
                )

            def stored() -> object:
                return plistlib.loads(
                    client.ask("ReadPairRecord", PairRecordID="A-1")["PairRecordData"]
                )

            self.assertEqual(save(old), 0)
            # Whoever asks first has it made: not while the disk is full.
            self.assertIn("BUID", client.ask("ReadBUID"))
            names = sorted(os.listdir(directory / "records"))
            filling = directory / "filling"
            self.fill(filling)
            self.assertNotEqual(save(new), 0)
            self.assertEqual(stored(), plistlib.loads(old))
            self.assertEqual(sorted(os.listdir(directory / "records")), names)
            filling.unlink()
            self.assertEqual(save(new), 0)
            self.assertEqual(stored(), plistlib.loads(new))
        self.stopAfterTrouble(daemon)

    def mount(self, directory: Path) -> int:
        """
        Mount a file system of 256 KiB.

        @return: Whether that is not possible.
        """
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(directory)]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def fill(self, path: Path) -> None:
        """
        Take all the space there is, but for less than a record.
        """
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def stopAfterTrouble(self, daemon: Daemon) -> None:
        """
        Stop a daemon whose log has the one line that tells the operator.
        """
        told = [line for line in daemon.log().splitlines() if "#error" in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn("No space left", told[0])
        daemon.kill()
