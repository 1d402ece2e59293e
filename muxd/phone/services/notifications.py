# -*- test-case-name: tests.phone.services.test_notifications -*-
"""
C{com.apple.mobile.notification_proxy}, and the insecure one that a host needs no
pairing for: what happens on the phone, told to hosts that have asked for it.  The
factory is C{ServiceFactory(lambda: NotificationProxy(notices))}.
"""

from __future__ import annotations

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import AnsweringProtocol, Message
from muxd.phone.services.notices import NoticeCentre

MOST_OBSERVED = 1024
"""Names that one host may ask for."""

LONGEST_NAME = 255
"""Bytes of a name."""


class NotificationProxy(AnsweringProtocol):
    """
    One host that observes and posts.

    @ivar skipped: How often something has happened that it was not told of, as it did not
        read.
    """

    def __init__(self, notices: NoticeCentre, mayPost: bool = True) -> None:
        """
        @param mayPost: Whether the host is paired.
        """
        self._notices = notices
        self._mayPost = mayPost
        self._observed: set[str] = set()
        self.skipped = 0

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
        if self.skipped:
            self._log.info(
                "A host did not read and has missed {count} notifications", count=self.skipped
            )

    def plistReceived(self, message: Message) -> None:
        """
        The host wants to be told of something, tells of something, or leaves.
        """
        command, given = message.get("Command"), message.get("Name")
        name = given if isinstance(given, str) and _isUsable(given) else None
        if command == "ObserveNotification" and name is not None:
            self._observed.add(name)
            if len(self._observed) > MOST_OBSERVED:
                self.malformed(f"expected at most {MOST_OBSERVED} names that are observed")
        elif command == "PostNotification" and name is not None:
            if self._mayPost:
                self._notices.post(name)
        elif command == "Shutdown":
            self.sendPlist({"Command": "ProxyDeath"})
            self.close()
        else:
            expected = f"a command and a name of at most {LONGEST_NAME} bytes"
            self.malformed(f"expected {expected}, got {command!r:.60} and {given!r:.60}")

    def _noticed(self, name: str) -> None:
        if name not in self._observed:
            return
        if self.paused:
            self.skipped += 1
        else:
            self.sendPlist({"Command": "RelayNotification", "Name": name})


def _isUsable(name: str) -> bool:
    """
    Whether others can be told of it: XML can say it, and it is no longer than a name.
    """
    return name.isprintable() and len(name.encode()) <= LONGEST_NAME
