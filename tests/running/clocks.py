"""
A clock that is as strict as a reactor.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock


class StrictClock(Clock):
    """
    One that calls nothing in the past.
    """

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """
        See L{Clock}.
        """
        assert delay >= 0, f"expected a time to come, got {delay}"
        return super().callLater(delay, callable, *args, **kw)
