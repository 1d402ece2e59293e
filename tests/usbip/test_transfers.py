# -*- test-case-name: tests.usbip.test_transfers -*-
"""
Tests of L{muxd.usbip.transfers}.
"""

from __future__ import annotations

import errno

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.profiles import iPhone
from muxd.testing.gadgets import RecordingGadget
from muxd.usbip.commands import (
    COMMAND_SIZE,
    ZERO_PACKET,
    Errno,
    ReturnSubmit,
    ReturnUnlink,
    Submit,
    Unlink,
    decodeHostCommand,
    hostCommandSize,
)
from muxd.usbip.requests import (
    OP_HEADER,
    DevlistRequest,
    ExportedDevice,
    ImportRequest,
    InvalidUsbip,
    Status,
    encodeDevlistReply,
    encodeImportReply,
)
from muxd.usbip.transfers import (
    ANSWER_TIME,
    MOST_DEVICES,
    DeviceBusy,
    DeviceConnection,
    DeviceListing,
    Transfer,
)
from tests.usbip.hosts import Exporter

PHONE = ExportedDevice(
    path="/sys/x", busID="1-1", bus=1, address=2, speed=3, vendor=0x05AC, product=0x12A8, release=1
)


class ListingTests(SynchronousTestCase):
    """
    Tests of L{DeviceListing}.
    """

    def setUp(self) -> None:
        """
        Ask.
        """
        self.transport = StringTransport()
        self.listing = DeviceListing()
        self.listing.makeConnection(self.transport)

    def test_asks(self) -> None:
        """
        It asks at once, and for the list.
        """
        self.assertEqual(self.transport.value(), DevlistRequest().encode())

    def test_inPieces(self) -> None:
        """
        The answer may come byte by byte; the connection is not needed any longer then.
        """
        for byte in encodeDevlistReply([PHONE, PHONE]):
            self.assertNoResult(self.listing.finished)
            self.listing.dataReceived(bytes((byte,)))
        self.assertEqual(self.successResultOf(self.listing.finished), (PHONE, PHONE))
        self.assertTrue(self.transport.disconnected)

    def test_cutShort(self) -> None:
        """
        An answer that ends early is none.
        """
        self.listing.dataReceived(encodeDevlistReply([PHONE])[:-1])
        self.listing.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.listing.finished, ConnectionLost)

    def test_tooMany(self) -> None:
        """
        A machine that has more devices than any is not waited for.
        """
        self.listing.dataReceived(
            encodeDevlistReply([])[: OP_HEADER.size] + (MOST_DEVICES + 1).to_bytes(4, "big")
        )
        self.failureResultOf(self.listing.finished, InvalidUsbip)

    def test_refused(self) -> None:
        """
        A refusal is no list.
        """
        self.listing.dataReceived(OP_HEADER.pack(0x0111, 5, Status.ERROR))
        self.failureResultOf(self.listing.finished, InvalidUsbip)

    @given(st.lists(st.binary(max_size=400), max_size=4))
    def test_anything(self, chunks: list[bytes]) -> None:
        """
        Whatever comes is a list or an error, once, and nothing is raised.
        """
        self.setUp()
        results: list[object] = []
        self.listing.finished.addBoth(results.append)
        for chunk in chunks:
            self.listing.dataReceived(chunk)
        self.listing.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(results), 1)


class ConnectionCase(SynchronousTestCase):
    """
    A connection, and the other machine by hand.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.transport = StringTransport()
        self.connection = DeviceConnection(self.clock, "1-1")
        self.connection.makeConnection(self.transport)
        self.ended: list[Transfer] = []
        self.batches = 0

    def have(self) -> None:
        """
        Have the device.
        """
        self.connection.dataReceived(encodeImportReply(Status.OK, PHONE))
        self.transport.clear()
        self.connection.batchEnded = self.batchEnded

    def batchEnded(self) -> None:
        """
        Count.
        """
        self.batches += 1

    def transfer(self, endpoint: int, length: int = 512, data: bytes = b"") -> Transfer:
        """
        Begin a transfer.
        """
        transfer = Transfer(endpoint, len(data) or length, self.ended.append, data=data)
        self.connection.submit(transfer)
        return transfer

    def commands(self) -> list[Submit | Unlink]:
        """
        What was sent since the last time.
        """
        data, found = self.transport.value(), []
        self.transport.clear()
        while data:
            size = hostCommandSize(data[:COMMAND_SIZE])
            found.append(decodeHostCommand(data[:size]))
            data = data[size:]
        return found


class ImportTests(ConnectionCase):
    """
    How a device becomes ours.
    """

    def test_asks(self) -> None:
        """
        It is asked for by its place.
        """
        self.assertEqual(self.transport.value(), ImportRequest("1-1").encode())

    def test_given(self) -> None:
        """
        It is ours when the answer has come whole; no timer is left.
        """
        for byte in encodeImportReply(Status.OK, PHONE):
            self.assertNoResult(self.connection.imported)
            self.connection.dataReceived(bytes((byte,)))
        self.assertEqual(self.successResultOf(self.connection.imported), PHONE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notGiven(self) -> None:
        """
        One that another host has, or that is not there, is not ours, and it is said why.
        """
        for status, why in ((Status.BUSY, "another host has it"), (Status.NO_DEVICE, "not there")):
            self.setUp()
            self.connection.dataReceived(encodeImportReply(status))
            failure = self.failureResultOf(self.connection.imported, DeviceBusy)
            self.assertIn(why, str(failure.value))
            self.assertTrue(self.transport.disconnected)

    def test_another(self) -> None:
        """
        A machine that gives another device than it was asked for is not believed.
        """
        self.connection = DeviceConnection(self.clock, "1-2")
        self.connection.makeConnection(self.transport)
        self.connection.dataReceived(encodeImportReply(Status.OK, PHONE))
        self.failureResultOf(self.connection.imported, DeviceBusy)

    def test_silence(self) -> None:
        """
        A machine that does not answer is not waited for.
        """
        self.clock.advance(ANSWER_TIME)
        failure = self.failureResultOf(self.connection.imported, DeviceBusy)
        self.assertIn("does not answer", str(failure.value))


class TransferTests(ConnectionCase):
    """
    Transfers of a device.
    """

    def setUp(self) -> None:
        """
        Have it.
        """
        super().setUp()
        self.have()

    def test_out(self) -> None:
        """
        What goes out is sent with its data, and with the request for an empty packet if that
        may be needed.
        """
        transfer = Transfer(MUX_OUT, 3, self.ended.append, data=b"abc", isPadded=True)
        self.connection.submit(transfer)
        (command,) = self.commands()
        assert isinstance(command, Submit)
        self.assertEqual((command.data, command.endpoint, command.flags), (b"abc", 4, ZERO_PACKET))
        self.connection.dataReceived(ReturnSubmit(seqnum=command.seqnum, actual=3).encode())
        self.assertEqual((self.ended, transfer.actual, transfer.error), ([transfer], 3, 0))

    def test_in(self) -> None:
        """
        What comes in is handed over when all of it is there.
        """
        transfer = self.transfer(MUX_IN)
        answer = ReturnSubmit(seqnum=transfer.seqnum, actual=5, data=b"hello").encode()
        self.connection.dataReceived(answer[:-1])
        self.assertEqual(self.ended, [])
        self.connection.dataReceived(answer[-1:])
        self.assertEqual((transfer.data, transfer.error), (b"hello", 0))

    def test_batch(self) -> None:
        """
        What ends at one go is told of together.
        """
        transfers = [self.transfer(MUX_IN) for _ in range(3)]
        self.connection.dataReceived(
            b"".join(ReturnSubmit(seqnum=each.seqnum).encode() for each in transfers)
        )
        self.assertEqual((self.ended, self.batches), (transfers, 1))

    def test_errors(self) -> None:
        """
        Errors are this system's numbers; those that are unknown are EIO.
        """
        for status, number in (
            (-Errno.EPIPE, errno.EPIPE),
            (-Errno.EPROTO, errno.EPROTO),
            (-999, errno.EIO),
            (7, errno.EIO),
        ):
            transfer = self.transfer(MUX_IN)
            self.connection.dataReceived(
                ReturnSubmit(seqnum=transfer.seqnum, status=status).encode()
            )
            self.assertEqual(transfer.error, number, status)

    def test_withdrawn(self) -> None:
        """
        Nothing is heard of a transfer that was taken back, whether it has been answered by
        then or not; others go on.
        """
        first, second, third = (self.transfer(MUX_IN) for _ in range(3))
        self.commands()
        self.connection.withdraw(first)
        self.connection.withdraw(second)
        one, two = self.commands()
        assert isinstance(one, Unlink) and isinstance(two, Unlink)
        self.assertEqual([one.victim, two.victim], [first.seqnum, second.seqnum])
        self.connection.dataReceived(
            ReturnUnlink(seqnum=one.seqnum, status=-Errno.ECONNRESET).encode()
            + ReturnSubmit(seqnum=second.seqnum, actual=2, data=b"xx").encode()
            + ReturnUnlink(seqnum=two.seqnum).encode()
            + ReturnSubmit(seqnum=third.seqnum, actual=2, data=b"ok").encode()
        )
        self.assertEqual((self.ended, third.data), ([third], b"ok"))
        self.assertEqual(self.connection.lost, "")

    def test_lost(self) -> None:
        """
        When the connection ends, so do all transfers, with ENODEV; and those that are
        submitted afterwards, in the reactor's next turn.
        """
        transfer = self.transfer(MUX_IN)
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.ended, transfer.error), ([transfer], errno.ENODEV))
        self.assertEqual(self.batches, 1)
        late = self.transfer(MUX_IN)
        self.assertEqual(self.ended, [transfer])
        self.clock.advance(0)
        self.assertEqual((self.ended, late.error), ([transfer, late], errno.ENODEV))

    def test_unbelievable(self) -> None:
        """
        An answer to nothing, of the wrong kind, or of more than there is room for, ends the
        connection, and with it every transfer.
        """
        for make in (
            lambda number: ReturnSubmit(seqnum=number + 1),
            lambda number: ReturnUnlink(seqnum=number),
            lambda number: ReturnSubmit(seqnum=number, actual=513),
            lambda number: ReturnSubmit(seqnum=number, actual=-1),
        ):
            self.setUp()
            transfer = self.transfer(MUX_IN)
            self.connection.dataReceived(make(transfer.seqnum).encode() + bytes(600))
            self.assertEqual((self.ended, transfer.error), ([transfer], errno.ENODEV))
            self.assertTrue(self.transport.disconnected)

    def test_twice(self) -> None:
        """
        A transfer is answered once.
        """
        transfer = self.transfer(MUX_IN)
        answer = ReturnSubmit(seqnum=transfer.seqnum).encode()
        self.connection.dataReceived(answer + answer)
        self.assertIn("not under way", self.connection.lost)

    @given(st.lists(st.binary(max_size=120), max_size=5))
    def test_anything(self, chunks: list[bytes]) -> None:
        """
        Whatever comes, each transfer ends at most once, and nothing is raised; when the
        connection has ended each has ended.
        """
        self.setUp()
        transfers = [self.transfer(MUX_IN), self.transfer(MUX_OUT, data=b"x")]
        for chunk in chunks:
            self.connection.dataReceived(chunk)
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertCountEqual(self.ended, transfers)


class ExporterTests(SynchronousTestCase):
    """
    Against a machine that exports a device.
    """

    def test_bytes(self) -> None:
        """
        What is sent arrives, and what the device sends comes.
        """
        exporter = Exporter()
        gadget = RecordingGadget(iPhone())
        exporter.plug(gadget)
        connection = exporter.take()
        self.successResultOf(connection.imported)
        ended: list[Transfer] = []
        connection.submit(Transfer(0, 0, ended.append, setup=bytes.fromhex("0009040000000000")))
        connection.submit(Transfer(MUX_OUT, 5, ended.append, data=b"hello", isPadded=True))
        connection.submit(Transfer(MUX_IN, 512, ended.append))
        exporter.settle()
        gadget.send(b"world")
        exporter.settle()
        self.assertEqual(gadget.received, [b"hello"])
        self.assertEqual([each.error for each in ended], [0, 0, 0])
        self.assertEqual(ended[2].data, b"world")
        connection.close()
        exporter.settle()
        export = exporter.exports.find("1-1")
        assert export is not None
        self.assertFalse(export.isTaken)
