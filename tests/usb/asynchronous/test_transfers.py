"""
Tests for L{muxd.usb.asynchronous.transfers}, both builds of it, on a libusb of their own.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.asynchronous.context import NO_DEVICE, NO_MEMORY, TransferStatus
from tests import twins
from tests.usb.fakelibusb import CONTEXT, HANDLE, FakeLibusb

IN, OUT = 0x85, 0x04


class TransfersTests:
    """
    What holds for both.
    """

    modules: dict[str, Any]

    def setUp(self: Any) -> None:
        """
        A library, and the transfers of a device.
        """
        self.modules = self.build()
        self.module = self.modules[twins.TRANSFERS]
        self.library = FakeLibusb()
        self.transfers = self.module.Transfers(self.library, CONTEXT, HANDLE)

    def test_structure(self: Any) -> None:
        """
        Libusb gets the device, the endpoint, the kind of transfer and the memory.
        """
        transfer = self.transfers.transfer(OUT, 100)
        transfer.write(0, b"hello")
        self.assertEqual(transfer.submit(5), 0)
        self.assertEqual(self.library.submitted, [transfer.address])
        structure = self.library.structure(transfer.address)
        self.assertEqual(
            (structure.handle, structure.endpoint, structure.type, structure.timeout),
            (HANDLE, OUT, 2, 0),
        )
        self.assertEqual(self.library.content(transfer.address), b"hello")
        self.assertFalse(transfer.isIn)
        self.assertTrue(self.transfers.transfer(IN, 1).isIn)

    def test_read(self: Any) -> None:
        """
        What was read is in the memory, as much as it is, when events have been handled.
        """
        transfer = self.transfers.transfer(IN, 100)
        transfer.submit(100)
        self.assertEqual(self.transfers.handleEvents(), [])
        self.library.end(transfer.address, data=b"hello")
        self.assertTrue(transfer.isInFlight)
        self.assertEqual(self.transfers.handleEvents(), [transfer])
        self.assertFalse(transfer.isInFlight)
        self.assertEqual((transfer.length, transfer.actualLength, transfer.status), (100, 5, 0))
        self.assertEqual(transfer.read(0, 5), b"hello")
        self.assertEqual(bytes(transfer.view[:5]), b"hello")
        self.assertEqual(self.transfers.handleEvents(), [])
        self.assertEqual(self.library.handled, [CONTEXT] * 3)

    def test_order(self: Any) -> None:
        """
        Those that end come in the order in which they have ended, and the others stay
        in that in which they were submitted.
        """
        all = [self.transfers.transfer(IN, 10) for _ in range(6)]
        for transfer in all:
            transfer.submit(10)
        self.assertEqual(self.transfers.inFlight, all)
        for which in (5, 2, 0):
            self.library.end(all[which].address)
        self.assertEqual(self.transfers.handleEvents(), [all[5], all[2], all[0]])
        self.assertEqual(self.transfers.inFlight, [all[1], all[3], all[4]])
        self.assertEqual(self.transfers.countInFlight, 3)
        all[2].submit(1)
        self.assertEqual(self.transfers.inFlight, [all[1], all[3], all[4], all[2]])
        for which in (3, 1, 2, 4):
            self.library.end(all[which].address)
        self.assertEqual(self.transfers.handleEvents(), [all[3], all[1], all[2], all[4]])
        self.assertEqual(self.transfers.inFlight, [])

    def test_statuses(self: Any) -> None:
        """
        How it has ended can be seen: a stall is one of the ways.
        """
        transfer = self.transfers.transfer(IN, 10)
        for status in TransferStatus:
            transfer.submit(10)
            self.library.end(transfer.address, status)
            self.transfers.handleEvents()
            self.assertEqual(transfer.status, status)

    def test_refused(self: Any) -> None:
        """
        What libusb does not take is said by its number, and is not in flight.
        """
        transfer = self.transfers.transfer(OUT, 10)
        self.library.refusals.extend((NO_MEMORY, NO_DEVICE, -1, -99))
        for code in (NO_MEMORY, NO_DEVICE, -1, -99):
            self.assertEqual(transfer.submit(10), code)
            self.assertFalse(transfer.isInFlight)
        self.assertEqual(self.transfers.inFlight, [])
        self.assertEqual(transfer.submit(10), 0)

    def test_noMemory(self: Any) -> None:
        """
        There may be no memory for the transfer itself.
        """
        self.library.hasMemory = False
        self.assertRaises(MemoryError, self.transfers.transfer, OUT, 10)

    def test_sizes(self: Any) -> None:
        """
        There are no sizes, lengths and endpoints but those that there are.
        """
        for endpoint, size in ((-1, 1), (256, 1), (OUT, 0), (OUT, -1), (OUT, 1 << 30)):
            self.assertRaises(ValueError, self.transfers.transfer, endpoint, size)
        self.assertRaises(OverflowError, self.transfers.transfer, OUT, 1 << 64)
        self.assertRaises(TypeError, self.transfers.transfer, OUT, 1.5)
        transfer = self.transfers.transfer(OUT, 10)
        for length in (-1, 11, 1 << 62):
            self.assertRaises(ValueError, transfer.submit, length)
        self.assertRaises(OverflowError, transfer.submit, 1 << 64)
        self.assertRaises(TypeError, transfer.submit, 1.5)
        self.assertRaises(TypeError, transfer.submit, None)
        self.assertEqual(transfer.submit(0), 0)

    def test_endpoints(self: Any) -> None:
        """
        Whether an endpoint is read is in its highest bit alone.
        """
        for endpoint, isIn in ((0, False), (1, False), (0x7F, False), (0x80, True), (0xFF, True)):
            transfer = self.transfers.transfer(endpoint, 10)
            self.assertEqual((transfer.isIn, transfer.isBulk), (isIn, False))
            self.assertEqual(self.library.structure(transfer.address).endpoint, endpoint)

    def test_claimedTooMuch(self: Any) -> None:
        """
        A library that claims to have moved more than it was asked to, or less than
        nothing, is not believed.
        """
        transfer = self.transfers.transfer(IN, 10)
        transfer.submit(5)
        self.library.end(transfer.address, count=11)
        self.transfers.handleEvents()
        self.assertEqual(transfer.actualLength, 5)
        transfer.submit(5)
        structure = self.library.structure(transfer.address)
        self.library.end(transfer.address)
        structure.actualLength = -3
        self.transfers.handleEvents()
        self.assertEqual(transfer.actualLength, 0)

    def test_inFlight(self: Any) -> None:
        """
        Nothing but cancelling can be done to what is in flight.
        """
        target = self.modules["muxd.net.streams"].StreamSocket
        transfer = self.transfers.transfer(OUT, 100)
        transfer.submit(10)
        for refused, *arguments in (
            (transfer.submit, 1),
            (transfer.free,),
            (transfer.write, 0, b""),
            (transfer.read, 0, 0),
            (transfer.send, target.__new__(target), 0, 1),
            (transfer.receive, target.__new__(target), 0, 1),
            (transfer.readHeader, 0),
            (transfer.readSegment, 2, 0),
            (transfer.writeSegment, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0),
            (transfer.writeCounters, 0, 0),
        ):
            self.assertRaises(RuntimeError, refused, *arguments)
        self.assertEqual(transfer.cancel(), 0)
        self.assertEqual(self.library.cancelled, [transfer.address])
        self.library.end(transfer.address, TransferStatus.CANCELLED)
        self.transfers.handleEvents()
        self.assertEqual(transfer.submit(1), 0)

    def test_cancelNothing(self: Any) -> None:
        """
        What is not in flight is not cancelled.
        """
        transfer = self.transfers.transfer(OUT, 10)
        self.assertEqual(transfer.cancel(), self.module.NOT_FOUND)
        self.assertEqual(self.library.cancelled, [])

    def test_freed(self: Any) -> None:
        """
        What was freed is gone, and can be freed again.
        """
        transfer = self.transfers.transfer(OUT, 10)
        view = transfer.view
        transfer.free()
        self.assertEqual(self.library.allocated, {})
        transfer.free()
        self.assertEqual((transfer.size, len(transfer.view), transfer.address), (0, 0, 0))
        self.assertRaises(RuntimeError, transfer.submit, 0)
        self.assertRaises(RuntimeError, transfer.submit, 1)
        self.assertRaises(ValueError, transfer.write, 0, b"x")
        self.assertEqual(transfer.cancel(), self.module.NOT_FOUND)
        view[:] = b"x" * 10

    def test_forgotten(self: Any) -> None:
        """
        What is forgotten is freed; but not what is in flight, until it comes back.
        """
        self.transfers.transfer(OUT, 10)
        gc.collect()
        self.assertEqual(self.library.allocated, {})
        transfer = self.transfers.transfer(IN, 10)
        transfer.submit(10)
        address = transfer.address
        del transfer
        gc.collect()
        self.library.end(address, data=b"hello")
        (ended,) = self.transfers.handleEvents()
        self.assertEqual(ended.read(0, ended.actualLength), b"hello")
        del ended
        gc.collect()
        self.assertEqual(self.library.allocated, {})

    def test_closed(self: Any) -> None:
        """
        After the end libusb is asked for nothing any more.
        """
        transfer = self.transfers.transfer(OUT, 10)
        other = self.transfers.transfer(OUT, 10)
        other.submit(1)
        self.transfers.close()
        self.transfers.close()
        self.assertRaises(RuntimeError, transfer.submit, 1)
        self.assertRaises(RuntimeError, self.transfers.transfer, OUT, 10)
        self.assertEqual(self.transfers.handleEvents(), [])
        self.assertEqual(other.cancel(), self.module.NOT_FOUND)
        self.assertEqual((self.library.handled, self.library.cancelled), ([], []))
        self.assertRaises(RuntimeError, other.free)

    def test_forgottenWithTransfers(self: Any) -> None:
        """
        Memory that the kernel may write to stays, even if everything that knows of it is
        forgotten.
        """
        transfer = self.transfers.transfer(IN, 10)
        transfer.submit(10)
        address = transfer.address
        del transfer
        self.transfers = None
        gc.collect()
        self.library.end(address, data=b"0123456789")
        self.assertEqual(self.library.content(address), b"0123456789")

    def test_missing(self: Any) -> None:
        """
        A library that lacks a function is refused.
        """
        for name in list(vars(self.library)):
            if name.startswith("libusb_"):
                library = FakeLibusb()
                delattr(library, name)
                self.assertRaises(AttributeError, self.module.Transfers, library, CONTEXT, HANDLE)


class PureTransfersTests(TransfersTests, SynchronousTestCase):
    """
    The build in Python.
    """

    build = staticmethod(twins.pure)


class CompiledTransfersTests(TransfersTests, SynchronousTestCase):
    """
    The compiled build.
    """

    build = staticmethod(twins.compiled)
