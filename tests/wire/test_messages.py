# -*- test-case-name: tests.wire.test_messages -*-
"""
Tests of L{muxd.wire.messages}, byte by byte against protocol 4.2 and 4.13.
"""

from __future__ import annotations

import plistlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.messages import (
    DEVICE_BODY,
    HEADER,
    DeviceRecord,
    MalformedMessage,
    Message,
    MessageReader,
    MessageType,
    Result,
    connectMessage,
    parsePlist,
    plistMessage,
    swapPort,
    writePlist,
)
from tests.running.properties import examples
from tests.wire.results import resultMessage

messages = st.builds(
    Message,
    version=st.integers(0, 0xFFFFFFFF),
    type=st.integers(0, 0xFFFFFFFF),
    tag=st.integers(0, 0xFFFFFFFF),
    body=st.binary(max_size=60),
)


class NumberTests(SynchronousTestCase):
    """
    What the names stand for.
    """

    def test_numbers(self) -> None:
        """
        Kinds of messages and Results are those of protocol 4.2 and 4.4.
        """
        self.assertEqual(
            {one.name: one.value for one in MessageType},
            {
                "RESULT": 1,
                "CONNECT": 2,
                "LISTEN": 3,
                "DEVICE_ADD": 4,
                "DEVICE_REMOVE": 5,
                "DEVICE_PAIRED": 6,
                "PLIST": 8,
            },
        )
        self.assertEqual(
            {one.name: one.value for one in Result},
            {
                "OK": 0,
                "BAD_COMMAND": 1,
                "BAD_DEVICE": 2,
                "CONNECTION_REFUSED": 3,
                "MALFORMED": 5,
                "BAD_VERSION": 6,
            },
        )


class VectorTests(SynchronousTestCase):
    """
    The test vectors of protocol 4.13.
    """

    def test_listen(self) -> None:
        """
        A binary Listen is a header.
        """
        message = Message(0, MessageType.LISTEN, 1)
        self.assertEqual(message.encode().hex(), "10000000000000000300000001000000")

    def test_result(self) -> None:
        """
        A binary Result has its number behind the header.
        """
        self.assertEqual(
            resultMessage(0, 1, Result.OK).encode().hex(),
            "1400000000000000010000000100000000000000",
        )

    def test_connect(self) -> None:
        """
        A binary Connect has its port in network order.
        """
        self.assertEqual(
            connectMessage(1, 22, 2).encode().hex(),
            "180000000000000002000000020000000100000000160000",
        )

    def test_plistResult(self) -> None:
        """
        A Result to a plist client is XML, with header version 1.
        """
        message = resultMessage(1, 7, Result.BAD_DEVICE)
        self.assertEqual((message.version, message.type, message.tag), (1, 8, 7))
        self.assertTrue(message.body.startswith(b"<?xml"))
        self.assertEqual(plistlib.loads(message.body), {"MessageType": "Result", "Number": 2})


class MessageReaderTests(SynchronousTestCase):
    """
    Cutting a stream into messages.
    """

    def test_headerSplitAtEveryByte(self) -> None:
        """
        It does not matter how a message is cut up (protocol 9, edge 47).
        """
        message = connectMessage(1, 22, 2)
        data = message.encode()
        for cut in range(1, len(data)):
            reader = MessageReader(65536)
            reader.feed(data[:cut])
            self.assertIsNone(reader.next())
            reader.feed(data[cut:])
            self.assertEqual(reader.next(), message)
            self.assertEqual(len(reader), 0)

    def test_twoInOneRead(self) -> None:
        """
        Two messages that came together are two messages.
        """
        first, second = Message(0, 3, 1), plistMessage({"MessageType": "Listen"}, 2)
        reader = MessageReader(65536)
        reader.feed(first.encode() + second.encode())
        self.assertEqual(list(reader), [first, second])

    def test_takesNothingBehindAMessage(self) -> None:
        """
        What follows a message is left alone: it may be no message.
        """
        reader = MessageReader(65536)
        reader.feed(connectMessage(1, 22, 2).encode() + b"\xff" * 40)
        self.assertIsNotNone(reader.next())
        self.assertEqual(reader.takeRest(), b"\xff" * 40)
        self.assertEqual(len(reader), 0)

    def test_longestBinary(self) -> None:
        """
        A body that is no property list may have so many bytes and no more; a property list
        may have more.
        """
        longest = Message(0, MessageType.LISTEN, 1, bytes(20))
        plist = Message(1, MessageType.PLIST, 1, bytes(21))
        for message in (longest, plist):
            reader = MessageReader(100)
            reader.feed(message.encode())
            self.assertEqual(reader.next(20), message)
        for version, kind in ((0, MessageType.LISTEN), (1, MessageType.LISTEN), (0, 8)):
            reader = MessageReader(100)
            reader.feed(Message(version, kind, 1, bytes(21)).encode()[:16])
            self.assertRaises(MalformedMessage, reader.next, 20)

    def test_missing(self) -> None:
        """
        What is missing is the rest of the header, then that of the body:
        a program that reads no more has nothing of what is behind.
        """
        stream = plistMessage({"MessageType": "Listen"}, 2).encode()
        reader = MessageReader(65536)
        self.assertEqual(reader.missing, 16)
        reader.feed(stream[:10])
        self.assertEqual(reader.missing, 6)
        reader.feed(stream[10:16])
        self.assertEqual(reader.missing, len(stream) - 16)
        reader.feed(stream[16:-1])
        self.assertEqual(reader.missing, 1)
        reader.feed(stream[-1:])
        self.assertEqual(reader.missing, 0)
        reader.feed(stream)
        self.assertEqual(reader.missing, 0)
        self.assertIsNotNone(reader.next())

    def test_badLengths(self) -> None:
        """
        Lengths that no message has are refused as soon as the header is there.
        """
        for length in (0, 15, 65537, 0xFFFFFFFF):
            reader = MessageReader(65536)
            reader.feed(HEADER.pack(length, 1, 8, 0))
            with self.assertRaisesRegex(MalformedMessage, f"16 to 65536, got {length}"):
                reader.next()

    def test_extremeLengths(self) -> None:
        """
        The shortest and the longest message are messages.
        """
        for size in (0, 65536 - 16):
            reader = MessageReader(65536)
            message = Message(1, 8, 0, bytes(size))
            reader.feed(message.encode())
            self.assertEqual(reader.next(), message)

    @settings(deadline=None, max_examples=examples(100))
    @given(st.lists(messages, max_size=5), st.data())
    def test_anyCuts(self, sent: list[Message], data: st.DataObject) -> None:
        """
        Whatever the reads are, the messages are the same.
        """
        stream = b"".join(message.encode() for message in sent)
        reader = MessageReader(65536)
        received: list[Message] = []
        while stream:
            cut = data.draw(st.integers(1, len(stream)))
            reader.feed(stream[:cut])
            stream = stream[cut:]
            received.extend(reader)
        self.assertEqual(received, sent)
        self.assertEqual(len(reader), 0)


class DeviceRecordTests(SynchronousTestCase):
    """
    The binary form of a device.
    """

    def test_layout(self) -> None:
        """
        A record is 268 bytes: id, product, 256 bytes of serial number, two of
        nothing, location.
        """
        body = DeviceRecord(5, 0x12A8, "00008030-001A", 0x10002).encode()
        self.assertEqual(len(body), 268)
        self.assertEqual(body[:6].hex(), "05000000a812")
        self.assertEqual(body[6:262], b"00008030-001A".ljust(256, b"\0"))
        self.assertEqual(body[262:].hex(), "000002000100")

    def test_longSerial(self) -> None:
        """
        The last byte of the serial number is always NUL.
        """
        body = DeviceRecord(1, 2, "x" * 300, 3).encode()
        self.assertEqual(body[6:262], b"x" * 255 + b"\0")

    def test_foreignCharacters(self) -> None:
        """
        What is not ASCII becomes a question mark.
        """
        body = DeviceRecord(1, 2, "sérial", 3).encode()
        self.assertEqual(DeviceRecord.decode(body).serial, "s?rial")

    def test_roundTrip(self) -> None:
        """
        What was encoded is decoded.
        """
        record = DeviceRecord(7, 0x1290, "f" * 40, 0xFFFFFFFF)
        self.assertEqual(DeviceRecord.decode(record.encode()), record)

    def test_shortRecords(self) -> None:
        """
        Old daemons send shorter records; less than 32 bytes are none.
        """
        body = DEVICE_BODY.pack(1, 2, b"abc", 0, 0)
        self.assertEqual(DeviceRecord.decode(body[:32]), DeviceRecord(1, 2, "abc", 0))
        with self.assertRaisesRegex(MalformedMessage, "expected 32 bytes or more, got 31"):
            DeviceRecord.decode(body[:31])


class SwapPortTests(SynchronousTestCase):
    """
    The port number of a plist Connect (protocol 4.8).
    """

    def test_knownPorts(self) -> None:
        """
        The examples of protocol 4.8, both ways, and the port that is its own
        swap.
        """
        for port, swapped in ((22, 5632), (80, 20480), (62078, 32498), (8100, 42015)):
            self.assertEqual(swapPort(port), swapped)
            self.assertEqual(swapPort(swapped), port)
        self.assertEqual(swapPort(0x0101), 0x0101)

    def test_negative(self) -> None:
        """
        A swapped port that was written as a signed integer is understood.
        """
        self.assertEqual(swapPort(42015 - 65536), 8100)


class WritePlistTests(SynchronousTestCase):
    """
    L{writePlist} of what can be written, and of what cannot.
    """

    def test_readAgain(self) -> None:
        """
        What is written is read as what it was, whatever letters it is made of.
        """
        values = {"\U0001fffe": "a\u00e9\ufffd\U0001f4f1\x7f", "Data": b"\xef\xbf\xbe"}
        self.assertEqual(parsePlist(writePlist(values)), values)

    def test_unspeakable(self) -> None:
        """
        What would not be read again is not written: control characters, halves of
        letters, and the two that are no letters; as keys or values, at any depth.
        """
        for letter in ("\0", "\x1b", "\ud800", "\ufffe", "\uffff"):
            for values in ({letter: 1}, {"a": letter}, {"a": [{"b": f"x{letter}y"}]}):
                with self.subTest(values), self.assertRaises(ValueError):
                    writePlist(values)


class ParsePlistTests(SynchronousTestCase):
    """
    L{parsePlist} of good and bad property lists.
    """

    def test_bothFormats(self) -> None:
        """
        XML and binary property lists are read.
        """
        values = {"MessageType": "Listen", "Data": b"\0\1"}
        for format in (plistlib.FMT_XML, plistlib.FMT_BINARY):
            self.assertEqual(parsePlist(plistlib.dumps(values, fmt=format)), values)

    def test_noDictionary(self) -> None:
        """
        A property list of another kind is refused.
        """
        with self.assertRaisesRegex(MalformedMessage, "expected a dictionary, got list"):
            parsePlist(plistlib.dumps([1, 2]))

    def test_garbage(self) -> None:
        """
        Whatever plistlib's parsers stumble over becomes the same error.
        """
        bad = (
            b"",
            b"garbage",
            b"<?xml version='1.0'?><plist><dict><key>a</key><string></dict></plist>",
            b"<?xml version='1.0'?><plist><dict><integer>x</integer></dict>",
            b"<?xml version='1.0'?><!DOCTYPE p [<!ENTITY a 'b'>]><plist><string>&a;</string>",
            b"bplist00" + b"\xff" * 40,
            b"bplist00",
        )
        for body in bad:
            with self.assertRaises(MalformedMessage):
                parsePlist(body)

    def test_complaint(self) -> None:
        """
        What is said of one shows how it begins, and no more of it.
        """
        body = b"0123456789" * 9
        with self.assertRaises(MalformedMessage) as caught:
            parsePlist(body)
        self.assertRegex(str(caught.exception), f"got {body[:40]!r}: ")

    def test_nearlyXML(self) -> None:
        """
        What the C daemon reads although it is no XML is read; what is wrong with
        something else is said in the words of the strict parser.
        """
        for body in (
            b"\n<?xml version='1.0'?><plist><dict><key>a</key><integer/></dict></plist>",
            b"<dict><key>a</key><integer>0</integer></dict>\0",
        ):
            self.assertEqual(parsePlist(body), {"a": 0})
        with self.assertRaisesRegex(MalformedMessage, "mismatched tag"):
            parsePlist(b"<?xml version='1.0'?><plist><dict></string></plist>")

    def test_nearlyXMLIsMeasured(self) -> None:
        """
        It is no way around the measure of what is read.
        """
        deep = b"<dict><key>a</key>%s%s</dict>" % (b"<array>" * 64, b"</array>" * 64)
        self.assertRaises(MalformedMessage, parsePlist, deep)

    @settings(deadline=None, max_examples=examples(200))
    @given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda x: b"bplist00" + x)))
    def test_anyBytes(self, body: bytes) -> None:
        """
        Any bytes are a dictionary or are refused; nothing else happens.
        """
        try:
            self.assertIsInstance(parsePlist(body), dict)
        except MalformedMessage:
            pass
