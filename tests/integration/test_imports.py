"""
What a daemon imports, and when: after it has given up its privileges it may not be allowed
to read its own modules any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.running.processes import startsProcesses

PROJECT = Path(__file__).parents[2]

PROGRAM = """\
import os, subprocess, sys, sysconfig
from twisted.internet import reactor, task
from twisted.logger import globalLogPublisher
from muxd.tap.usbmuxd import UsbmuxdService

directory = sys.argv[1]
service = UsbmuxdService(
    reactor,
    listen=[f"unix:{directory}/s"],
    sources=["simulated", "usb"],
    configDir=f"{directory}/c",
    preflight=True,
)
lines = []
globalLogPublisher.addObserver(lambda event: lines.append(event.get("log_format") or ""))
service.privilegedStartService()
before = set(sys.modules)
client = None

def look():
    global client
    if not any("trusts this computer" in line for line in lines):
        return
    if client is None:
        client = subprocess.Popen(
            [sys.executable, "-m", "muxd.muxctl", "-s", f"{directory}/s", "connect", "13"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
    elif client.poll() is not None:
        service.stopService().addCallback(lambda _: reactor.stop())
        looking.stop()

service.startService()
looking = task.LoopingCall(look)
looking.start(0.1)
reactor.callLater(60, reactor.stop)
reactor.run()
standard = sysconfig.get_paths()["stdlib"]
late = [
    name for name in sorted(set(sys.modules) - before)
    if "site-packages" in (getattr(sys.modules[name], "__file__", None) or standard)
    or name.startswith(("muxd", "encodings"))
]
print("client", client and client.returncode, "late", *late)
"""


@startsProcesses
class PrivilegesTests(TestCase):
    """
    A daemon that starts, pairs with a phone, stores the record, and serves a client.
    """

    def test_nothingLate(self) -> None:
        """
        Nothing but the standard library is imported once the sockets are open, and of that
        no codec: Python says "unknown encoding" when it may not read one.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, directory],
            check=False,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(done.stdout, "client 0 late\n", done.stderr)
