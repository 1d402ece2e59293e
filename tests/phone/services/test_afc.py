"""
Tests of L{muxd.phone.services.afc}.
"""

from __future__ import annotations

import os
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.afc import AFC, PIECE
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.afcpackets import HEADER, Header, Operation, Status, encode
from tests.running.properties import examples


def integers(*values: int) -> bytes:
    """
    Numbers in a body.
    """
    return struct.pack(f"<{len(values)}Q", *values)


class AFCTests(SynchronousTestCase):
    """
    A host and its requests.
    """

    def setUp(self) -> None:
        """
        Connect to an empty directory.
        """
        self.root = self.mktemp()
        os.makedirs(self.root)
        self.connect()

    def connect(self) -> None:
        """
        Connect.
        """
        self.transport = StringTransport()
        self.afc = AFC(Files(FilePath(self.root)))
        self.afc.makeConnection(self.transport)
        self.producer: Any = self.transport.producer
        self.addCleanup(self.afc.connectionLost, connectionDone)
        self.number = 0

    def answers(self) -> list[tuple[int, bytes]]:
        """
        Operations and contents of what was answered.
        """
        data = self.transport.value()
        self.transport.clear()
        found = []
        while data:
            header = Header.decode(data[: HEADER.size])
            size = header.body + header.data
            found.append((header.operation, data[HEADER.size : HEADER.size + size]))
            data = data[HEADER.size + size :]
        return found

    def ask(self, operation: int, body: bytes = b"", data: bytes = b"") -> tuple[int, bytes]:
        """
        The answer to a request.
        """
        self.number += 1
        self.afc.dataReceived(encode(self.number, operation, body, data))  # type: ignore[arg-type]
        (answer,) = self.answers()
        return answer

    def status(self, operation: int, body: bytes = b"", data: bytes = b"") -> Status:
        """
        The answer to a request, where it is a status.
        """
        answered, content = self.ask(operation, body, data)
        self.assertEqual(answered, Operation.STATUS)
        return Status(struct.unpack("<Q", content)[0])

    def open(self, path: bytes, mode: int) -> int:
        """
        Open a file.
        """
        operation, content = self.ask(Operation.OPEN, integers(mode) + path + b"\0")
        self.assertEqual(operation, Operation.OPENED)
        return int.from_bytes(content, "little")

    def test_everything(self) -> None:
        """
        Each operation does what it is called.
        """
        ok = Status.SUCCESS
        self.assertIs(self.status(Operation.MAKE_DIR, b"d\0"), ok)
        handle = self.open(b"d/a", 4)
        self.assertIs(self.status(Operation.LOCK, integers(handle, 6)), ok)
        self.assertIs(self.status(Operation.WRITE, integers(handle), b"0123456789"), ok)
        self.assertIs(self.status(Operation.SEEK, integers(handle, 2, (1 << 64) - 4)), ok)
        self.assertEqual(
            self.ask(Operation.TELL, integers(handle)), (Operation.POSITION, integers(6))
        )
        self.assertEqual(self.ask(Operation.READ, integers(handle, 9)), (Operation.DATA, b"6789"))
        self.assertIs(self.status(Operation.SET_SIZE, integers(handle, 8)), ok)
        self.assertIs(self.status(Operation.CLOSE, integers(handle)), ok)
        self.assertIs(self.status(Operation.TRUNCATE, integers(4) + b"d/a\0"), ok)
        self.assertIs(self.status(Operation.SET_TIME, integers(7) + b"d/a\0"), ok)
        self.assertIs(self.status(Operation.RENAME, b"d/a\0b\0"), ok)
        self.assertIs(self.status(Operation.MAKE_LINK, integers(2) + b"b\0l\0"), ok)
        self.assertEqual(
            self.ask(Operation.READ_DIR, b"/\0"), (Operation.DATA, b".\0..\0b\0d\0l\0")
        )
        _, info = self.ask(Operation.FILE_INFO, b"b\0")
        self.assertIn(b"st_size\x004\0", info)
        self.assertIn(b"st_mtime\x007\0", info)
        self.assertIn(b"FSTotalBytes\0", self.ask(Operation.DEVICE_INFO)[1])
        self.assertIs(self.status(Operation.REMOVE, b"l\0"), ok)
        self.assertIs(self.status(Operation.REMOVE_ALL, b"d\0"), ok)

    def test_largeRead(self) -> None:
        """
        A read is as long as was asked for, also if that is many times what is read at once;
        behind the end of the file there is nothing.
        """
        data = os.urandom(3 * PIECE + 5)
        with open(os.path.join(self.root, "a"), "wb") as file:
            file.write(data)
        handle = self.open(b"a", 1)
        self.assertEqual(
            self.ask(Operation.READ, integers(handle, 3 * PIECE)),
            (Operation.DATA, data[: 3 * PIECE]),
        )
        self.assertEqual(
            self.ask(Operation.READ, integers(handle, 1 << 62)), (Operation.DATA, data[-5:])
        )
        self.assertEqual(self.ask(Operation.READ, integers(handle, 1)), (Operation.DATA, b""))

    def test_slowRead(self) -> None:
        """
        A long read is given as the host takes it, and the next request waits for its end.
        """
        with open(os.path.join(self.root, "a"), "wb") as file:
            file.truncate(4 * PIECE)
        handle = self.open(b"a", 1)
        self.producer.pauseProducing()
        self.afc.dataReceived(encode(1, Operation.READ, integers(handle, 4 * PIECE)))
        self.afc.dataReceived(encode(2, Operation.CLOSE, integers(handle)))
        for _ in range(4):
            self.afc.resumeProducing = lambda: None  # type: ignore[method-assign]
            self.afc._isPaused = False
            self.afc._step()
            self.afc._isPaused = True
        self.assertEqual(len(self.transport.value()), HEADER.size + 4 * PIECE)
        del self.afc.resumeProducing
        self.producer.resumeProducing()
        self.assertEqual([operation for operation, _ in self.answers()], [2, 1])

    def test_cutMeanwhile(self) -> None:
        """
        What was promised and is not there any more ends the conversation.
        """
        path = os.path.join(self.root, "a")
        with open(path, "wb") as file:
            file.truncate(4 * PIECE)
        handle = self.open(b"a", 1)

        class Cutting(StringTransport):
            def write(self, data: bytes) -> None:
                super().write(data)
                os.truncate(path, 0)

        self.afc.transport = transport = Cutting()
        transport.registerProducer(self.afc, True)
        self.afc.dataReceived(encode(1, Operation.READ, integers(handle, 4 * PIECE)))
        self.assertEqual(len(transport.value()), HEADER.size + PIECE)
        self.assertTrue(transport.disconnecting)

    def test_writeOnly(self) -> None:
        """
        What cannot be read is an error, before anything is promised.
        """
        handle = self.open(b"a", 3)
        self.assertIs(self.status(Operation.READ, integers(handle, 9)), Status.PERMISSION_DENIED)

    def test_refusals(self) -> None:
        """
        What cannot be done is answered, and the conversation goes on.
        """
        for operation, body, expected in (
            (99, b"", Status.UNKNOWN_OPERATION),
            (Operation.READ, b"", Status.INVALID_ARGUMENT),
            (Operation.READ, integers(7, 1), Status.INVALID_ARGUMENT),
            (Operation.READ_DIR, b"none\0", Status.NOT_FOUND),
            (Operation.SEEK, integers(1, 9, 0), Status.INVALID_ARGUMENT),
            (Operation.LOCK, integers(1, 6), Status.INVALID_ARGUMENT),
        ):
            self.assertIs(self.status(operation, body), expected)
        handle = self.open(b"a", 3)
        self.assertIs(self.status(Operation.LOCK, integers(handle, 77)), Status.INVALID_ARGUMENT)

    def test_writeToNothing(self) -> None:
        """
        Data for a file that is not open, or cannot be written, is passed over.
        """
        status = self.status(Operation.WRITE, integers(9), b"x" * 100)
        self.assertIs(status, Status.INVALID_ARGUMENT)
        with open(os.path.join(self.root, "a"), "w"):
            handle = self.open(b"a", 1)
        status = self.status(Operation.WRITE, integers(handle), b"x" * 100)
        self.assertIs(status, Status.PERMISSION_DENIED)
        self.assertIs(self.status(Operation.CLOSE, integers(handle)), Status.SUCCESS)

    def test_emptyWrite(self) -> None:
        """
        Nothing can be written, too.
        """
        handle = self.open(b"a", 3)
        self.assertIs(self.status(Operation.WRITE, integers(handle)), Status.SUCCESS)

    def test_pieces(self) -> None:
        """
        A packet may come byte by byte, and several at once.
        """
        handle = self.open(b"a", 3)
        packet = encode(5, Operation.WRITE, integers(handle), b"data")
        for byte in packet:
            self.afc.dataReceived(bytes((byte,)))
        self.afc.dataReceived(packet * 2)
        self.assertEqual(len(self.answers()), 3)
        self.assertIs(self.status(Operation.CLOSE, integers(handle)), Status.SUCCESS)
        with open(os.path.join(self.root, "a"), "rb") as file:
            self.assertEqual(file.read(), b"data" * 3)

    def test_bad(self) -> None:
        """
        What is no AFC ends the conversation, and nothing behind it is looked at.
        """
        good = encode(1, Operation.DEVICE_INFO)
        for bad in (b"x" * 40, encode(1, Operation.READ_DIR, b"/\0", b"data")):
            self.connect()
            self.afc.dataReceived(bad + good)
            self.afc.dataReceived(good)
            self.assertEqual(self.answers(), [])
            self.assertTrue(self.transport.disconnecting)

    def test_hostDoesNotRead(self) -> None:
        """
        While answers wait, requests do.
        """
        self.producer.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        self.afc.dataReceived(encode(1, Operation.DEVICE_INFO))
        self.assertEqual(self.answers(), [])
        self.producer.resumeProducing()
        self.assertEqual(len(self.answers()), 1)
        self.producer.stopProducing()
        self.afc.dataReceived(encode(1, Operation.DEVICE_INFO))
        self.assertEqual(self.answers(), [])

    def test_lost(self) -> None:
        """
        A host that is gone leaves no file open.
        """
        self.open(b"a", 3)
        self.afc.connectionLost(connectionDone)
        self.assertEqual(self.afc._files._open, {})

    @settings(deadline=None, max_examples=examples(100))
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=80),
                st.builds(
                    encode,
                    st.integers(0, 3),
                    st.integers(0, 40).filter(lambda operation: operation != Operation.WRITE),
                    st.binary(max_size=40),
                ),
            ),
            max_size=6,
        )
    )
    def test_whatever(self, pieces: list[bytes]) -> None:
        """
        Whatever comes, the worst is that it ends.
        """
        self.connect()
        for piece in pieces:
            self.afc.dataReceived(piece)
        self.afc.connectionLost(connectionDone)
