"""
Tests of L{muxd.phone.lockdown.lockdownd} and L{muxd.phone.lockdown.values}.
"""

from __future__ import annotations

import plistlib
from struct import pack
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.plists import LONGEST_MESSAGE
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.lockdownd import LOCKDOWN_PORT
from muxd.phone.mux.flow import SEND_BUFFER
from tests.phone.mux.host import ManualHost
from tests.phone.services.hosts import messagesIn
from tests.running.properties import examples

UDID = "00008110-000A1B2C3D4E5F60"


def frame(data: bytes) -> bytes:
    """
    A message on the wire.
    """
    return pack(">I", len(data)) + data


class LockdowndTests(SynchronousTestCase):
    """
    Tests of L{Lockdownd}, by way of a session.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        phone = Phone(Clock(), udid=UDID, name="Anna's iPhone")
        self.host = ManualHost(phone.services).handshake()
        self.session = self.host.connect(LOCKDOWN_PORT)

    def ask(self, **request: Any) -> dict[str, Any]:
        """
        Send a request and return the answer.
        """
        self.session.send(payload=frame(plistlib.dumps(request)))
        (answer,) = messagesIn(self.session.poll())
        assert isinstance(answer, dict)
        return answer

    def test_queryType(self) -> None:
        """
        It says what it is.
        """
        self.assertEqual(
            self.ask(Request="QueryType", Label="x"),
            {"Request": "QueryType", "Type": "com.apple.mobile.lockdown"},
        )

    def test_getAll(self) -> None:
        """
        Without a key there are all values that may be seen.
        """
        values = self.ask(Request="GetValue")["Value"]
        self.assertEqual(values["DeviceName"], "Anna's iPhone")
        self.assertEqual(values["UniqueDeviceID"], UDID)
        self.assertEqual(values["ProductType"], "iPhone14,5")
        self.assertNotIn("DevicePublicKey", values)

    def test_getOne(self) -> None:
        """
        With a key there is one value; the public key is a key in PEM.
        """
        answer = self.ask(Request="GetValue", Key="DeviceName")
        self.assertEqual(
            answer, {"Request": "GetValue", "Key": "DeviceName", "Value": "Anna's iPhone"}
        )
        key = self.ask(Request="GetValue", Key="DevicePublicKey")["Value"]
        self.assertTrue(key.startswith(b"-----BEGIN RSA PUBLIC KEY-----\n"))
        self.assertTrue(key.endswith(b"-----END RSA PUBLIC KEY-----\n"))

    def test_getDomain(self) -> None:
        """
        Other domains have values of their own, or none.
        """
        domain = "com.apple.mobile.battery"
        answer = self.ask(Request="GetValue", Domain=domain, Key="BatteryCurrentCapacity")
        self.assertEqual((answer["Domain"], answer["Value"]), (domain, 80))
        self.assertIn("BatteryIsCharging", self.ask(Request="GetValue", Domain=domain)["Value"])
        for request in ({"Domain": "no.such"}, {"Key": "NoSuch"}, {"Domain": 5}, {"Key": [1]}):
            answer = self.ask(Request="GetValue", **request)
            self.assertEqual(answer["Error"], "MissingValue")

    def test_unsayable(self) -> None:
        """
        A request in binary may hold what XML cannot say, and then there is no
        answer to repeat it in.
        """
        requests: list[dict[str, Any]] = [
            {"Request": "\x1b[2J"},
            {"Request": "GetValue", "Key": "\x1b[2J"},
            {"Request": "GetValue", "Domain": plistlib.UID(1)},
            {"Request": "SetValue", "Key": "UntrustedHostBUID", "Value": [plistlib.UID(1)]},
        ]
        for request in requests:
            data = plistlib.dumps(request, fmt=plistlib.FMT_BINARY)
            self.session.send(payload=frame(data))
            self.assertEqual(messagesIn(self.session.poll()), [{"Error": "InvalidRequest"}])
        self.assertEqual(self.ask(Request="QueryType")["Type"], "com.apple.mobile.lockdown")

    def test_setValue(self) -> None:
        """
        A host that is not paired may name itself and nothing else.
        """
        answer = self.ask(Request="SetValue", Key="UntrustedHostBUID", Value="B")
        self.assertNotIn("Error", answer)
        answer = self.ask(Request="SetValue", Key="DeviceName", Value="mine")
        self.assertEqual(answer["Error"], "SetProhibited")
        answer = self.ask(Request="GetValue", Key="DeviceName")
        self.assertEqual(answer["Value"], "Anna's iPhone")

    def test_refusals(self) -> None:
        """
        What needs a pairing is refused with the phone's own words.
        """
        for request, error in (
            ("StartSession", "InvalidHostID"),
            ("StopSession", "SessionInactive"),
            ("Pair", "InvalidPairRecord"),
            ("ValidatePair", "InvalidHostID"),
            ("Unpair", "InvalidHostID"),
            ("StartService", "InvalidService"),
            ("EnterRecovery", "SessionInactive"),
            ("RemoveValue", "RemoveProhibited"),
            ("Dance", "InvalidRequest"),
        ):
            self.assertEqual(self.ask(Request=request), {"Request": request, "Error": error})
        for nonsense in (7, [1], {"a": 1}):
            self.assertEqual(self.ask(Request=nonsense), {"Error": "InvalidRequest"})
        self.assertEqual(self.ask(), {"Error": "InvalidRequest"})

    def test_goodbye(self) -> None:
        """
        It answers a farewell and closes.
        """
        self.assertEqual(self.ask(Request="Goodbye")["Result"], "Success")
        self.session.end()
        self.assertIsNot(self.session.reset, None)

    def test_pieces(self) -> None:
        """
        A request may come in pieces, and several in one.
        """
        data = frame(plistlib.dumps({"Request": "QueryType"}))
        for byte in data:
            self.session.send(payload=bytes((byte,)))
        self.session.send(payload=data * 3)
        self.assertEqual(len(messagesIn(self.session.poll())), 4)

    def test_tooLong(self) -> None:
        """
        A length that no message has closes the connection.
        """
        self.session.send(payload=pack(">I", LONGEST_MESSAGE + 1))
        self.session.end()
        self.assertIsNot(self.session.reset, None)
        self.assertEqual(self.host.muxer.sessions, {})

    def test_garbage(self) -> None:
        """
        What is no property list, or no dictionary, closes the connection; what
        comes behind it is not looked at.
        """
        good = frame(plistlib.dumps({"Request": "QueryType"}))
        for data in (b"", b"hello", b"<plist>", b"bplist00", plistlib.dumps([1])):
            self.setUp()
            self.session.send(payload=frame(data) + good)
            self.assertEqual(self.session.end(), b"")
            self.assertIsNot(self.session.reset, None)

    @settings(deadline=None, max_examples=examples(50))
    @given(st.binary(max_size=200))
    def test_noise(self, data: bytes) -> None:
        """
        No bytes make it fail.
        """
        self.setUp()
        self.session.send(payload=data or b"\0")
        self.session.poll()
        self.assertEqual(self.host.violations, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_hostDoesNotRead(self) -> None:
        """
        A host that asks and does not read the answers is not listened to after
        a while.
        """
        data = frame(plistlib.dumps({"Request": "GetValue"}))
        count = 0
        phone = self.host.muxer.sessions[1, LOCKDOWN_PORT]
        while phone._inflow.room >= len(data) and count < 10000:
            # The host's counters go on, but nothing is acknowledged.
            self.session.send(payload=data)
            self.host.packets()
            count += 1
        self.assertLess(count, 10000)
        self.assertLess(len(phone._outflow), SEND_BUFFER + 8192)
        self.assertEqual(self.host.violations, [])
