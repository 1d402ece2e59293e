"""
Tests of L{muxd.phone.iphone}: a phone on a bus.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import usb.core
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.attachment import ROOM
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT, OLD_SERIAL, Speed, muxEndpoints
from muxd.phone.bus.handles import OpenableAttachment
from muxd.phone.bus.profiles import bulk, configuration, mux, vendor
from muxd.phone.bus.simulated import SimulatedBus
from muxd.phone.iphone import ABSENCE, FAREWELL, Phone
from muxd.phone.lockdown.lockdownd import LOCKDOWN_PORT
from muxd.phone.mux.muxer import MuxState
from muxd.testing.packets import Segment
from muxd.usb.products import Verdict, judge
from muxd.wire.mux import SETUP_BODY, Flags, encodePacketV1, encodePacketV2, encodeVersion


class ThreadClock(Clock):
    """
    A clock that also collects what threads want done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threadCalls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        """
        Do it in L{work}.
        """
        self.threadCalls.append(lambda: call(*arguments))

    def work(self) -> None:
        """
        Do everything.
        """
        while self.threadCalls:
            self.threadCalls.pop(0)()


SYN = Segment(1, 7, 0, 0, Flags.SYN, 131072)


class PhoneTests(SynchronousTestCase):
    """
    Tests of L{Phone}.
    """

    def setUp(self) -> None:
        """
        Plug a phone in and configure it.
        """
        self.clock = ThreadClock()
        self.bus = SimulatedBus()
        self.plug(Phone(self.clock, initialConfiguration=3))

    def plug(self, phone: Phone) -> None:
        """
        Plug a phone in.
        """
        self.phone = phone
        self.attachment: OpenableAttachment = phone.plug(self.bus)
        self.clock.work()
        self.counter = 0
        self.device: Any = list(usb.core.find(find_all=True, backend=self.bus))[-1]

    def test_restart(self) -> None:
        """
        A phone that restarts leaves the bus and comes back, in recovery mode if that was asked
        for: without a muxer, and with no answer to the requests about its mode.
        """
        self.phone.restart(recovery=True)
        self.phone.restart()
        self.clock.advance(FAREWELL)
        self.clock.work()
        self.assertEqual(list(usb.core.find(find_all=True, backend=self.bus)), [])
        self.clock.advance(ABSENCE)
        self.clock.work()
        (device,) = usb.core.find(find_all=True, backend=self.bus)
        self.assertIs(judge(device.idVendor, device.idProduct, lambda: True), Verdict.RECOVERY)
        self.assertIn("ECID:", device.serial_number)
        error = self.assertRaises(usb.core.USBError, device.ctrl_transfer, 0xC0, 0x45, 0, 0, 4)
        self.assertEqual(error.errno, errno.EPIPE)
        self.phone.restart()
        for seconds in (FAREWELL, ABSENCE):
            self.clock.advance(seconds)
            self.clock.work()
        (device,) = usb.core.find(find_all=True, backend=self.bus)
        self.assertEqual(device.serial_number, self.phone.serial)
        self.assertFalse(self.phone.isInRecovery)

    def test_restartUnplugged(self) -> None:
        """
        One that is pulled out meanwhile stays out, and one that is stopped forgets it.
        """
        self.phone.restart()
        self.clock.advance(FAREWELL)
        self.clock.work()
        self.phone.unplug()
        self.clock.advance(ABSENCE)
        self.assertEqual(list(usb.core.find(find_all=True, backend=self.bus)), [])
        self.phone.restart()
        self.phone.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def write(self, data: bytes) -> None:
        """
        Write a packet and let the phone run.
        """
        self.device.write(MUX_OUT, data)
        self.clock.work()

    def send(self, protocol: int, body: bytes, received: int = 0xFFFF) -> None:
        """
        Write a v2 packet.
        """
        self.write(encodePacketV2(protocol, body, self.counter, received))
        self.counter += 1

    def read(self) -> bytes:
        """
        Read a packet.
        """
        return bytes(self.device.read(MUX_IN, 65536, 1))

    def handshake(self) -> None:
        """
        VERSION and SETUP.
        """
        self.write(encodeVersion(2))
        self.assertEqual(self.read(), encodeVersion(2))
        self.send(2, SETUP_BODY)

    def test_identity(self) -> None:
        """
        The serial number on USB is the UDID without its dash; old ones have
        none.
        """
        self.assertEqual(self.device.serial_number, "00008110000A1B2C3D4E5F60")
        self.assertEqual(self.phone.udid, "00008110-000A1B2C3D4E5F60")
        self.plug(Phone(self.clock, udid=OLD_SERIAL))
        self.assertEqual((self.device.serial_number, self.phone.udid), (OLD_SERIAL, OLD_SERIAL))

    def test_services(self) -> None:
        """
        It has the small services and lockdownd, or those it is given and
        lockdownd.
        """
        self.assertEqual(sorted(self.phone.services), [7, 9, 13, 19, LOCKDOWN_PORT])
        self.assertEqual(list(Phone(self.clock, services={}).services), [LOCKDOWN_PORT])

    def test_session(self) -> None:
        """
        A session over USB.
        """
        self.handshake()
        self.send(6, SYN.encode())
        answer = Segment.decode(self.read()[16:])
        self.assertEqual(answer.flags, Flags.SYN | Flags.ACK)
        self.send(6, Segment(1, 7, 1, 1, Flags.ACK, 131072, b"hello").encode(), 0)
        self.assertEqual(Segment.decode(self.read()[16:]).payload, b"hello")
        self.assertEqual(self.phone.violations, [])

    def test_missingZeroLengthPacket(self) -> None:
        """
        A packet of whole USB packets without an empty one behind it is noticed.
        """
        self.handshake()
        self.send(6, bytes(512 - 16))
        self.assertEqual(self.phone.violations, [])
        self.send(6, SYN.encode())
        (text,) = self.phone.violations
        self.assertTrue(text.startswith("missing ZLP"))

    def test_reconfigured(self) -> None:
        """
        A new configuration, and a new plug, begin anew.
        """
        self.handshake()
        self.device._ctx.release_all_interfaces(self.device)
        self.device.set_configuration(3)
        self.clock.work()
        self.assertIdentical(self.phone.muxer.state, MuxState.SILENT)
        self.counter = 0
        self.handshake()
        self.phone.unplug()
        self.phone.unplug()
        self.clock.work()
        self.assertIdentical(self.phone.muxer.state, MuxState.SILENT)
        self.assertRaises(ValueError, self.phone.hold)

    def test_otherEndpoints(self) -> None:
        """
        The mux interface may have other endpoints, and their order is free.
        """
        odd = configuration(1, mux(0, Speed.HIGH, (0x81, 0x02)))
        self.assertEqual(muxEndpoints(odd), (0x02, 0x81))
        other = configuration(1, vendor(0, 42, 255, bulk(Speed.HIGH, 1, 0x81)))
        self.assertEqual(muxEndpoints(other), (MUX_OUT, MUX_IN))
        self.assertEqual(muxEndpoints(None), (MUX_OUT, MUX_IN))
        self.plug(Phone(self.clock, configurations=(odd,)))
        self.device.write(0x02, encodeVersion(2))
        self.clock.work()
        self.assertEqual(bytes(self.device.read(0x81, 512, 1)), encodeVersion(2))

    def test_floods(self) -> None:
        """
        So many packets are handled in a turn, and the others in the next.
        """
        self.handshake()
        handled = self.phone.muxer.packetsReceived
        packets = [encodePacketV2(6, SYN.encode(), 1, 0xFFFF)] * 100
        self.attachment.take = lambda endpoint: packets.pop() if packets else None  # type: ignore[method-assign]  # more than threads could bring
        self.phone.outReady(self.attachment, MUX_OUT)
        self.clock.threadCalls.pop()()
        self.assertEqual(self.phone.muxer.packetsReceived - handled, 64)
        self.clock.work()
        self.assertEqual(self.phone.muxer.packetsReceived - handled, 100)

    def test_roomOnBus(self) -> None:
        """
        Of what a service writes only so much waits in the endpoint.
        """
        self.handshake()
        self.send(6, Segment(1, 19, 0, 0, Flags.SYN, 0xFFFF00).encode())
        self.read()
        self.send(6, Segment(1, 19, 1, 1, Flags.ACK, 0xFFFF00).encode(), 0)
        self.clock.advance(0)
        self.assertLess(self.attachment.unread(MUX_IN), 65536 + 32000)
        total = 0
        while total < 500000:
            total += len(self.read())
            self.clock.work()
            self.clock.advance(0)
            self.assertLess(self.attachment.unread(MUX_IN), 65536 + 32000)
        self.assertEqual(self.phone.violations, [])

    def test_hostOnlyWrites(self) -> None:
        """
        A host that is owed many answers and reads none is not listened to until it does;
        then it has an answer to everything.
        """
        self.plug(Phone(self.clock, mux=1, initialConfiguration=3))
        self.write(encodeVersion(2))
        self.assertEqual(self.read(), encodeVersion(1))
        segment = encodePacketV1(6, Segment(1, 7, 5, 5, Flags.ACK, 131072).encode())
        asked = 0
        try:
            while asked < 10000:
                self.device.write(MUX_OUT, segment, 1)
                self.clock.work()
                asked += 1
        except usb.core.USBTimeoutError:
            pass
        self.assertLess(asked, 1000)
        self.assertLess(self.attachment.unread(MUX_IN), 2 * ROOM)
        for _ in range(asked):
            self.assertEqual(Segment.decode(self.read()[8:]).flags, Flags.RST)
            self.clock.work()
        self.assertRaises(usb.core.USBTimeoutError, self.read)

    def test_bulkAndAnswers(self) -> None:
        """
        Data for a host that reads slowly do not keep the phone from listening to it.
        """
        self.handshake()
        self.send(6, Segment(1, 19, 0, 0, Flags.SYN, 0xFFFF00).encode())
        self.read()
        self.send(6, Segment(1, 19, 1, 1, Flags.ACK, 0xFFFF00).encode(), 0)
        self.clock.advance(0)
        self.assertFalse(self.phone._hasRoom())
        self.send(6, Segment(1, 19, 1, 1, Flags.RST, 0xFFFF00).encode(), 0)
        self.assertEqual(self.phone.muxer.sessions, {})

    def test_misbehaviour(self) -> None:
        """
        Ports can refuse or stay silent, and all sessions can be forgotten.
        """
        self.handshake()
        self.phone.refuse(9, b"no")
        self.phone.ignore(13)
        for port in (9, 13, 7):
            self.send(6, Segment(1, port, 0, 0, Flags.SYN, 131072).encode())
        self.assertEqual(self.read()[36:], b"no")
        self.read()
        self.phone.amnesia()
        self.assertTrue(self.read()[36:].startswith(b"amnesia"))
        self.assertRaises(usb.core.USBTimeoutError, self.read)

    def test_holdAndStall(self) -> None:
        """
        It can answer nothing at all, or stall.
        """
        self.phone.hold()
        self.assertRaises(usb.core.USBTimeoutError, self.device.write, MUX_OUT, encodeVersion(2), 1)
        self.phone.release()
        self.handshake()
        self.phone.stall()
        for call in (self.read, lambda: self.write(b"x")):
            error = self.assertRaises(usb.core.USBError, call)
            self.assertEqual(error.errno, errno.EPIPE)

    def test_unplugWithinPacket(self) -> None:
        """
        It can leave with half a packet sent.
        """
        self.phone.unplugWithin(bytes(3000), 1024)
        error = self.assertRaises(usb.core.USBError, self.read)
        self.assertEqual(error.errno, errno.ENODEV)

    def test_mode(self) -> None:
        """
        Asked for another mode it leaves the bus and comes back in it; a mode
        that is none is refused, and so is any by a phone with configurations of
        its own.
        """
        ask = self.device.ctrl_transfer
        self.assertEqual(bytes(ask(0xC0, 0x52, 0, 9, 1)), b"\1")
        self.assertEqual(bytes(ask(0xC0, 0x52, 0, 4, 1)), b"\0")
        self.clock.work()
        device: Any = usb.core.find(backend=self.bus)
        self.assertEqual((device.address, device.bNumConfigurations), (3, 6))
        self.plug(Phone(self.clock, configurations=(configuration(1, mux(0, Speed.HIGH)),)))
        self.assertEqual(bytes(self.device.ctrl_transfer(0xC0, 0x52, 0, 4, 1)), b"\1")

    def test_modeAfterUnplug(self) -> None:
        """
        A phone that is pulled out before it could change its mode stays out.
        """
        self.device.ctrl_transfer(0xC0, 0x52, 0, 4, 1)
        self.phone.unplug()
        self.clock.work()
        self.assertEqual(self.bus.attachments, ())

    def test_stop(self) -> None:
        """
        A stopped phone is off the bus and has nothing left to do.
        """
        self.handshake()
        self.phone.stop()
        self.phone._send(b"into the void")
        self.assertTrue(self.phone._hasRoom())
        self.clock.work()
        self.assertEqual(self.bus.attachments, ())
