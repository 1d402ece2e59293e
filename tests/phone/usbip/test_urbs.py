"""
Tests of L{muxd.phone.usbip.urbs}: what becomes of a host's transfers.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.profiles import iPhone
from muxd.phone.usbip.exports import Export, IHostConnection
from muxd.phone.usbip.urbs import RemoteController, TransferCounters
from muxd.testing.gadgets import RecordingGadget
from muxd.usbip.commands import (
    SHORT_NOT_OK,
    ZERO_PACKET,
    Errno,
    ReturnSubmit,
    ReturnUnlink,
    decodeHostCommand,
)
from tests.phone.usbip.host import ManualUsbipHost
from tests.phone.usbip.onusbip import TurnClock


@implementer(IHostConnection)
class Connection:
    """
    A connection that is not there.
    """

    def disconnect(self, error: int) -> None:
        """
        Nothing to do.
        """


class Slow(RecordingGadget):
    """
    A device that takes nothing by itself.
    """

    outDepth = 0

    def outReady(self, attachment: object, endpoint: int) -> None:
        """
        Leave it there.
        """


class UrbTestCase(SynchronousTestCase):
    """
    A device in configuration 4, and a host's commands.
    """

    gadgetClass: type[RecordingGadget] = RecordingGadget

    def setUp(self) -> None:
        """
        Configure it.
        """
        self.clock = TurnClock()
        self.gadget = self.gadgetClass(iPhone())
        self.counters = TransferCounters()
        export = Export(self.gadget, 2, 1, self.counters)
        self.attachment = export.take(Connection())
        self.controller = RemoteController(
            self.clock,
            self.attachment,
            lambda parts: self.host.dataReceived(b"".join(parts)),
            self.counters,
        )
        self.host = ManualUsbipHost(
            lambda data: self.controller.commanded(decodeHostCommand(data)), 0x10002
        )
        self.assertEqual(self.submitted(self.host.configure(4)), ReturnSubmit(seqnum=1))

    def submitted(self, seqnum: int) -> ReturnSubmit | None:
        """
        What has become of a transfer.
        """
        self.clock.turn()
        reply = self.host.take(seqnum)
        assert reply is None or isinstance(reply, ReturnSubmit)
        return reply

    def status(self, seqnum: int) -> int:
        """
        How it has ended.
        """
        reply = self.submitted(seqnum)
        assert reply is not None, "it has not ended"
        return reply.status

    def unlinked(self, seqnum: int) -> int:
        """
        The status of an unlink.
        """
        self.clock.turn()
        reply = self.host.take(seqnum)
        assert isinstance(reply, ReturnUnlink)
        return reply.status


class InTests(UrbTestCase):
    """
    From the device.
    """

    def test_waits(self) -> None:
        """
        A read waits for data, and the answers come in the reactor's next turn, all
        in one write.
        """
        reads = [self.host.read() for _ in range(3)]
        self.assertIdentical(self.submitted(reads[0]), None)
        for text in (b"one", b"two"):
            self.gadget.send(text)
        self.assertEqual(self.host.replies, [])
        self.assertEqual(
            [self.submitted(each) for each in reads],
            [
                ReturnSubmit(seqnum=reads[0], actual=3, data=b"one"),
                ReturnSubmit(seqnum=reads[1], actual=3, data=b"two"),
                None,
            ],
        )
        self.assertEqual((self.counters.incoming, self.counters.mostIncoming), (3, 3))

    def test_emptyPacket(self) -> None:
        """
        A message of whole packets that fills a read is ended by an empty one.
        """
        self.gadget.send(b"x" * 1024)
        first, second = self.host.read(1024), self.host.read(1024)
        self.assertEqual([self.submitted(each).actual for each in (first, second)], [1024, 0])  # type: ignore[union-attr]  # both have ended

    def test_overflow(self) -> None:
        """
        A packet that does not fit is an overflow.
        """
        self.gadget.send(b"x" * 600)
        self.assertEqual(self.status(self.host.read(100)), -Errno.EOVERFLOW)

    def test_shortNotOK(self) -> None:
        """
        A host that wants all or nothing is told of less, and has it all the same.
        """
        self.gadget.send(b"short")
        reply = self.submitted(self.host.read(512, SHORT_NOT_OK))
        assert reply is not None
        self.assertEqual((reply.status, reply.data), (-Errno.EREMOTEIO, b"short"))
        self.gadget.send(b"x" * 512)
        self.assertEqual(self.status(self.host.read(512, SHORT_NOT_OK)), 0)

    def test_unknownEndpoint(self) -> None:
        """
        An endpoint that the configuration does not have does not answer.
        """
        for endpoint in (0x8A, 0x0A):
            self.assertEqual(self.status(self.host.submit(endpoint)), -Errno.EPROTO)

    def test_roomAgain(self) -> None:
        """
        A device that waits for room is told when the host reads.
        """
        told = []
        self.gadget.inReady = lambda attachment, endpoint: told.append(endpoint)  # type: ignore[method-assign]  # to see it
        self.gadget.send(b"x" * 70000)
        self.assertFalse(self.attachment.hasRoom(MUX_IN))
        self.host.read(1024)
        self.assertEqual(told, [])
        self.host.read(65536)
        self.assertEqual(told, [MUX_IN])


class OutTests(UrbTestCase):
    """
    To the device.
    """

    def test_message(self) -> None:
        """
        A write of less than whole packets is a message.
        """
        written = self.host.write(b"hello")
        self.assertEqual(self.submitted(written), ReturnSubmit(seqnum=written, actual=5))
        self.assertEqual(self.gadget.received, [b"hello"])

    def test_emptyPacket(self) -> None:
        """
        One of whole packets needs an empty one behind it: a transfer of its own, or
        the host's controller adds it.
        """
        self.host.write(b"x" * 512)
        self.assertEqual(self.gadget.received, [])
        self.host.write(b"")
        self.assertEqual(self.gadget.received, [b"x" * 512])
        written = self.host.write(b"y" * 1024, ZERO_PACKET)
        self.assertEqual(self.submitted(written), ReturnSubmit(seqnum=written, actual=1024))
        self.assertEqual(self.gadget.received[1:], [b"y" * 1024])
        self.assertEqual((self.counters.out, self.counters.outEmpty), (3, 1))

    def test_zeroPacketOfShort(self) -> None:
        """
        It adds none to a transfer that ends by itself.
        """
        self.host.write(b"x", ZERO_PACKET)
        self.host.write(b"y")
        self.assertEqual(self.gadget.received, [b"x", b"y"])

    def test_held(self) -> None:
        """
        A device that answers NAK takes nothing, and everything when it goes on.
        """
        self.attachment.hold()
        written = [self.host.write(text) for text in (b"a", b"b", b"c")]
        self.assertIdentical(self.submitted(written[0]), None)
        self.attachment.release()
        self.assertEqual([self.status(each) for each in written], [0, 0, 0])
        self.assertEqual(self.gadget.received, [b"a", b"b", b"c"])


class UnlinkTests(UrbTestCase):
    """
    Transfers that are taken back.
    """

    gadgetClass = Slow

    def test_nothingCame(self) -> None:
        """
        A read that nothing came for is not returned, and the next one has what
        comes.
        """
        read = self.host.read()
        self.assertEqual(self.unlinked(self.host.unlink(read)), -Errno.ECONNRESET)
        self.gadget.send(b"late")
        self.assertIdentical(self.submitted(read), None)
        self.assertEqual(self.submitted(self.host.read()).data, b"late")  # type: ignore[union-attr]  # it has ended

    def test_partOfIt(self) -> None:
        """
        What has come of a message is returned before the answer to the unlink,
        which carries no data.
        """
        read = self.host.read()
        self.gadget.send(b"x" * 1024 + b"y", end=False)
        unlink = self.host.unlink(read)
        self.clock.turn()
        self.assertEqual(
            self.host.replies,
            [
                ReturnSubmit(seqnum=read, status=-Errno.ECONNRESET, actual=1024, data=b"x" * 1024),
                ReturnUnlink(seqnum=unlink),
            ],
        )
        self.gadget.send(b"z")
        self.assertEqual(self.submitted(self.host.read()).data, b"yz")  # type: ignore[union-attr]  # it has ended

    def test_tooLate(self) -> None:
        """
        One that has finished is returned, and then the unlink with status 0; so is
        one that there never was.
        """
        read = self.host.read()
        self.gadget.send(b"x")
        unlink = self.host.unlink(read)
        self.clock.turn()
        self.assertEqual(
            self.host.replies,
            [ReturnSubmit(seqnum=read, actual=1, data=b"x"), ReturnUnlink(seqnum=unlink)],
        )
        self.assertEqual(self.unlinked(self.host.unlink(4711)), 0)
        self.assertEqual(self.counters.unlinked, 2)

    def test_write(self) -> None:
        """
        A write that is taken back was not made.
        """
        first, second = self.host.write(b"first"), self.host.write(b"second")
        self.assertEqual(self.unlinked(self.host.unlink(first)), -Errno.ECONNRESET)
        self.assertEqual(self.attachment.take(MUX_OUT), b"second")
        self.assertEqual(self.status(second), 0)
        self.assertIdentical(self.attachment.take(MUX_OUT), None)


class StallTests(UrbTestCase):
    """
    Stalls.
    """

    def test_stall(self) -> None:
        """
        A stalled endpoint fails what waits and what comes, until the host clears it.
        """
        read = self.host.read()
        self.attachment.stall(MUX_IN)
        self.assertEqual(self.status(read), -Errno.EPIPE)
        self.assertEqual(self.status(self.host.read()), -Errno.EPIPE)
        self.gadget.send(b"x")
        ask = self.host.control(0x82, 0, 0, MUX_IN, 2)
        self.assertEqual(self.submitted(ask).data, b"\1\0")  # type: ignore[union-attr]  # it has ended
        self.assertEqual(self.status(self.host.control(2, 1, 0, MUX_IN)), 0)
        self.assertEqual(self.submitted(self.host.read()).data, b"x")  # type: ignore[union-attr]  # it has ended
        self.assertEqual(self.counters.stalled, 2)

    def test_control(self) -> None:
        """
        What a device does not know it stalls.
        """
        self.assertEqual(self.status(self.host.control(0xC0, 0x99, 0, 0, 4)), -Errno.EPIPE)
        self.assertEqual((self.counters.stalled, self.counters.control), (1, 2))

    def test_outData(self) -> None:
        """
        A control request that brings data says how much was taken.
        """
        setup = bytes.fromhex("0009040000000300")
        sent = self.host.submit(0, data=b"abc", setup=setup)
        self.assertEqual(self.submitted(sent), ReturnSubmit(seqnum=sent, actual=3))


class CloseTests(UrbTestCase):
    """
    The end.
    """

    def test_silent(self) -> None:
        """
        Without an error, nothing is said of what waits; what was answered before is.
        """
        read = self.host.read()
        self.gadget.send(b"x")
        waiting = self.host.read()
        self.controller.close()
        self.assertEqual(self.host.replies, [ReturnSubmit(seqnum=read, actual=1, data=b"x")])
        self.assertTrue(self.attachment.gone)
        self.assertIdentical(self.submitted(waiting), None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_afterwards(self) -> None:
        """
        A device that has gone answers nothing.
        """
        self.controller.close(Errno.EPROTO.local)
        read = self.host.read()
        self.assertIdentical(self.submitted(read), None)
