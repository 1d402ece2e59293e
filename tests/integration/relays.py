"""
What tests of relays need.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, Daemon, TwistdCase

ECHO = 7
MIB = 1 << 20
BULK = 256 * MIB


class RelayCase(TwistdCase):
    """
    What tests of relays need.

    @cvar runnerOptions: For C{twistd}.
    """

    runnerOptions: tuple[str, ...] = ()

    def startRelay(self, daemon: Daemon, *words: str) -> int:
        """
        Start C{twistd tcprelay} for a daemon.

        @return: the port of this machine that it listens on.
        """
        relay = self.makeDaemon()
        self.relay = relay
        relay.run(*self.runnerOptions, "tcprelay", "--socket", daemon.socket, *words)
        return int(self.waitFor(relay, r"listening on 127\.0\.0\.1:(\d+)")[1])

    def startPhone(self, **settings: str) -> Daemon:
        """
        A daemon whose phone has more services, see F{phone.tac}.
        """
        daemon = self.makeDaemon()
        self.runPhone(daemon, **settings)
        return daemon

    def runPhone(self, daemon: Daemon, **settings: str) -> None:
        """
        The same for a daemon that has not been started.
        """
        settings = {
            "MUXD_LISTEN": f"unix:{daemon.socket}",
            "MUXD_RECORDS": str(daemon.records),
            **settings,
        }
        self.patch(os, "environ", {**os.environ, **settings})
        daemon.run("--python", str(PROJECT / "tests" / "integration" / "phone.tac"))
        daemon.devices()

    def dial(self, port: int) -> socket.socket:
        """
        A connection to a port of this machine.
        """
        stream = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.addCleanup(stream.close)
        return stream

    def assertEchoes(self, stream: socket.socket, text: bytes = b"hello") -> None:
        """
        The phone answers with the same.
        """
        stream.sendall(text)
        received = b""
        while len(received) < len(text):
            chunk = stream.recv(len(text) - len(received))
            if not chunk:
                break
            received += chunk
        self.assertEqual(received, text)

    def assertBulk(self, stream: socket.socket, size: int = BULK) -> None:
        """
        So many bytes come back as they were, while they are still being sent.
        """
        sent, received, count = hashlib.sha256(), hashlib.sha256(), 0

        def send() -> None:
            noise = random.Random(7)
            for _ in range(size // MIB):
                block = noise.randbytes(MIB)
                sent.update(block)
                stream.sendall(block)

        sender = threading.Thread(target=send, name="sender")
        sender.start()
        while count < size:
            chunk = stream.recv(MIB)
            if not chunk:
                break
            received.update(chunk)
            count += len(chunk)
        sender.join(PATIENCE)
        self.assertEqual((count, received.hexdigest()), (size, sent.hexdigest()))

    def eventually(self, attempt: Callable[[], bool]) -> None:
        """
        Try until it works.
        """
        end = time.monotonic() + PATIENCE
        while not attempt():
            if time.monotonic() > end:
                self.fail("it never worked")
            time.sleep(0.05)

    def answers(self, port: int) -> bool:
        """
        Whether the phone answers there now.
        """
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stream:
            try:
                stream.sendall(b"x")
                return stream.recv(1) == b"x"
            except ConnectionError:
                return False
