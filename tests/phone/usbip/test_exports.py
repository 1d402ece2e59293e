"""
Tests of L{muxd.phone.usbip.exports}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.interfaces import CannotPlug, IBus
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.phone.usbip.exports import Export, Exports, IHostConnection, IRemoteBus
from muxd.testing.gadgets import RecordingGadget


@implementer(IHostConnection)
class Connection:
    """
    A host that is told of the loss of its device, and gives it back.

    @ivar errors: What it was told.
    """

    def __init__(self, export: Export) -> None:
        self.errors: list[int] = []
        self._export = export
        export.take(self)

    def disconnect(self, error: int) -> None:
        """
        Remember it.
        """
        self.errors.append(error)
        self._export.giveBack()


class ExportsTests(SynchronousTestCase):
    """
    Tests of L{Exports}.
    """

    def setUp(self) -> None:
        """
        One device.
        """
        self.exports = Exports()
        self.gadget = RecordingGadget(iPhone())
        self.place = self.exports.plug(self.gadget)

    def export(self) -> Export:
        """
        Where it is.
        """
        export = self.exports.export(self.gadget)
        assert export is not None
        return export

    def test_interfaces(self) -> None:
        """
        It is a bus, as is that of this process.
        """
        verifyObject(IRemoteBus, self.exports)
        verifyObject(IBus, self.exports)
        verifyObject(IBus, SimulatedBus())

    def test_places(self) -> None:
        """
        A device has the first place that is free, and an address of its own each
        time.
        """
        second, third = Gadget(iPhone()), Gadget(iPhone())
        self.assertEqual((self.place, self.exports.plug(second)), ("1-1", "1-2"))
        self.exports.unplug(self.gadget)
        self.assertEqual(self.exports.plug(third), "1-1")
        self.assertEqual(
            [(d.busID, d.address) for d in self.exports.devices()], [("1-2", 3), ("1-1", 4)]
        )
        self.assertIdentical(self.exports.find("1-1").gadget, third)  # type: ignore[union-attr]  # it is there
        self.assertIdentical(self.exports.find("1-9"), None)

    def test_full(self) -> None:
        """
        A bus has room for 126 devices; addresses go round.
        """
        others = [Gadget(iPhone()) for _ in range(125)]
        for one in others:
            self.exports.plug(one)
        error = self.assertRaises(CannotPlug, self.exports.plug, Gadget(iPhone()))
        self.assertEqual(str(error), "there are 126 devices already: the bus is full")
        self.exports.unplug(others[7])
        self.exports.plug(others[7])
        self.assertEqual(len({d.address for d in self.exports.devices()}), 126)
        self.assertTrue(all(2 <= d.address <= 127 for d in self.exports.devices()))

    def test_twice(self) -> None:
        """
        A device is in one place at a time, and may be pulled out more often.
        """
        self.assertRaises(CannotPlug, self.exports.plug, self.gadget)
        self.exports.unplug(self.gadget)
        self.exports.unplug(self.gadget)
        self.assertIdentical(self.exports.export(self.gadget), None)

    def test_taken(self) -> None:
        """
        A device is on a bus while a host has it, unconfigured at first.
        """
        export = self.export()
        self.assertFalse(export.isTaken)
        self.assertIdentical(self.gadget.attachment, None)
        Connection(export)
        attachment = self.gadget.attachment
        assert attachment is not None
        self.assertTrue(export.isTaken)
        self.assertEqual(attachment.configuration, 0)
        export.giveBack()
        export.giveBack()
        self.assertFalse(export.isTaken)
        self.assertTrue(attachment.gone)
        self.assertIdentical(self.gadget.attachment, None)

    def test_unplugged(self) -> None:
        """
        A host whose device is pulled out is told the error.
        """
        connection = Connection(self.export())
        self.exports.unplug(self.gadget, 71)
        self.assertEqual(connection.errors, [71])
        self.assertIdentical(self.gadget.attachment, None)

    def test_counters(self) -> None:
        """
        A device is counted on over all its plugs.
        """
        self.export().counters.out = 7
        self.exports.unplug(self.gadget)
        self.exports.plug(self.gadget)
        self.assertEqual(self.export().counters.out, 7)
        self.assertIdentical(self.exports.counters(self.gadget), self.export().counters)

    def test_speeds(self) -> None:
        """
        Speeds have Linux' numbers.
        """
        found = []
        for speed in Speed:
            gadget = Gadget(iPhone(speed=speed, initialConfiguration=0))
            self.exports.plug(gadget)
            device = self.exports.devices()[-1]
            found.append(device.speed)
            self.assertEqual((device.configuration, device.interfaces), (0, ()))
        self.assertEqual(found, [2, 3, 5, 6])
