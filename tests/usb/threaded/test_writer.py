"""
Tests for L{muxd.usb.threaded.writer} and of clearing a stall once, without threads.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError

from muxd.identity import DeviceIdentity
from muxd.limits import LIMITS
from muxd.phone.bus.simulated import usbError
from muxd.usb.configuration import MuxInterface
from muxd.usb.engines import SMALL_PACKET
from muxd.usb.opening import OpenedPhone
from muxd.usb.threaded.link import ClearingOnce
from muxd.usb.threaded.mailbox import Mailbox
from muxd.usb.threaded.writer import WRITE_TIMEOUT, Mail, RoomAvailable, Writer

INTERFACE = MuxInterface(
    configuration=4, number=1, output=4, input=0x85, maxPacketSize=512, inputPacketSize=512
)
IDENTITY = DeviceIdentity(udid="u", serial="s", productID=0x12A8, locationID=1 << 16 | 2)


class ScriptedDevice:
    """
    A device whose writes do what a test wants.

    @ivar script: What becomes of the next writes: a number of bytes that are
        taken, an exception, or something to call.  All is taken when it is
        empty.
    @ivar wire: What was taken.
    """

    def __init__(self, *script: int | Exception | Callable[[], object]) -> None:
        self.script = list(script)
        self.wire: list[bytes] = []
        self.cleared: list[int] = []
        self.timeouts: set[int] = set()

    def write(self, endpoint: int, data: bytes, timeout: int) -> int:
        """
        One write.
        """
        self.timeouts.add(timeout)
        step: Any = self.script.pop(0) if self.script else len(data)
        if callable(step):
            step()
            step = usbError(errno.ETIMEDOUT)
        if isinstance(step, Exception):
            raise step
        self.wire.append(data[:step])
        return int(step)

    def clear_halt(self, endpoint: int) -> None:
        """
        Remember it.
        """
        self.cleared.append(endpoint)


class WriterTests(SynchronousTestCase):
    """
    Tests for L{Writer}.
    """

    interface = INTERFACE

    def abandon(self) -> None:
        """
        Tell the writer to give up.
        """
        self.writer.abandon()

    def run_(self, device: ScriptedDevice, *packets: bytes) -> list[Mail]:
        """
        Let a writer write packets.

        @return: What it said.
        """
        mail: list[Mail] = []
        mailbox: Mailbox[Mail] = Mailbox(lambda f: f(), mail.extend, capacity=1)
        phone = OpenedPhone(
            device=device, identity=IDENTITY, interface=self.interface, location=(1, 2)
        )
        self.writer = Writer(phone, mailbox)
        for packet in packets:
            self.writer.put(packet)
        self.writer.finish()
        self.writer.run()
        return mail

    def test_onePacketOneTransfer(self) -> None:
        """
        Each packet is one bounded write.
        """
        device = ScriptedDevice()
        self.assertEqual([], self.run_(device, b"a" * 36, b"b" * 49151))
        self.assertEqual([b"a" * 36, b"b" * 49151], device.wire)
        self.assertEqual({WRITE_TIMEOUT}, device.timeouts)

    def test_zeroLengthPacket(self) -> None:
        """
        A packet that is a multiple of wMaxPacketSize is followed by an empty
        transfer, and no other is (edge 3).
        """
        device = ScriptedDevice()
        self.run_(device, b"a" * 512, b"b" * 513, b"c" * 49152)
        self.assertEqual([512, 0, 513, 49152, 0], [len(each) for each in device.wire])

    def test_zeroLengthPacketOfEachBus(self) -> None:
        """
        What whole USB packets are depends on the bus: 512 bytes are none where they have
        1,024.
        """
        for size, lengths in (
            (64, [64, 0, 512, 0, 1024, 0, 1536, 0, 100]),
            (1024, [64, 512, 1024, 0, 1536, 100]),
        ):
            device = ScriptedDevice()
            self.interface = replace(INTERFACE, maxPacketSize=size, inputPacketSize=size)
            self.run_(device, *(bytes(length) for length in (64, 512, 1024, 1536, 100)))
            self.assertEqual([len(each) for each in device.wire], lengths)

    def test_timeoutOfAllOfIt(self) -> None:
        """
        A write that times out before the phone took anything is made again,
        also that of an empty transfer.
        """
        late = usbError(errno.ETIMEDOUT)
        device = ScriptedDevice(late, late, 512, late, 0)
        self.assertEqual([], self.run_(device, b"a" * 512))
        self.assertEqual([b"a" * 512, b""], device.wire)

    def test_timeoutInTheMiddle(self) -> None:
        """
        A write that times out in the middle goes on where the phone stopped:
        nothing is lost or repeated.
        """
        packet = bytes(range(256)) * 8 + b"end"
        device = ScriptedDevice(1024, usbError(errno.ETIMEDOUT), 512)
        self.assertEqual([], self.run_(device, packet))
        self.assertEqual([1024, 512, 515], [len(each) for each in device.wire])
        self.assertEqual(packet, b"".join(device.wire))

    def test_timeoutInsideAUSBPacket(self) -> None:
        """
        If the phone took what is not whole USB packets, its transfer has ended
        too soon: the link cannot go on.
        """
        device = ScriptedDevice(100)
        [failure] = self.run_(device, b"a" * 1000)
        assert isinstance(failure, Failure)
        self.assertIn("inside a USB packet, 100 bytes", failure.getErrorMessage())
        self.assertEqual([b"a" * 100], device.wire)

    def test_error(self) -> None:
        """
        Any other error is the end, and nothing is written after it.
        """
        for number in (errno.ENODEV, errno.EIO):
            device = ScriptedDevice(usbError(number))
            [failure] = self.run_(device, b"a", b"b")
            assert isinstance(failure, Failure)
            self.assertIsNotNone(failure.check(ConnectionLost))
            self.assertEqual([], device.wire)

    def test_stall(self) -> None:
        """
        A transfer that is stalled may have been taken in part, and nobody says how much: it
        cannot be made again.  That is the end, with an endpoint that can be written to.
        """
        device = ScriptedDevice(usbError(errno.EPIPE))
        [failure] = self.run_(device, b"a", b"b")
        assert isinstance(failure, Failure)
        self.assertIsNotNone(failure.check(ConnectionLost))
        self.assertEqual([INTERFACE.output], device.cleared)
        self.assertEqual([], device.wire)

    def test_stallThatStays(self) -> None:
        """
        The same if the stall cannot be cleared: that it was one is what counts.
        """

        class Gone(ScriptedDevice):
            def clear_halt(self, endpoint: int) -> None:
                raise usbError(errno.ENODEV)

        [failure] = self.run_(Gone(usbError(errno.EPIPE)), b"a")
        assert isinstance(failure, Failure)
        self.assertIn("Pipe", failure.getErrorMessage())

    def test_defect(self) -> None:
        """
        Whatever else goes wrong ends the link, too, instead of leaving it deaf.
        """
        [failure] = self.run_(ScriptedDevice(ZeroDivisionError()), b"a")
        assert isinstance(failure, Failure)
        self.assertIsNotNone(failure.check(ZeroDivisionError))

    def test_abandon(self) -> None:
        """
        When told to give up, a write that waits is not made again and what is
        queued is not written.
        """
        device = ScriptedDevice(self.abandon)
        self.assertEqual([], self.run_(device, b"a", b"b"))
        self.assertEqual([], device.wire)

    def test_abandonBeforeTheEmptyTransfer(self) -> None:
        """
        The same while the empty transfer waits.
        """
        device = ScriptedDevice(512, self.abandon)
        self.run_(device, b"a" * 512, b"b")
        self.assertEqual([b"a" * 512], device.wire)

    def test_abandonedWhileIdle(self) -> None:
        """
        A writer that waits for packets ends when it is abandoned.
        """
        self.run_(ScriptedDevice())
        self.writer.abandon()
        self.assertFalse(self.writer._queue.empty(), "it would wait for ever")
        self.writer.run()

    def test_room(self) -> None:
        """
        Two bulk packets may be on their way, and small ones beside them up to
        the hard cap, however many have been written before.
        """
        bulk, small = SMALL_PACKET + 1, SMALL_PACKET
        self.run_(ScriptedDevice(), *(bytes(size) for size in (bulk, small) * 30))
        writer = self.writer
        counts = []
        for size in (bulk, small):
            counts.append(0)
            while writer.hasRoom(size, LIMITS):
                writer.put(bytes(size))
                counts[-1] += 1
        self.assertEqual([LIMITS.bulkInFlight, 30], counts)
        self.assertFalse(writer.hasRoom(bulk, LIMITS))

    def test_roomIsToldOnceToWhoWaits(self) -> None:
        """
        Completed packets are room, and who waits hears of it once.
        """
        device = ScriptedDevice(lambda: setattr(self.writer, "isAwaited", True))
        mail = self.run_(device, bytes(SMALL_PACKET + 1), bytes(SMALL_PACKET + 1), b"a")
        self.assertEqual([RoomAvailable.ROOM_AVAILABLE], mail)
        self.assertTrue(self.writer.hasRoom(SMALL_PACKET + 1, LIMITS))
        self.assertFalse(self.writer.isAwaited)


class ClearingOnceTests(SynchronousTestCase):
    """
    Tests for L{ClearingOnce}.
    """

    def test_once(self) -> None:
        """
        A stall is cleared and the transfer made again; the second one counts.
        """
        device = ScriptedDevice(usbError(errno.EPIPE), 1, usbError(errno.EPIPE))
        transfer = ClearingOnce(device, INTERFACE.input, device.write)
        self.assertEqual(1, transfer(INTERFACE.input, b"a", 0))
        error = self.assertRaises(USBError, transfer, INTERFACE.input, b"b", 0)
        self.assertEqual(errno.EPIPE, error.errno)
        self.assertEqual([INTERFACE.input], device.cleared)

    def test_clearingFails(self) -> None:
        """
        When the stall cannot be cleared, that error is the one that counts.
        """

        class Gone(ScriptedDevice):
            def clear_halt(self, endpoint: int) -> None:
                raise usbError(errno.ENODEV)

        device = Gone(usbError(errno.EPIPE))
        transfer = ClearingOnce(device, INTERFACE.input, device.write)
        error = self.assertRaises(USBError, transfer, INTERFACE.input, b"a", 0)
        self.assertEqual(errno.ENODEV, error.errno)

    def test_otherErrors(self) -> None:
        """
        Other errors are no stalls.
        """
        device = ScriptedDevice(usbError(errno.EIO))
        transfer = ClearingOnce(device, INTERFACE.input, device.write)
        self.assertRaises(USBError, transfer, INTERFACE.input, b"a", 0)
        self.assertEqual([], device.cleared)
