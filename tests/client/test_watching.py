"""
Tests for what takes time in L{muxd.client.blocking}: watching, and waiting for a
phone.
"""

from __future__ import annotations

import math
import socket
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import blocking
from muxd.client.address import TCPAddress, UnixAddress
from muxd.client.answers import Attached, Detached, Event, Paired
from muxd.client.blocking import UsbmuxError
from muxd.client.daemon import Daemon
from muxd.client.problems import Stage
from muxd.client.socketerrors import (
    DaemonLost,
    NoDaemon,
    PortRefused,
    TimedOut,
)
from muxd.client.socketio import Deadline, Sleep
from muxd.limits import LIMITS
from muxd.wire.messages import Message, plistMessage
from tests.client.fakedaemon import (
    OTHER,
    UDID,
    FakeDaemon,
    FakeTime,
    SlowSocket,
    answering,
    attached,
    detached,
    deviceEntry,
    listening,
    listOf,
    paired,
    untilClosed,
)
from tests.wire.results import resultMessage

NOWHERE = UnixAddress("/nonexistent/usbmuxd")
LISTED = answering(listOf(deviceEntry()))
NOBODY = answering(listOf())


class WatchTests(SynchronousTestCase):
    """
    L{blocking.watch}.
    """

    def test_life(self) -> None:
        """
        Phones come, are paired and go; closing the generator closes the socket.
        """
        fake = FakeDaemon(self, listening(attached(), paired(), detached(), then=untilClosed))
        events = blocking.watch(address=fake.address)
        kinds = [type(next(events)) for _ in range(3)]
        self.assertEqual(kinds, [Attached, Paired, Detached])
        events.close()

    def test_daemonDies(self) -> None:
        """
        Without C{reconnect} the loss of the daemon is raised.
        """
        fake = FakeDaemon(self, listening(attached()))
        events = blocking.watch(address=fake.address)
        next(events)
        self.assertRaises(DaemonLost, next, events)

    def test_noDaemon(self) -> None:
        """
        So is its absence.
        """
        self.assertRaises(NoDaemon, next, blocking.watch(address=NOWHERE))


class PacedTests(SynchronousTestCase):
    """
    L{blocking.watch} and L{blocking.connect} where time passes, by a clock of ours.
    """

    def setUp(self) -> None:
        """
        Have daemons made with our clock, whose sockets, or failures, come from a
        list.
        """
        self.time = FakeTime()
        self.sockets: list[SlowSocket | OSError] = []

        def make(address: UnixAddress) -> Daemon:
            return Daemon(
                address,
                "tests",
                clock=self.time.clock,
                sleep=self.time.sleep,
                opener=self.open,
            )

        self.patch(blocking, "_remembered", make)

    def open(self, address: object, deadline: Deadline, sleep: Sleep) -> socket.socket:
        """
        The next socket.
        """
        deadline.remaining(Stage.REACH, "test")
        following = self.sockets.pop(0) if self.sockets else NoDaemon("here", "nobody")
        if isinstance(following, OSError):
            raise following
        return cast(socket.socket, following)

    def listener(self, *messages: Message) -> SlowSocket:
        """
        A connection on which a daemon sends events, and then nothing for ever.
        """
        return self.answer(resultMessage(1, 1, 0), *messages)

    def answer(self, *messages: Message) -> SlowSocket:
        """
        A connection on which a daemon sends messages, and then nothing for ever.
        """
        return SlowSocket(self.time, b"".join(message.encode() for message in messages))

    def closing(self, *messages: Message) -> SlowSocket:
        """
        A connection on which it sends messages and is then gone.
        """
        ended = self.listener(*messages)
        receive = ended.recv

        def recv(size: int) -> bytes:
            return receive(size) if ended.data else b""

        ended.recv = recv  # type: ignore[method-assign]  # a socket of another kind
        return ended

    def test_end(self) -> None:
        """
        Watching ends quietly when its time is over.
        """
        self.sockets = [self.listener(attached())]
        events = list(blocking.watch(7, address=NOWHERE))
        self.assertEqual([type(event) for event in events], [Attached])
        self.assertEqual(self.time.now, 1007)

    def test_silentDaemon(self) -> None:
        """
        A daemon that does not answer the Listen is a time-out, though watching
        itself has no end.
        """
        self.sockets = [SlowSocket(self.time)]
        self.assertRaises(TimedOut, next, blocking.watch(address=NOWHERE))
        self.assertEqual(self.time.now, 1000 + LIMITS.answerTimeout)

    def test_reconnect(self) -> None:
        """
        When the daemon goes away its phones are detached, it is waited for, and
        its phones attach again; whoever wants to know is told once.
        """
        losses: list[UsbmuxError] = []
        self.sockets = [
            self.closing(attached(1), attached(2, OTHER)),
            NoDaemon("here", "not yet"),
            SlowSocket(self.time),
            self.closing(attached(7)),
        ]
        events = blocking.watch(60, reconnect=True, lost=losses.append, address=NOWHERE)
        seen: list[Event] = list(events)
        self.assertEqual(
            [(type(event), event.device.deviceID) for event in seen],
            [
                (Attached, 1),
                (Attached, 2),
                (Detached, 1),
                (Detached, 2),
                (Attached, 7),
                (Detached, 7),
            ],
        )
        self.assertEqual([type(error) for error in losses], [DaemonLost, DaemonLost])
        self.assertEqual(self.time.now, 1060)
        self.assertEqual(self.time.sleeps[0], LIMITS.reconnectDelay)

    def test_waitForPhone(self) -> None:
        """
        Connecting waits for the phone, and neither for another one nor on the
        time for the rest; then it makes sure that it is the only one.
        """
        empty = plistMessage(listOf(), 1)
        one = plistMessage(listOf(deviceEntry(2, OTHER), deviceEntry()), 1)
        events = self.listener(attached(2, OTHER), attached())
        events.pace = 0.01
        self.sockets = [
            self.answer(empty),
            events,
            self.answer(one),
            self.answer(resultMessage(1, 1, 3)),
        ]
        error = self.assertRaises(
            PortRefused, blocking.connect, 7, UDID, wait=900, timeout=1, address=NOWHERE
        )
        self.assertIn(UDID, str(error))
        self.assertGreater(self.time.now, 1010)
        self.assertEqual(self.sockets, [])

    def test_goneBeforeListed(self) -> None:
        """
        A phone that went away before the list was asked for is waited for again.
        """
        self.sockets = [
            self.answer(plistMessage(listOf(), 1)),
            self.listener(attached(1), detached(1), attached(2)),
            self.answer(plistMessage(listOf(), 1)),
            self.answer(plistMessage(listOf(deviceEntry(2)), 1)),
            self.answer(resultMessage(1, 1, 3)),
        ]
        self.assertRaises(PortRefused, blocking.connect, 7, wait=9, timeout=1, address=NOWHERE)
        self.assertEqual(self.sockets, [])

    def test_waitInVain(self) -> None:
        """
        When no phone comes within that time, that is a time-out, which says what
        was missing.
        """
        self.sockets = [self.answer(plistMessage(listOf(), 1)), self.listener()]
        error = self.assertRaises(TimedOut, blocking.connect, 7, wait=9, timeout=1, address=NOWHERE)
        self.assertIn("time-out after 9 s while waiting for the phone", str(error))
        self.assertIn("knows no phone on USB", str(error))
        self.assertEqual(self.time.now, 1009)

    def test_waitForDaemon(self) -> None:
        """
        A daemon that is not there is waited for as well, and named if it does
        not come.
        """
        error = self.assertRaises(TimedOut, blocking.connect, 7, UDID, wait=2.5, address=NOWHERE)
        self.assertIn("time-out after 2.5 s", str(error))
        self.assertIn("no usbmuxd at here (nobody)", str(error))
        self.assertEqual(self.time.now, 1002.5)

    def test_waitWithoutLimit(self) -> None:
        """
        Waiting may have no end.
        """
        self.sockets = [
            NoDaemon("here", "not yet"),
            *[NoDaemon("here", "not yet")] * 5000,
            self.listener(attached()),
            self.answer(plistMessage(listOf(deviceEntry()), 1)),
            self.answer(resultMessage(1, 1, 2)),
        ]
        self.assertRaises(
            ConnectionError, blocking.connect, 7, wait=math.inf, timeout=1, address=NOWHERE
        )
        self.assertEqual(self.time.now, 6000)

    def test_slowConnect(self) -> None:
        """
        Looking up and connecting share one deadline.
        """
        listed = self.answer(plistMessage(listOf(deviceEntry()), 1))
        listed.pace = 0.001
        self.sockets = [listed, SlowSocket(self.time)]
        error = self.assertRaises(
            TimedOut, blocking.connect, 7, timeout=3, address=TCPAddress("::1", 7)
        )
        self.assertEqual(
            str(error),
            "time-out after 3 s while waiting for the phone to accept the connection "
            "(Connect, usbmuxd at [::1]:7)",
        )
        self.assertAlmostEqual(self.time.now, 1003)
