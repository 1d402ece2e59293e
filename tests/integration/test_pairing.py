"""
Pairing, with unmodified tools.
"""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest

from muxd.identity import udidFromSerial
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.parser import FIRST_SERIAL
from muxd.phone.services.standard import FOLDERS
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import Daemon, DaemonTestCase

HERE = Path(__file__).parent
FIRST = udidFromSerial(FIRST_SERIAL)
TRUSTED = r"trusts this computer"
COPIED = 100 << 20
IN_PLACE = """
set -e
mount -t tmpfs none /var/lib
mkdir /var/lib/lockdown
mount --bind "$1" /var/lib/lockdown
exec idevicepair list
"""
"""Shows a directory where the system's pair records are, for one program."""


class PairingCase(DaemonTestCase):
    """
    What these tests need.
    """

    def record(self, daemon: Daemon) -> Path:
        """
        Where the phone's pair record is.
        """
        return daemon.directory / "lockdown" / f"{FIRST}.plist"

    def said(self, daemon: Daemon, name: str, *words: str) -> str:
        """
        What a program prints, whatever it thinks of it.
        """
        done = self.runTool(daemon, name, *words)
        return done.stdout + done.stderr


class ToolTests(PairingCase):
    """
    libimobiledevice's tools with a phone that the daemon has paired with.
    """

    def setUp(self) -> None:
        """
        A phone whose owner has tapped Trust.
        """
        self.daemon = self.sharedDaemon()
        self.waitFor(self.daemon, TRUSTED)

    def startOwn(self) -> None:
        """
        The same, for a test that changes what the others look at.
        """
        self.daemon = self.startDaemon()
        self.waitFor(self.daemon, TRUSTED)

    def test_pair(self) -> None:
        """
        C{idevicepair} validates the daemon's pairing, pairs anew, and unpairs.
        """
        self.startOwn()
        for command in ("validate", "pair", "validate"):
            self.assertIn("SUCCESS", self.output(self.daemon, "idevicepair", command))
        self.assertIn("SUCCESS", self.output(self.daemon, "idevicepair", "unpair"))
        self.assertFalse(self.record(self.daemon).exists())
        self.assertNotIn("SUCCESS", self.said(self.daemon, "idevicepair", "validate"))

    def test_list(self) -> None:
        """
        C{idevicepair list} looks for records where the system keeps them: the
        daemon's are such.
        """
        unshare = shutil.which("unshare")
        if unshare is None:
            self.missing("there is no unshare")
        done = subprocess.run(
            [unshare, "-rm", "sh", "-c", IN_PLACE, "sh", str(self.record(self.daemon).parent)],
            env=self.daemon.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.stdout, done.stderr), (FIRST + "\n", ""))

    def test_information(self) -> None:
        """
        C{ideviceinfo} sees, over TLS, what only a trusted host may see.
        """
        lines = self.output(self.daemon, "ideviceinfo").splitlines()
        for line in ("ActivationState: Activated", f"UniqueDeviceID: {FIRST}"):
            self.assertIn(line, lines)

    def test_name(self) -> None:
        """
        C{idevicename} reads the phone's name and changes it.
        """
        self.startOwn()
        self.assertEqual(self.output(self.daemon, "idevicename"), "Simulated iPhone\n")
        self.output(self.daemon, "idevicename", "Anna's iPhone")
        self.assertEqual(self.output(self.daemon, "idevicename"), "Anna's iPhone\n")

    def test_date(self) -> None:
        """
        C{idevicedate} reads the phone's clock and sets it.
        """
        self.output(self.daemon, "idevicedate")
        self.output(self.daemon, "idevicedate", "--set", "1000000000")
        self.assertIn("2001", self.output(self.daemon, "idevicedate"))

    def test_log(self) -> None:
        """
        C{idevicesyslog} shows lines that are written while it reads.
        """

        def ask() -> None:
            self.output(self.daemon, "ideviceinfo", "-s", "-k", "DeviceName")

        line = self.firstLine(["idevicesyslog"], "<Notice>", ask)
        self.assertIn("lockdownd", line)

    def test_notifications(self) -> None:
        """
        C{idevicenotificationproxy} is told of what it has asked for.
        """
        name = "com.apple.mobile.lockdown.device_name_changed"

        def change() -> None:
            # It says that it observes before the phone has heard of it.
            self.output(self.daemon, "idevicename", "changed")

        observe = ["idevicenotificationproxy", "observe", name]
        self.assertIn(name, self.firstLine(observe, "> " + name, change))

    def test_files(self) -> None:
        """
        A hundred megabytes go to the phone and come back, through
        libimobiledevice.
        """
        program = self.compiled()
        there = self.daemon.directory.parent / f"{self.daemon.directory.name}.there"
        back = there.with_suffix(".back")
        for path in (there, back):
            self.addCleanup(path.unlink, missing_ok=True)
        there.write_bytes(os.urandom(1 << 20) * (COPIED >> 20))
        done = subprocess.run(
            [str(program), str(there), str(back)],
            env=self.daemon.environment,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(
            hashlib.sha256(back.read_bytes()).digest(), hashlib.sha256(there.read_bytes()).digest()
        )

    def test_mounted(self) -> None:
        """
        C{ifuse} shows the phone's files as a directory.
        """
        ifuse, fusermount = shutil.which("ifuse"), shutil.which("fusermount3")
        if ifuse is None or fusermount is None:
            self.missing("there is no ifuse: apt install ifuse fuse3")
        place = self.makeDirectory()
        done = self.runTool(self.daemon, "ifuse", str(place))
        if done.returncode:
            raise SkipTest(f"no FUSE here: {done.stderr}")
        try:
            data = os.urandom(1 << 20)
            (place / "Downloads/a").write_bytes(data)
            (place / "Downloads/a").rename(place / "b")
            self.assertEqual((place / "b").read_bytes(), data)
            self.assertEqual(
                sorted(os.listdir(place)), sorted({*(name.split("/")[0] for name in FOLDERS), "b"})
            )
        finally:
            subprocess.run([fusermount, "-u", str(place)], check=True, timeout=PATIENCE)

    def compiled(self) -> Path:
        """
        The program that copies.
        """
        compiler = shutil.which("gcc")
        if compiler is None:
            self.missing("there is no gcc")
        program = self.makeDirectory() / "afccopy"
        done = subprocess.run(
            [compiler, "-o", str(program), str(HERE / "afc/afccopy.c"), "-limobiledevice-1.0"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.missing(f"it does not compile: apt install libimobiledevice-dev\n{done.stderr}")
        return program

    def firstLine(
        self, command: list[str], wanted: str, urge: Callable[[], None] = lambda: None
    ) -> str:
        """
        The first line of a program's output that has C{wanted} in it.

        @param urge: Called as long as there is none.
        """
        process = subprocess.Popen(
            ["stdbuf", "-oL", self.tool(command[0]), *command[1:]],
            env=self.daemon.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=lambda out: [*map(lines.put, out)], args=[process.stdout])
        reader.start()
        seen: list[str] = []
        end = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < end:
                try:
                    seen.append(lines.get(timeout=1))
                except queue.Empty:
                    urge()
                    continue
                if wanted in seen[-1]:
                    return seen[-1]
        finally:
            # With a farewell, which the phone answers by closing.
            process.terminate()
            process.wait(PATIENCE)
            reader.join()
            process.stdout.close()
        self.fail(f"no line with {wanted!r} in {seen}")


class OwnerTests(PairingCase):
    """
    Owners who do not tap Trust.
    """

    def test_denied(self) -> None:
        """
        A host that is denied is told so by every program, and by the log.
        """
        daemon = self.startDaemon(trust="deny")
        self.waitFor(daemon, "Don't Trust")
        self.assertIn("denied the trust dialog", self.said(daemon, "idevicepair", "pair"))
        daemon.kill()

    def test_locked(self) -> None:
        """
        A locked phone says that a passcode is in the way.
        """
        daemon = self.startDaemon(trust="locked")
        self.assertIn("passcode", self.said(daemon, "idevicepair", "pair"))

    def test_toolPairs(self) -> None:
        """
        Without preflight a tool pairs, and writes a record that we can use.
        """
        daemon = self.startDaemon("--no-preflight")
        self.assertIn("accept the trust dialog", self.said(daemon, "idevicepair", "pair"))
        end = time.monotonic() + PATIENCE
        while "SUCCESS" not in self.said(daemon, "idevicepair", "pair"):
            self.assertLess(time.monotonic(), end, "the owner does not tap")
        record = PairRecord.fromBytes(self.record(daemon).read_bytes())
        self.assertEqual(len(record.values["EscrowBag"]), 32)
        self.assertIn("SUCCESS", self.output(daemon, "idevicepair", "validate"))
