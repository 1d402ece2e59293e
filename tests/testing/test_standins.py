# -*- test-case-name: tests.testing.test_standins -*-
"""
Tests of the stand-ins of L{muxd.testing}: they behave as what they stand in for.
"""

from __future__ import annotations

from errno import EINVAL, ENOENT

from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import IDevice, IPairRecordStore
from muxd.testing import BudgetTransport, FakeDevice, MemoryRecordStore, fakeIdentity


class Accumulator(Protocol):
    """
    A protocol that keeps what it is told.
    """

    def __init__(self) -> None:
        self.data = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep it.
        """
        self.reason = reason


@implementer(IPushProducer)
class Recorder:
    """
    A producer that writes down what it is told.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        """
        Write it down.
        """
        self.events.append("pause")

    def resumeProducing(self) -> None:
        """
        Write it down.
        """
        self.events.append("resume")

    def stopProducing(self) -> None:
        """
        Write it down.
        """
        self.events.append("stop")


class BudgetTransportTests(SynchronousTestCase):
    """
    L{BudgetTransport} behaves as a TCP transport does.
    """

    def setUp(self) -> None:
        """
        Connect a protocol to a peer that reads nothing.
        """
        self.clock = Clock()
        self.factory = Factory.forProtocol(Accumulator)
        self.transport = BudgetTransport.connect(self.clock, self.factory, budget=0)
        assert isinstance(self.transport.protocol, Accumulator)
        self.protocol: Accumulator = self.transport.protocol
        self.recorder: Recorder = Recorder()

    def settle(self) -> None:
        """
        Let everything happen that waits for the next turn of the reactor only.
        """
        for _ in range(4):
            self.clock.advance(0)

    def test_interfaces(self) -> None:
        """
        It is a transport, a consumer and a producer.
        """
        for interface in (ITransport, IConsumer, IPushProducer):
            verifyObject(interface, self.transport)
        self.assertNotEqual(self.transport.getPeer(), self.transport.getHost())

    def test_budget(self) -> None:
        """
        The peer takes what it is allowed to.
        """
        self.transport.writeSequence([b"abc", b"def"])
        self.assertEqual((self.transport.value(), self.transport.pending), (b"", 6))
        self.assertEqual(self.transport.take(4), b"abcd")
        self.assertEqual(self.transport.take(), b"ef")
        self.transport.write(b"g")
        self.assertEqual(self.transport.take(1), b"g")

    def test_onlyBytes(self) -> None:
        """
        As with Twisted's transports, what is not bytes is a mistake.
        """
        self.assertRaises(TypeError, self.transport.write, bytearray(b"x"))

    def test_producer(self) -> None:
        """
        A producer is paused above the buffer's size and resumed when it is
        empty.
        """
        self.transport.registerProducer(self.recorder, True)
        self.assertRaises(RuntimeError, self.transport.registerProducer, self.recorder, True)
        self.transport.write(bytes(65536))
        self.assertEqual(self.recorder.events, [])
        self.transport.write(b"x")
        self.assertEqual(self.recorder.events, ["pause"])
        self.transport.allow(65536)
        self.assertEqual(self.recorder.events, ["pause"])
        self.transport.allow()
        self.assertEqual(self.recorder.events, ["pause", "resume"])

    def test_pullProducer(self) -> None:
        """
        Pull producers are not for us.
        """
        self.assertRaises(ValueError, self.transport.registerProducer, self.recorder, False)

    def test_producerKeepsItOpen(self) -> None:
        """
        While a producer is registered the connection does not close, as with
        Twisted's TCP; a lost one stops its producer.
        """
        self.transport.registerProducer(self.recorder, True)
        self.transport.loseConnection()
        self.settle()
        self.assertFalse(self.transport.disconnected)
        self.transport.unregisterProducer()
        self.settle()
        self.assertTrue(self.transport.disconnected)
        self.transport.registerProducer(self.recorder, True)
        self.assertEqual(self.recorder.events, ["stop"])

    def test_loseConnection(self) -> None:
        """
        What was written is delivered before the close, which the protocol hears
        of on a later turn.
        """
        self.transport.write(b"abc")
        self.transport.stopProducing()
        self.settle()
        self.assertIsNone(self.protocol.reason)
        self.transport.allow()
        self.settle()
        self.assertEqual(self.transport.value(), b"abc")
        assert self.protocol.reason is not None
        self.assertIsInstance(self.protocol.reason.value, ConnectionDone)
        self.transport.write(b"too late")
        self.transport.deliver(b"too late")
        self.transport.abortConnection()
        self.assertEqual((self.transport.pending, self.protocol.data), (0, b""))

    def test_abortConnection(self) -> None:
        """
        What was written is lost, and its producer is stopped.
        """
        self.transport.registerProducer(self.recorder, True)
        self.transport.write(b"abc")
        self.transport.abortConnection()
        self.assertIsNone(self.protocol.reason)
        self.transport.allow()
        self.settle()
        self.assertIsNotNone(self.protocol.reason)
        self.assertEqual((self.transport.value(), self.recorder.events), (b"", ["stop"]))

    def test_loseWriteConnection(self) -> None:
        """
        An end of file follows what was written.
        """
        self.transport.write(b"abc")
        self.transport.loseWriteConnection()
        self.transport.write(b"too late")
        self.assertFalse(self.transport.writeClosed)
        self.assertEqual(self.transport.take(), b"abc")
        self.assertTrue(self.transport.writeClosed)

    def test_tellsOfHalf(self) -> None:
        """
        A protocol that can be half-closed is told, once and by way of the clock.
        """

        @implementer(IHalfCloseableProtocol)
        class HalfCloseable(Protocol):
            told = 0

            def readConnectionLost(self) -> None:
                pass

            def writeConnectionLost(self) -> None:
                self.told += 1

        protocol = HalfCloseable()
        self.transport.protocol = protocol
        self.transport.budget = None
        self.transport.loseWriteConnection()
        self.assertEqual(protocol.told, 0)
        self.settle()
        self.transport.allow()
        self.settle()
        self.assertEqual(protocol.told, 1)

    def test_pausedReading(self) -> None:
        """
        Nothing is read while it is paused, and nothing is lost.
        """
        self.transport.deliver(b"a")
        self.transport.pauseProducing()
        self.transport.deliver(b"b")
        self.assertEqual(self.protocol.data, b"a")
        self.transport.resumeProducing()
        self.settle()
        self.assertEqual(self.protocol.data, b"ab")
        self.transport.loseConnection()
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.assertTrue(self.transport.paused)

    def test_reads(self) -> None:
        """
        One read gives so much at the most, and the next may be paused for.
        """
        self.transport.readSize = 3
        self.patch(self.protocol, "dataReceived", self._readOnce)
        self.transport.deliver(b"abcdefgh")
        for read in (b"abc", b"abcdef", b"abcdefgh"):
            self.assertEqual(self.protocol.data, read)
            self.transport.resumeProducing()
            self.settle()

    def _readOnce(self, data: bytes) -> None:
        self.protocol.data += data
        self.transport.pauseProducing()

    def test_finish(self) -> None:
        """
        To a protocol that knows no half-closed connection, an end of file is
        the end.
        """
        self.transport.finish()
        self.assertIsNotNone(self.protocol.reason)

    def test_withoutProtocol(self) -> None:
        """
        A transport without a protocol loses what is delivered to it.
        """
        transport = BudgetTransport(self.clock)
        transport.deliver(b"x")
        transport.lose()
        self.assertTrue(transport.disconnected)


class FakeDeviceTests(SynchronousTestCase):
    """
    L{FakeDevice} answers as told.
    """

    def setUp(self) -> None:
        """
        Make a device that accepts one port and refuses another.
        """
        self.factory = Factory.forProtocol(Accumulator)
        self.device = FakeDevice(
            Clock(), answers={1: FakeDevice.ACCEPT, 2: ConnectionRefusedError()}
        )

    def test_interfaces(self) -> None:
        """
        It is a device, and its endpoints are endpoints.
        """
        verifyObject(IDevice, self.device)
        verifyObject(IStreamClientEndpoint, self.device.endpoint(1))

    def test_answers(self) -> None:
        """
        A port accepts, refuses, or waits for the test.
        """
        results = [self.device.endpoint(port).connect(self.factory) for port in (1, 2, 3)]
        self.successResultOf(results[0])
        self.failureResultOf(results[1], ConnectionRefusedError)
        self.assertNoResult(results[2])
        accepted, _, waiting = self.device.connections
        assert accepted.transport is not None
        transport = waiting.accept(budget=0)
        protocol = self.successResultOf(results[2])
        self.assertIs(transport.protocol, protocol)

    def test_identities(self) -> None:
        """
        Each number is another phone.
        """
        self.assertNotEqual(fakeIdentity(1).udid, fakeIdentity(2).udid)
        self.assertEqual(len(fakeIdentity().serial), 24)


class MemoryRecordStoreTests(SynchronousTestCase):
    """
    L{MemoryRecordStore} keeps records.
    """

    def test_records(self) -> None:
        """
        It has the errors of the real store.
        """
        store = MemoryRecordStore()
        verifyObject(IPairRecordStore, store)
        self.assertEqual(self.assertRaises(OSError, store.read, "x").errno, ENOENT)
        self.assertEqual(self.assertRaises(OSError, store.read, "").errno, EINVAL)
        store.save("x", b"data")
        self.assertEqual(store.read("x"), b"data")
        store.delete("x")
        self.assertEqual(store.records, {})
        self.assertEqual(store.readBUID(), store.buid)
