# -*- test-case-name: tests.status.test_phonedetails -*-
"""
Tests of L{muxd.status.phonedetails}.
"""

from __future__ import annotations

import plistlib
from typing import Any

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.interfaces import AttachedDevice
from muxd.status.phonedetails import AGAIN, AT_ONCE, TIMEOUT, PhoneDetails
from muxd.testing import BudgetTransport, FakeDevice, fakeIdentity


def answer(values: dict[str, Any]) -> bytes:
    """
    What lockdownd says to GetValue.
    """
    body = plistlib.dumps({"Request": "GetValue", "Value": values})
    return len(body).to_bytes(4, "big") + body


class DetailsTests(SynchronousTestCase):
    """
    Phones that are asked.
    """

    def setUp(self) -> None:
        """
        Have phones.
        """
        self.clock = Clock()
        self.details = PhoneDetails(self.clock)
        self.devices = [FakeDevice(self.clock, fakeIdentity(number)) for number in range(20)]
        self.attached = [AttachedDevice(number, each) for number, each in enumerate(self.devices)]

    def accept(self, number: int) -> BudgetTransport:
        """
        Have a phone's lockdownd answer.
        """
        return self.devices[number].connections[-1].accept()

    def test_asked(self) -> None:
        """
        A phone is asked once, and what it says is printable.
        """
        self.assertFalse(self.details.isAsking(self.attached[0]))
        self.assertEqual(self.details.of(self.attached[0]), {})
        self.details.of(self.attached[0])
        self.assertTrue(self.details.isAsking(self.attached[0]))
        phone = self.accept(0)
        phone.deliver(
            answer({"DeviceName": "Ann's\u202e", "ProductType": "iPhone14,5", "ProductVersion": 17})
        )
        self.assertEqual(
            self.details.of(self.attached[0]), {"name": "Ann's?", "model": "iPhone14,5"}
        )
        self.assertFalse(self.details.isAsking(self.attached[0]))
        self.assertEqual((self.details.changes, len(self.devices[0].connections)), (1, 1))
        self.assertTrue(phone.disconnecting)

    def test_refused(self) -> None:
        """
        One that does not answer is asked again, later.
        """
        self.details.of(self.attached[0])
        self.devices[0].connections[0].refuse(ConnectionRefusedError())
        self.assertEqual(self.details.of(self.attached[0]), {})
        self.assertFalse(self.details.isAsking(self.attached[0]))
        self.clock.advance(AGAIN)
        self.details.of(self.attached[0])
        self.assertTrue(self.details.isAsking(self.attached[0]))
        self.assertEqual(len(self.devices[0].connections), 2)

    def test_silent(self) -> None:
        """
        One that says nothing is let go.
        """
        self.details.of(self.attached[0])
        phone = self.accept(0)
        self.clock.advance(TIMEOUT)
        self.clock.advance(0)
        self.assertTrue(phone.disconnecting)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nonsense(self) -> None:
        """
        One that talks nonsense has said nothing.
        """
        for said in (answer([]), b"\xff\xff\xff\xff", answer({"DeviceName": ["x"]})):  # type: ignore[arg-type]
            self.details.keepOnly(set())
            self.details.of(self.attached[0])
            self.accept(0).deliver(said)
            self.clock.advance(TIMEOUT)
            self.assertEqual(self.details.of(self.attached[0]), {})
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_many(self) -> None:
        """
        No more than a few are asked at the same time.
        """
        for attached in self.attached:
            self.details.of(attached)
        asked = sum(len(device.connections) for device in self.devices)
        self.assertEqual(asked, AT_ONCE)
        self.devices[0].connections[0].refuse(ConnectionRefusedError())
        asked = sum(len(device.connections) for device in self.devices)
        self.assertEqual(asked, AT_ONCE + 1)

    def test_gone(self) -> None:
        """
        What a phone has said is forgotten when it is gone.
        """
        self.details.of(self.attached[0])
        self.accept(0).deliver(answer({"DeviceName": "x"}))
        self.details.keepOnly({1})
        self.assertEqual(self.details.of(self.attached[0]), {})
