# -*- test-case-name: tests.phone.services.test_notifications -*-
"""
What happens on the phone, for hosts that observe it: notifications by name.
"""

from __future__ import annotations

from collections.abc import Callable

REQUEST_PAIR = "com.apple.mobile.lockdown.request_pair"
"""The owner has answered the Trust dialog: a host should ask again."""

NAME_CHANGED = "com.apple.mobile.lockdown.device_name_changed"

TIME_ZONE_CHANGED = "com.apple.mobile.lockdown.timezone_changed"

Observer = Callable[[str], None]


class NoticeCentre:
    """
    Tells observers of notices.
    """

    def __init__(self) -> None:
        self._observers: dict[Observer, None] = {}

    def observe(self, observer: Observer) -> None:
        """
        Call this with the name of every notice from now on.
        """
        self._observers[observer] = None

    def forget(self, observer: Observer) -> None:
        """
        No more.  Harmless for one that is not called.
        """
        self._observers.pop(observer, None)

    def post(self, name: str) -> None:
        """
        Something has happened.
        """
        for observer in tuple(self._observers):
            observer(name)
