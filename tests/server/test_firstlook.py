"""
Tests of L{muxd.server.firstlook}, and of clients that come before it is over.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceListener
from muxd.limits import LIMITS
from muxd.testing import FakeDevice, fakeIdentity
from muxd.wire.messages import BINARY_VERSION, Message, MessageType, plistMessage
from tests.server.serving import Client, ServingTestCase

LIST = {"MessageType": "ListDevices"}
LISTEN = {"MessageType": "Listen", "kLibUSBMuxVersion": 3}


class FirstLookTests(ServingTestCase):
    """
    A daemon with one phone, which has just started with two sources that look.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        super().setUp()
        self.look = self.factory.firstLook
        self.sources: list[Deferred[None]] = [Deferred(), Deferred()]
        self.look.begin([lambda: self.sources[0], lambda: self.sources[1]])

    def asking(self) -> Client:
        """
        A client that has asked for a list.
        """
        client = self.client()
        client.send(plistMessage(LIST, 7))
        return client

    def listed(self, client: Client) -> int | None:
        """
        How many phones a client's list has, if it has got one.
        """
        answers = client.plists()
        return len(answers[0]["DeviceList"]) if answers else None

    def test_interface(self) -> None:
        """
        The first look is told of devices as listeners are.
        """
        verifyObject(IDeviceListener, self.look)

    def test_bothSources(self) -> None:
        """
        A list waits until both sources have looked, and has what they have found.
        """
        client = self.asking()
        self.sources[0].callback(None)
        self.assertIsNone(self.listed(client))
        self.attach(2)
        self.sources[1].callback(None)
        self.assertEqual(self.listed(client), 2)
        self.assertEqual(self.listed(self.asking()), 2)
        self.assertNotIn(self.look, self.registry._listeners)

    def test_failedSource(self) -> None:
        """
        A source that fails to look keeps no client waiting.
        """
        client = self.asking()
        self.sources[0].errback(RuntimeError("no luck"))
        self.sources[1].callback(None)
        self.assertEqual(self.listed(client), 1)

    def test_hidden(self) -> None:
        """
        A phone that is not listed yet, as it is asked for its trust, is waited for.
        """
        client = self.asking()
        device = FakeDevice(self.clock, fakeIdentity(2))
        self.registry.attach(device, visible=False)
        for source in self.sources:
            source.callback(None)
        self.assertIsNone(self.listed(client))
        self.registry.show(device)
        self.assertEqual(self.listed(client), 2)

    def test_deadline(self) -> None:
        """
        A source that takes its time is not waited for any longer than the limit.
        """
        client = self.asking()
        self.clock.advance(LIMITS.firstLook - 0.1)
        self.assertIsNone(self.listed(client))
        self.clock.advance(0.1)
        self.assertEqual(self.listed(client), 1)
        for source in self.sources:
            source.callback(None)

    def test_listeners(self) -> None:
        """
        A listener's Result waits, and what was there at the start comes right behind it,
        in both dialects.
        """
        modern, old = self.client(), self.client()
        modern.send(plistMessage(LISTEN, 1))
        old.send(Message(BINARY_VERSION, MessageType.LISTEN, 1, b""))
        self.assertEqual((modern.messages(), old.messages()), ([], []))
        for source in self.sources:
            source.callback(None)
        kinds = [values["MessageType"] for values in modern.plists()]
        self.assertEqual(kinds, ["Result", "Attached"])
        self.assertEqual(
            [message.type for message in old.messages()],
            [MessageType.RESULT, MessageType.DEVICE_ADD],
        )

    def test_otherRequests(self) -> None:
        """
        A Connect to a phone that is there already does not wait, nor do pair records.
        """
        self.assertEqual(self.client().result(MessageType="Connect", DeviceID=9, PortNumber=1), 2)
        client = self.client()
        client.send(plistMessage({"MessageType": "ReadBUID"}, 1))
        [answer] = client.plists()
        self.assertIn("BUID", answer)

    def test_clientGone(self) -> None:
        """
        A client that leaves while it waits leaves nothing behind.
        """
        client = self.asking()
        client.transport.lose()
        for source in self.sources:
            source.callback(None)
        self.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.factory.clients, set())

    def test_stopped(self) -> None:
        """
        A daemon that stops keeps no client waiting, and no timer.
        """
        client = self.asking()
        self.look.stop()
        self.assertEqual(self.listed(client), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noSources(self) -> None:
        """
        Before a start, and without sources, no client waits.
        """
        self.look.stop()
        self.look.begin([])
        self.assertTrue(self.look.isOver)
        self.assertIsNone(self.successResultOf(self.look.wait()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
