"""
Tests of L{muxd.status.operations}.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muxd.service import MuxService
from muxd.status.actions import Action, Values
from muxd.status.answers import RequestError
from muxd.status.operations import phoneActions
from tests.server.viewing import udid


class Service:
    """
    A service, as far as its phones can be released.
    """

    def __init__(self) -> None:
        self.released: list[str] = []
        self.ended: Deferred[int] = Deferred()

    def release(self, name: str) -> Deferred[int]:
        """
        Let go of a phone.
        """
        if name == "?":
            raise ValueError("expected a UDID, got '?'")
        self.released.append(name)
        return self.ended

    def take(self, name: str) -> bool:
        """
        Take it back.
        """
        if name == "?":
            raise ValueError("expected a UDID, got '?'")
        if name not in self.released:
            return False
        self.released.remove(name)
        return True


class PhoneActionTests(SynchronousTestCase):
    """
    The actions on phones.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.service = Service()
        self.actions: dict[str, Action] = {
            action.name: action for action in phoneActions(cast("MuxService", self.service))
        }

    def perform(self, name: str, **values: object) -> Any:
        """
        Perform one.
        """
        return self.actions[name].perform(Values(values))

    def test_release(self) -> None:
        """
        It is answered when nothing of the phone is claimed any more.
        """
        answered = self.perform("release", udid=udid(1))
        self.assertNoResult(answered)
        self.service.ended.callback(1)
        self.assertEqual(
            self.successResultOf(answered),
            {"udid": udid(1), "attached": 1, "released": [udid(1)]},
        )

    def test_take(self) -> None:
        """
        One that was released is taken back; for another one it is said which are.
        """
        self.perform("release", udid=udid(1))
        error = self.assertRaises(RequestError, self.perform, "take", udid=udid(2))
        self.assertEqual((error.status, error.remedy), (404, f"released are: {udid(1)}"))
        self.assertEqual(self.perform("take", udid=udid(1)), {"udid": udid(1), "released": []})
        error = self.assertRaises(RequestError, self.perform, "take", udid=udid(1))
        self.assertEqual(error.remedy, "released are: none")

    def test_mistakes(self) -> None:
        """
        What is no UDID is refused.
        """
        for name in ("release", "take"):
            for values in ({}, {"udid": 3}, {"udid": "?"}):
                error = self.assertRaises(RequestError, self.perform, name, **values)
                self.assertEqual(error.status, 400)
