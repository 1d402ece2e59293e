"""
Tests of L{muxd.server.preflightreceiver}.
"""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceReceiver
from muxd.limits import LIMITS
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflightreceiver import PreflightReceiver, recordMaker
from muxd.server.registry import DeviceRegistry
from muxd.testing.devices import fakeIdentity
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from tests.lockdown.phones import BUID, NearDevice, recordOf


async def makeRecord(key: bytes, hostID: str, systemBUID: str) -> PairRecord:
    """
    Without making keys.
    """
    return recordOf(hostID, systemBUID)


class WelcomeTests(SynchronousTestCase):
    """
    Which devices go through preflight, and what listeners see.
    """

    def setUp(self) -> None:
        """
        A registry, and the way to it.
        """
        self.clock = Clock()
        self.registry = DeviceRegistry()
        self.store = MemoryRecordStore(BUID)
        self.receiver = PreflightReceiver(
            self.clock, self.registry, ImmediateRecords(self.store), LIMITS, makeRecord
        )
        self.device = NearDevice(self.clock)

    def visible(self) -> int:
        """
        How many devices are listed.
        """
        return len(self.registry.attached())

    def test_paired(self) -> None:
        """
        That another host has paired with a device is passed on.
        """
        told: list[object] = []
        self.patch(self.registry, "devicePaired", told.append)
        self.receiver.devicePaired(self.device)
        self.assertEqual(told, [self.device])

    def test_interface(self) -> None:
        """
        It takes the registry's place.
        """
        verifyObject(IDeviceReceiver, self.receiver)

    def test_attach(self) -> None:
        """
        A phone can be connected to while it is hidden, is attached once, and gone
        when it is.
        """
        self.receiver.deviceAttached(self.device)
        self.receiver.deviceAttached(self.device)
        self.assertEqual(self.visible(), 0)
        self.assertIsNotNone(self.registry.find(1))
        self.device.flush()
        self.assertEqual(self.visible(), 1)
        self.receiver.deviceDetached(self.device)
        self.receiver.deviceDetached(self.device)
        self.assertIsNone(self.registry.find(1))
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notAsked(self) -> None:
        """
        What is on the network, or is no phone, is visible at once.
        """
        for identity in (
            fakeIdentity(2, connectionType="Network"),
            replace(fakeIdentity(3), productID=0x8600),
        ):
            self.device.identity = identity
            self.registry = self.receiver._registry = DeviceRegistry()
            self.receiver.deviceAttached(self.device)
            self.assertEqual(self.visible(), 1)
            self.assertEqual(self.device.ports, [])

    def test_noSerial(self) -> None:
        """
        What the registry does not take is not asked either.
        """
        self.device.identity = replace(self.device.identity, serial="", udid="")
        self.receiver.deviceAttached(self.device)
        self.assertEqual(self.device.ports, [])

    def test_recordSaved(self) -> None:
        """
        A record that a program has saved is news.
        """
        self.device.phone.trust.owner = Owner.ASK
        self.receiver.deviceAttached(self.device)
        self.device.flush()
        before = len(self.device.ports)
        self.receiver.recordSaved(self.device.identity.udid)
        self.assertEqual(len(self.device.ports), before + 1)

    def test_stop(self) -> None:
        """
        When it stops, no timer is left.
        """
        self.receiver.deviceAttached(self.device)
        self.receiver.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RecordMakerTests(TestCase):
    """
    Making keys elsewhere.
    """

    async def test_makes(self) -> None:
        """
        The record comes from a thread.
        """
        make = recordMaker(reactor)
        assert make is not None
        record = await make(PUBLIC_KEY, "H", "B")
        self.assertEqual((record.hostID, record.systemBUID), ("H", "B"))

    def test_notInstalled(self) -> None:
        """
        Without the extra there is nothing that makes records.
        """
        usual = builtins.__import__

        def refuse(name: str, *arguments: Any, **others: Any) -> Any:
            if name == "muxd.lockdown.certificates":
                raise ImportError(name)
            return usual(name, *arguments, **others)

        self.patch(builtins, "__import__", refuse)
        self.assertIsNone(recordMaker(reactor))
