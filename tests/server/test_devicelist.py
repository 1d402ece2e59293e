# -*- test-case-name: tests.server.test_devicelist -*-
"""
Tests of L{muxd.server.devicelist}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.interfaces import AttachedDevice
from muxd.server import devicelist
from muxd.server.descriptions import DeviceDescription
from muxd.server.devicelist import BLOCK, DeviceList
from muxd.testing import FakeDevice, fakeIdentity
from muxd.wire.messages import MessageReader, parsePlist, writePlist
from tests.running.properties import examples


def greeting(devices: DeviceList, version: int) -> list[bytes]:
    """
    What a new listener is told.
    """
    told: list[bytes] = []
    place = None
    while (more := devices.eventsAfter(place, version)) is not None:
        place, events = more
        told.append(events)
    return told


def describe(number: int, **changes: Any) -> DeviceDescription:
    """
    The description of a device.
    """
    identity = replace(fakeIdentity(number), **changes)
    return DeviceDescription(AttachedDevice(number, FakeDevice(Clock(), identity)))


NETWORK = {
    "connectionType": "Network",
    "networkAddress": b"\x10\x02".ljust(128, b"\0"),
    "serviceName": "a<&>b._apple-mobdev2._tcp.local.",
}
TEXT = some.sampled_from(
    ["", "x" * 300, "a\x00\r\n\tb\ufffe", "<&>]]>\"'", "\u4e2d\U0001f600", "\ud800"]
)
IDENTITIES = some.fixed_dictionaries(
    {
        "udid": TEXT,
        "host": TEXT,
        "portPath": TEXT,
        "productID": some.integers(0, 1 << 20),
        "speed": some.integers(0, 1 << 40),
        "connectionType": some.sampled_from(["USB", "Network"]),
        "networkAddress": some.binary(max_size=200),
        "serviceName": TEXT,
    }
)


class DeviceListTests(SynchronousTestCase):
    """
    A list that changes.
    """

    def whole(self, devices: DeviceList) -> bytes:
        """
        All of it.
        """
        return b"".join(devices.listed())

    def numbersOf(self, devices: DeviceList) -> list[int]:
        """
        Which phones are listed, in this order, and told to a new listener.
        """
        listed = [each["DeviceID"] for each in parsePlist(self.whole(devices))["DeviceList"]]
        reader = MessageReader(1 << 20)
        reader.feed(b"".join(greeting(devices, 1)))
        self.assertEqual([parsePlist(each.body)["DeviceID"] for each in reader], listed)
        return listed

    def test_empty(self) -> None:
        """
        Without devices it is what plistlib writes, also after the last has gone.
        """
        devices = DeviceList()
        empty = writePlist({"DeviceList": []})
        self.assertEqual(self.whole(devices), empty)
        devices.add(describe(1))
        self.assertTrue(devices.remove(1))
        self.assertEqual(self.whole(devices), empty)
        self.assertFalse(devices.remove(1))

    @settings(deadline=None, max_examples=examples(20))
    @given(some.lists(IDENTITIES, max_size=5), some.sets(some.integers(0, 5)))
    def test_likePlistlib(self, changes: list[dict[str, Any]], doubtful: set[int]) -> None:
        """
        It is what plistlib writes, whatever devices are called.
        """
        devices = DeviceList()
        described = [describe(number, **each) for number, each in enumerate(changes)]
        for each in described:
            devices.add(each)
        devices.doubt(doubtful.__contains__)
        described.sort(key=lambda each: each.isOnNetwork)
        values = [
            each.doubtfulValues if each.deviceID in doubtful else each.values for each in described
        ]
        self.assertEqual(self.whole(devices), writePlist({"DeviceList": values}))

    @settings(deadline=None, max_examples=examples(20))
    @given(some.lists(some.integers(0, 9)))
    def test_anyOrder(self, steps: list[int]) -> None:
        """
        Whatever comes and goes, it is those that are there in the order in which they came, those
        on the network last.
        """
        self.patch(devicelist, "BLOCK", 2)
        devices = DeviceList()
        there: list[int] = []
        for number, step in enumerate(steps, 1):
            if there and step < 4:
                devices.remove(there.pop(step % len(there)))
            else:
                devices.add(describe(number, **(NETWORK if step > 6 else {})))
                there.append(number)
            wireless = {each for each in there if steps[each - 1] > 6}
            expected = sorted(there, key=wireless.__contains__)
            self.assertEqual(self.numbersOf(devices), expected)
            self.assertEqual([each for each in there if each in devices], there)

    def test_othersStay(self) -> None:
        """
        When a device goes, what is said of those in other blocks is not made again.
        """
        devices = DeviceList()
        for number in range(2 * BLOCK + 1):
            devices.add(describe(number))
        before, told = devices.listed(), greeting(devices, 1)
        devices.remove(BLOCK)
        after, toldNow = devices.listed(), greeting(devices, 1)
        same = [one is other for one, other in zip(before, after, strict=True)]
        self.assertEqual(same, [True, True, False, True, True])
        same = [one is other for one, other in zip(told, toldNow, strict=True)]
        self.assertEqual(same, [True, False, True])

    def test_doubt(self) -> None:
        """
        A device that is doubtful no longer is said to be so no longer.
        """
        devices = DeviceList()
        devices.add(describe(1))
        devices.add(describe(2))
        plain = self.whole(devices)
        devices.doubt({2}.__contains__)
        marked = parsePlist(self.whole(devices))["DeviceList"]
        marks = [each["Properties"].get("MuxdDoubtful") for each in marked]
        self.assertEqual(marks, [None, True])
        devices.doubt(lambda deviceID: False)
        self.assertEqual(self.whole(devices), plain)
