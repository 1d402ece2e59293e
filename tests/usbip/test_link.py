# -*- test-case-name: tests.usbip.test_link -*-
"""
Tests of L{muxd.usbip.link}.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IPacketLink
from muxd.limits import LIMITS
from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.profiles import iPhone
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.engines import SMALL_PACKET, EngineError, IUSBLink, LinkState
from muxd.usb.opening import OpenedPhone
from muxd.usbip.link import READS, UsbipLink
from muxd.usbip.transfers import Transfer
from tests.usb import linkcontract
from tests.usb.links import BULK, LinkTestCase, Receiver, packet
from tests.usbip.hosts import Exporter, openedPhone


class LinkTests(SynchronousTestCase):
    """
    Tests of L{UsbipLink}.
    """

    def setUp(self) -> None:
        """
        A phone on another machine, and a link to it.
        """
        self.exporter = Exporter()
        self.phone = RecordingGadget(iPhone())
        self.exporter.plug(self.phone)
        connection = self.exporter.take()
        ended: list[Transfer] = []
        connection.submit(Transfer(0, 0, ended.append, setup=bytes.fromhex("0009040000000000")))
        self.exporter.settle()
        self.connection = connection
        self.opened = openedPhone(self.exporter, connection)
        self.link = UsbipLink(self.exporter.clock, self.opened)
        self.receiver = Receiver()

    @property
    def attachment(self) -> Attachment:
        """
        The phone as it is attached over there.
        """
        export = self.exporter.exports.find("1-1")
        assert export is not None and export._attachment is not None
        return export._attachment

    def start(self) -> None:
        """
        Start the link.
        """
        self.link.start(self.receiver)
        self.exporter.settle()

    def close(self) -> None:
        """
        Close the link, and see that nothing is left.
        """
        closed = self.link.close()
        self.exporter.settle()
        self.successResultOf(closed)
        self.assertEqual(self.exporter.clock.getDelayedCalls(), [])
        self.assertTrue(all(transport.closed for transport in self.exporter.transports))

    def test_interfaces(self) -> None:
        """
        It is a link.
        """
        verifyObject(IPacketLink, self.link)
        verifyObject(IUSBLink, self.link)
        self.assertEqual((512, False), (self.link.maxPacketSize, self.link.isFast))

    def test_anotherBus(self) -> None:
        """
        A phone of another bus is none of its own.
        """
        self.opened.device.backend = object()
        self.assertRaises(EngineError, UsbipLink, self.exporter.clock, self.opened)

    def test_startsOnce(self) -> None:
        """
        Starting twice is a mistake.
        """
        self.start()
        self.assertRaises(RuntimeError, self.link.start, self.receiver)

    def test_reads(self) -> None:
        """
        Several reads are under way at all times.
        """
        self.start()
        self.assertEqual(self.attachment.waiting(MUX_IN), READS)
        self.phone.send(packet(20))
        self.exporter.settle()
        self.assertEqual(self.attachment.waiting(MUX_IN), READS)

    def test_receives(self) -> None:
        """
        What the phone sends is delivered whole and in order.
        """
        sent = [packet(size, size % 256) for size in (20, 512, 16384, 32000, 32768, 65536, 36)]
        self.start()
        for each in sent:
            self.phone.send(each)
        self.exporter.settle()
        self.assertEqual(self.receiver.packets, sent)

    def test_sends(self) -> None:
        """
        Packets arrive whole and in order, also those whose length asks for an empty one.
        """
        self.start()
        sent = [packet(size) for size in (20, 512, 513, 49152, 36)]
        for each in sent:
            self.link.send((each[:8], memoryview(each)[8:]))
        self.exporter.settle()
        self.assertEqual(self.phone.received, sent)

    def test_room(self) -> None:
        """
        A phone that takes nothing has room for two bulk packets; small ones go past them; and
        upstairs is told when there is room again.
        """
        self.start()
        self.attachment.hold()
        for _ in range(LIMITS.bulkInFlight):
            self.assertTrue(self.link.hasRoom(BULK))
            self.link.send((packet(BULK),))
        self.exporter.settle()
        self.assertFalse(self.link.hasRoom(BULK))
        self.assertTrue(self.link.hasRoom(SMALL_PACKET))
        self.attachment.release()
        self.exporter.settle()
        self.assertGreater(self.receiver.rooms, 0)
        self.assertTrue(self.link.hasRoom(BULK))

    def test_unplugged(self) -> None:
        """
        A phone that is pulled out over there is lost once, after what came before.
        """
        self.start()
        self.phone.send(packet(20))
        self.exporter.exports.unplug(self.phone)
        self.exporter.settle()
        self.assertEqual(self.receiver.packets, [packet(20)])
        (loss,) = self.receiver.losses
        self.assertIsNotNone(loss.check(ConnectionLost))
        self.assertIs(self.link.state, LinkState.LOST)
        self.close()

    def test_lose(self) -> None:
        """
        A link that is told that its phone is gone ends once.
        """
        self.start()
        for _ in range(2):
            self.link.lose(Failure(ConnectionLost("gone")))
        self.assertEqual(len(self.receiver.losses), 1)
        self.link.send((packet(20),))
        self.close()

    def test_closed(self) -> None:
        """
        A link that is closed first sends what it was given, and gives the phone back.
        """
        self.start()
        self.link.send((packet(20),))
        self.close()
        self.assertEqual(self.phone.received, [packet(20)])
        self.assertEqual(self.receiver.losses, [])
        self.assertIs(self.link.state, LinkState.CLOSED)
        self.close()

    def test_closedUnstarted(self) -> None:
        """
        So does one that was never started.
        """
        self.close()

    def test_closedWhileHeld(self) -> None:
        """
        A phone that takes nothing is given back after a while.
        """
        self.start()
        self.attachment.hold()
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.exporter.settle()
        self.assertNoResult(closed)
        self.exporter.clock.advance(LIMITS.linkFlushTimeout)
        self.exporter.settle()
        self.successResultOf(closed)

    def test_stallOfReading(self) -> None:
        """
        A stall of reading is cleared, once; the second is the end.
        """
        self.start()
        self.attachment.stall(MUX_IN)
        self.exporter.settle()
        self.phone.send(packet(20))
        self.exporter.settle()
        self.assertEqual((self.receiver.packets, self.receiver.losses), ([packet(20)], []))
        self.attachment.stall(MUX_IN)
        self.exporter.settle()
        self.assertEqual(len(self.receiver.losses), 1)

    def test_stallOfWriting(self) -> None:
        """
        A stall of writing is the end: a packet is lost.
        """
        self.start()
        self.attachment.stall(MUX_OUT)
        self.link.send((packet(20),))
        self.exporter.settle()
        (loss,) = self.receiver.losses
        self.assertIn("broken pipe", loss.getErrorMessage())
        self.close()

    def test_shortWrite(self) -> None:
        """
        A packet that went out in part is the end.
        """
        self.start()
        self.link.send((packet(20),))
        (transfer,) = self.link._writes
        transfer.actual, transfer.error = 19, 0
        transfer.ended(transfer)
        (loss,) = self.receiver.losses
        self.assertIn(os.strerror(errno.EIO).lower(), loss.getErrorMessage())


class Settling:
    """
    The reactor of a link, whose turn is that of both machines.
    """

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter.clock, name)

    def pumpUntil(self, until: Callable[[], object]) -> None:
        """
        Let everything happen that can, after which a condition has to hold.
        """
        self._exporter.settle()
        assert until(), "it came to rest, and the test waits for more"


class Cable:
    """
    The phone's place over there, as contracts pull it out.
    """

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def unplug(self, phone: RecordingGadget, error: int = 0) -> None:
        """
        Pull it out.
        """
        self._exporter.settle()
        self._exporter.exports.unplug(phone, error)


class ContractTestCase(LinkTestCase):
    """
    A phone on another machine and a link to it, for what every engine does.
    """

    def setUp(self) -> None:
        """
        The phone, opened, and a link to it.
        """
        self.events = self.enterContext(capturedLogs())
        self.exporter = Exporter()
        self.phone = RecordingGadget(iPhone())
        self.exporter.plug(self.phone)
        self.bus: Any = Cable(self.exporter)
        self.reactor: Any = Settling(self.exporter)
        self.opened = self.open()
        self.receiver = Receiver()
        self.link = self.makeLink()
        self.addCleanup(self.close)

    def open(self) -> OpenedPhone:
        """
        Import it, and set its configuration.
        """
        self.exporter.settle()
        self.connection = self.exporter.take()
        setup = bytes.fromhex("0009040000000000")
        self.connection.submit(Transfer(0, 0, lambda transfer: None, setup=setup))
        self.exporter.settle()
        export = self.exporter.exports.find("1-1")
        assert export is not None and export._attachment is not None
        self.attachment: Any = Settled(self.exporter, export._attachment)
        return openedPhone(self.exporter, self.connection)

    def makeLink(self) -> UsbipLink:
        """
        A link to it.
        """
        return UsbipLink(self.exporter.clock, self.opened)

    def close(self) -> None:
        """
        Close the link and see that nothing of it is left.
        """
        closed = self.link.close()
        self.attachment.release()
        self.exporter.settle()
        self.successResultOf(closed)
        self.assertEqual([], self.exporter.clock.getDelayedCalls())

    def arrived(self, count: int) -> list[bytes]:
        """
        The phone's first messages.
        """
        self.exporter.settle()
        self.assertGreaterEqual(len(self.phone.received), count)
        return self.phone.received[:count]

    def untilUnread(self, count: int) -> None:
        """
        Let everything be read.
        """
        self.exporter.settle()
        self.assertLessEqual(self.attachment.unread(MUX_IN), count)


class Settled:
    """
    The phone's attachment, once all that a test has done before has reached it.
    """

    def __init__(self, exporter: Exporter, attachment: Attachment) -> None:
        self._exporter = exporter
        self._attachment = attachment

    def __getattr__(self, name: str) -> Any:
        self._exporter.settle()
        return getattr(self._attachment, name)


class OpenContractTests(ContractTestCase, linkcontract.OpenLinks):
    """
    What every engine does while it is open.
    """


class ClosedContractTests(ContractTestCase, linkcontract.ClosedLinks):
    """
    What every engine does when it is closed.
    """
