# -*- test-case-name: tests.client.test_feed -*-
"""
Tests for L{muxd.client.feed}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.answers import Attached, Detached, Event, Paired
from muxd.client.feed import EventReceiver, FeedFactory
from muxd.limits import Limits
from muxd.wire.messages import DEVICE_ID_BODY, DeviceRecord, Message, MessageType, plistMessage
from tests.client.daemons import UDID, attachedProperties
from tests.client.hosts import logOf
from tests.running.properties import examples
from tests.wire.results import resultMessage

ATTACHED = plistMessage(
    {"MessageType": "Attached", "DeviceID": 1, "Properties": attachedProperties()}, 0
).encode()
PAIRED = plistMessage({"MessageType": "Paired", "DeviceID": 1}, 0).encode()
DETACHED = plistMessage({"MessageType": "Detached", "DeviceID": 1}, 0).encode()


class EventReceiverTests(SynchronousTestCase):
    """
    Tests for L{EventReceiver}.
    """

    def setUp(self) -> None:
        """
        Make a feed.
        """
        self.events: list[Event] = []
        self.lost: list[EventReceiver] = []
        self.transport = StringTransport()
        self.feed = EventReceiver(
            "here",
            self.events.append,
            lambda feed, reason: self.lost.append(feed),
            Limits(replySize=4096),
        )
        self.feed.makeConnection(self.transport)

    def kinds(self) -> list[type]:
        """
        What kinds of events came.
        """
        return [type(event) for event in self.events]

    def test_plist(self) -> None:
        """
        Events come as values, in order, and the devices that are there are known.
        """
        self.feed.dataReceived(ATTACHED + PAIRED)
        self.assertEqual([UDID], [device.udid for device in self.feed.devices])
        self.feed.dataReceived(DETACHED)
        self.assertEqual([Attached, Paired, Detached], self.kinds())
        self.assertEqual([], list(self.feed.devices))

    def test_binary(self) -> None:
        """
        They do in binary as well, also with the short records of old daemons.
        """
        record = DeviceRecord(1, 0x1290, UDID, 5).encode()[:48]
        number = DEVICE_ID_BODY.pack(1)
        for message in (
            Message(0, MessageType.DEVICE_ADD, 0, record),
            Message(0, MessageType.DEVICE_PAIRED, 0, number),
            Message(0, MessageType.DEVICE_REMOVE, 0, number),
        ):
            self.feed.dataReceived(message.encode())
        self.assertEqual([Attached, Paired, Detached], self.kinds())

    def test_pieces(self) -> None:
        """
        Events may come byte by byte.
        """
        for byte in ATTACHED + DETACHED:
            self.feed.dataReceived(bytes([byte]))
        self.assertEqual([Attached, Detached], self.kinds())

    def test_duplicates(self) -> None:
        """
        A device that is announced twice is attached once, and one that was never
        announced is not detached.
        """
        self.feed.dataReceived(DETACHED + ATTACHED + ATTACHED + DETACHED + DETACHED)
        self.assertEqual([Attached, Detached], self.kinds())

    def test_malformed(self) -> None:
        """
        Messages that make no sense are left out, counted, and complained of once.
        """
        logged = logOf(self)
        garbage = Message(1, MessageType.PLIST, 0, b"garbage").encode()
        short = Message(0, MessageType.DEVICE_ADD, 0, b"short").encode()
        self.feed.dataReceived(garbage + ATTACHED + short + DETACHED)
        self.assertEqual([Attached, Detached], self.kinds())
        self.assertEqual(2, self.feed.malformed)
        self.assertEqual(["here"], [event["where"] for event in logged])

    def test_other(self) -> None:
        """
        Messages that are no events are nobody's business.
        """
        self.feed.dataReceived(resultMessage(1, 0, 0).encode() + ATTACHED)
        self.assertEqual([Attached], self.kinds())

    def test_impossibleLength(self) -> None:
        """
        After a length that cannot be right there is no way to go on: the
        connection is closed.
        """
        for length in (15, 4097):
            self.setUp()
            self.feed.dataReceived(ATTACHED + length.to_bytes(4, "little") + bytes(12) + ATTACHED)
            self.assertEqual([Attached], self.kinds())
            self.assertTrue(self.transport.disconnecting)

    def test_stalled(self) -> None:
        """
        A daemon that stops within an event is left after thirty seconds from its
        beginning; one that only says nothing is not.
        """
        clock, logged = Clock(), logOf(self)
        feed = EventReceiver("here", self.events.append, lambda *_: None, Limits(), clock)
        feed.makeConnection(self.transport)
        feed.dataReceived(ATTACHED)
        self.assertEqual([], clock.getDelayedCalls())
        feed.dataReceived(DETACHED[:1])
        clock.advance(20)
        feed.dataReceived(DETACHED[1:] + ATTACHED[:30])
        clock.advance(20)
        feed.dataReceived(ATTACHED[30:40])
        self.assertFalse(self.transport.disconnecting)
        clock.advance(10)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([30.0], [event["seconds"] for event in logged])
        feed.connectionLost(Failure(ConnectionDone()))

    def test_paused(self) -> None:
        """
        A feed that is paused is not read; the time that the rest of an event may take does not
        run meanwhile, and begins anew when it is read again.
        """
        clock = Clock()
        feed = EventReceiver("here", self.events.append, lambda *_: None, Limits(), clock)
        feed.makeConnection(self.transport)
        feed.dataReceived(ATTACHED + DETACHED[:1])
        clock.advance(20)
        feed.pause()
        self.assertEqual("paused", self.transport.producerState)
        self.assertEqual([], clock.getDelayedCalls())
        feed.dataReceived(DETACHED[1:2])
        self.assertEqual([], clock.getDelayedCalls())
        clock.advance(100)
        feed.resume()
        self.assertEqual("producing", self.transport.producerState)
        clock.advance(29)
        self.assertFalse(self.transport.disconnecting)
        clock.advance(1)
        self.assertTrue(self.transport.disconnecting)

    def test_pausedBetweenEvents(self) -> None:
        """
        One that is paused and read again between two events waits for the next without end.
        """
        clock = Clock()
        feed = EventReceiver("here", self.events.append, lambda *_: None, Limits(), clock)
        feed.makeConnection(self.transport)
        feed.dataReceived(ATTACHED)
        feed.pause()
        feed.resume()
        self.assertEqual([], clock.getDelayedCalls())
        feed.dataReceived(DETACHED)
        self.assertEqual([Attached, Detached], self.kinds())

    def test_lostWithinEvent(self) -> None:
        """
        When the connection ends within an event no timer is left.
        """
        clock = Clock()
        feed = EventReceiver("here", self.events.append, lambda *_: None, Limits(), clock)
        feed.makeConnection(self.transport)
        feed.dataReceived(ATTACHED[:20])
        feed.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([], clock.getDelayedCalls())

    def test_lost(self) -> None:
        """
        The end is told, with the devices that were there.
        """
        self.feed.dataReceived(ATTACHED)
        self.feed.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([self.feed], self.lost)
        self.assertEqual(1, len(list(self.feed.devices)))

    def test_factory(self) -> None:
        """
        The factory makes another feed for each connection.
        """
        made = [self.feed]
        self.assertIs(self.feed, FeedFactory(made.pop).buildProtocol(None))
        self.assertEqual([], made)

    @settings(deadline=None, max_examples=examples(50))
    @given(
        st.lists(
            st.builds(
                lambda version, kind, body: Message(version, kind, 0, body).encode(),
                st.integers(0, 1),
                st.integers(0, 9),
                st.binary(max_size=60),
            ),
            max_size=5,
        )
    )
    def test_anything(self, messages: list[bytes]) -> None:
        """
        Whatever a daemon sends, the next event is understood.
        """
        self.setUp()
        self.feed.dataReceived(b"".join(messages) + ATTACHED)
        last = self.events[-1]
        assert isinstance(last, Attached)
        self.assertEqual(UDID, last.device.udid)
