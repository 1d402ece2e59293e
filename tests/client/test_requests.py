# -*- test-case-name: tests.client.test_requests -*-
"""
Tests for L{muxd.client.requests}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.requests import (
    Dialect,
    Request,
    commandRequest,
    connectRequest,
    listenRequest,
    programName,
    recordRequest,
)
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
            listenRequest().encode(Dialect.BINARY, 1, "tests").hex(),
        )
        self.assertEqual(
            "180000000000000002000000020000000100000000160000",
            connectRequest(1, 22).encode(Dialect.BINARY, 2, "tests").hex(),
        )

    def test_plist(self) -> None:
        """
        As a property list, the port is swapped and we say who asks.
        """
        reader = MessageReader(4096)
        reader.feed(connectRequest(7, 62078).encode(Dialect.PLIST, 3, "tests"))
        message = reader.next()
        assert message is not None
        self.assertEqual((1, 8, 3), (message.version, message.type, message.tag))
        values = parsePlist(message.body)
        self.assertEqual(
            ("Connect", 7, 32498), tuple(map(values.get, ("MessageType", "DeviceID", "PortNumber")))
        )
        self.assertEqual(("tests", 3), (values["ProgName"], values["kLibUSBMuxVersion"]))

    def test_repeated(self) -> None:
        """
        The same request is the same but for its tag, and another one is another: also one
        whose number Python takes for the same as a truth value, and one of another program.
        """

        def said(request: Request, program: str = "tests") -> dict[str, Any]:
            return parsePlist(request.encode(Dialect.PLIST, 5, program)[16:])

        for device in (1, 2, 1):
            self.assertEqual(said(connectRequest(device, 22))["DeviceID"], device)
        self.assertIs(said(commandRequest("Odd", value=True))["value"], True)
        self.assertIs(type(said(commandRequest("Odd", value=1))["value"]), int)
        self.assertEqual(said(commandRequest("Odd"), "other")["ProgName"], "other")
        record = recordRequest("SavePairRecord", "udid", PairRecordData=b"secret")
        self.assertEqual(said(record)["PairRecordData"], b"secret")

    def test_noBinaryForm(self) -> None:
        """
        What cannot be said in binary is always a property list.
        """
        request = commandRequest("ReadBUID")
        self.assertEqual(
            request.encode(Dialect.PLIST, 1, "tests"), request.encode(Dialect.BINARY, 1, "tests")
        )

    def test_programName(self) -> None:
        """
        We are called what the program is, or its package, if that can be said in
        XML.
        """
        for path, name in (
            ("/usr/bin/muxctl", "muxctl"),
            ("/lib/muxd/muxctl/__main__.py", "muxctl"),
            ("", "python"),
            ("/bin/\x01", "python"),
            ("/bin/\udc80", "python"),
        ):
            self.assertEqual(name, programName(path))

    def test_other(self) -> None:
        """
        There are two dialects.
        """
        self.assertEqual([Dialect.BINARY, Dialect.PLIST], [each.other for each in Dialect])
