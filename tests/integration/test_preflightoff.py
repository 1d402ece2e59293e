# -*- test-case-name: tests.integration.test_preflightoff -*-
"""
Daemons that do not ask for trust, or cannot keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

from muxd.identity import udidFromSerial
from muxd.phone.parser import FIRST_SERIAL
from tests.integration.conversation import Conversation
from tests.integration.daemon import DaemonTestCase

FIRST = udidFromSerial(FIRST_SERIAL)
EXTRA = ("cryptography", "OpenSSL", "service_identity")
LACKING = (
    "-c",
    f"import sys; sys.modules.update(dict.fromkeys({EXTRA!r}));"
    " from twisted.scripts.twistd import run; run()",
    "--nodaemon",
    "--pidfile=",
)
"""C{twistd} in a Python that cannot import what the extra C{pairing} brings."""


class NoPreflightTests(DaemonTestCase):
    """
    Phones that are listed at once.
    """

    def test_notInstalled(self) -> None:
        """
        Without the extra the daemon says once that preflight is off and what to
        install, and all else works.
        """
        daemon = self.startDaemon(phones=2, runner=LACKING)
        self.assertIn(
            f"UniqueDeviceID: {FIRST}",
            self.output(daemon, "ideviceinfo", "-s", "-u", FIRST).splitlines(),
        )
        self.assertNotIn("SUCCESS", self.runTool(daemon, "idevicepair", "pair").stdout)
        self.stop(daemon)
        lines = [line for line in daemon.log().splitlines() if "reflight" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("the extra pairing", lines[0])

    def test_switchedOff(self) -> None:
        """
        With C{-p} nothing is asked and nothing is said of it.
        """
        daemon = self.startDaemon("-p")
        self.assertNotIn("SUCCESS", self.runTool(daemon, "idevicepair", "validate").stdout)
        self.stop(daemon)
        self.assertNotRegex(daemon.log(), "[Pp]reflight|dialog")
        self.assertEqual(list(daemon.records.glob("0*.plist")), [])


class UnwritableTests(DaemonTestCase):
    """
    A directory of pair records that cannot be used.
    """

    def test_said(self) -> None:
        """
        The daemon says so when it starts, before there are phones, with the
        directory and the user, and goes on.
        """
        daemon = self.makeDaemon()
        # Not even root may make anything there.
        daemon.records = Path("/proc/lockdown")
        self.restart(daemon, trust="ask")
        line = self.waitFor(daemon, r"pair records in .*")[0]
        self.assertIn(f"/proc/lockdown cannot be used by uid {os.getuid()}", line)
        self.assertLess(daemon.log().index(line), daemon.log().index(" attached as device "))
        daemon.kill()


class PairedTests(DaemonTestCase):
    """
    Who is told that a phone has been paired.
    """

    def test_told(self) -> None:
        """
        Listeners that have told the version of their library, without a tag of
        their own; not those that have not, and not who has saved the record.
        """
        daemon = self.startDaemon("--no-preflight")
        (deviceID,) = daemon.devices().values()
        modern, plain, saving = (daemon.conversation() for _ in range(3))
        for each in (modern, plain, saving):
            self.addCleanup(each.close)
        self.listen(modern, kLibUSBMuxVersion=3)
        self.listen(plain)
        reply = saving.ask(
            "SavePairRecord",
            PairRecordID=FIRST,
            PairRecordData=b"<plist><dict/></plist>",
            DeviceID=deviceID,
        )
        self.assertEqual(reply, {"MessageType": "Result", "Number": 0})
        self.assertEqual(modern.receive(), {"MessageType": "Paired", "DeviceID": deviceID})
        self.assertEqual(modern.tag, 0)
        self.stop(daemon)
        for each in (modern, plain):
            events = self.events(each)
            self.assertEqual(events, [{"MessageType": "Detached", "DeviceID": deviceID}])

    def listen(self, listener: Conversation, **keys: int) -> None:
        """
        Turn into a listener, and hear of the phone.
        """
        self.assertEqual(listener.ask("Listen", **keys)["Number"], 0)
        self.assertEqual(listener.receive()["MessageType"], "Attached")

    def events(self, listener: Conversation) -> list[dict[str, object]]:
        """
        What else it is told before the daemon has ended.
        """
        told: list[dict[str, object]] = []
        while True:
            try:
                told.append(listener.receive())
            except EOFError:
                return told
