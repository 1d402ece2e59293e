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

from muxd.client.socketerrors import DaemonLost, DaemonNonsense, TimedOut
from muxd.client.socketio import DaemonConnection, Deadline
from muxd.limits import LIMITS
from muxd.wire.messages import HEADER, Message, resultMessage
from tests.client.fakedaemon import PATIENCE, FakeTime, SlowSocket


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
        self.assertEqual(deadline.remaining("counting"), 2)
        self.assertFalse(deadline.expired)
        self.time.now += 2
        self.assertTrue(deadline.expired)
        error = self.assertRaises(TimedOut, deadline.remaining, "counting")
        self.assertEqual(str(error), "time-out after 5 s while counting")
        self.assertEqual(error.stage, "counting")
        self.assertIsInstance(error, TimeoutError)

    def test_forEver(self) -> None:
        """
        None and numbers too large for a socket mean no limit.
        """
        for seconds in (None, math.inf, 1e9):
            deadline = self.deadline(seconds)
            self.time.now += 1e12
            self.assertIsNone(deadline.remaining("waiting"))
            self.assertFalse(deadline.expired)
            self.assertEqual(deadline.atMost(3), 3)
            deadline.extend(5)
            self.assertIsNone(deadline.remaining("waiting"))

    def test_extend(self) -> None:
        """
        Time that does not count is given back.
        """
        deadline = self.deadline(5)
        self.time.now += 10
        deadline.extend(9)
        self.assertEqual(deadline.remaining("waiting"), 4)

    def test_within(self) -> None:
        """
        Of two limits the earlier counts.
        """
        deadline = self.deadline(5)
        self.assertIs(deadline.within(6), deadline)
        self.assertEqual(deadline.within(1).remaining("x"), 1)
        self.assertEqual(self.deadline(None).within(7).remaining("x"), 7)

    def test_atMost(self) -> None:
        """
        A pause is never longer than what is left.
        """
        deadline = self.deadline(5)
        self.assertEqual(deadline.atMost(1), 1)
        self.assertEqual(deadline.atMost(9), 5)
        self.time.now += 6
        self.assertEqual(deadline.atMost(1), 0)


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
        self.connection = DaemonConnection(self.ours, "here")
        self.deadline = Deadline(PATIENCE)

    def test_exactReads(self) -> None:
        """
        Not a byte is read behind the message.
        """
        self.theirs.sendall(resultMessage(1, 1, 0).encode() + b"SSH-2.0")
        self.connection.receive(self.deadline, "an answer")
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
            self.connection.receive(self.deadline, "an answer")
            released = self.connection.release()
        self.addCleanup(released.close)
        self.assertIsNone(released.gettimeout())
        self.assertTrue(os.get_blocking(released.fileno()))
        self.assertFalse(released.get_inheritable())
        released.sendall(b"x")
        self.assertEqual(self.theirs.recv(1), b"x")

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
            self.theirs.sendall(HEADER.pack(length, 1, 8, 1))
            error = self.assertRaises(
                DaemonNonsense, self.connection.receive, self.deadline, "an answer"
            )
            self.assertIn(f"a message of {length} bytes", str(error))
            self.assertEqual(error.errno, errno.EPROTO)

    def test_largeMessage(self) -> None:
        """
        The longest message is read.
        """
        limits = replace(LIMITS, replySize=200000)
        connection = DaemonConnection(self.ours, "here", limits)
        body = bytes(200000 - HEADER.size)
        for piece in (0, 1, 2, 3):
            data = Message(1, 8, 1, body).encode()
            self.theirs.sendall(data[piece * 50000 : (piece + 1) * 50000])
        self.assertEqual(connection.receive(self.deadline, "it").body, body)

    def test_closedBeforeAnswer(self) -> None:
        """
        A daemon that closes instead of answering, before or within the message,
        is gone.
        """
        for part in (0, 7, 18):
            ours, theirs = socket.socketpair()
            theirs.sendall(resultMessage(0, 1, 0).encode()[:part])
            theirs.close()
            with DaemonConnection(ours, "here") as connection:
                error = self.assertRaises(
                    DaemonLost, connection.receive, self.deadline, "the answer"
                )
            self.assertEqual(
                str(error),
                "lost the usbmuxd at here while waiting for the answer: look into its log",
            )
            self.assertIsInstance(error, ConnectionError)

    def test_reset(self) -> None:
        """
        A connection that is reset is a daemon that is gone.
        """
        # A UNIX socket that is closed with unread bytes resets its other end.
        self.ours.sendall(b"unread")
        self.theirs.close()
        error = self.assertRaises(DaemonLost, self.connection.receive, self.deadline, "it")
        self.assertIn("lost the usbmuxd at here while waiting for it", str(error))

    def test_closedBeforeCommand(self) -> None:
        """
        So is one that closed before it was asked.
        """
        self.theirs.close()
        error = self.assertRaises(
            DaemonLost, self.connection.send, resultMessage(0, 1, 0), self.deadline, "Listen"
        )
        self.assertIn("lost the usbmuxd at here while waiting for it to take Listen", str(error))

    def test_sendingTakesTooLong(self) -> None:
        """
        A daemon that does not read is a time-out.
        """
        error = self.assertRaises(
            TimedOut,
            self.connection.send,
            Message(1, 8, 1, bytes(10_000_000)),
            Deadline(0.001),
            "SavePairRecord",
        )
        self.assertEqual(error.stage, "sending SavePairRecord to here")

    def test_wholeDeadline(self) -> None:
        """
        The deadline is for the whole message: a daemon that trickles does not
        get it anew with each byte.
        """
        time = FakeTime()
        trickling = SlowSocket(time, bytes(100), pace=1.0)
        connection = DaemonConnection(cast(socket.socket, trickling), "here")
        error = self.assertRaises(
            TimedOut, connection.receive, Deadline(5, time.clock), "the answer"
        )
        self.assertEqual(time.now, 1005)
        self.assertEqual(error.stage, "waiting for the answer from here")

    def test_stalledMessage(self) -> None:
        """
        Who waits for ever does not wait so for the rest of a message.
        """
        time = FakeTime()
        stalled = SlowSocket(time, b"\x20")
        connection = DaemonConnection(cast(socket.socket, stalled), "here")
        self.assertRaises(
            TimedOut, connection.receive, Deadline(None, time.clock).within(1e5), "it"
        )
        self.assertEqual(time.now, 1000 + LIMITS.messageTimeout)
