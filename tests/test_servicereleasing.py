# -*- test-case-name: tests.test_servicereleasing -*-
"""
Tests of phones that L{muxd.service} lets go of and takes back, with simulated ones.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from muxd.identity import udidFromSerial
from muxd.interfaces import ILimitedSource, IReleasingSource
from muxd.limits import Limits
from muxd.phone.parser import serials
from muxd.server.lookup import NoSuchDevice
from muxd.service import MuxService
from tests.server.test_vieweddevices import Listening

FIRST, SECOND = (udidFromSerial(serial) for serial in serials(2))


def told(listening: Listening) -> list[tuple[str, str]]:
    """
    What a listener has been told, of which phones.
    """
    return [(what, udid) for what, _, udid in listening.take()]


class ReleasingTests(TestCase):
    """
    A service with two simulated phones.
    """

    timeout = 30

    async def start(self, **arguments: Any) -> MuxService:
        """
        Start it, and wait for them.
        """
        service = MuxService(reactor, sources=["simulated:2"], configDir=self.mktemp(), **arguments)
        service.startService()
        self.addCleanup(service.stopService)
        await service.whenAttached(FIRST)
        await service.whenAttached(SECOND)
        # That may fire while listeners are told of it: what happens now is told after that.
        await deferLater(reactor, 0)
        return service

    async def test_releaseAndTake(self) -> None:
        """
        Clients see it detached, and attached again when it is taken back; the other one
        stays.
        """
        service = await self.start()
        listening = Listening()
        service.registry.subscribe(listening)
        self.assertEqual(await service.release(FIRST.lower().replace("-", "")), 1)
        self.assertEqual(
            [(what, udid) for what, _, udid in listening.take()], [("detached", FIRST)]
        )
        self.assertEqual(service.released, [FIRST])
        await deferLater(reactor, 0.05)
        self.assertEqual(
            [one.device.identity.udid for one in service.registry.attached()], [SECOND]
        )
        self.assertTrue(service.take(FIRST))
        await service.whenAttached(FIRST)
        # That is one listener of several.
        await deferLater(reactor, 0)
        self.assertEqual(
            [(what, udid) for what, _, udid in listening.take()], [("attached", FIRST)]
        )
        self.assertEqual((service.released, service.take(FIRST)), ([], False))

    async def test_absent(self) -> None:
        """
        A phone that is not there can be released, and what is no UDID cannot.
        """
        service = await self.start()
        other = udidFromSerial(serials(3)[2])
        self.assertEqual(await service.release(other), 0)
        self.assertEqual(service.released, [other])
        for call in (service.release, service.take):
            error = self.assertRaises(ValueError, call, "../x")
            self.assertIn("expected a UDID", str(error))

    async def test_endpoint(self) -> None:
        """
        A program in the same process does not find it.
        """
        service = await self.start()
        await service.release(FIRST)
        with self.assertRaises(NoSuchDevice):
            service._lookup.find(FIRST)

    def test_limits(self) -> None:
        """
        Sources have the limits of the service.
        """
        limits = Limits(handshakeTimeout=77)
        service = MuxService(reactor, sources=["simulated"], configDir=self.mktemp(), limits=limits)
        (source,) = service.sources
        verifyObject(ILimitedSource, source)
        verifyObject(IReleasingSource, source)
        simulated: Any = source
        self.assertEqual(simulated._source._limits, limits)
