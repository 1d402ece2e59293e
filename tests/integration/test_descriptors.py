"""
A daemon that has no file descriptors left.
"""

from __future__ import annotations

import os
from unittest import SkipTest

from tests.integration.conversation import Conversation
from tests.integration.daemon import DaemonTestCase

FEW = 12
CLIENTS = 40


class DescriptorTests(DaemonTestCase):
    """
    It goes on (protocol 9, edge 61).
    """

    def test_exhausted(self) -> None:
        """
        Clients that there is no descriptor for are hung up on, those that there is one for
        are served, and when there are descriptors again everybody is.
        """
        try:
            from resource import RLIMIT_NOFILE, prlimit
        except ImportError as error:
            raise SkipTest("the limits of another process cannot be changed here") from error
        # What the phone's preflight needs of them is not the question here.
        daemon = self.startDaemon("--no-preflight")
        assert daemon.process is not None
        pid = daemon.process.pid
        _, hard = prlimit(pid, RLIMIT_NOFILE)
        used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        prlimit(pid, RLIMIT_NOFILE, (used + FEW, hard))
        clients = [Conversation(daemon.socket) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.close)
        served = [client for client in clients if self.isServed(client)]
        self.assertIn("EMFILE", daemon.log())
        self.assertTrue(0 < len(served) < CLIENTS, len(served))
        self.assertTrue(all(self.isServed(client) for client in served))
        served[0].close()
        with daemon.conversation() as another:
            self.assertTrue(self.isServed(another))
        prlimit(pid, RLIMIT_NOFILE, (hard, hard))
        for _ in range(CLIENTS):
            another = daemon.conversation()
            self.addCleanup(another.close)
            self.assertTrue(self.isServed(another))

    def isServed(self, client: Conversation) -> bool:
        """
        Whether a client has its question answered.
        """
        try:
            return "DeviceList" in client.ask("ListDevices")
        except OSError:
            return False
