"""
Tests for L{muxd.muxctl.stdio}.
"""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread, enumerate
from typing import ClassVar, TextIO

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import blocking
from muxd.client.selection import Network
from muxd.client.socketerrors import UsbmuxError
from muxd.muxctl import stdio
from muxd.muxctl.commandline import main
from muxd.muxctl.stdio import join
from muxd.muxctl.terminal import Terminal
from tests.client.fakedaemon import (
    PATIENCE,
    UDID,
    FakeDaemon,
    Peer,
    Script,
    connecting,
    result,
)
from tests.muxctl.console import BLOB, LISTED, NOWHERE, echo, muxctl, shout, written


def text(data: bytes = b"") -> io.TextIOWrapper:
    """
    A stream as C{sys.stdin} is one.
    """
    return io.TextIOWrapper(io.BytesIO(data), "utf-8")


def joinReaders() -> None:
    """
    Wait for the threads that read our inputs.
    """
    for thread in enumerate():
        if thread.name == "standard input":
            thread.join(PATIENCE)


def openPipe(case: SynchronousTestCase) -> tuple[TextIO, int]:
    """
    A pipe that stays open until the end of the test.

    @return: its ends, for reading and for writing.
    """
    reading, writing = os.pipe()
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(reading)))
    case.addCleanup(stdin.close)
    case.addCleanup(joinReaders)
    case.addCleanup(os.close, writing)
    return stdin, writing


class ConnectTests(SynchronousTestCase):
    """
    C{muxctl connect} in this process.
    """

    def connect(self, phone: Script, stdin: TextIO, stdout: TextIO | None = None) -> bytes:
        """
        Join streams to a phone; it must succeed.

        @return: what was written to ours.
        """
        fake = FakeDaemon(self, LISTED, connecting(phone))
        ours, complaints = text(), text()
        words = ["-s", fake.address.path, "connect", "7"]
        status = main(words, stdin, stdout or ours, complaints, {})
        self.assertEqual((status, written(complaints)), (0, b""))
        return written(ours)

    def test_halfClose(self) -> None:
        """
        The end of the input reaches the phone, and its answer is waited for.
        """
        self.assertEqual(self.connect(shout, text(b"hello")), b"HELLO")

    def test_bothAtOnce(self) -> None:
        """
        Any bytes pass both ways at once, in order, without loss.
        """
        self.assertEqual(self.connect(echo, text(BLOB)), BLOB)

    def test_phoneCloses(self) -> None:
        """
        When the phone closes it is over, however much input there is.
        """
        stdin, _ = openPipe(self)
        self.assertEqual(self.connect(lambda peer: peer.socket.sendall(b"x"), stdin), b"x")

    def test_phoneStopsReading(self) -> None:
        """
        What the phone says arrives though it takes no more from us.
        """
        stdin, writing = openPipe(self)

        def rude(peer: Peer) -> None:
            os.write(writing, b"x")
            assert peer.take(1) == b"x"
            peer.socket.shutdown(socket.SHUT_RD)
            os.write(writing, b"y")
            joinReaders()
            peer.socket.sendall(b"bye")

        self.assertEqual(self.connect(rude, stdin), b"bye")

    def test_file(self) -> None:
        """
        The input may be a file, which epoll would refuse.
        """
        with tempfile.TemporaryFile("w+b") as file:
            file.write(BLOB)
            file.seek(0)
            self.assertEqual(self.connect(shout, io.TextIOWrapper(file)), BLOB.upper())

    def test_terminal(self) -> None:
        """
        It may be a terminal.
        """
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        os.write(master, b"hello\n\x04")
        with open(slave) as stdin:
            self.assertEqual(self.connect(shout, stdin), b"HELLO\n")

    def test_nonBlockingInput(self) -> None:
        """
        It may be a pipe that another program made non-blocking, and has nothing in
        it yet.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)

        def write(*_: object) -> None:
            os.write(writing, b"hello")
            os.close(writing)

        self.patch(select, "select", write)
        with open(reading) as stdin:
            self.assertEqual(self.connect(shout, stdin), b"HELLO")

    def test_nonBlockingOutput(self) -> None:
        """
        So may the output: what does not fit is written later.
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        received = bytearray()

        def read() -> None:
            with open(reading, "rb", buffering=0) as stream:
                while data := stream.read(10000):
                    received.extend(data)

        reader = Thread(target=read, daemon=True)

        def phone(peer: Peer) -> None:
            peer.socket.sendall(BLOB[:200000])
            reader.start()
            peer.socket.sendall(BLOB[200000:])

        with open(writing, "w") as stdout:
            self.connect(phone, text(), stdout)
        reader.join(PATIENCE)
        self.assertEqual(bytes(received), BLOB)

    def test_noInput(self) -> None:
        """
        Without a standard input there is nothing to send.
        """
        self.patch(sys, "stdin", None)
        fake = FakeDaemon(self, LISTED, connecting(shout))
        stdout = text()
        self.assertEqual(main(["connect", "7", "-s", str(fake.address)], None, stdout, text()), 0)
        self.assertEqual(written(stdout), b"")

    def test_choices(self) -> None:
        """
        The phone, the way to it and the time are handed on.
        """
        seen: list[dict[str, object]] = []

        def connect(port: int, udid: str, **choices: object) -> socket.socket:
            seen.append({"port": port, "udid": udid, **choices})
            ours, theirs = socket.socketpair()
            theirs.close()
            return ours

        self.patch(blocking, "connect", connect)
        words = ["-u", UDID, "--timeout=3", "connect", "-n", "-w", "9", "22"]
        self.assertEqual(muxctl(*words).status, 0)
        self.assertEqual(
            seen,
            [
                {
                    "port": 22,
                    "udid": UDID,
                    "network": Network.PREFER,
                    "wait": 9.0,
                    "timeout": 3.0,
                    "address": NOWHERE,
                }
            ],
        )

    def test_refused(self) -> None:
        """
        A port that is refused is one line and an exit status.
        """
        outcome = muxctl("connect", "7", address=FakeDaemon(self, LISTED, result(3)).address)
        self.assertEqual((outcome.status, outcome.out), (1, ""))
        self.assertEqual(
            outcome.err, f"muxctl: the phone {UDID} refused port 7: nothing listens there\n"
        )


class BrokenInput(io.RawIOBase):
    """
    An input that cannot be read, as a terminal's from the background.
    """

    def readable(self) -> bool:
        """
        In principle.
        """
        return True

    def readinto(self, buffer: object) -> int:
        """
        In practice not.
        """
        raise OSError(errno.EIO, "Input/output error")


class FakeEvent:
    """
    A C{threading.Event} that is set at first and then no more.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.shutdowns: list[int] = []

    def set(self) -> None:
        """
        As an Event's.
        """

    def clear(self) -> None:
        """
        As an Event's.
        """

    def wait(self, seconds: float) -> bool:
        """
        Not a second passes.
        """
        self.waits.append(seconds)
        return len(self.waits) < 3


class JoinTests(SynchronousTestCase):
    """
    L{join}.
    """

    def setUp(self) -> None:
        """
        Make a connection.
        """
        self.ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(PATIENCE)
        self.addCleanup(self.theirs.close)

    def terminal(self, stdin: TextIO, stdout: TextIO) -> Terminal:
        """
        One of these streams.
        """
        return Terminal(stdin=stdin, stdout=stdout, stderr=text(), address=NOWHERE)

    def background(self, function: Callable[[], None]) -> None:
        """
        Be the phone.
        """
        thread = Thread(target=function, daemon=True)
        thread.start()
        self.addCleanup(thread.join, PATIENCE)

    def test_linger(self) -> None:
        """
        The end of the input is told only after a silence of the phone.
        """
        event = FakeEvent()
        self.patch(stdio, "Event", lambda: event)

        def phone() -> None:
            with self.theirs:
                self.theirs.recv(1)

        self.background(phone)
        join(self.ours, self.terminal(text(), text()), 0.5)
        self.assertEqual(event.waits, [0.5] * 3)

    def test_lingerEnds(self) -> None:
        """
        Then it is over, also with a daemon that would go on for a client that has only
        finished sending.
        """
        self.patch(stdio, "Event", FakeEvent)
        self.theirs.sendall(b"answer")
        output = text()
        join(self.ours, self.terminal(text(b"question"), output), 0.5)
        self.assertEqual(written(output), b"answer")
        self.assertEqual(self.theirs.recv(100), b"question")
        self.assertEqual(self.theirs.recv(100), b"")

    def test_echo(self) -> None:
        """
        It is over when all that was sent has come back and nothing more follows, though
        the phone does not close.
        """
        self.patch(stdio, "ECHO_SILENCE", 0.001)

        def phone() -> None:
            while data := self.theirs.recv(65536):
                self.theirs.sendall(data)
            # All has been read: it is for us to close.
            self.assertEqual(self.theirs.recv(1), b"")

        self.background(phone)
        output = text()
        join(self.ours, self.terminal(text(BLOB), output))
        self.assertEqual(written(output), BLOB)

    def test_noEcho(self) -> None:
        """
        Other answers, also of the same size or with more behind the echo, and no answer
        are no echo; nor is nothing one of nothing.
        """
        sent, received = stdio.Traffic(), stdio.Traffic()
        self.assertFalse(received.isEchoOf(sent))
        for data in (b"hel", b"lo"):
            sent.add(data)
        for data in (b"", b"h"):
            received.add(data)
            self.assertFalse(received.isEchoOf(sent))
        received.add(b"ello")
        self.assertTrue(received.isEchoOf(sent))
        received.add(b"!")
        self.assertFalse(received.isEchoOf(sent))
        other = stdio.Traffic()
        other.add(b"HELLO")
        self.assertFalse(other.isEchoOf(sent))

    def test_notice(self) -> None:
        """
        What is waited for is said once, after a second of silence; the answer may come
        as late as it likes.
        """
        test = self

        class LateEvent(Event):
            waits: ClassVar[list[float]] = []

            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                self.waits.append(timeout)
                if len(self.waits) == 1:
                    return False
                if len(self.waits) == 2:
                    test.theirs.recv(100)
                    test.theirs.sendall(b"late")
                elif len(self.waits) == 3:
                    test.theirs.close()
                return super().wait(PATIENCE)

        self.patch(stdio, "Event", LateEvent)
        output, complaints = text(), text()
        terminal = replace(self.terminal(text(b"question"), output), stderr=complaints)
        join(self.ours, terminal)
        joinReaders()
        self.assertEqual(written(output), b"late")
        self.assertEqual(LateEvent.waits[:2], [1.0, 1e6 - 1.0])
        self.assertEqual(written(complaints).decode(), stdio.WAITING)

    def test_outputNotTaken(self) -> None:
        """
        A phone is not silent while nobody takes what it has said.
        """
        received = stdio.Traffic(isUnderway=True)
        waits: list[float] = []

        class SlowEvent(Event):
            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                waits.append(timeout)
                received.isUnderway = len(waits) < 5
                return False

        terminal = self.terminal(text(), text())
        upwards = stdio._Upwards(terminal, self.ours, SlowEvent(), stdio.Traffic(), received, 0.5)
        upwards.run()
        self.assertEqual(waits, [0.5] * 5)
        self.ours.close()

    def test_lingerForEver(self) -> None:
        """
        It need not be told at all; the phone's closing ends it then.
        """
        self.theirs.sendall(b"x")
        self.theirs.close()
        output = text()
        join(self.ours, self.terminal(text(), output), float("inf"))
        self.assertEqual(written(output), b"x")

    def test_reset(self) -> None:
        """
        A connection that is reset is lost, and said to be.
        """
        self.ours.sendall(b"unread")
        self.theirs.close()
        stdin, _ = openPipe(self)
        error = self.assertRaises(UsbmuxError, join, self.ours, self.terminal(stdin, text()))
        self.assertIn("lost the connection to the phone", str(error))
        self.assertEqual(self.ours.fileno(), -1)

    def test_closedInput(self) -> None:
        """
        An input that was closed is an end like any other.
        """
        stdin, _ = openPipe(self)
        stdin.close()

        def phone() -> None:
            with self.theirs:
                self.theirs.recv(1)

        self.background(phone)
        join(self.ours, self.terminal(stdin, text()))

    def test_unreadableInput(self) -> None:
        """
        An input that breaks ends the sending, and is told of when the phone has
        finished.
        """
        stdin = io.TextIOWrapper(io.BufferedReader(BrokenInput()))

        def phone() -> None:
            with self.theirs:
                self.theirs.recv(1)
                self.theirs.sendall(b"bye")

        self.background(phone)
        output = text()
        error = self.assertRaises(OSError, join, self.ours, self.terminal(stdin, output))
        self.assertEqual(error.errno, errno.EIO)
        self.assertEqual(written(output), b"bye")

    def test_nobodyReads(self) -> None:
        """
        If nobody reads the output, the phone's connection is closed.
        """
        reading, writing = os.pipe()
        os.close(reading)
        self.theirs.sendall(b"x")
        with open(writing, "w") as stdout:
            self.assertRaises(BrokenPipeError, join, self.ours, self.terminal(text(), stdout))
        self.assertEqual(self.theirs.recv(1), b"")
