# -*- test-case-name: tests.usbip.test_source -*-
"""
Tests of L{muxd.usbip.source} and L{muxd.usbip.bus}: the phones of another machine, which is
this process, by TCP.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase
from usb.core import USBError, find
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceSource, IFirstLook
from muxd.phone.iphone import Phone
from muxd.phone.parser import serials
from muxd.phone.usbip.exports import Export, Exports
from muxd.phone.usbip.server import UsbipFactory
from muxd.service import MuxService
from muxd.usb.parser import parseSettings
from muxd.usb.settings import USBSettings
from muxd.usbip.bus import UsbipBus, portsOf
from muxd.usbip.source import UsbipSource
from tests.integration.inprocess import Attendance
from tests.integration.test_tools import ECHO

POLL = 0.05


class Collecting(Protocol):
    """
    Keeps what comes.
    """

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data


class SourceCase(TestCase):
    """
    A machine that exports two phones, and a service that has them.
    """

    timeout = 60
    phoneCount = 2
    settings = USBSettings(poll=POLL)
    busIDs: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """
        Start both.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.exports = Exports()
        self.phones = [Phone(reactor, udid=serial) for serial in serials(self.phoneCount)]
        for phone in self.phones:
            phone.plug(self.exports)
            self.addCleanup(phone.stop)
        self.server = UsbipFactory(reactor, self.exports)
        self.addCleanup(self.stopServer)
        self.port: IListeningPort = await TCP4ServerEndpoint(
            reactor, 0, interface="127.0.0.1"
        ).listen(self.server)
        self.number: int = self.port.getHost().port
        self.service = MuxService(
            reactor, sources=[self.makeSource], configDir=self.mktemp(), preflight=False
        )
        self.attendance = Attendance()
        self.service.registry.subscribe(self.attendance)
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def stopServer(self) -> None:
        """
        The other machine ends.
        """
        await maybeDeferred(self.port.stopListening)
        await self.server.stop()

    def isTaken(self, place: str) -> bool:
        """
        Whether a host has the phone in this place.
        """
        export = self.exports.find(place)
        assert export is not None
        return export.isTaken

    def makeSource(self, receiver: Any) -> UsbipSource:
        """
        The source.
        """
        self.source = UsbipSource(
            self.reactor,
            receiver,
            "usbip:test",
            endpoint=self.endpoint(),
            name="test",
            busIDs=self.busIDs,
            settings=self.settings,
        )
        return self.source

    def endpoint(self) -> TCP4ClientEndpoint:
        """
        The way to the machine.
        """
        return TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.number)

    async def until(self, condition: Any) -> None:
        """
        Let the reactor run until something is so.
        """
        for _ in range(2000):
            if condition():
                return
            await deferLater(self.reactor, 0.01)
        self.fail("it did not come about")


class SourceTests(SourceCase):
    """
    Tests of L{UsbipSource}.
    """

    async def test_phones(self) -> None:
        """
        Both phones are found, and bytes go to each and back; where they are is where they are
        on the other machine.
        """
        await self.begin()
        verifyObject(IDeviceSource, self.source)
        verifyObject(IFirstLook, self.source)
        await self.attendance.count(2)
        for phone in self.phones:
            device = self.service.registry.findByUDID(phone.udid)
            assert device is not None
            self.assertRegex(device.device.identity.portPath, r"1-[12]")
            endpoint = self.service.endpoint(ECHO, phone.udid)
            client: Any = await endpoint.connect(Factory.forProtocol(Collecting))
            sent = bytes(range(256)) * 2048
            client.transport.write(sent)
            await self.until(lambda client=client, sent=sent: len(client.data) == len(sent))
            self.assertEqual(client.data, sent)
            client.transport.loseConnection()
            self.assertEqual(phone.violations, [])

    async def test_imports(self) -> None:
        """
        Each phone is imported once, however many there are: it is looked at and opened by one
        connection.
        """
        taken: list[str] = []
        take = Export.take

        def taking(export: Export, connection: Any) -> Any:
            taken.append(export.busID)
            return take(export, connection)

        self.patch(Export, "take", taking)
        self.phoneCount = 3
        await self.begin()
        await self.attendance.count(3)
        self.assertEqual(sorted(taken), ["1-1", "1-2", "1-3"])

    async def test_replugged(self) -> None:
        """
        A phone that is pulled out over there is gone, and found again when it is plugged in.
        """
        await self.begin()
        await self.attendance.count(2)
        gone = self.phones[0]
        gone.unplug()
        await self.attendance.count(1)
        gone.plug(self.exports)
        await self.attendance.count(2)

    async def test_serverGone(self) -> None:
        """
        When the other machine goes all its phones are gone; when it is back they are found.
        """
        await self.begin()
        await self.attendance.count(2)
        await self.stopServer()
        await self.attendance.count(0)
        self.server = UsbipFactory(self.reactor, self.exports)
        self.port = self.reactor.listenTCP(self.number, self.server, interface="127.0.0.1")
        await self.attendance.count(2)

    async def test_stopped(self) -> None:
        """
        A source that has stopped has given its phones back.
        """
        await self.begin()
        await self.attendance.count(2)
        await self.service.stopService()
        await self.until(lambda: not any(self.isTaken(place) for place in ("1-1", "1-2")))

    async def test_taken(self) -> None:
        """
        A phone that another host has is not ours, which is told once; the others are.
        """
        with capturedLogs() as captured:
            await self.beginWithOneTaken()
            await self.attendance.count(1)
            await deferLater(self.reactor, POLL * 4)
        told = [formatEvent(event) for event in captured]
        about = [text for text in told if text and "1-1" in text and "another host has it" in text]
        self.assertEqual(len(about), 1)

    async def beginWithOneTaken(self) -> None:
        """
        Begin, with the first phone another host's.
        """
        begun = Exports.plug

        def plug(exports: Exports, gadget: Any) -> str:
            place = begun(exports, gadget)
            if place == "1-1":
                export = exports.find(place)
                assert export is not None
                export.take(_Other())  # type: ignore[arg-type]
            return place

        self.patch(Exports, "plug", plug)
        await self.begin()


class _Other:
    """
    Another host.
    """

    def disconnect(self, error: int) -> None:
        """
        It loses the device.
        """


class SelectionTests(SourceCase):
    """
    Some phones of a machine alone.
    """

    busIDs = frozenset({"1-2"})

    async def test_place(self) -> None:
        """
        The others are left to other hosts.
        """
        await self.begin()
        await self.attendance.count(1)
        self.assertEqual(list(self.attendance.present), [self.phones[1].udid])
        self.assertFalse(self.isTaken("1-1"))

    async def test_notWanted(self) -> None:
        """
        A phone that was looked at and is not wanted, by its UDID, is given back.
        """
        self.busIDs = frozenset()
        self.settings = parseSettings((), {"only": serials(2)[1], "poll": str(POLL)})
        await self.begin()
        await self.attendance.count(1)
        await self.until(lambda: not self.isTaken("1-1"))
        await deferLater(self.reactor, POLL * 4)
        self.assertFalse(self.isTaken("1-1"))


class BusTests(SourceCase):
    """
    Tests of L{UsbipBus}, called as the discovery thread does.
    """

    async def inThread(self, work: Any) -> Any:
        """
        What a function returns in a thread.
        """
        return await deferToThread(work)

    async def busOf(self, server: type[Protocol]) -> UsbipBus:
        """
        The bus of a machine on which this listens.
        """
        from twisted.internet import reactor

        self.reactor = reactor
        listening = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        port: Any = await listening.listen(Factory.forProtocol(server))
        self.addCleanup(port.stopListening)
        self.number = port.getHost().port
        return UsbipBus(self.reactor, self.endpoint(), "rack2")

    async def test_noServer(self) -> None:
        """
        A machine that cannot be reached is an error with its name.
        """
        from twisted.internet import reactor

        bus = UsbipBus(reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", 1), "rack1")
        with self.assertRaises(USBError) as raised:
            await self.inThread(lambda: list(find(find_all=True, backend=bus)))
        self.assertIn("rack1", str(raised.exception))

    async def test_liar(self) -> None:
        """
        A machine whose answers make no sense is an error as well, and is not hung up on.
        """

        class Liar(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"\xff" * 4096)

        bus = await self.busOf(Liar)
        with self.assertRaises(USBError):
            await self.inThread(lambda: list(find(find_all=True, backend=bus)))

    async def test_interrupted(self) -> None:
        """
        A thread that waits for a machine that says nothing is let go when it is to stop.
        """
        bus = await self.busOf(Protocol)
        waiting = Deferred.fromCoroutine(
            self.inThread(lambda: list(find(find_all=True, backend=bus)))
        )
        await deferLater(self.reactor, 0.1)
        bus.interrupt()
        with self.assertRaises(USBError):
            await waiting

    async def test_control(self) -> None:
        """
        Control transfers end with what the device answers; a stall is EPIPE.
        """
        self.phoneCount = 1
        await self.begin()
        await self.attendance.count(1)
        await self.service.stopService()
        await self.until(lambda: not self.isTaken("1-1"))
        bus = UsbipBus(self.reactor, self.endpoint(), "test")

        def ask() -> tuple[int, bytes, int]:
            (device,) = find(find_all=True, backend=bus)
            device.set_configuration(4)
            value = device.get_active_configuration().bConfigurationValue
            answer = device.ctrl_transfer(0x80, 6, 0x0100, 0, 18)
            try:
                device.ctrl_transfer(0x80, 6, 0x3300, 0, 18)
            except USBError as error:
                number = error.errno or 0
            return value, bytes(answer), number

        value, answer, number = await self.inThread(ask)
        self.addCleanup(bus.closeAll)
        self.assertEqual((value, answer[:2], number), (4, b"\x12\x01", errno.EPIPE))


class NameTests(TestCase):
    """
    Places on other machines.
    """

    def test_ports(self) -> None:
        """
        The ports on the way to a place are those of its name, if it has any.
        """
        self.assertEqual(portsOf("3-1.4.2"), (1, 4, 2))
        self.assertEqual(portsOf("usb1"), ())
