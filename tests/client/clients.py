"""
What the tests of clients have in common.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.client import UsbmuxClient
from tests.client.daemons import DaemonConnection
from tests.client.hosts import Host

T = TypeVar("T")


class ClientCase(SynchronousTestCase):
    """
    A client and a host.
    """

    def start(self, connection: type[DaemonConnection] = DaemonConnection) -> None:
        """
        Begin with a daemon of some kind.
        """
        self.host = Host(connection)
        self.client = UsbmuxClient(self.host.reactor, self.host.access())

    def result(self, asked: Deferred[T]) -> T:
        """
        What a Deferred fires with before any time passes.
        """
        self.host.settle()
        value: T = self.successResultOf(asked)
        return value

    def failure(self, asked: Deferred[Any], kind: type[Exception]) -> Any:
        """
        The error it fails with instead; no socket is left.
        """
        self.host.settle()
        error = self.failureResultOf(asked, kind).value
        self.host.settle()
        self.assertEqual([], self.host.openSockets())
        return error
