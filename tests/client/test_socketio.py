"""
Tests for L{muxd.client.socketio}.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from dataclasses import replace
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.answers import Answer, DeviceTable
from muxd.client.problems import Stage
from muxd.client.requests import (
    Dialect,
    Request,
    commandRequest,
    connectRequest,
    listenRequest,
)
from muxd.client.socketerrors import DaemonLost, DaemonNonsense, TimedOut
from muxd.client.socketio import DaemonConnection, Deadline
from muxd.limits import LIMITS
from muxd.wire.messages import HEADER, plistMessage
from tests.client.fakedaemon import PATIENCE, FakeTime, SlowSocket
from tests.wire.results import resultMessage


class DeadlineTests(SynchronousTestCase):
    """
    L{Deadline}.
    """

    def setUp(self) -> None:
        """
        Make a clock that stands still.
        """
        self.time = FakeTime()

    def deadline(self, seconds: float | None) -> Deadline:
        """
        One by that clock.
        """
        return Deadline(seconds, self.time.clock)

    def test_passing(self) -> None:
        """
        What is left becomes less, and nothing is a time-out that says what was
        being done.
        """
        deadline = self.deadline(5)
        self.time.now += 3
        self.assertEqual(deadline.remaining(Stage.EVENT, "counting"), 2)
        self.assertFalse(deadline.expired)
        self.time.now += 2
        self.assertTrue(deadline.expired)
        error = self.assertRaises(TimedOut, deadline.remaining, Stage.EVENT, "x")
        self.assertEqual(str(error), "time-out after 5 s while waiting for an event (x)")
        self.assertIs(Stage.EVENT, error.stage)
        self.assertIsInstance(error, TimeoutError)

    def test_unlimited(self) -> None:
        """
        None and numbers too large for a socket mean no limit.
        """
        for seconds in (None, math.inf, 1e9):
            deadline = self.deadline(seconds)
            self.time.now += 1e12
            self.assertIsNone(deadline.remaining(Stage.EVENT, "x"))
            self.assertFalse(deadline.expired)
            self.assertEqual(deadline.atMost(3), 3)
            deadline.extend(5)
            self.assertIsNone(deadline.remaining(Stage.EVENT, "x"))

    def test_extend(self) -> None:
        """
        Time that does not count is given back.
        """
        deadline = self.deadline(5)
        self.time.now += 10
        deadline.extend(9)
        self.assertEqual(deadline.remaining(Stage.EVENT, "x"), 4)

    def test_within(self) -> None:
        """
        Of two limits the earlier counts.
        """
        deadline = self.deadline(5)
        self.assertIs(deadline.within(6), deadline)
        self.assertEqual(deadline.within(1).remaining(Stage.EVENT, "x"), 1)
        self.assertEqual(self.deadline(None).within(7).remaining(Stage.EVENT, "x"), 7)

    def test_atMost(self) -> None:
        """
        A pause is never longer than what is left.
        """
        deadline = self.deadline(5)
        self.assertEqual(deadline.atMost(1), 1)
        self.assertEqual(deadline.atMost(9), 5)
        self.time.now += 6
        self.assertEqual(deadline.atMost(1), 0)


READ_BUID = commandRequest("ReadBUID")
ANSWER = plistMessage({"BUID": "x"}, 1).encode()


class DaemonConnectionTests(SynchronousTestCase):
    """
    L{DaemonConnection} over a socket pair.
    """

    def setUp(self) -> None:
        """
        Connect the two ends.
        """
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.connection = DaemonConnection(self.ours, "here", "tests")
        self.deadline = Deadline(PATIENCE)

    def ask(
        self,
        request: Request = READ_BUID,
        connection: DaemonConnection | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """
        Make a request.
        """
        asking = connection or self.connection
        return asking.ask(request, Dialect.PLIST, deadline or self.deadline)

    def slow(self, time: FakeTime, data: bytes, pace: float = 0.0) -> DaemonConnection:
        """
        A connection to a daemon that is too slow.
        """
        return DaemonConnection(cast(socket.socket, SlowSocket(time, data, pace)), "here", "tests")

    def test_exactReads(self) -> None:
        """
        Not a byte is read behind the answer.
        """
        self.theirs.sendall(resultMessage(1, 1, 0).encode() + b"SSH-2.0")
        self.ask(connectRequest(1, 22))
        released = self.connection.release()
        self.addCleanup(released.close)
        self.assertEqual(released.recv(100), b"SSH-2.0")

    def test_released(self) -> None:
        """
        A released socket blocks, has no time-out, and is not closed with the
        connection.
        """
        self.theirs.sendall(resultMessage(0, 1, 0).encode())
        with self.connection:
            self.ask(connectRequest(1, 22))
            released = self.connection.release()
        self.addCleanup(released.close)
        self.assertIsNone(released.gettimeout())
        self.assertTrue(os.get_blocking(released.fileno()))
        self.assertFalse(released.get_inheritable())
        released.sendall(b"x")
        self.theirs.recv(65536)
        released.sendall(b"y")
        self.assertEqual(self.theirs.recv(1), b"y")

    def test_closes(self) -> None:
        """
        The connection is closed at the end of its block.
        """
        with self.connection:
            pass
        self.assertEqual(self.theirs.recv(1), b"")

    def test_badLengths(self) -> None:
        """
        A length that cannot be is refused before anything is waited for.
        """
        for length in (0, 15, LIMITS.replySize + 1, 2**32 - 1):
            self.setUp()
            self.theirs.sendall(HEADER.pack(length, 1, 8, 1))
            error = self.assertRaises(DaemonNonsense, self.ask)
            self.assertIn(f"got {length}", str(error))
            self.assertEqual(error.errno, errno.EPROTO)

    def test_largeMessage(self) -> None:
        """
        The longest message is read.
        """
        message = plistMessage({"BUID": "x" * 150000}, 1).encode()
        limits = replace(LIMITS, replySize=len(message))
        connection = DaemonConnection(self.ours, "here", "tests", limits)
        for start in range(0, len(message), 50000):
            self.theirs.sendall(message[start : start + 50000])
        self.assertEqual(len(self.ask(connection=connection).values["BUID"]), 150000)

    def test_closedBeforeAnswer(self) -> None:
        """
        A daemon that closes instead of answering, before or within the message,
        is gone.
        """
        for part in (0, 7, 18):
            self.setUp()
            self.theirs.sendall(ANSWER[:part])
            self.theirs.shutdown(socket.SHUT_WR)
            error = self.assertRaises(DaemonLost, self.ask)
            self.assertEqual(
                str(error),
                "lost the usbmuxd at here while waiting for the answer to ReadBUID: "
                "look into its log",
            )
            self.assertIsInstance(error, ConnectionError)

    def test_reset(self) -> None:
        """
        A connection that is reset is a daemon that is gone.
        """
        # A UNIX socket that is closed with unread bytes resets its other end.
        self.ours.sendall(b"unread")
        self.theirs.close()
        self.connection.listen(DeviceTable())
        error = self.assertRaises(DaemonLost, self.connection.nextEvent, self.deadline)
        self.assertIn("lost the usbmuxd at here while waiting for events", str(error))

    def test_closedBeforeCommand(self) -> None:
        """
        So is one that closed before it was asked.
        """
        self.theirs.close()
        error = self.assertRaises(DaemonLost, self.ask, listenRequest())
        self.assertIn("lost the usbmuxd at here while waiting for the answer to L", str(error))

    def test_sendingTakesTooLong(self) -> None:
        """
        A daemon that does not read is a time-out.
        """
        request = commandRequest("SavePairRecord", PairRecordData=bytes(10_000_000))
        error = self.assertRaises(TimedOut, self.ask, request, None, Deadline(0.001))
        self.assertIs(Stage.ANSWER, error.stage)

    def test_wholeDeadline(self) -> None:
        """
        The deadline is for the whole message: a daemon that trickles does not
        get it anew with each byte.
        """
        time = FakeTime()
        trickling = self.slow(time, ANSWER, pace=1.0)
        error = self.assertRaises(TimedOut, self.ask, READ_BUID, trickling, Deadline(5, time.clock))
        self.assertEqual(time.now, 1005)
        self.assertIs(Stage.ANSWER, error.stage)

    def test_stalledMessage(self) -> None:
        """
        A program that waits without limit does not wait so for the rest of a
        message.
        """
        time = FakeTime()
        stalled = self.slow(time, b"\x20")
        self.assertRaises(
            TimedOut, self.ask, READ_BUID, stalled, Deadline(None, time.clock).within(1e5)
        )
        self.assertEqual(time.now, 1000 + LIMITS.messageTimeout)

    def test_tricklingMessage(self) -> None:
        """
        The time for the rest of a message is not given anew with each byte of it.
        """
        time = FakeTime()
        trickling = self.slow(time, ANSWER, pace=20.0)
        self.assertRaises(
            TimedOut, self.ask, READ_BUID, trickling, Deadline(None, time.clock).within(1e5)
        )
        self.assertEqual(time.now, 1000 + 20 + LIMITS.messageTimeout)

    def test_stalledEvent(self) -> None:
        """
        Nor for the rest of an event.
        """
        time = FakeTime()
        stalled = self.slow(time, b"\x20")
        stalled.listen(DeviceTable())
        self.assertRaises(TimedOut, stalled.nextEvent, Deadline(None, time.clock).within(1e5))
        self.assertEqual(time.now, 1000 + LIMITS.messageTimeout)
