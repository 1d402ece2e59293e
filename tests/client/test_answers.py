"""
Tests for L{muxd.client.answers}.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import answers
from muxd.client.answers import (
    Answer,
    Attached,
    Detached,
    Device,
    DeviceTable,
    Paired,
    devicesFrom,
    networkAddressText,
    parseAnswer,
)
from muxd.wire.messages import MalformedMessage, Message, MessageType, plistMessage
from tests.client.fakedaemon import (
    OTHER,
    UDID,
    attached,
    binaryAttached,
    binaryEvent,
    detached,
    deviceEntry,
    listOf,
    paired,
)
from tests.running.properties import examples
from tests.wire.results import resultMessage

PHONE = Device(
    deviceID=1,
    udid=UDID,
    connectionType="USB",
    productID=0x12A8,
    locationID=0x10002,
    speed=480000000,
)

V4 = bytes([192, 168, 1, 7])
V6 = IPv6Address("fe80::1").packed


class AnswerTests(SynchronousTestCase):
    """
    L{parseAnswer}.
    """

    def test_results(self) -> None:
        """
        A Result is read in both protocols.
        """
        binary = parseAnswer(resultMessage(0, 1, 3))
        plist = parseAnswer(resultMessage(1, 1, 3))
        assert binary is not None and plist is not None
        self.assertEqual((binary.result, plist.result), (3, 3))

    def test_otherAnswers(self) -> None:
        """
        A dictionary that is no Result is an answer as it is.
        """
        self.assertEqual(parseAnswer(plistMessage({"BUID": "x"}, 1)), Answer(None, {"BUID": "x"}))

    def test_eventsAreNoAnswers(self) -> None:
        """
        Events, in either protocol, are not taken for answers.
        """
        for event in (
            attached(),
            detached(),
            paired(),
            binaryAttached(),
            binaryEvent(MessageType.DEVICE_REMOVE),
            binaryEvent(MessageType.DEVICE_PAIRED),
        ):
            self.assertIsNone(parseAnswer(event))

    def test_kept(self) -> None:
        """
        An answer that comes again is the same, and cannot be changed by what has read it;
        one with data, which may be a pair record, is not kept.
        """
        first, second = (parseAnswer(plistMessage({"BUID": "kept"}, tag)) for tag in (1, 2))
        assert first is not None and second is not None
        self.assertIs(first.values, second.values)
        self.assertRaises(AttributeError, lambda: first.values.update({"BUID": "other"}))  # type: ignore
        first, second = (parseAnswer(plistMessage({"Record": b"secret"}, 1)) for _ in range(2))
        assert first is not None and second is not None
        self.assertEqual(second.values, {"Record": b"secret"})
        self.assertIsNot(first.values, second.values)

    def test_malformed(self) -> None:
        """
        What is neither answer nor event is refused.
        """
        for message in (
            Message(0, MessageType.RESULT, 1, b"\0\0"),
            Message(0, 77, 1, b""),
            Message(1, MessageType.PLIST, 1, b"nonsense"),
            plistMessage({"MessageType": "Result"}, 1),
            plistMessage({"MessageType": "Result", "Number": "3"}, 1),
            plistMessage({"MessageType": "Result", "Number": True}, 1),
        ):
            self.assertRaises(MalformedMessage, parseAnswer, message)


class DeviceListTests(SynchronousTestCase):
    """
    L{devicesFrom}.
    """

    def test_devices(self) -> None:
        """
        A device has all that the daemon tells.
        """
        self.assertEqual(devicesFrom(listOf(deviceEntry())), [PHONE])

    def test_oldSerialNumber(self) -> None:
        """
        A daemon that leaves out the dash, or tells little else, is understood.
        """
        entry = {"DeviceID": 4, "Properties": {"SerialNumber": UDID.replace("-", "")}}
        self.assertEqual(devicesFrom(listOf(entry)), [Device(deviceID=4, udid=UDID)])

    def test_numberInProperties(self) -> None:
        """
        The device's number may stand among its properties only.
        """
        entry = {"Properties": {"DeviceID": 5, "UDID": UDID}}
        self.assertEqual(devicesFrom(listOf(entry)), [Device(deviceID=5, udid=UDID)])

    def test_badEntriesAreLeftOut(self) -> None:
        """
        One bad entry does not hide the good ones.
        """
        bad: list[Any] = [
            7,
            {},
            {"DeviceID": 1},
            {"DeviceID": 1, "Properties": []},
            deviceEntry(SerialNumber=""),
            deviceEntry(SerialNumber=7),
            {"DeviceID": True, "Properties": {"SerialNumber": "x"}},
            {"DeviceID": "1", "Properties": {"SerialNumber": "x"}},
        ]
        self.assertEqual(devicesFrom(listOf(*bad, deviceEntry(), *bad)), [PHONE])

    def test_badProperties(self) -> None:
        """
        Properties of the wrong type are as if they were not there.
        """
        entry = deviceEntry(ConnectionType=7, ProductID="x", LocationID="y")
        del entry["Properties"]["ConnectionSpeed"]
        self.assertEqual(devicesFrom(listOf(entry)), [Device(deviceID=1, udid=UDID)])

    def test_portPath(self) -> None:
        """
        Where a phone is plugged in is read if it is what it should be.
        """
        for value, expected in (("3-1.4", "3-1.4"), (7, ""), ("\x1b[2J", ""), ("1" * 65, "")):
            [device] = devicesFrom(listOf(deviceEntry(MuxdPortPath=value)))
            self.assertEqual(device.portPath, expected)

    def test_doubtful(self) -> None:
        """
        So is that the daemon doubts it.
        """
        for value, expected in ((True, True), (1, False), ("yes", False)):
            [device] = devicesFrom(listOf(deviceEntry(MuxdDoubtful=value)))
            self.assertIs(device.isDoubtful, expected)

    def test_noList(self) -> None:
        """
        An answer without a list is refused.
        """
        answers: list[dict[str, Any]] = [{}, {"DeviceList": {}}, {"DeviceList": "x"}]
        for values in answers:
            self.assertRaises(MalformedMessage, devicesFrom, values)

    def test_matches(self) -> None:
        """
        A UDID is recognised in either case, with or without its dash, and no
        other one is.
        """
        for udid in (UDID, UDID.lower(), UDID.replace("-", "")):
            self.assertTrue(PHONE.matches(udid), udid)
        for udid in (OTHER, "", UDID[:-1]):
            self.assertFalse(PHONE.matches(udid), udid)


class DeviceTableTests(SynchronousTestCase):
    """
    L{DeviceTable}.
    """

    def setUp(self) -> None:
        """
        Make a table that knows nothing.
        """
        self.table = DeviceTable()

    def test_plistLife(self) -> None:
        """
        Events become values that know their device.
        """
        events = [self.table.update(message) for message in (attached(), paired(), detached())]
        self.assertEqual(events, [Attached(PHONE), Paired(PHONE), Detached(PHONE)])
        self.assertEqual(list(self.table), [])

    def test_bounded(self) -> None:
        """
        A daemon that names devices without end is not believed without end.
        """
        self.patch(answers, "MOST_DEVICES", 3)
        for number in range(3):
            self.table.update(attached(number))
        self.assertRaises(MalformedMessage, self.table.update, attached(3))
        self.assertEqual(len(list(self.table)), 3)
        self.table.update(attached(2, OTHER))
        self.assertEqual(len(list(self.table)), 3)

    def test_longNames(self) -> None:
        """
        Nor is one whose devices have names without end; a device that goes makes room.
        """
        self.patch(answers, "MOST_CHARACTERS", 100)
        self.table.update(attached(1, "A" * 60))
        self.assertRaises(MalformedMessage, self.table.update, attached(2, "B" * 60))
        self.table.update(attached(1, "C" * 90))
        self.table.update(detached(1))
        self.assertIsNotNone(self.table.update(attached(2, "B" * 60)))
        self.table.clear()
        self.assertIsNotNone(self.table.update(attached(3, "D" * 100)))

    def test_binaryLife(self) -> None:
        """
        Binary events become the same.
        """
        phone = Device(deviceID=1, udid=UDID, productID=0x12A8, locationID=0x10002)
        events = [
            self.table.update(message)
            for message in (
                binaryAttached(),
                binaryEvent(MessageType.DEVICE_PAIRED),
                binaryEvent(MessageType.DEVICE_REMOVE),
            )
        ]
        self.assertEqual(events, [Attached(phone), Paired(phone), Detached(phone)])

    def test_unknownDevices(self) -> None:
        """
        What happens to devices that were never announced is not told.
        """
        for message in (
            detached(9),
            paired(9),
            binaryEvent(MessageType.DEVICE_REMOVE, 9),
            binaryEvent(MessageType.DEVICE_PAIRED, 9),
            plistMessage({"MessageType": "Detached", "DeviceID": "x"}, 0),
            plistMessage({"MessageType": "Paired"}, 0),
        ):
            self.assertIsNone(self.table.update(message))

    def test_repetition(self) -> None:
        """
        A device that is announced twice is told of once; one that has changed,
        again.
        """
        self.table.update(attached())
        self.assertIsNone(self.table.update(attached()))
        changed = self.table.update(attached(ConnectionSpeed=12))
        assert isinstance(changed, Attached)
        self.assertEqual(changed.device.speed, 12)

    def test_uninteresting(self) -> None:
        """
        Devices without a name, and messages of other kinds, are passed over.
        """
        for message in (
            attached(SerialNumber=""),
            binaryAttached(serial=""),
            resultMessage(0, 1, 0),
            plistMessage({"MessageType": "Weather"}, 0),
            plistMessage({"BUID": "x"}, 0),
        ):
            self.assertIsNone(self.table.update(message))
        self.assertEqual(list(self.table), [])

    def test_malformed(self) -> None:
        """
        What cannot be read is refused.
        """
        for message in (
            Message(0, MessageType.DEVICE_REMOVE, 0, b"\1"),
            Message(0, MessageType.DEVICE_ADD, 0, b"short"),
            Message(1, MessageType.PLIST, 0, b"nonsense"),
        ):
            self.assertRaises(MalformedMessage, self.table.update, message)

    def test_clear(self) -> None:
        """
        When the daemon is lost, all devices are detached, once.
        """
        self.table.update(attached())
        self.assertEqual(self.table.clear(), [Detached(PHONE)])
        self.assertEqual(self.table.clear(), [])

    @settings(deadline=None, max_examples=examples(100))
    @given(st.lists(st.tuples(st.sampled_from("APD"), st.integers(0, 3)), max_size=30))
    def test_consistency(self, history: list[tuple[str, int]]) -> None:
        """
        Whatever a daemon says, no device is detached or paired that is not
        there, and none is attached twice.
        """
        table = DeviceTable()
        makers = {"A": attached, "P": paired, "D": detached}
        there: set[int] = set()
        for kind, number in history:
            event = table.update(makers[kind](number))
            if event is None:
                self.assertEqual(kind == "A", number in there)
                continue
            if isinstance(event, Attached):
                self.assertNotIn(number, there)
                there.add(number)
            else:
                self.assertIn(number, there)
                there -= {number} if isinstance(event, Detached) else set()
            self.assertEqual({device.deviceID for device in table}, there)


class NetworkAddressTests(SynchronousTestCase):
    """
    Tests for L{networkAddressText}.
    """

    def test_ipv4(self) -> None:
        """
        An IPv4 address is read in Apple's layout and in Linux'.
        """
        for head in (b"\x10\x02\0\0", b"\x02\0\0\0"):
            self.assertEqual("192.168.1.7", networkAddressText((head + V4).ljust(128, b"\0")))

    def test_ipv6(self) -> None:
        """
        An IPv6 address is read in the layouts of Apple's systems, Linux and
        Windows, with its zone.
        """
        for head in (b"\x1c\x1e\0\0", b"\x0a\0\0\0", b"\x17\0\0\0"):
            data = head + b"\0\0\0\0" + V6 + b"\x04\0\0\0"
            self.assertEqual("fe80::1%4", networkAddressText(data.ljust(128, b"\0")))
            self.assertEqual("fe80::1", networkAddressText(data[:-4]))

    def test_none(self) -> None:
        """
        What is neither, or too short, is no address.
        """
        for data in (b"", b"\x10\x02\0\0", b"\x1c\x1e\0\0" + bytes(8), b"\x01\0" + bytes(126)):
            self.assertIsNone(networkAddressText(data))

    @settings(deadline=None, max_examples=examples(50))
    @given(st.binary(max_size=40))
    def test_anything(self, data: bytes) -> None:
        """
        No bytes make it raise.
        """
        networkAddressText(data)
