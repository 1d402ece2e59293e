# -*- test-case-name: tests.client.test_waiting -*-
"""
Tests for L{muxd.client.waiting}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.client import errors
from muxd.client.answers import Device
from muxd.client.client import UsbmuxClient
from muxd.client.errors import SeveralPhones
from muxd.client.selection import Network, chooseDevice, fits
from muxd.client.waiting import PhoneWait
from muxd.client.watcher import IDeviceObserver
from tests.client.daemons import OTHER_UDID, UDID
from tests.client.hosts import Host


class PhoneWaitTests(SynchronousTestCase):
    """
    Tests for L{PhoneWait}.
    """

    def setUp(self) -> None:
        """
        A host without a phone.
        """
        self.host = Host()

    def wait(self, udid: str | None = UDID) -> Deferred[Device]:
        """
        Wait for a phone.
        """
        client = UsbmuxClient(self.host.reactor, self.host.access())

        def isMeant(device: Device) -> bool:
            return fits(device, udid, Network.YES)

        def lookUp() -> Deferred[Device]:
            return client.listDevices().addCallback(chooseDevice, udid, Network.YES, "here", errors)

        waiting = PhoneWait(client.access, isMeant, lookUp).start()
        self.host.settle()
        return waiting

    def assertClean(self) -> None:
        """
        No socket and no timer is left.
        """
        self.host.settle()
        self.assertEqual([], self.host.openSockets())
        self.assertEqual([], self.host.reactor.getDelayedCalls())

    def test_interface(self) -> None:
        """
        It is an observer of devices.
        """
        verifyObject(IDeviceObserver, PhoneWait(self.host.access(), lambda device: True, Deferred))

    def test_pluggedIn(self) -> None:
        """
        The phone that is meant ends it, no other does.
        """
        waiting = self.wait()
        self.host.daemon.attach(1, OTHER_UDID)
        self.host.settle()
        self.assertNoResult(waiting)
        self.host.daemon.attach(2)
        self.host.daemon.attach(3, udid="third")
        self.host.settle()
        self.assertEqual(2, self.successResultOf(waiting).deviceID)
        self.assertClean()

    def test_daemonStartsLater(self) -> None:
        """
        The daemon may be started by the phone's being plugged in.
        """
        self.host.running = False
        waiting = self.wait()
        self.host.advance(1)
        self.host.daemon.attach(1)
        self.host.running = True
        self.assertNoResult(waiting)
        self.host.advance(1)
        self.assertEqual(UDID, self.successResultOf(waiting).udid)
        self.assertClean()

    def test_ambiguous(self) -> None:
        """
        What cannot get better by waiting ends it.
        """
        waiting = self.wait(None)
        self.host.daemon.attach(1)
        self.host.daemon.attach(2, OTHER_UDID)
        self.host.settle()
        self.failureResultOf(waiting, SeveralPhones)
        self.assertClean()

    def test_goneAgain(self) -> None:
        """
        A phone that has gone again before it was looked up is waited for on.
        """
        waiting = self.wait()
        self.host.daemon.attach(1)
        del self.host.daemon.devices[1]
        self.host.settle()
        self.assertNoResult(waiting)
        self.host.daemon.attach(2)
        self.host.settle()
        self.assertEqual(2, self.successResultOf(waiting).deviceID)
        self.assertClean()

    def test_cancel(self) -> None:
        """
        Cancelling ends it, whether or not there is a daemon.
        """
        for running in (True, False):
            self.host.running = running
            waiting = self.wait()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.assertClean()
