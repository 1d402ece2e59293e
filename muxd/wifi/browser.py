# -*- test-case-name: tests.net.test_multicast -*-
"""
Which phones announce themselves on the networks of this machine.
"""

from __future__ import annotations

from typing import Any

from muxd.net.multicast import Announced, MulticastBrowser
from muxd.wifi.adverts import SERVICE, AdvertObserver, readAdvert


class PhoneBrowser(MulticastBrowser):
    """
    Looks for phones on all networks of this machine.
    """

    def __init__(self, reactor: Any, observer: AdvertObserver) -> None:
        """
        @param reactor: As of L{MulticastBrowser}.
        """
        super().__init__(reactor, SERVICE, _Reading(observer))


class _Reading:
    """
    Reads what phones announce.
    """

    def __init__(self, observer: AdvertObserver) -> None:
        self._observer = observer

    def found(self, announced: Announced) -> None:
        """
        A phone announces itself.
        """
        self._observer.advertFound(
            readAdvert(announced.instance, announced.addresses, announced.properties)
        )

    def gone(self, instance: str) -> None:
        """
        It does not any more.
        """
        self._observer.advertGone(instance)
