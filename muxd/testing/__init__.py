# -*- test-case-name: tests.importing.test_faces,tests.testing.test_standins -*-
"""
For tests of programs that use phones.

L{Simulation} is a daemon with simulated phones in a process of its own, for programs in
any language; L{muxd.testing.pytestplugin} makes fixtures of it.

The others are stand-ins in memory, for tests of Twisted programs: a phone that answers
as told, and a transport whose peer reads as much as the test lets it.  They do no I/O
and look at no clock but the one they are given::

    clock = Clock()
    service = MuxService(clock)
    phone = FakeDevice(clock, answers={62078: FakeDevice.ACCEPT})
    service.registry.deviceAttached(phone)
    service.endpoint(62078).connect(factory)
    phone.connections[0].transport.deliver(b"hello")

Names are imported when they are first used: tests of programs without Twisted need
none of it.
"""

from typing import TYPE_CHECKING

from muxd.importing.faces import lazyFace

if TYPE_CHECKING:
    from muxd.testing.devices import FakeConnection, FakeDevice, fakeIdentity
    from muxd.testing.records import ImmediateRecords, MemoryRecordStore
    from muxd.testing.simulation import SimulatedPhone, Simulation, SimulationError
    from muxd.testing.transports import BudgetTransport, FakeAddress

__all__ = [
    "BudgetTransport",
    "FakeAddress",
    "FakeConnection",
    "FakeDevice",
    "ImmediateRecords",
    "MemoryRecordStore",
    "SimulatedPhone",
    "Simulation",
    "SimulationError",
    "fakeIdentity",
]

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.testing.devices": ("FakeConnection", "FakeDevice", "fakeIdentity"),
        "muxd.testing.records": ("ImmediateRecords", "MemoryRecordStore"),
        "muxd.testing.simulation": ("SimulatedPhone", "Simulation", "SimulationError"),
        "muxd.testing.transports": ("BudgetTransport", "FakeAddress"),
    },
)
