# -*- test-case-name: tests.tap.test_twistedparts -*-
"""
Tests of L{muxd.tap.twistedparts}.
"""

from __future__ import annotations

import sys
from types import ModuleType

from twisted.internet import tcp
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.twistedparts import complaint
from twisted import logger


class PartsTests(SynchronousTestCase):
    """
    What is missed, and how it is said.
    """

    def test_present(self) -> None:
        """
        The Twisted that the tests run with has everything.
        """
        self.assertEqual(complaint(), "")

    def test_missing(self) -> None:
        """
        What has gone is named in one line that says what to do.
        """
        self.patch(tcp, "Port", type("Port", (), {"socket": None, "doRead": None}))
        text = complaint()
        self.assertIn("has no Port.numberAccepts, Port.connectionLost any", text)
        self.assertIn("update muxd, or install an older Twisted", text)
        self.assertTrue(text.isprintable())

    def test_moved(self) -> None:
        """
        A class that is somewhere else lacks everything.
        """
        self.patch(tcp, "Connection", None)
        self.assertIn("Connection.writeSomeData", complaint())

    def test_tls(self) -> None:
        """
        TLS is looked at where it is there.
        """
        module = ModuleType("twisted.protocols.tls")
        self.patch(sys, "modules", {**sys.modules, module.__name__: module})
        self.assertIn("TLSMemoryBIOProtocol._appSendBuffer", complaint())
        del sys.modules[module.__name__]
        self.assertEqual(complaint(), "")

    def test_renamed(self) -> None:
        """
        What only objects have is looked for, too.
        """
        self.patch(logger, "LogPublisher", type("LogPublisher", (), {"__init__": self._make}))
        self.assertIn("LogPublisher._observers", complaint())

    def _make(self) -> None:
        self.observers: list[object] = []
