# -*- test-case-name: tests.client.test_requests -*-
"""
Tests for L{muxd.client.requests}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.requests import Dialect, commandRequest, connectRequest, listenRequest
from muxd.wire.messages import MessageReader, parsePlist


class RequestTests(SynchronousTestCase):
    """
    Requests in both dialects.
    """

    def test_binary(self) -> None:
        """
        In binary they are byte for byte what protocol 4.13 has.
        """
        self.assertEqual(
            "10000000000000000300000001000000",
            listenRequest().encode(Dialect.BINARY, 1).hex(),
        )
        self.assertEqual(
            "180000000000000002000000020000000100000000160000",
            connectRequest(1, 22).encode(Dialect.BINARY, 2).hex(),
        )

    def test_plist(self) -> None:
        """
        As a property list, the port is swapped and we say who asks.
        """
        reader = MessageReader(4096)
        reader.feed(connectRequest(7, 62078).encode(Dialect.PLIST, 3))
        message = reader.next()
        assert message is not None
        self.assertEqual((1, 8, 3), (message.version, message.type, message.tag))
        values = parsePlist(message.body)
        self.assertEqual(
            ("Connect", 7, 32498), tuple(map(values.get, ("MessageType", "DeviceID", "PortNumber")))
        )
        self.assertEqual(("muxd", 3), (values["ProgName"], values["kLibUSBMuxVersion"]))

    def test_noBinaryForm(self) -> None:
        """
        What cannot be said in binary is always a property list.
        """
        request = commandRequest("ReadBUID")
        self.assertEqual(request.encode(Dialect.PLIST, 1), request.encode(Dialect.BINARY, 1))

    def test_other(self) -> None:
        """
        There are two dialects.
        """
        self.assertEqual([Dialect.BINARY, Dialect.PLIST], [each.other for each in Dialect])
