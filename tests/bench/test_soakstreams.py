"""
Tests for L{bench.soak.pattern}, L{bench.soak.exchange} and L{bench.soak.transfer}.
"""

from __future__ import annotations

import random
import re

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from bench.rig import RIG
from bench.soak.connection import Connection, Gone, Wrong
from bench.soak.exchange import ORDER, Exchange
from bench.soak.pattern import LONGEST, PERIOD, firstDifference, pattern, piece
from bench.soak.transfer import STANDSTILL, Transfer


class PatternTests(SynchronousTestCase):
    """
    Tests of the pattern.
    """

    def test_sameAsTheRig(self) -> None:
        """
        It has the period of the rig's, and begins as that does.
        """
        header = (RIG / "pattern.h").read_text()
        self.assertEqual(re.findall(r"PATTERN_PERIOD (\d+)u", header), [str(PERIOD)])
        self.assertEqual(piece(0, 8), piece(PERIOD, 8))
        self.assertEqual(piece(0, 4).hex(), "964e36e8")

    def test_difference(self) -> None:
        """
        One wrong bit in any place is found where it is.
        """
        whole = bytearray(pattern(12345, 300_000))
        self.assertIsNone(firstDifference(bytes(whole), 12345))
        for place in (0, 1, LONGEST - 1, LONGEST, 299_999):
            whole[place] ^= 1
            self.assertEqual(firstDifference(bytes(whole), 12345), place)
            whole[place] ^= 1

    def test_moved(self) -> None:
        """
        Bytes that are right in another place are wrong in this one.
        """
        for by in (1, 4096, 16384, 65536):
            self.assertIsNotNone(firstDifference(pattern(by, 100), 0))


class ExchangeTests(SynchronousTestCase):
    """
    Tests of the service of the simulated phones.
    """

    def setUp(self) -> None:
        """
        Connect to the service.
        """
        self.complaints: list[str] = []
        self.service = Exchange(self.complaints.append)
        self.transport = StringTransportWithDisconnection()
        self.service.makeConnection(self.transport)

    def pull(self) -> bytes:
        """
        All that it sends.
        """
        while self.transport.producer is not None:
            self.transport.producer.resumeProducing()
        sent: bytes = self.transport.value()
        return sent

    def test_order(self) -> None:
        """
        It takes what was announced, in whatever pieces, and then sends.
        """
        data = ORDER.pack(70_000, 50_000, 80_000) + pattern(70_000, 50_000)
        for start in range(0, len(data) - 1, 777):
            self.service.dataReceived(data[start : min(start + 777, len(data) - 1)])
        self.assertIsNone(self.transport.producer)
        self.service.dataReceived(data[-1:])
        self.assertEqual(self.pull(), pattern(70_000, 80_000))
        self.assertEqual(self.complaints, [])

    def test_wrong(self) -> None:
        """
        It complains of a byte that is not the right one, and of one too many.
        """
        self.service.dataReceived(ORDER.pack(5, 4, 1) + b"\0\0\0\0")
        self.assertEqual(len(self.complaints), 1)
        self.service.dataReceived(piece(9, 1))
        self.assertEqual(len(self.complaints), 2)

    def test_downloadAlone(self) -> None:
        """
        Without an upload it sends at once.
        """
        self.service.dataReceived(ORDER.pack(3, 0, 10))
        self.assertEqual(self.pull(), pattern(3, 10))


class TransferTests(SynchronousTestCase):
    """
    Tests of L{Transfer}: an upload of 200,000 bytes and a download of 100,000.
    """

    PHASE = 4321

    def setUp(self) -> None:
        """
        Begin it.
        """
        self.clock = Clock()
        self.connection = Connection(self.clock)
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = self.connection
        self.connection.makeConnection(self.transport)

    def begin(self, **options: object) -> Deferred[None]:
        """
        A transfer, whose upload has been sent.
        """
        self.transfer = Transfer(
            self.connection,
            random.Random(1),
            phase=self.PHASE,
            up=200_000,
            down=100_000,
            **options,  # type: ignore[arg-type]
        )
        running = Deferred.fromCoroutine(self.transfer.run())
        while self.transport.producer is not None:
            self.transport.producer.resumeProducing()
        return running

    def test_whole(self) -> None:
        """
        What goes up is the pattern, behind the order; it ends with the last byte
        down.
        """
        running = self.begin(order=b"order")
        self.assertEqual(self.transport.value(), b"order" + pattern(self.PHASE, 200_000))
        self.connection.dataReceived(pattern(self.PHASE, 99_999))
        self.assertNoResult(running)
        self.connection.dataReceived(piece(self.PHASE + 99_999, 1))
        self.successResultOf(running)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wrongByte(self) -> None:
        """
        A wrong byte is told with its place.
        """
        running = self.begin()
        self.connection.dataReceived(pattern(self.PHASE, 5000))
        self.connection.dataReceived(pattern(self.PHASE, 10))
        error = self.failureResultOf(running, Wrong)
        self.assertIn("byte 5000 of 100000", str(error.value))

    def test_tooMuch(self) -> None:
        """
        So is a byte that was not asked for.
        """
        running = self.begin()
        self.connection.dataReceived(pattern(self.PHASE, 100_001))
        self.assertIn("100001 bytes came", str(self.failureResultOf(running, Wrong).value))

    def test_lost(self) -> None:
        """
        A connection that ends before is told as that.
        """
        running = self.begin()
        self.connection.dataReceived(pattern(self.PHASE, 50_000))
        self.transport.loseConnection()
        self.failureResultOf(running, Gone)
        self.assertEqual((self.transfer.sent, self.transfer.received), (200_000, 50_000))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stuck(self) -> None:
        """
        A stream in which nothing moves is not waited for forever; one that moves
        is.
        """
        running = self.begin()
        self.clock.advance(STANDSTILL)
        for number in range(5):
            self.connection.dataReceived(piece(self.PHASE + number, 1))
            self.clock.advance(STANDSTILL)
        self.assertNoResult(running)
        self.clock.advance(STANDSTILL)
        self.assertIn("stuck", str(self.failureResultOf(running, Wrong).value))

    def test_halfClose(self) -> None:
        """
        The sending side is closed when all has been sent.
        """
        closed: list[int] = []
        self.transport.loseWriteConnection = (  # type: ignore[attr-defined]
            lambda: closed.append(len(self.transport.value()))
        )
        self.begin(halfClose=True)
        self.assertEqual(closed, [200_000])

    def test_slowly(self) -> None:
        """
        A slow client does not read between two pieces.
        """
        running = self.begin(pause=1)
        self.connection.dataReceived(pattern(self.PHASE, 10))
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(5)
        self.assertEqual(self.transport.producerState, "producing")
        self.connection.dataReceived(pattern(self.PHASE + 10, 99_990))
        self.successResultOf(running)
        self.assertEqual(self.clock.getDelayedCalls(), [])
