# -*- test-case-name: tests.test_testing -*-
"""
Stand-ins for tests of what is built on this package: a phone that answers as
told, and a transport whose peer reads as much as the test lets it.

Nothing here does I/O or looks at the time::

    clock = Clock()
    registry = DeviceRegistry()
    registry.deviceAttached(FakeDevice(clock, answers={62078: FakeDevice.ACCEPT}))
    factory = ControlFactory(clock, registry, ImmediateRecords())
    client = BudgetTransport.connect(clock, factory)
    client.deliver(connectMessage(1, 62078, tag=1).encode())
"""

from __future__ import annotations

from muxd.testing.devices import FakeConnection, FakeDevice, fakeIdentity
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from muxd.testing.transports import BudgetTransport, FakeAddress

__all__ = [
    "BudgetTransport",
    "FakeAddress",
    "FakeConnection",
    "FakeDevice",
    "ImmediateRecords",
    "MemoryRecordStore",
    "fakeIdentity",
]
