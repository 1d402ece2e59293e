"""
Tests of transfers on L{muxd.phone.bus.simulated}, by pyusb's own objects.
"""

from __future__ import annotations

import array
import errno
from typing import Any, cast

import usb.core
import usb.util

from muxd.phone.bus.attachment import ROOM, Attachment
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT, Speed
from muxd.phone.bus.faultmachine import FaultMachine
from muxd.phone.bus.faultplan import FaultPlan
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.pipes import Transfer
from muxd.phone.bus.profiles import iPhone
from muxd.testing.gadgets import RecordingGadget
from tests.phone.bus.onbus import DEADLINE, Blocked, BusTestCase, Slow


class ControlTests(BusTestCase):
    """
    Control transfers.
    """

    def test_mode(self) -> None:
        """
        The mode can be asked for and set (protocol 1.2).
        """
        self.assertEqual(bytes(self.device.ctrl_transfer(0xC0, 0x45, 0, 0, 4)), b"\3\3\3\0")
        self.assertEqual(bytes(self.device.ctrl_transfer(0xC0, 0x52, 0, 3, 1)), b"\0")
        self.assertEqual(bytes(self.device.ctrl_transfer(0xC0, 0x45, 0, 0, 4)), b"\5\3\3\0")
        self.assertEqual(self.gadget.modes, [3])

    def test_standardRequests(self) -> None:
        """
        The descriptors and the configuration can be asked for.
        """
        descriptor = self.gadget.descriptor
        ask = self.device.ctrl_transfer
        self.assertEqual(bytes(ask(0x80, 6, 0x100, 0, 18)), descriptor.encode())
        configuration = descriptor.configurations[3].encode()
        self.assertEqual(bytes(ask(0x80, 6, 0x203, 0, 9)), configuration[:9])
        self.assertEqual(bytes(ask(0x80, 6, 0x203, 0, 500)), configuration)
        self.assertEqual(bytes(ask(0x80, 8, 0, 0, 1)), b"\4")

    def test_unknownRequests(self) -> None:
        """
        A device stalls what it does not know.
        """
        for arguments in (
            (0xC0, 0x99, 0, 0, 1),
            (0x80, 6, 0x204, 0, 9),
            (0x80, 6, 0x3FF, 0x409, 9),
            (0x80, 6, 0x900, 0, 9),
            (0x80, 0, 0, 0, 2),
            (0x00, 9, 4, 0, b""),
        ):
            self.assertErrno(errno.EPIPE, self.device.ctrl_transfer, *arguments)

    def test_outRequest(self) -> None:
        """
        A request that brings data returns how much.
        """

        class Charger(Gadget):
            def control(self, attachment: object, request: Any) -> bytes:
                self.request = request
                return b""

        gadget = Charger(iPhone())
        self.bus.plug(gadget)
        device = list(usb.core.find(find_all=True, backend=self.bus))[1]
        self.assertEqual(device.ctrl_transfer(0x40, 0x40, 500, 0, b"abc"), 3)
        self.assertEqual((gadget.request.value, gadget.request.data), (500, b"abc"))


class TransferTests(BusTestCase):
    """
    Bulk transfers.
    """

    def test_write(self) -> None:
        """
        A write is one message.
        """
        self.assertEqual(self.device.write(MUX_OUT, b"hello"), 5)
        self.assertEqual(self.gadget.received, [b"hello"])
        self.assertTrue(self.gadget.arrived.is_set())

    def test_missingZeroLengthPacket(self) -> None:
        """
        A write of whole packets stays open until an empty one.
        """
        self.device.write(MUX_OUT, bytes(512))
        self.assertEqual((self.gadget.received, self.attachment.openBytes(MUX_OUT)), ([], 512))
        self.device.write(MUX_OUT, b"")
        self.assertEqual(self.gadget.received, [bytes(512)])

    def test_superSpeed(self) -> None:
        """
        On super speed a packet has 1024 bytes.
        """
        self.bus.unplug(self.gadget)
        self.gadget = RecordingGadget(iPhone(speed=Speed.SUPER, initialConfiguration=3))
        self.bus.plug(self.gadget)
        device = usb.core.find(backend=self.bus)
        device.write(MUX_OUT, bytes(512))
        device.write(MUX_OUT, bytes(1024))
        self.assertEqual(self.gadget.received, [bytes(512)])

    def test_readIntoArray(self) -> None:
        """
        A read may bring its own array.
        """
        self.gadget.send(b"hello")
        buffer = array.array("B", bytes(16384))
        self.assertEqual(self.device.read(MUX_IN, buffer), 5)
        self.assertEqual(buffer[:5].tobytes(), b"hello")
        self.assertEqual(len(buffer), 16384)

    def test_timeouts(self) -> None:
        """
        A read that brings nothing and a write that is not taken time out;
        whole packets that came are returned without an error.
        """
        self.assertRaises(usb.core.USBTimeoutError, self.device.read, MUX_IN, 16384, 1)
        self.gadget.send(bytes(700), end=False)
        self.assertEqual(len(self.device.read(MUX_IN, 16384, 1)), 512)
        self.attachment.hold()
        error = self.assertRaises(usb.core.USBTimeoutError, self.device.write, MUX_OUT, b"never", 1)
        self.assertEqual((error.errno, error.backend_error_code), (errno.ETIMEDOUT, -7))
        self.attachment.release()
        self.device.write(MUX_OUT, b"now")
        self.assertEqual(self.gadget.received, [b"now"])

    def test_stall(self) -> None:
        """
        A stalled endpoint fails with EPIPE until it is cleared.
        """
        self.gadget.send(b"hello")
        self.attachment.stall(MUX_IN)
        for _ in range(2):
            self.assertErrno(errno.EPIPE, self.device.read, MUX_IN, 16384, 1)
        self.device.clear_halt(MUX_IN)
        self.assertEqual(bytes(self.device.read(MUX_IN, 16384, 1)), b"hello")

    def test_roomInEndpoint(self) -> None:
        """
        A device is told when the host has read what was too much.
        """
        gadget = Slow(iPhone(initialConfiguration=3))
        attachment = self.bus.plug(gadget)
        device = list(usb.core.find(find_all=True, backend=self.bus))[1]
        self.assertTrue(attachment.hasRoom(MUX_IN))
        attachment.send(MUX_IN, bytes(65536 + 600))
        device.read(MUX_IN, 512)
        self.assertFalse(attachment.hasRoom(MUX_IN))
        device.read(MUX_IN, 16384)
        self.assertEqual(gadget.roomAgain, 1)
        device.read(MUX_IN, 16384)
        self.assertEqual(gadget.roomAgain, 1)
        self.assertTrue(attachment.hasRoom(MUX_IN))
        self.assertTrue(attachment.hasRoom(0x99))

    def test_roomForMessages(self) -> None:
        """
        Messages take room even if there is nothing in them.
        """
        for _ in range(1000):
            self.attachment.send(MUX_IN, b"")
        self.assertFalse(self.attachment.hasRoom(MUX_IN))
        self.assertEqual(self.attachment.unread(MUX_IN), 0)

    def test_crowded(self) -> None:
        """
        An endpoint that has no more room is not yet one whose device should not listen.
        """
        self.attachment.send(MUX_IN, bytes(ROOM))
        self.assertFalse(self.attachment.hasRoom(MUX_IN))
        self.assertFalse(self.attachment.isCrowded(MUX_IN))
        self.attachment.send(MUX_IN, bytes(ROOM))
        self.assertTrue(self.attachment.isCrowded(MUX_IN))
        self.assertFalse(self.attachment.isCrowded(0x99))

    def test_roomAfterPause(self) -> None:
        """
        A device is told as well if reads that waited are filled at the end of a pause.
        """
        gadget = Slow(iPhone())
        attachment = Attachment(gadget, 1, 1, 1, configuration=3)
        attachment.hold()
        self.crowd(attachment)
        attachment.release()
        self.assertEqual(gadget.roomAgain, 1)

    def test_roomAskedForMeanwhile(self) -> None:
        """
        And if a service asks for room, in its thread, as soon as there is some.
        """
        gadget = Slow(iPhone())
        attachment = Attachment(gadget, 1, 1, 1, configuration=3)
        attachment.hold()
        self.crowd(attachment)
        lock = attachment._lock

        class Watched:
            def __enter__(self) -> None:
                lock.acquire()

            def __exit__(self, *_: object) -> None:
                lock.release()
                attachment._lock = lock
                attachment.hasRoom(MUX_IN)

        attachment._lock = cast(Any, Watched())
        attachment.release()
        self.assertEqual(gadget.roomAgain, 1)

    def test_roomAfterStall(self) -> None:
        """
        So it is at the end of a stall.
        """
        gadget = Slow(iPhone())
        gadget.faultMachine = FaultMachine(FaultPlan.fromString("stall@in1"))
        attachment = Attachment(gadget, 1, 1, 1, configuration=3)
        self.crowd(attachment)
        attachment.clearHalt(MUX_IN)
        self.assertEqual(gadget.roomAgain, 1)

    def crowd(self, attachment: Attachment) -> None:
        """
        Send more than there is room for to a host whose reads are not filled now.
        """
        for _ in range(3):
            attachment.submit(MUX_IN, Transfer(memoryview(bytearray(ROOM))))
        for _ in range(2):
            attachment.send(MUX_IN, bytes(ROOM - 1))
        self.assertTrue(attachment.isCrowded(MUX_IN))

    def test_notConfiguredForDevice(self) -> None:
        """
        What a device does on endpoints that its configuration has not is lost.
        """
        self.attachment.send(0x99, b"x")
        self.assertIdentical(self.attachment.take(0x0F), None)
        self.assertEqual(self.attachment.unread(0x99), 0)
        self.assertEqual(self.attachment.openBytes(0x0F), 0)


class BlockedTests(BusTestCase):
    """
    What wakes a program that waits for a transfer.
    """

    def test_data(self) -> None:
        """
        Data wakes a reader.
        """
        reader = self.reader()
        self.gadget.send(b"hello")
        self.assertEqual(bytes(reader.join().result), b"hello")  # type: ignore[call-overload]  # an array

    def test_unplug(self) -> None:
        """
        An unplugged device fails what waits and what comes with ENODEV, and
        forgetting it fails not.
        """
        reader = self.reader()
        self.bus.unplug(self.gadget)
        self.assertEqual(reader.join().error.errno, errno.ENODEV)  # type: ignore[union-attr]  # it failed
        self.assertErrno(errno.ENODEV, self.device.read, MUX_IN, 512)
        self.assertErrno(errno.ENODEV, self.device.write, MUX_OUT, b"x")
        self.assertErrno(errno.ENODEV, self.device.ctrl_transfer, 0xC0, 0x45, 0, 0, 4)
        self.assertErrno(errno.ENODEV, usb.util.release_interface, self.device, 1)
        self.attachment.send(MUX_IN, b"into the void")
        usb.util.dispose_resources(self.device)
        self.assertErrno(errno.ENODEV, self.bus.open_device, self.attachment)

    def test_unplugWithProtocolError(self) -> None:
        """
        What waits may fail with EIO first, as on a real controller.
        """
        reader = self.reader()
        self.bus.unplug(self.gadget, errno.EIO)
        self.assertEqual(reader.join().error.errno, errno.EIO)  # type: ignore[union-attr]  # it failed
        self.assertErrno(errno.ENODEV, self.device.read, MUX_IN, 512)

    def test_release(self) -> None:
        """
        Giving the interface back fails a reader with ENODEV; it can be claimed
        again.
        """
        reader = self.reader()
        usb.util.release_interface(self.device, 1)
        self.assertEqual(reader.join().error.errno, errno.ENODEV)  # type: ignore[union-attr]  # it failed
        usb.util.claim_interface(self.device, 1)
        self.gadget.send(b"again")
        self.assertEqual(bytes(self.device.read(MUX_IN, 512)), b"again")

    def test_writeWaits(self) -> None:
        """
        A write waits until the device takes it, for ever if need be.
        """
        gadget = Slow(iPhone(initialConfiguration=3))
        attachment = self.bus.plug(gadget)
        device = list(usb.core.find(find_all=True, backend=self.bus))[1]
        writer = Blocked(lambda: device.write(MUX_OUT, b"hello", 0))
        self.assertTrue(gadget.submitted.wait(DEADLINE))
        self.assertEqual(attachment.take(MUX_OUT), b"hello")
        self.assertEqual(writer.join().result, 5)
