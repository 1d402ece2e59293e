"""
Tests of L{muxd.phone.usbip.server}: a phone that is imported, used and pulled out.
"""

from __future__ import annotations

import os

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import SERIAL
from muxd.phone.usbip.exports import IHostConnection
from muxd.phone.usbip.server import State, UsbipConnection
from muxd.testing.packets import Segment
from muxd.usbip.commands import Direction, Errno, Submit
from muxd.usbip.requests import (
    DevlistRequest,
    ImportRequest,
    decodeDevlistReply,
)
from muxd.wire.mux import Flags, MuxProtocol
from tests.phone.usbip.onusbip import MuxHost, UsbipTestCase


class RequestTests(UsbipTestCase):
    """
    Before a phone is imported.
    """

    def test_interfaces(self) -> None:
        """
        A connection can be told of the loss of its device, and be paused.
        """
        connection = self.connect().transport.protocol
        verifyObject(IHostConnection, connection)
        verifyObject(IPushProducer, connection)

    def test_list(self) -> None:
        """
        A host that asks is told which devices there are, and is disconnected.
        """
        connected = self.connect()
        connected.transport.deliver(DevlistRequest().encode())
        self.clock.turn()
        (phone,) = decodeDevlistReply(connected.transport.value())
        self.assertEqual(phone, self.exports.devices()[0])
        self.assertEqual((phone.busID, phone.vendor, phone.product), ("1-1", 0x05AC, 0x12A8))
        self.assertEqual(phone.interfaces, ((6, 1, 1),))
        self.assertTrue(connected.transport.disconnected)
        self.assertEqual((len(self.factory.connections), self.complaints()), (0, []))

    def test_listHalfClosed(self) -> None:
        """
        A host that asks and finishes sending at once gets its answer, however late it
        reads.
        """
        connected = self.connect()
        connected.transport.budget = 0
        connected.transport.deliver(DevlistRequest().encode())
        connected.transport.finish()
        self.clock.turn()
        self.assertFalse(connected.transport.disconnected)
        self.assertEqual(len(decodeDevlistReply(connected.transport.take())), 1)
        self.clock.turn()
        self.assertTrue(connected.transport.disconnected)

    def test_importHalfClosed(self) -> None:
        """
        A host that has a device, or has asked for nothing, and finishes sending has let
        go.
        """
        for connected in (self.importPhone(), self.connect()):
            connected.transport.finish()
            self.clock.turn()
            self.assertTrue(connected.transport.disconnected)
            self.assertIdentical(self.phone.attachment, None)
        self.assertEqual(self.complaints(), [])

    def test_listBytewise(self) -> None:
        """
        A request may come in any pieces.
        """
        connected = self.connect()
        for byte in DevlistRequest().encode():
            connected.transport.deliver(bytes((byte,)))
        self.assertEqual(len(decodeDevlistReply(connected.transport.value())), 1)

    def test_import(self) -> None:
        """
        A phone that is imported is on a bus, unconfigured; its host's commands may
        come along with the request.
        """
        connected = self.connect()
        request = ImportRequest("1-1").encode()
        descriptor = Submit(
            seqnum=1,
            deviceID=0x10002,
            direction=Direction.IN,
            endpoint=0,
            length=18,
            setup=bytes.fromhex("8006000100001200"),
        )
        connected.transport.deliver(request + descriptor.encode())
        self.clock.turn()
        data = connected.transport.value()
        self.assertEqual(data[-18:], self.phone.descriptor.encode())
        attachment = self.phone.attachment
        assert attachment is not None
        self.assertEqual(attachment.configuration, 0)

    def test_unknownDevice(self) -> None:
        """
        What is not there cannot be imported: the host is told, and disconnected.
        """
        connected = self.connect()
        connected.transport.deliver(ImportRequest("7-7").encode())
        connected.turn()
        self.assertEqual(connected.host.status, 4)
        self.assertTrue(connected.transport.disconnected)
        self.assertEqual(self.complaints(), ["device '7-7' is not there"])

    def test_takenDevice(self) -> None:
        """
        One host has a phone at a time, and after it another.
        """
        first = self.importPhone()
        second = self.connect()
        second.transport.deliver(ImportRequest("1-1").encode())
        second.turn()
        self.assertEqual(second.host.status, 2)
        self.assertTrue(second.transport.disconnected)
        self.assertFalse(first.transport.disconnected)
        first.transport.lose(ConnectionLost())
        self.clock.turn()
        self.assertIdentical(self.phone.attachment, None)
        self.importPhone()

    def test_silence(self) -> None:
        """
        A host that asks nothing in time is cut off; one with a phone may be silent.
        """
        silent, host = self.connect(), self.importPhone()
        silent.transport.deliver(ImportRequest("1-1").encode()[:39])
        self.clock.advance(self.limits.usbipRequestTimeout)
        self.clock.turn()
        self.assertTrue(silent.transport.disconnected)
        self.assertEqual(self.complaints(), ["there is no whole request"])
        self.clock.advance(3600)
        self.assertFalse(host.transport.disconnected)


class EnumerationTests(UsbipTestCase):
    """
    What a kernel asks a new device.
    """

    def test_descriptors(self) -> None:
        """
        It can be read, as by a kernel: device, configurations, strings, qualifier.
        """
        connected = self.importPhone()
        host, descriptor = connected.host, self.phone.descriptor

        def ask(value: int, length: int) -> bytes:
            reply = connected.result(host.control(0x80, 6, value, 0, length))
            self.assertEqual((reply.status, reply.actual), (0, len(reply.data)))
            return reply.data

        self.assertEqual(ask(0x100, 64), descriptor.encode())
        self.assertEqual(ask(0x100, 8), descriptor.encode()[:8])
        for index, one in enumerate(descriptor.configurations):
            self.assertEqual(ask(0x200 + index, 9), one.encode()[:9])
            self.assertEqual(ask(0x200 + index, one.wTotalLength), one.encode())
        self.assertEqual(ask(0x303, 255)[2:].decode("utf-16-le"), SERIAL)
        self.assertEqual(len(ask(0x600, 10)), 10)
        self.assertEqual(connected.result(host.control(0x80, 6, 0xF00, 0, 5)).status, -32)

    def test_room(self) -> None:
        """
        An answer is not longer than the transfer has room for, whatever the SETUP
        packet says.
        """
        connected = self.importPhone()
        seqnum = connected.host.submit(0x80, length=4, setup=bytes.fromhex("8006000100001200"))
        self.assertEqual(connected.result(seqnum).data, self.phone.descriptor.encode()[:4])

    def test_mode(self) -> None:
        """
        A phone that agrees to another mode leaves the bus, and can be imported
        again in that mode.
        """
        connected = self.importPhone()
        reply = connected.result(connected.host.control(0xC0, 0x52, 0, 3, 1))
        self.assertEqual(reply.data, b"\0")
        self.assertTrue(connected.transport.disconnected)
        again = self.importPhone().host.device
        assert again is not None
        self.assertEqual(again.configurations, 5)


class EchoTests(UsbipTestCase):
    """
    The whole way.
    """

    def test_echo(self) -> None:
        """
        A host that keeps to the protocol has what it sent to the echo service, and
        the phone nothing to object.
        """
        connected = self.configured()
        mux = MuxHost(connected)
        mux.handshake()
        seq, ack = 0, 0

        def send(flags: int = Flags.ACK, payload: bytes = b"") -> None:
            nonlocal seq
            segment = Segment(40000, 7, seq, ack, flags, 131072, payload)
            seq += len(payload) or flags == Flags.SYN
            mux.send(MuxProtocol.TCP, segment.encode())

        send(Flags.SYN)
        answer = Segment.decode(mux.receive().body)
        self.assertEqual(answer.flags, Flags.SYN | Flags.ACK)
        ack = answer.seq + 1
        send()
        # Among them those that are whole packets with their headers.
        sent = b""
        for size in (1, 475, 476, 477, 988, 16384 - 36, 40000):
            payload = os.urandom(size)
            sent += payload
            send(payload=payload)
        received = b""
        while len(received) < len(sent):
            segment = Segment.decode(mux.receive().body)
            received += segment.payload
            ack += len(segment.payload)
            send()
        self.assertEqual(received, sent)
        self.assertEqual(self.phone.violations, [])
        self.assertGreater(self.exports.counters(self.phone).outEmpty, 2)

    def test_violations(self) -> None:
        """
        Whatever a host does against the protocol is written down, as on any bus:
        a wrong length, a missing empty packet, a wrong counter, a strange protocol.
        """
        connected = self.configured()
        host, mux = connected.host, MuxHost(connected)
        mux.handshake()
        host.write(bytes.fromhex("00000006 00000028") + bytes(12))
        host.write(bytes.fromhex("00000006 00000200") + bytes(504))
        host.write(b"behind")
        connected.turn()
        mux.counter = 7
        mux.send(MuxProtocol.TCP, bytes(20))
        mux.send(99, b"")
        connected.turn()
        found = "\n".join(self.phone.violations)
        for what in ("20 bytes", "missing ZLP", "tx_seq", "protocol 99"):
            self.assertIn(what, found)
        self.assertGreaterEqual(len(self.phone.violations), 4)


class BackPressureTests(UsbipTestCase):
    """
    A host that does not read.
    """

    def test_notRead(self) -> None:
        """
        It is not read from either, and served on when it reads again.
        """
        connected = self.importPhone()
        connected.transport.budget = 0
        host = connected.host
        asked = [host.control(0x80, 6, 0x203, 0, 150) for _ in range(1000)]
        self.clock.turn()
        self.assertTrue(connected.transport.paused)
        # What it has asked for by then, and no more than that.
        self.assertLess(connected.transport.pending, 65536 + 300)
        for seqnum in asked[:-1]:
            connected.transport.allow(1 << 20)
            self.assertEqual(connected.result(seqnum).status, 0)
        self.assertFalse(connected.transport.paused)

    def test_unplugged(self) -> None:
        """
        A phone that is pulled out waits for nobody: the connection of a host that
        does not read is aborted in the end.
        """
        connected = self.importPhone()
        connected.transport.budget = 0
        connected.host.control(0x80, 6, 0x203, 0, 150)
        self.phone.unplug()
        self.clock.turn()
        self.assertFalse(connected.transport.disconnected)
        self.clock.advance(self.limits.stopTimeout)
        self.clock.turn()
        self.assertTrue(connected.transport.aborted)


class UnplugTests(UsbipTestCase):
    """
    The cable.
    """

    def test_unplug(self) -> None:
        """
        The connection closes, without a word about the transfers under way.
        """
        connected = self.configured()
        connected.host.read()
        connected.turn()
        self.phone.unplug()
        connected.turn()
        self.assertEqual(connected.host.replies, [])
        self.assertTrue(connected.transport.disconnected)
        self.assertIdentical(self.phone.attachment, None)
        self.assertEqual(self.exports.devices(), [])
        self.assertEqual(self.complaints(), [])

    def test_unplugWithError(self) -> None:
        """
        With an error, they fail with it first.
        """
        for error in (Errno.EPROTO, Errno.ENODEV):
            connected = self.configured()
            reads = [connected.host.read() for _ in range(3)]
            connected.turn()
            self.phone.unplug(error.local)
            for read in reads:
                self.assertEqual(connected.result(read).status, -error)
            self.assertTrue(connected.transport.disconnected)
            self.phone.plug(self.exports)

    def test_dataAfterwards(self) -> None:
        """
        What a host still sends is not looked at.
        """
        connected = self.configured()
        self.phone.unplug()
        protocol = connected.transport.protocol
        assert isinstance(protocol, UsbipConnection)
        protocol.dataReceived(b"x" * 1000)
        self.assertIdentical(protocol.state, State.CLOSING)
        protocol.resumeProducing()
        self.clock.turn()
        self.assertEqual(self.complaints(), [])

    def test_stop(self) -> None:
        """
        Stopping closes every connection, and says when that is done.
        """
        self.importPhone()
        self.connect()
        stopped = self.factory.stop()
        self.assertNoResult(stopped)
        self.clock.turn()
        self.successResultOf(stopped)
        self.successResultOf(self.factory.stop())
        self.assertIdentical(self.phone.attachment, None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
