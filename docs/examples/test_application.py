"""
Tests with trial of a Twisted program that uses a phone::

    trial docs/examples/test_application.py
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd import MuxService
from muxd.testing import FakeDevice

DAYTIME = 13


class Reader(Protocol):
    """
    Reads all that a phone sends.
    """

    def __init__(self) -> None:
        self.text = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a part.
        """
        self.text += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all.
        """
        self.done.callback(self.text)


async def askForTheTime(endpoint: IStreamClientEndpoint) -> str:
    """
    The program that is tested.
    """
    reader = await endpoint.connect(Factory.forProtocol(Reader))
    assert isinstance(reader, Reader)
    return (await reader.done).decode().strip()


class InMemoryTests(SynchronousTestCase):
    """
    Nothing but memory and a clock that the test advances: fast, and the same each time.
    """

    def test_time(self) -> None:
        """
        What the phone says is what the program gives.
        """
        clock = Clock()
        service = MuxService(clock)
        phone = FakeDevice(clock, answers={DAYTIME: FakeDevice.ACCEPT})
        service.registry.deviceAttached(phone)

        asking = Deferred.fromCoroutine(askForTheTime(service.endpoint(DAYTIME)))
        transport = phone.connections[0].transport
        assert transport is not None
        transport.deliver(b"half past ")
        transport.deliver(b"nine\r\n")
        self.assertNoResult(asking)
        transport.lose()
        self.assertEqual(self.successResultOf(asking), "half past nine")


class SimulatedPhoneTests(TestCase):
    """
    A simulated phone, and all of the daemon's code between it and the program.
    """

    def setUp(self) -> None:
        """
        Plug a phone in.
        """
        self.service = MuxService(reactor, sources=["simulated"])
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def test_time(self) -> None:
        """
        The phone knows the time, once it has been found.
        """
        phone = await self.service.whenAttached()
        self.assertIn(":", await askForTheTime(phone.endpoint(DAYTIME)))
