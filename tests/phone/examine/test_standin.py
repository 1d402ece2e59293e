"""
Tests of L{muxd.phone.examine.standin}, with the library's part played by a socket.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.interfaces import CannotPlug, IAttachment, IBus
from muxd.phone.bus.profiles import iPhone
from muxd.phone.examine.standin import (
    HELLO,
    MAGIC,
    Flag,
    Kind,
    Message,
    Program,
    StandInBus,
    Status,
)
from muxd.testing.gadgets import RecordingGadget

EVENT_FULL = 0xFFFFFFFFFFFFFFFE


class Readers:
    """
    A reactor that has all descriptors look at once.
    """

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """
        Remember one.
        """
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """
        Forget one.
        """
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        """
        Remember one.
        """
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        """
        Forget one.
        """
        if writer in self.writers:
            self.writers.remove(writer)

    def turn(self) -> None:
        """
        Have each look.
        """
        for reader in tuple(self.readers):
            failure = reader.doRead()
            if failure is not None:
                self.removeReader(reader)
                reader.connectionLost(failure)
        for writer in tuple(self.writers):
            writer.doWrite()


class Library:
    """
    The stand-in's end of a connection.
    """

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(path))
        self.socket.setblocking(False)
        self.event = os.eventfd(0, os.EFD_NONBLOCK)
        os.eventfd_write(self.event, EVENT_FULL)

    def greet(self, magic: int = MAGIC) -> None:
        """
        Say hello.
        """
        hello = Message(Kind.HELLO, HELLO.pack(magic, 1, 512, 0, 0, 0, 1, 0)).encode()
        socket.send_fds(self.socket, [hello], [self.event])

    def send(self, kind: int, data: bytes = b"", **fields: int) -> None:
        """
        Send a message.
        """
        self.socket.send(Message(kind, data, **fields).encode())

    def receive(self) -> Message | None:
        """
        The next message; C{None} if there is none.
        """
        try:
            return Message.decode(self.socket.recv(1 << 18))
        except BlockingIOError:
            return None

    def close(self) -> None:
        """
        Hang up.
        """
        self.socket.close()
        os.close(self.event)


class StandInTests(SynchronousTestCase):
    """
    Tests of L{StandInBus}.
    """

    def setUp(self) -> None:
        """
        Plug a device in, and have a program open it.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="standin-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.reactor = Readers()
        self.bus = StandInBus(self.reactor, self.directory)
        self.gadget = RecordingGadget(iPhone())
        self.path = self.bus.plug(self.gadget)
        self.addCleanup(self.bus.unplug, self.gadget)
        self.library = self.open()
        self.library.greet()
        self.reactor.turn()

    def open(self) -> Library:
        """
        Have a program open it.
        """
        library = Library(self.path)
        self.addCleanup(library.close)
        self.reactor.turn()
        return library

    @property
    def attachment(self) -> IAttachment:
        """
        Where it is.
        """
        attachment = self.gadget.attachment
        assert attachment is not None
        return attachment

    def test_interfaces(self) -> None:
        """
        The bus and its descriptors keep the contracts.
        """
        verifyObject(IBus, self.bus)
        door, program = self.reactor.readers
        verifyObject(IReadDescriptor, door)
        verifyObject(IReadDescriptor, program)
        verifyObject(IWriteDescriptor, program)
        self.assertIsInstance(program, Program)
        self.assertEqual(door.logPrefix(), program.logPrefix())

    def test_name(self) -> None:
        """
        The name of its socket says where it is and what, and nothing else is left beside.
        """
        self.assertRegex(self.path.name, r"^1-2-12a8-[0-9A-F]{24}\.sock$")
        self.assertEqual(list(self.directory.iterdir()), [self.path])

    def test_write(self) -> None:
        """
        A write reaches the device whole, ended by an empty packet where the library says so, and
        its end is told.
        """
        self.library.send(Kind.OUT, b"hello", endpoint=MUX_OUT, number=1)
        self.library.send(Kind.OUT, bytes(512), endpoint=MUX_OUT, number=2)
        self.library.send(Kind.OUT, bytes(512), endpoint=MUX_OUT, number=3, flags=Flag.ZERO_PACKET)
        self.reactor.turn()
        self.assertEqual(self.gadget.received, [b"hello", bytes(1024)])
        done = [self.library.receive() for _ in range(3)]
        self.assertEqual({each.kind for each in done if each}, {Kind.OUT_DONE})
        self.assertEqual(sum(each.done for each in done if each), 3)

    def test_read(self) -> None:
        """
        A read ends when the device has something, and makes the event writable again.
        """
        self.library.send(Kind.IN, endpoint=MUX_IN, number=7, length=1024)
        self.reactor.turn()
        self.assertIs(self.library.receive(), None)
        self.assertRaises(BlockingIOError, os.eventfd_write, self.library.event, 1)
        self.attachment.send(MUX_IN, b"hello")
        message = self.library.receive()
        assert message is not None
        self.assertEqual(
            (message.kind, message.number, message.status, message.data),
            (Kind.IN_DATA, 7, Status.COMPLETED, b"hello"),
        )
        os.eventfd_write(self.library.event, 1)

    def test_failed(self) -> None:
        """
        A read that fails tells how.
        """
        self.library.send(Kind.IN, endpoint=MUX_IN, number=7, length=1024)
        self.reactor.turn()
        self.attachment.stall(MUX_IN)
        message = self.library.receive()
        self.assertEqual(message and message.status, Status.STALL)
        self.assertEqual(Status.of(errno.EIO), Status.ERROR)

    def test_cancel(self) -> None:
        """
        A read is taken back once; one that is not known is passed over.
        """
        self.library.send(Kind.IN, endpoint=MUX_IN, number=7, length=1024)
        for _ in range(2):
            self.library.send(Kind.CANCEL, number=7)
        self.reactor.turn()
        message = self.library.receive()
        self.assertEqual(message and (message.kind, message.number), (Kind.CANCELLED, 7))
        self.assertIs(self.library.receive(), None)

    def test_cancelPart(self) -> None:
        """
        A read that has something already ends with that.
        """
        self.library.send(Kind.IN, endpoint=MUX_IN, number=7, length=1024)
        self.reactor.turn()
        self.attachment.send(MUX_IN, bytes(512), False)
        self.library.send(Kind.CANCEL, number=7)
        self.reactor.turn()
        message = self.library.receive()
        self.assertEqual(message and (message.kind, len(message.data)), (Kind.IN_DATA, 512))

    def test_claim(self) -> None:
        """
        A host that claims the interface finds empty endpoints.
        """
        self.attachment.send(MUX_IN, b"old")
        self.library.send(Kind.CLAIM)
        self.library.send(Kind.IN, endpoint=MUX_IN, number=1, length=1024)
        self.reactor.turn()
        self.assertIs(self.library.receive(), None)

    def test_noSuchEndpoint(self) -> None:
        """
        A transfer for an endpoint that there is not fails.
        """
        self.library.send(Kind.IN, endpoint=0x8F, number=1, length=1024)
        self.reactor.turn()
        self.assertIsNot(self.library.receive(), None)

    def test_unplug(self) -> None:
        """
        When it is pulled out its socket is gone, and the program's connection ends.
        """
        attachment = self.attachment
        self.bus.unplug(self.gadget)
        self.bus.unplug(self.gadget)
        self.assertEqual(list(self.directory.iterdir()), [])
        self.assertEqual(self.library.socket.recv(100), b"")
        self.assertEqual(self.reactor.readers, [])
        self.assertTrue(attachment.gone)

    def test_plugTwice(self) -> None:
        """
        It is in one place.
        """
        self.assertRaises(CannotPlug, self.bus.plug, self.gadget)

    def test_noDirectory(self) -> None:
        """
        A bus whose directory is not there says so.
        """
        bus = StandInBus(self.reactor, self.directory / "none")
        self.assertRaises(CannotPlug, bus.plug, RecordingGadget(iPhone()))

    def test_nonsense(self) -> None:
        """
        A program that does not keep to the protocol is cut off, and the others are not.
        """
        for data in (b"short", Message(Kind.IN, length=10).encode()):
            other = self.open()
            other.socket.send(data)
            self.reactor.turn()
            self.assertEqual(other.socket.recv(100), b"")
        wrong = self.open()
        wrong.greet(1)
        self.reactor.turn()
        self.assertEqual(wrong.socket.recv(100), b"")
        self.library.send(Kind.OUT, b"x", endpoint=MUX_OUT, flags=Flag.MORE)
        self.reactor.turn()
        self.assertEqual(self.library.socket.recv(100), b"")

    def test_probe(self) -> None:
        """
        The library looks whether there is a listener, and hangs up.
        """
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        probe.connect(str(self.path))
        probe.close()
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(len(self.reactor.readers), 2)

    def test_full(self) -> None:
        """
        What a program does not read waits, in its order.
        """
        program = self.reactor.readers[1]
        sent: list[bytes] = []
        isFull = [True]

        def sendNow(data: bytes) -> bool:
            if not isFull[0]:
                sent.append(data)
            return not isFull[0]

        self.patch(program, "_sendNow", sendNow)
        for number in range(3):
            self.library.send(Kind.CANCEL, number=99)
            self.library.send(Kind.IN, endpoint=MUX_IN, number=number, length=512)
            self.reactor.turn()
            self.attachment.send(MUX_IN, bytes([number]))
        self.assertEqual(self.reactor.writers, [program])
        isFull[0] = False
        self.reactor.turn()
        self.assertEqual([Message.decode(each).number for each in sent], [0, 1, 2])
        self.assertEqual(self.reactor.writers, [])
