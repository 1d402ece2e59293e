"""
A clock that goes on while work is done.
"""

from __future__ import annotations

from twisted.internet.task import Clock


class WorkingClock(Clock):
    """
    One whose turns are those of a reactor: a timer that is made in a turn is due in the next.
    """

    def work(self, seconds: float) -> None:
        """
        Let time go by within a turn.
        """
        self.rightNow += seconds

    def turn(self) -> None:
        """
        Have the reactor's next turn.
        """
        now = self.seconds()
        for call in [each for each in self.calls if each.getTime() <= now]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
