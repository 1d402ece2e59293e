# -*- test-case-name: tests.server.test_lookup -*-
"""
Tests for L{muxd.server.lookup}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectingCancelledError, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.address import DeviceAddress
from muxd.interfaces import IDeviceListener
from muxd.server.lookup import DeviceLookup, NoSuchDevice, PhoneEndpoint
from muxd.server.registry import DeviceRegistry
from tests.shelf import Device

UDID = "00008110-000A1B2C3D4E5F60"
OTHER = "b" * 40


class LookupCase(SynchronousTestCase):
    """
    A registry without a phone.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.registry = DeviceRegistry()
        self.lookup = DeviceLookup(self.registry)
        self.clock = Clock()
        self.device = Device(UDID)
        self.other = Device(OTHER)

    def attach(self, *devices: Device) -> None:
        """
        Plug phones in.
        """
        for device in devices:
            self.registry.deviceAttached(device)


class WhenAttachedTests(LookupCase):
    """
    Tests for L{DeviceLookup.whenAttached}.
    """

    def test_interface(self) -> None:
        """
        A lookup listens to the registry.
        """
        verifyObject(IDeviceListener, self.lookup)

    def test_there(self) -> None:
        """
        A phone that is there is given at once.
        """
        self.attach(self.device, self.other)
        self.assertIs(self.device, self.successResultOf(self.lookup.whenAttached(None)))
        self.assertIs(self.other, self.successResultOf(self.lookup.whenAttached(OTHER.upper())))

    def test_comes(self) -> None:
        """
        One that is not is given when it comes: any, or the one that is meant.
        """
        plain = UDID.replace("-", "").lower()
        first, meant = self.lookup.whenAttached(None), self.lookup.whenAttached(plain)
        self.assertNoResult(first)
        self.attach(self.other)
        self.assertIs(self.other, self.successResultOf(first))
        self.assertNoResult(meant)
        self.attach(self.device)
        self.assertIs(self.device, self.successResultOf(meant))

    def test_visible(self) -> None:
        """
        One that clients do not see yet is waited for.
        """
        self.registry.attach(self.device, visible=False)
        waiting = [self.lookup.whenAttached(None), self.lookup.whenAttached(UDID)]
        for each in waiting:
            self.assertNoResult(each)
        self.registry.show(self.device)
        for each in waiting:
            self.assertIs(self.device, self.successResultOf(each))

    def test_again(self) -> None:
        """
        Waiting anew from within gives the phone that is there.
        """
        seen: list[object] = []
        waiting = self.lookup.whenAttached(None)
        waiting.addCallback(lambda _: self.lookup.whenAttached(None)).addCallback(seen.append)
        self.attach(self.device)
        self.assertEqual([self.device], seen)

    def test_cancel(self) -> None:
        """
        Waiting can be cancelled.
        """
        waiting = self.lookup.whenAttached(None)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.attach(self.device)
        self.lookup.stop()

    def test_cancelledByAnother(self) -> None:
        """
        What one of several does when the phone comes may end another, or all.
        """
        first, second = self.lookup.whenAttached(None), self.lookup.whenAttached(None)
        first.addCallback(lambda _: second.cancel())
        self.attach(self.device)
        self.failureResultOf(second, CancelledError)
        third, fourth = self.lookup.whenAttached(OTHER), self.lookup.whenAttached(OTHER)
        third.addCallback(lambda _: self.lookup.stop())
        self.attach(self.other)
        self.successResultOf(third)
        self.failureResultOf(fourth, NoSuchDevice)

    def test_stop(self) -> None:
        """
        When no phone can come any more, that is said.
        """
        waiting = self.lookup.whenAttached(UDID)
        self.lookup.stop()
        error = self.failureResultOf(waiting, NoSuchDevice)
        self.assertIn("the service was stopped", error.getErrorMessage())


class PhoneEndpointTests(LookupCase):
    """
    Tests for L{PhoneEndpoint}: what waiting adds to it.
    """

    def connect(self, udid: str | None = None, wait: float | None = 5.0) -> Deferred[Protocol]:
        """
        Connect to port 22.
        """
        endpoint = PhoneEndpoint(self.clock, self.lookup, 22, udid, wait)
        verifyObject(IStreamClientEndpoint, endpoint)
        connecting: Deferred[Protocol] = connectProtocol(endpoint, Protocol())
        return connecting

    def test_comes(self) -> None:
        """
        A phone that comes in time is connected to.
        """
        connecting = self.connect(UDID)
        self.attach(self.other)
        self.clock.advance(4.9)
        self.assertNoResult(connecting)
        self.attach(self.device)
        self.successResultOf(connecting)
        self.assertEqual([22], self.device.attempts)
        self.assertEqual([], self.other.attempts)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_tooLate(self) -> None:
        """
        If it does not come, the error says which phone, and how long it was waited
        for; it is a time-out as well.
        """
        connecting = self.connect(UDID)
        self.clock.advance(5)
        error = self.failureResultOf(connecting, NoSuchDevice).value
        self.assertIsInstance(error, TimeoutError)
        self.assertEqual(f"no phone {UDID} is attached (attached: none), waited 5 s", str(error))
        self.attach(self.device)
        self.assertEqual([], self.device.attempts)

    def test_withoutWaiting(self) -> None:
        """
        Without C{wait} it fails at once, with no time-out.
        """
        error = self.failureResultOf(self.connect(wait=None), NoSuchDevice).value
        self.assertNotIsInstance(error, TimeoutError)

    def test_ambiguous(self) -> None:
        """
        What cannot get better by waiting fails at once.
        """
        self.attach(self.device, self.other)
        self.failureResultOf(self.connect(), NoSuchDevice)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_cancel(self) -> None:
        """
        Cancelling while a phone is waited for is as with every endpoint.
        """
        for udid, shown in ((None, "any"), (UDID, UDID)):
            connecting = self.connect(udid)
            connecting.cancel()
            error = self.failureResultOf(connecting, ConnectingCancelledError).value
            self.assertEqual(error.address, DeviceAddress(shown, 22))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop(self) -> None:
        """
        A service that is stopped ends it.
        """
        connecting = self.connect()
        self.lookup.stop()
        self.failureResultOf(connecting, NoSuchDevice)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_farm(self) -> None:
        """
        Of very many phones five are named.
        """
        self.attach(*(Device(f"{number:040}") for number in range(60, 0, -1)))
        named = ", ".join(f"{number:040}" for number in range(1, 6))
        error = self.failureResultOf(self.connect(), NoSuchDevice).value
        self.assertEqual(f"60 phones are attached, choose by UDID: {named} and 55 more", str(error))
