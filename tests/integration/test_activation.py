# -*- test-case-name: tests.integration.test_activation -*-
"""
A daemon on sockets that systemd has opened, and what it tells systemd; a test plays systemd.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

from tests.integration.conversation import PATIENCE, Conversation
from tests.integration.daemon import PROJECT, TWISTD, DaemonTestCase

START = """\
import os, sys
number = 3
for word in sys.argv[1].split(","):
    os.dup2(int(word), number)
    number += 1
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Puts descriptors where systemd puts them, and becomes the daemon."""


class ActivationTests(DaemonTestCase):
    """
    A daemon with two sockets, for clients and for operators.
    """

    def setUp(self) -> None:
        """
        Open the sockets, and start it.
        """
        self.directory = self.makeDirectory()
        self.clients = self.listen("mux", 0o660)
        self.operators = self.listen("status", 0o600)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.directory / "notify"))
        self.manager.settimeout(PATIENCE)
        # Above what they are copied to.
        spares = [os.dup(os.open(os.devnull, os.O_RDONLY)) for _ in range(4)]
        numbers = [os.dup(each.fileno()) for each in (self.clients, self.operators)]
        for each in (*spares, *numbers):
            self.addCleanup(os.close, each)
        words = [
            "-l",
            "systemd:domain=UNIX:name=mux",
            "--status",
            "systemd:domain=UNIX:name=status",
        ]
        self.log = (self.directory / "log").open("wb")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", START, ",".join(map(str, numbers))),
                *(*TWISTD, "usbmuxd", *words, "-s", "simulated:2"),
                *("-C", str(self.directory / "lockdown")),
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "mux:status",
                "NOTIFY_SOCKET": str(self.directory / "notify"),
                "WATCHDOG_USEC": "1500000",
            },
            pass_fds=numbers,
            stdout=self.log,
            stderr=self.log,
        )
        self.addCleanup(self.end)

    def end(self) -> None:
        """
        It ends cleanly.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE), 0, (self.directory / "log").read_text())

    def listen(self, name: str, mode: int) -> socket.socket:
        """
        A socket as systemd makes it.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        path = self.directory / name
        listening.bind(str(path))
        path.chmod(mode)
        listening.listen()
        return listening

    def mode(self, path: Path) -> int:
        """
        The mode of a file.
        """
        return stat.S_IMODE(path.stat().st_mode)

    def told(self, word: str) -> str:
        """
        The first thing that systemd is told with this word in it.
        """
        while word not in (text := self.manager.recv(4096).decode()):
            pass
        return text

    def test_activation(self) -> None:
        """
        Clients are served as soon as there are any, from before it was ready; systemd is told
        that it is ready, what there is, that it is alive, and that it ends; and the sockets
        stay as they are.
        """
        with Conversation(str(self.directory / "mux")) as early:
            self.assertIn("DeviceList", early.ask("ListDevices"))
        self.assertEqual(self.told("READY"), "READY=1")
        self.assertIn("WATCHDOG=1", self.told("STATUS=2 phones, "))
        self.told("WATCHDOG=1")
        with socket.socket(socket.AF_UNIX) as operator:
            operator.connect(str(self.directory / "status"))
            operator.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 OK", operator.recv(100))
        self.assertEqual(self.mode(self.directory / "mux"), 0o660)
        self.assertEqual(self.mode(self.directory / "status"), 0o600)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE), 0)
        self.told("STOPPING=1")
        for name in ("mux", "status"):
            self.assertTrue((self.directory / name).is_socket())
