"""
Tests of L{muxd.phone.services.notifications}.
"""

from __future__ import annotations

import plistlib

from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import notifications
from muxd.phone.services.notices import NoticeCentre
from muxd.phone.services.notifications import NotificationProxy
from tests.phone.services.hosts import heard
from tests.phone.services.test_heartbeat import say


class NotificationProxyTests(SynchronousTestCase):
    """
    Observing and posting.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.connect(mayPost=True)

    def connect(self, mayPost: bool) -> None:
        """
        Connect to one or the other.
        """
        self.notices = NoticeCentre()
        self.transport = StringTransport()
        self.proxy = NotificationProxy(self.notices, mayPost)
        self.proxy.makeConnection(self.transport)

    def test_observe(self) -> None:
        """
        A host is told of what it has asked for, while it is there.
        """
        say(self.proxy, Command="ObserveNotification", Name="a")
        self.notices.post("a")
        self.notices.post("b")
        self.assertEqual(heard(self.transport), [{"Command": "RelayNotification", "Name": "a"}])
        self.proxy.connectionLost(connectionDone)
        self.notices.post("a")
        self.assertEqual(heard(self.transport), [])

    def test_unsayable(self) -> None:
        """
        A name that could not be told to others is none.
        """
        name = "\x1b[2J"
        data = plistlib.dumps(
            {"Command": "ObserveNotification", "Name": name}, fmt=plistlib.FMT_BINARY
        )
        self.proxy.stringReceived(data)
        self.assertTrue(self.transport.disconnecting)
        self.notices.post(name)
        self.assertEqual(heard(self.transport), [])

    def test_hostDoesNotRead(self) -> None:
        """
        What happens while a host does not read, it is not told of; how often that was is
        counted, and said once at the end.
        """
        say(self.proxy, Command="ObserveNotification", Name="a")
        with capturedLogs() as events:
            self.proxy.pauseProducing()
            for name in "aab":
                self.notices.post(name)
            self.proxy.resumeProducing()
            self.assertEqual((heard(self.transport), self.proxy.skipped), ([], 2))
            self.notices.post("a")
            self.assertEqual(len(heard(self.transport)), 1)
            self.proxy.connectionLost(connectionDone)
        self.assertEqual([event["count"] for event in events], [2])

    def test_longName(self) -> None:
        """
        A name is as long as any that there is, in bytes, or the host is left.
        """
        for name, isLonger in (("\u00e9" * 127 + "e", False), ("\u00e9" * 128, True)):
            for command in ("ObserveNotification", "PostNotification"):
                self.setUp()
                say(self.proxy, Command=command, Name=name)
                self.assertEqual(self.transport.disconnecting, isLonger)
                self.notices.post(name)
                isTold = command == "ObserveNotification" and not isLonger
                self.assertEqual(len(heard(self.transport)), int(isTold))

    def test_post(self) -> None:
        """
        A paired host may post, another may not.
        """
        for mayPost in (True, False):
            self.connect(mayPost)
            posted: list[str] = []
            self.notices.observe(posted.append)
            say(self.proxy, Command="PostNotification", Name="a")
            self.assertEqual(posted, ["a"] if mayPost else [])
            self.assertFalse(self.transport.disconnecting)

    def test_shutdown(self) -> None:
        """
        A host that leaves is told farewell.
        """
        say(self.proxy, Command="Shutdown")
        self.assertEqual(heard(self.transport), [{"Command": "ProxyDeath"}])
        self.assertTrue(self.transport.disconnecting)

    def test_nonsense(self) -> None:
        """
        What is no command ends it.
        """
        for message in ({"Command": "Dance"}, {"Command": "ObserveNotification", "Name": 7}, {}):
            self.setUp()
            say(self.proxy, **message)
            self.assertTrue(self.transport.disconnecting)

    def test_most(self) -> None:
        """
        A host that observes without end is closed on, rather than not told.
        """
        self.patch(notifications, "MOST_OBSERVED", 2)
        for name in "abc":
            say(self.proxy, Command="ObserveNotification", Name=name)
        self.assertTrue(self.transport.disconnecting)
