# -*- test-case-name: tests.lockdown.test_notifications -*-
"""
Being told of what happens on a phone: a client of its notification proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.protocol import Factory

from muxd.lockdown.plists import Message, PlistProtocol

INSECURE_PROXY = "com.apple.mobile.insecure_notification_proxy"
"""The one that a host needs no pairing for."""


MOST = 256
"""Messages of one conversation; real phones send a few, as one waits for a tap on a screen."""


class NotificationObserver(PlistProtocol):
    """
    Asks for notifications, and calls back with each.  It ends when there are too many:
    what waits for them finds out in another way.
    """

    MAX_LENGTH = 4096

    def __init__(self, names: Iterable[str], noticed: Callable[[str], object]) -> None:
        self._names = tuple(names)
        self._noticed = noticed
        self._left = MOST

    def connectionMade(self) -> None:
        """
        Ask.
        """
        for name in self._names:
            self.sendPlist({"Command": "ObserveNotification", "Name": name})

    def plistReceived(self, message: Message) -> None:
        """
        Something has happened, or the proxy ends.
        """
        self._left -= 1
        if self._left < 0:
            self.malformed(f"more than {MOST} messages")
            return
        name = message.get("Name")
        if message.get("Command") == "RelayNotification" and name in self._names:
            self._noticed(str(name))


class ObserverFactory(Factory):
    """
    Makes one observer.
    """

    noisy = False

    def __init__(self, names: Iterable[str], noticed: Callable[[str], object]) -> None:
        """
        @param names: What to be told of.
        @param noticed: Called with the name of each.
        """
        self._names = tuple(names)
        self._noticed = noticed

    def buildProtocol(self, addr: object) -> NotificationObserver:
        """
        An observer.
        """
        return NotificationObserver(self._names, self._noticed)
