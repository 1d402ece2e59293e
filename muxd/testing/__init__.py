# -*- test-case-name: tests.test_faces,tests.test_testing -*-
"""
Stand-ins for tests of what is built on this package: a phone that answers as
told, and a transport whose peer reads as much as the test lets it.

They do no I/O and look at no clock but the one they are given::

    clock = Clock()
    registry = DeviceRegistry()
    registry.deviceAttached(FakeDevice(clock, answers={62078: FakeDevice.ACCEPT}))
    factory = ControlFactory(clock, registry, ImmediateRecords())
    client = BudgetTransport.connect(clock, factory)
    client.deliver(connectMessage(1, 62078, tag=1).encode())

Names are imported when they are first used: tests of programs without Twisted need
none of it.
"""

from typing import TYPE_CHECKING

from muxd.faces import lazyFace

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.testing.devices": ("FakeConnection", "FakeDevice", "fakeIdentity"),
        "muxd.testing.records": ("ImmediateRecords", "MemoryRecordStore"),
        "muxd.testing.transports": ("BudgetTransport", "FakeAddress"),
    },
)
