# -*- test-case-name: tests.net.test_multicast -*-
"""
Tests of L{muxd.net.multicast} without a network; with one, L{tests.integration.test_discovered}
and L{tests.integration.test_wifi}.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zeroconf import ServiceInfo, ServiceStateChange

from muxd.net import multicast
from muxd.net.multicast import MOST_INSTANCES, Announced, Announcement, MulticastBrowser

SERVICE = "_remote-mobdev._tcp.local."


class InlineReactor:
    """
    A reactor whose threads are one.
    """

    def getThreadPool(self) -> InlineReactor:
        """
        What calls in a thread.
        """
        return self

    def callInThreadWithCallback(self, done: Any, work: Any) -> None:
        """
        Do it now.
        """
        try:
            result = work()
        except Exception as error:
            done(False, Failure(error))
        else:
            done(True, result)

    def callFromThread(self, work: Any, *args: Any) -> None:
        """
        Do it now.
        """
        work(*args)


class FakeZeroconf:
    """
    A C{Zeroconf} without a network.
    """

    def __init__(self, **where: Any) -> None:
        self.where = where
        self.registered: list[ServiceInfo] = []
        self.isClosed = False
        self.problem: Exception | None = None
        self.loop = self
        self.resolved: list[str] = []

    def register_service(self, info: ServiceInfo, allow_name_change: bool) -> None:
        """
        Note it.
        """
        assert allow_name_change
        if self.problem is not None:
            raise self.problem
        self.registered.append(info)

    def call_soon_threadsafe(self, work: Any, zeroconf: Any, info: Any, instance: str) -> None:
        """
        Note what would be asked for.
        """
        self.resolved.append(instance)

    def close(self) -> None:
        """
        Note it.
        """
        self.isClosed = True


class AnnouncementTests(SynchronousTestCase):
    """
    Tests of L{Announcement}.
    """

    def setUp(self) -> None:
        """
        An announcement.
        """
        self.opened: list[FakeZeroconf] = []
        self.problem: Exception | None = None
        self.announcement = Announcement(
            InlineReactor(), SERVICE, "rack1 5000", {"muxd": "mark"}, self.open
        )

    def open(self, **where: Any) -> FakeZeroconf:
        """
        One that is looked at.
        """
        self.opened.append(FakeZeroconf(**where))
        self.opened[-1].problem = self.problem
        return self.opened[-1]

    def test_oneAddress(self) -> None:
        """
        A place at one address is announced there, with its port, and no longer when it ends.
        """
        self.successResultOf(self.announcement.start("192.0.2.1", 5000))
        (zeroconf,) = self.opened
        (info,) = zeroconf.registered
        self.assertEqual(zeroconf.where, {"interfaces": ["192.0.2.1"]})
        self.assertEqual((info.name, info.port), (f"rack1 5000.{SERVICE}", 5000))
        self.assertEqual(info.parsed_addresses(), ["192.0.2.1"])
        self.assertEqual(info.properties, {b"muxd": b"mark"})
        self.successResultOf(self.announcement.stop())
        self.assertTrue(zeroconf.isClosed)

    def test_everywhere(self) -> None:
        """
        One at all addresses is announced at all that others can reach.
        """
        self.patch(multicast, "_ownAddresses", {4: ["192.0.2.1"], 6: ["2001:db8::1"]}.get)
        for address, expected in (("0.0.0.0", "192.0.2.1"), ("::", "2001:db8::1")):
            self.successResultOf(self.announcement.start(address, 5000))
            self.assertEqual(self.opened[-1].where, {})
            self.assertEqual(self.opened[-1].registered[0].parsed_addresses(), [expected])

    def test_addresses(self) -> None:
        """
        Addresses of this machine that others cannot reach are none.
        """
        for version in (4, 6):
            own = multicast._ownAddresses(version)
            self.assertFalse({"127.0.0.1", "::1"} & set(own))
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            for each in own:
                socket.inet_pton(family, each)

    def test_fails(self) -> None:
        """
        What cannot be announced leaves nothing behind.
        """
        self.problem = OSError("no network")
        self.failureResultOf(self.announcement.start("192.0.2.1", 5000), OSError)
        self.assertTrue(self.opened[0].isClosed)
        self.successResultOf(self.announcement.stop())

    def test_stoppedFirst(self) -> None:
        """
        One that was stopped before it began does not stay.
        """
        self.successResultOf(self.announcement.stop())
        self.successResultOf(self.announcement.start("192.0.2.1", 5000))
        self.assertTrue(self.opened[0].isClosed)


class BrowserTests(SynchronousTestCase):
    """
    Tests of L{MulticastBrowser}.
    """

    def setUp(self) -> None:
        """
        A browser.
        """
        self.told: list[Any] = []
        self.zeroconf: Any = FakeZeroconf()
        self.browser = MulticastBrowser(InlineReactor(), SERVICE, self, lambda: self.zeroconf)

    def found(self, announced: Announced) -> None:
        """
        Note it.
        """
        self.told.append(announced)

    def gone(self, instance: str) -> None:
        """
        Note it.
        """
        self.told.append(instance)

    def change(self, name: str, change: ServiceStateChange) -> None:
        """
        An announcement comes or goes.
        """
        self.browser._changed(self.zeroconf, SERVICE, f"{name}.{SERVICE}", change)

    def test_life(self) -> None:
        """
        What it opens it closes.
        """
        looked: list[Any] = []
        self.patch(multicast, "ServiceBrowser", lambda *args, **more: looked.append(args[1]))
        self.successResultOf(self.browser.start())
        self.successResultOf(self.browser.stop())
        self.successResultOf(self.browser.stop())
        self.assertEqual(looked, [SERVICE])
        self.assertTrue(self.zeroconf.isClosed)

    def test_many(self) -> None:
        """
        However many announce themselves, so many are asked where they are; others when these
        have gone.
        """
        for number in range(MOST_INSTANCES + 2):
            self.change(str(number), ServiceStateChange.Added)
        self.assertEqual(len(self.zeroconf.resolved), MOST_INSTANCES)
        self.change("0", ServiceStateChange.Updated)
        self.assertEqual(len(self.zeroconf.resolved), MOST_INSTANCES + 1)
        self.change("0", ServiceStateChange.Removed)
        self.change("late", ServiceStateChange.Added)
        self.assertEqual(self.zeroconf.resolved[-1], "late")
        self.assertEqual(self.told, ["0"])

    def test_addresses(self) -> None:
        """
        An address of the link is used with its scope alone.
        """
        info = ServiceInfo(
            SERVICE,
            f"x.{SERVICE}",
            port=1,
            parsed_addresses=["192.0.2.1", "fe80::1", "2001:db8::1"],
        )
        found: Any = multicast._addresses(info)  # type: ignore[arg-type]
        self.assertEqual(found, ["192.0.2.1", "2001:db8::1"])
