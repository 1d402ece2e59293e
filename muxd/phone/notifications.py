# -*- test-case-name: tests.phone.test_notifications -*-
"""
C{com.apple.mobile.notification_proxy}, and the insecure one that a host needs no
pairing for: what happens on the phone, told to hosts that have asked for it.  The
factory is C{ServiceFactory(lambda: NotificationProxy(notices))}.
"""

from __future__ import annotations

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.phone.notices import NoticeCentre
from muxd.plists import AnsweringProtocol, Message

MOST_OBSERVED = 1024
"""Names that one host may ask for."""


class NotificationProxy(AnsweringProtocol):
    """
    One host that observes and posts.
    """

    def __init__(self, notices: NoticeCentre, mayPost: bool = True) -> None:
        """
        @param mayPost: Whether the host is paired.
        """
        self._notices = notices
        self._mayPost = mayPost
        self._observed: set[str] = set()

    def connectionMade(self) -> None:
        """
        Begin to watch.
        """
        super().connectionMade()
        self._notices.observe(self._noticed)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone.
        """
        self._notices.forget(self._noticed)

    def plistReceived(self, message: Message) -> None:
        """
        The host wants to be told of something, tells of something, or leaves.
        """
        command, name = message.get("Command"), message.get("Name")
        if isinstance(name, str) and not name.isprintable():
            # Nobody could be told: XML cannot say it.
            name = None
        if command == "ObserveNotification" and isinstance(name, str):
            if len(self._observed) < MOST_OBSERVED:
                self._observed.add(name)
        elif command == "PostNotification" and isinstance(name, str):
            if self._mayPost:
                self._notices.post(name)
        elif command == "Shutdown":
            self.sendPlist({"Command": "ProxyDeath"})
            self.close()
        else:
            self.malformed(f"expected a command and a name, got {command!r} and {name!r}")

    def _noticed(self, name: str) -> None:
        if name in self._observed:
            self.sendPlist({"Command": "RelayNotification", "Name": name})
