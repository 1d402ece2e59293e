# -*- test-case-name: tests.net.test_ending -*-
"""
Tests of L{muxd.net.ending}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from muxd.net.ending import Ending


class FakeTLS:
    """
    TLS whose connection beneath ends.

    @ivar lost: What it was told of that.
    """

    wrappedProtocol = None

    def __init__(self) -> None:
        directlyProvides(self, ISSLTransport)
        self.lost: list[Failure] = []

    def connectionLost(self, reason: Failure) -> None:
        """
        It is over.
        """
        self.lost.append(reason)


class EndingTests(SynchronousTestCase):
    """
    Tests of L{Ending}.
    """

    def test_plain(self) -> None:
        """
        Without TLS it is as the protocol is told.
        """
        for transport in (None, object()):
            ending = Ending(transport)
            self.assertTrue(ending.isClosed(Failure(ConnectionDone())))
            self.assertFalse(ending.isClosed(Failure(ConnectionLost())))

    def test_beneathTLS(self) -> None:
        """
        With TLS the connection beneath counts, which TLS is told of all the same; but not if TLS
        itself has failed.
        """
        lost = ConnectionLost()
        for beneath, told, isClosed in (
            (ConnectionDone(), lost, True),
            (ConnectionDone(), ConnectionDone(), True),
            (ConnectionDone(), ValueError("no TLS"), False),
            (ConnectionLost(), lost, False),
            (ConnectionAborted(), ConnectionAborted(), False),
        ):
            tls: Any = FakeTLS()
            ending = Ending(tls)
            tls.connectionLost(Failure(beneath))
            self.assertEqual([one.value for one in tls.lost], [beneath])
            self.assertEqual(ending.isClosed(Failure(told)), isClosed, (beneath, told))
            self.assertNotIn("connectionLost", vars(tls))

    def test_notEnded(self) -> None:
        """
        What a protocol is told by something else than its connection's end holds.
        """
        self.assertFalse(Ending(FakeTLS()).isClosed(Failure(ConnectionLost())))
