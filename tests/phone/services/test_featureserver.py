# -*- test-case-name: tests.phone.services.test_featureserver -*-
"""
Tests of L{muxd.phone.services.featureserver}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.phone.services.features import FeatureError
from muxd.tunnel.xpc import IS_REPLY, WANTS_REPLY, Message

try:
    from muxd.phone.services.featureserver import (
        ERROR,
        INVOCATION,
        MOST_AWAITED,
        OUTPUT,
        FeatureServer,
    )
    from muxd.tunnel.remotexpc import RemoteXPC
except ImportError as missing:
    raise SkipTest(f"these tests need the extra tunnel: {missing}") from missing

FEATURE = "com.example.feature"


class Host(RemoteXPC):
    """
    A host.

    @ivar heard: What was said to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Message] = []

    def messageReceived(self, message: Message) -> None:
        """
        Keep it.
        """
        self.heard.append(message)


def refuse(asked: Any) -> Any:
    """
    A feature that never succeeds.
    """
    raise FeatureError("domain", 7, "not today")


class FeatureServerTests(SynchronousTestCase):
    """
    A connection to a service of CoreDevice.
    """

    def setUp(self) -> None:
        """
        Connect a host.
        """
        self.late: list[Deferred[Any]] = []
        features: dict[str, Any] = {
            FEATURE: dict,
            "no": refuse,
            "odd": lambda asked: object(),
            "late": self.wait,
        }
        self.host, self.server = Host(), FeatureServer(features)
        self.wires = StringTransport(), StringTransport()
        self.host.makeConnection(self.wires[0])
        self.server.makeConnection(self.wires[1])
        self.flush()

    def wait(self, asked: Any) -> Deferred[Any]:
        """
        A feature whose output comes later.
        """
        self.late.append(Deferred())
        return self.late[-1]

    def flush(self) -> None:
        """
        Deliver everything.
        """
        while self.wires[0].value() or self.wires[1].value():
            said = [wire.value() for wire in self.wires]
            for wire in self.wires:
                wire.clear()
            self.server.dataReceived(said[0])
            self.host.dataReceived(said[1])

    def ask(self, name: object, asked: Any = None, flags: int = WANTS_REPLY) -> Any:
        """
        Ask for a feature.
        """
        self.host.send(
            {
                "CoreDevice.featureIdentifier": name,
                "CoreDevice.input": {} if asked is None else asked,
                INVOCATION: "one",
            },
            flags,
        )
        self.flush()
        if not self.host.heard:
            return None
        (message,) = self.host.heard
        self.host.heard.clear()
        self.assertTrue(message.flags & IS_REPLY)
        self.assertEqual(message.body[INVOCATION], "one")
        return message.body

    def test_output(self) -> None:
        """
        An answer has the output, the number of the request and its identifier.
        """
        self.assertEqual(self.ask(FEATURE, {"a": [1]})[OUTPUT], {"a": [1]})
        self.assertEqual(self.ask(FEATURE, "text")[OUTPUT], {})

    def test_number(self) -> None:
        """
        It has the number of the request.
        """
        self.host.send({"CoreDevice.featureIdentifier": FEATURE}, WANTS_REPLY)
        self.host.send({"CoreDevice.featureIdentifier": FEATURE}, WANTS_REPLY)
        self.flush()
        first, second = self.host.heard
        self.assertEqual((first.number, second.number), (1, 3))

    def test_refused(self) -> None:
        """
        What fails, or is not there, is an error with a text.
        """
        error = self.ask("no")[ERROR]
        self.assertEqual((error["domain"], error["code"]), ("domain", 7))
        self.assertEqual(error["userInfo"], {"NSLocalizedDescription": "not today"})
        for name in ("none", 7):
            self.assertEqual(self.ask(name)[ERROR]["code"], 2)

    def test_unspeakable(self) -> None:
        """
        An output that cannot be said is an error, too.
        """
        self.assertIn("object", str(self.ask("odd")[ERROR]))

    def test_noReply(self) -> None:
        """
        What wants no answer has none, and what is no request ends the connection.
        """
        self.assertIsNone(self.ask(FEATURE, flags=0))
        self.host.send(["odd"])
        self.flush()
        self.assertTrue(self.wires[1].disconnecting)

    def test_late(self) -> None:
        """
        An output that comes later is an answer then, and others are not kept waiting by it.
        """
        self.assertIsNone(self.ask("late"))
        self.assertEqual(self.ask(FEATURE, {"a": 1})[OUTPUT], {"a": 1})
        self.late[0].callback({"b": 2})
        self.flush()
        (message,) = self.host.heard
        self.assertEqual((message.number, message.body[OUTPUT]), (1, {"b": 2}))

    def test_tooLate(self) -> None:
        """
        So many are waited for, and none of them any more when the host has gone.
        """
        for _ in range(MOST_AWAITED):
            self.assertIsNone(self.ask("late"))
        self.assertEqual(self.ask("late")[ERROR]["code"], 1)
        self.server.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(all(each.called for each in self.late))
