# -*- test-case-name: tests.status.test_sessions -*-
"""
Tests of L{muxd.status.sessions}.
"""

from __future__ import annotations

import os
import socket
import sys
from unittest import skipUnless

from tests.status.phones import PhoneTestCase


class SessionTests(PhoneTestCase):
    """
    Sessions of clients of each kind.
    """

    @skipUnless(sys.platform == "linux", "the kernel tells of peers")
    def test_socketClient(self) -> None:
        """
        Of a client on a plain socket its process is told.
        """
        _, session = self.socketClient()
        session.bytesSent, session.bytesReceived = 3, 4
        (values,) = self.get("/api/status").values["sessions"]
        self.assertEqual((values["peer"]["pid"], values["peer"]["uid"]), (os.getpid(), os.getuid()))
        self.assertTrue(values["peer"]["program"])
        self.assertEqual((values["port"], values["toPhone"], values["fromPhone"]), (7, 3, 4))
        self.assertEqual(values["udid"], self.device.identity.udid)
        self.assertEqual(values["state"], "established")

    def test_tcpClient(self) -> None:
        """
        Of a client over TCP its address is told.
        """
        client, _ = self.socketClient(socket.AF_INET)
        (values,) = self.get("/api/status").values["sessions"]
        host, port = client.getsockname()
        self.assertEqual(values["peer"], {"address": f"{host}:{port}"})

    def test_twistedClient(self) -> None:
        """
        A client on a Twisted transport is seen as well.
        """
        self.twistedClient()
        (values,) = self.get("/api/status").values["sessions"]
        self.assertEqual((values["port"], values["peer"]), (22, {}))

    def test_own(self) -> None:
        """
        This program's own sessions are told from clients'.
        """
        self.ownSession()
        self.twistedClient()
        views = self.server.overview.sessions.look()
        self.assertEqual([view.isClient for view in views], [False, True])
        self.assertEqual(views[0].peer, {"program": "this daemon"})

    def test_held(self) -> None:
        """
        What a client does not take is told, and for how long.
        """
        side = self.ownSession()
        side.session.pauseProducing()
        side.say(b"hello")
        self.reactor.advance(7)
        (values,) = self.get("/api/status").values["sessions"]
        self.assertEqual((values["held"], values["stalls"], values["stalledFor"]), (5, 1, 7.0))

    def test_once(self) -> None:
        """
        A session's peer is asked for once, however often an operator looks; a new session
        is a new one.
        """
        views = self.server.overview.sessions
        client, _ = self.twistedClient()
        (first,) = views.look()
        (again,) = views.look()
        self.assertIs(first, again)
        client.lose()
        self.assertEqual(views.look(), [])
        self.twistedClient()
        (other,) = views.look()
        self.assertNotEqual(other.name, first.name)
        views.forget()

    def test_gone(self) -> None:
        """
        A phone that is gone has none.
        """
        self.twistedClient()
        self.service.registry.deviceDetached(self.device)
        self.assertEqual(self.get("/api/status").values["sessions"], [])
