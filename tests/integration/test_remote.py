# -*- test-case-name: tests.integration.test_remote -*-
"""
A daemon with the phones of another one, both in the process of the test.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory

from muxd.client.client import UsbmuxClient
from muxd.client.errors import NoPairRecord, PhoneGone, PortRefused
from muxd.service import MuxService
from tests.client.endpoints import Application
from tests.integration.inprocess import Attendance, PhoneStream, ServiceTestCase
from tests.integration.test_tools import ECHO


class Echoed(PhoneStream):
    """
    A client that sends so many bytes and takes what comes back.

    @ivar finished: Fires with what has come back when that is as much.
    """

    def __init__(self, deviceID: int, data: bytes) -> None:
        super().__init__(deviceID, ECHO)
        self.finished: Deferred[bytes] = Deferred()
        self._data = data
        self._back = b""
        self.opened.addCallback(self._send)

    def _send(self, client: PhoneStream) -> PhoneStream:
        assert self.transport is not None
        self.transport.write(self._data)
        return client

    def streamReceived(self, data: bytes) -> None:
        """
        What has come back.
        """
        self._back += data
        if len(self._back) >= len(self._data) and not self.finished.called:
            self.finished.callback(self._back)


class RemoteTests(ServiceTestCase):
    """
    Clients of a daemon whose phones are another one's.
    """

    phoneCount = 2

    def setUp(self) -> Any:
        """
        Start the daemon with the phones, and then ours.
        """
        return super().setUp().addCallback(self._started)

    def _started(self, _: object) -> Deferred[None]:
        self.ourPath = str(self.directory / "ours")
        self.ours = MuxService(
            self.reactor,
            listen=[f"unix:{self.ourPath}"],
            sources=[f"remote:{self.path}:grace=0.2"],
            configDir=str(self.directory / "ourlockdown"),
            preflight=True,
        )
        self.seen = Attendance()
        self.ours.registry.subscribe(self.seen)
        self.ours.startService()
        self.addCleanup(self.ours.stopService)
        self.client = UsbmuxClient(self.reactor, f"unix:{self.ourPath}")
        return self.seen.count(self.phoneCount)

    async def echo(self, deviceID: int, data: bytes) -> bytes:
        """
        What a phone's echo sends back.
        """
        client = Echoed(deviceID, data)
        await connectProtocol(UNIXClientEndpoint(self.reactor, self.ourPath), client)
        await client.opened
        back = await client.finished
        assert client.transport is not None
        client.transport.loseConnection()
        await client.lost
        return back

    async def test_bytes(self) -> None:
        """
        Bytes go to the phone and back, through both daemons, unchanged; also a megabyte.
        """
        for deviceID in self.seen.present.values():
            data = bytes(range(256)) * 4096
            self.assertEqual(await self.echo(deviceID, data), data)
        self.assertEqual([phone.violations for phone in self.phones], [[], []])

    async def test_list(self) -> None:
        """
        The phones are listed as ones on a cable, once each, with our numbers.
        """
        devices = await self.client.listDevices()
        self.assertEqual({device.udid: device.deviceID for device in devices}, self.seen.present)
        self.assertEqual({device.connectionType for device in devices}, {"USB"})

    async def test_eachOther(self) -> None:
        """
        Daemons that have each other's phones do not pass on what is not theirs: a phone that
        is pulled out is gone from both.
        """
        back = MuxService(
            self.reactor,
            listen=[],
            sources=[f"remote:{self.ourPath}:grace=0.2"],
            configDir=str(self.directory / "third"),
        )
        back.startService()
        self.addCleanup(back.stopService)
        looked = back.sources[0].whenLooked()  # type: ignore[attr-defined]
        await looked
        self.assertEqual(back.registry.attached(), [])

    async def test_refused(self) -> None:
        """
        A port on which nothing listens is refused with the phone's Result.
        """
        (device, _) = await self.client.listDevices()
        with self.assertRaises(PortRefused):
            await self.client.connect(device, 9999, Factory.forProtocol(Application))

    async def test_records(self) -> None:
        """
        Pair records are the phone's host's: what is stored by way of us is there, and
        nowhere else, and its clients and ours are told.
        """
        (device, _) = await self.client.listDevices()
        theirs = UsbmuxClient(self.reactor, f"unix:{self.path}")
        await self.client.savePairRecord(device.udid, {"HostID": "A"}, device.deviceID)
        self.assertIn(b"HostID", await theirs.readPairRecord(device.udid))
        self.assertEqual(
            await self.client.readPairRecord(device.udid), await theirs.readPairRecord(device.udid)
        )
        self.assertFalse((self.directory / "ourlockdown" / f"{device.udid}.plist").exists())
        await self.client.deletePairRecord(device.udid)
        with self.assertRaises(NoPairRecord):
            await theirs.readPairRecord(device.udid)

    async def test_unplugged(self) -> None:
        """
        A phone that is pulled out over there is gone here, and cannot be connected to.
        """
        (device, _) = await self.client.listDevices()
        phone = next(each for each in self.phones if each.udid == device.udid)
        phone.unplug()
        await self.seen.count(1)
        with self.assertRaises(PhoneGone):
            await self.client.connect(device, ECHO, Factory.forProtocol(Application))

    async def test_daemonGone(self) -> None:
        """
        When the other daemon ends its phones are gone after the grace period.
        """
        await self.service.stopService()
        await self.seen.count(0)
        self.assertEqual(await self.client.listDevices(), [])

    async def test_endpoint(self) -> None:
        """
        An application that embeds the daemon reaches them as it does its own.
        """
        udid = next(iter(self.seen.present))
        application = await connectProtocol(self.ours.endpoint(ECHO, udid), Application())
        assert application.transport is not None
        application.transport.write(b"hello")
        self.assertTrue(await self.until(lambda: application.data == b"hello"))
        application.transport.loseConnection()
        self.assertTrue(await self.until(lambda: bool(application.ended)))
