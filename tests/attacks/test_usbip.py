"""
Hosts on the network that connect to a simulated phone's USB/IP port and say nothing, or that
take a phone and give it back all day.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address

from muxd.testing import BudgetTransport
from muxd.usbip.requests import DevlistRequest, ImportRequest
from tests.phone.usbip.onusbip import UsbipTestCase


class SilenceTests(UsbipTestCase):
    """
    All connections are taken.
    """

    def silent(self, host: str) -> BudgetTransport:
        """
        A connection of a host that says nothing.
        """
        connection = self.factory.buildProtocol(IPv4Address("TCP", host, 5))
        assert connection is not None
        transport = BudgetTransport(self.clock, None, connection)
        connection.makeConnection(transport)
        return transport

    def test_makesRoom(self) -> None:
        """
        The one that has been silent longest goes, of the host with the most of them; a host
        that has something to ask is served.
        """
        other = self.silent("192.0.2.2")
        silent = [self.silent("192.0.2.1") for _ in range(self.limits.usbipConnections - 1)]
        asking = self.silent("192.0.2.3")
        self.clock.turn()
        self.assertEqual(
            [each.disconnected for each in (other, *silent, asking)],
            [False, True, *[False] * (len(silent) - 1), False],
        )
        asking.deliver(DevlistRequest().encode())
        self.clock.turn()
        self.assertTrue(asking.value())
        self.assertEqual(self.complaints(), ["it said nothing, and others want to"])

    def test_flood(self) -> None:
        """
        Ten thousand silent connections are no more than there may be, cost a few lines of the
        log, and leave no timer each.
        """
        for _ in range(10_000):
            self.silent("192.0.2.1")
            self.clock.turn()
        self.assertEqual(len(self.factory.connections), self.limits.usbipConnections)
        self.assertLessEqual(len(self.complaints()), 5)
        self.assertLessEqual(len(self.clock.getDelayedCalls()), self.limits.usbipConnections + 1)
        self.assertEqual(self.factory.refusals, 10_000 - self.limits.usbipConnections)

    def test_users(self) -> None:
        """
        A host that has a phone is not disconnected for others.
        """
        phone = self.importPhone()
        for _ in range(self.limits.usbipConnections):
            self.silent("192.0.2.1")
        self.clock.turn()
        self.assertFalse(phone.transport.disconnected)

    def test_lines(self) -> None:
        """
        What a host does with a phone all day is a few lines a minute, and the sum.
        """
        for _ in range(500):
            connected = self.connect()
            connected.transport.deliver(ImportRequest("1-1").encode())
            self.clock.turn()
            connected.transport.lose()
            self.clock.turn()
        lines = [event for event in self.log if "{device}" in (event["log_format"] or "")]
        self.assertEqual(len(lines), 10)
        self.clock.advance(60)
        sums = [event["count"] for event in self.log if "count" in event and "kind" in event]
        self.assertEqual(sums, [495, 495])
