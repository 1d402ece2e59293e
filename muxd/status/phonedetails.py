# -*- test-case-name: tests.status.test_phonedetails -*-
"""
What phones say of themselves: their name, model and version.

Every phone tells that without being asked for trust.  It is asked once while it is attached,
when an operator looks; one that does not answer is asked again later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.interfaces import AttachedDevice
from muxd.lockdown.client import LOCKDOWN_PORT, connectLockdown
from muxd.wire.text import printable

AT_ONCE = 8
"""Phones that are asked at the same time."""

TIMEOUT = 10.0
"""Seconds for an answer."""

AGAIN = 30.0
"""Seconds until a phone is asked again that has not answered."""

_KEYS = {"name": "DeviceName", "model": "ProductType", "version": "ProductVersion"}


@dataclass(slots=True)
class _Asked:
    """
    What is known of one phone.

    @ivar isAsking: Whether it is being asked.
    @ivar again: When to ask it again, if it has not answered.
    """

    attached: AttachedDevice
    values: dict[str, str]
    isAsking: bool = False
    again: float | None = None


class PhoneDetails:
    """
    What all phones have said.

    @ivar changes: Counts up whenever there is more.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.changes = 0
        self._clock = clock
        self._asked: dict[int, _Asked] = {}
        self._turns = DeferredSemaphore(AT_ONCE)

    def of(self, attached: AttachedDevice) -> dict[str, str]:
        """
        What a phone has said so far: C{name}, C{model} and C{version}, or nothing.  If it
        has not been asked, it is now.
        """
        asked = self._asked.get(attached.deviceID)
        if asked is None:
            asked = self._asked[attached.deviceID] = _Asked(attached, {})
            self._ask(asked)
        elif asked.again is not None and self._clock.seconds() >= asked.again:
            self._ask(asked)
        return asked.values

    def isAsking(self, attached: AttachedDevice) -> bool:
        """
        Whether a phone is being asked at this moment: it may be worth while to look again soon.
        """
        asked = self._asked.get(attached.deviceID)
        return asked is not None and asked.isAsking

    def keepOnly(self, numbers: set[int]) -> None:
        """
        Forget all phones but those with these numbers.
        """
        for number in self._asked.keys() - numbers:
            del self._asked[number]

    def _ask(self, asked: _Asked) -> None:
        asked.again = None
        asked.isAsking = True

        def heard(values: dict[str, str]) -> None:
            asked.isAsking = False
            asked.values = values
            self.changes += 1

        def failed(failure: Failure) -> None:
            # It may be locked, busy or gone: whatever it is, it is not worth a line.
            asked.isAsking = False
            asked.again = self._clock.seconds() + AGAIN

        self._turns.run(self._conversation, asked.attached).addCallbacks(heard, failed)

    def _conversation(self, attached: AttachedDevice) -> Deferred[dict[str, str]]:
        return Deferred.fromCoroutine(self._talk(attached)).addTimeout(TIMEOUT, self._clock)

    async def _talk(self, attached: AttachedDevice) -> dict[str, str]:
        endpoint = attached.device.endpoint(LOCKDOWN_PORT)
        lockdown = await connectLockdown(endpoint, self._clock, timeout=TIMEOUT)
        try:
            said: Any = await lockdown.getValue()
        finally:
            lockdown.close()
        if not isinstance(said, dict):
            return {}
        found = {name: said.get(key) for name, key in _KEYS.items()}
        return {name: printable(text) for name, text in found.items() if isinstance(text, str)}
