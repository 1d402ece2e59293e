# -*- test-case-name: tests.client.test_collection -*-
"""
Tests for L{muxd.client.collection}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.answers import Device
from muxd.client.client import UsbmuxClient
from muxd.client.errors import DaemonLost
from tests.client.daemons import OTHER_UDID, UDID, BinaryOnlyConnection
from tests.client.hosts import Host


class DeviceCollectionTests(SynchronousTestCase):
    """
    Listing the devices of a daemon that cannot list them.
    """

    def setUp(self) -> None:
        """
        Begin to list those of an old daemon.
        """
        self.host = Host(BinaryOnlyConnection)
        self.host.daemon.attach(1)
        self.listing = UsbmuxClient(self.host.reactor, self.host.access()).listDevices()
        self.host.settle()

    def assertClean(self, listing: Deferred[list[Device]]) -> None:
        """
        Nothing is left of it.
        """
        self.host.settle()
        self.assertEqual([], self.host.openSockets())
        self.assertEqual([], self.host.reactor.getDelayedCalls())

    def test_silence(self) -> None:
        """
        It is over when nothing has come for 100 ms.
        """
        self.host.advance(0.05)
        self.assertNoResult(self.listing)
        self.host.advance(0.06)
        self.assertEqual([UDID], [device.udid for device in self.successResultOf(self.listing)])
        self.assertClean(self.listing)

    def test_eventsGoOn(self) -> None:
        """
        Every event begins the 100 ms anew, and what is detached meanwhile does
        not count.
        """
        self.host.advance(0.09)
        self.host.daemon.attach(2, OTHER_UDID)
        self.host.advance(0.09)
        self.host.daemon.detach(1)
        self.host.advance(0.05)
        self.assertNoResult(self.listing)
        self.host.advance(0.06)
        found = [device.udid for device in self.successResultOf(self.listing)]
        self.assertEqual([OTHER_UDID], found)

    def test_eventsWithoutEnd(self) -> None:
        """
        If its events never stop, what is there after five seconds is the list.
        """
        for number in range(2, 82):
            self.assertNoResult(self.listing)
            self.host.daemon.attach(number)
            self.host.advance(0.0625)
        self.assertEqual(81, len(self.successResultOf(self.listing)))
        self.assertClean(self.listing)

    def test_lost(self) -> None:
        """
        A daemon that dies meanwhile is an error, not a list of some.
        """
        self.host.killDaemon()
        self.failureResultOf(self.listing, DaemonLost)
        self.assertClean(self.listing)

    def test_cancel(self) -> None:
        """
        Cancelling leaves nothing behind.
        """
        self.listing.cancel()
        self.failureResultOf(self.listing, CancelledError)
        self.assertClean(self.listing)
