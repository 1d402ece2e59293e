# -*- test-case-name: tests.integration.test_phonecontrol -*-
"""
What the owner of a simulated phone does, by C{muxctl phone} and by its control socket.
"""

from __future__ import annotations

import json
import socket

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import DaemonTestCase


class OwnerTests(DaemonTestCase):
    """
    A daemon whose phone asks whether to trust it.
    """

    def test_trust(self) -> None:
        """
        The dialog is answered by the daemon's status socket, without an endpoint of its own.
        """
        daemon = self.startDaemon(trust="ask")
        self.waitFor(daemon, "shows a dialog")
        stats = json.loads(self.muxctlSays(daemon, "phone", "stats"))
        self.assertEqual((stats["dialog"], stats["violations"]), (True, []))
        self.assertEqual(self.muxctlSays(daemon, "phone", "trust"), "")
        self.waitFor(daemon, "trusts this computer")

    def test_controlSocket(self) -> None:
        """
        A program that gives commands to a control socket, and has finished sending, is answered.
        """
        daemon = self.makeDaemon()
        path = daemon.records / "control"
        daemon.records.mkdir()
        source = f"simulated:trust=ask:control=unix\\:{path}"
        daemon.run("usbmuxd", *daemon.arguments, "--source", source)
        daemon.devices()
        self.waitFor(daemon, "shows a dialog")
        with socket.socket(socket.AF_UNIX) as program:
            program.settimeout(PATIENCE)
            program.connect(str(path))
            program.sendall(b'trust\n{"command": "stats", "phone": 1, "id": 7}\nsleep 0.1\nlock')
            program.shutdown(socket.SHUT_WR)
            answers = [json.loads(line) for line in program.makefile("rb")]
        self.assertEqual(answers[0], "ok")
        self.assertEqual(answers[1]["id"], 7)
        self.assertEqual(answers[2:], ["ok", "ok"])
        self.waitFor(daemon, "trusts this computer")

    def test_reboot(self) -> None:
        """
        A phone that is restarted goes and comes back.
        """
        daemon = self.startDaemon()
        self.waitFor(daemon, "trusts this computer")
        with daemon.conversation() as listening:
            listening.ask("Listen", kLibUSBMuxVersion=3)
            self.assertEqual(listening.receive()["MessageType"], "Attached")
            self.muxctlSays(daemon, "phone", "reboot")
            self.assertEqual(listening.receive()["MessageType"], "Detached")
            self.assertEqual(listening.receive()["MessageType"], "Attached")
