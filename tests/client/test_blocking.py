"""
Tests for L{muxd.client.blocking}.
"""

from __future__ import annotations

import os
import plistlib
import socket
import subprocess
import sys
from http.client import HTTPConnection

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import blocking
from muxd.client.address import UnixAddress
from muxd.client.blocking import ListenerRecord
from muxd.client.selection import Network
from muxd.client.socketerrors import (
    DaemonNonsense,
    NoDaemon,
    NoPairRecord,
    NoPhone,
    PairRecordError,
    PhoneGone,
    SeveralPhones,
)
from muxd.wire.messages import MessageType
from tests.client.fakedaemon import (
    OTHER,
    PATIENCE,
    UDID,
    FakeDaemon,
    Peer,
    answering,
    connecting,
    deviceEntry,
    listOf,
    result,
    untilClosed,
)
from tests.running.processes import startsProcesses

NOWHERE = UnixAddress("/nonexistent/usbmuxd")

LISTED = answering(listOf(deviceEntry()))
NOBODY = answering(listOf())


class LightTests(SynchronousTestCase):
    """
    What it costs to import.
    """

    @startsProcesses
    def test_noTwisted(self) -> None:
        """
        Neither the blocking client nor muxctl imports Twisted or pyusb.
        """
        program = (
            "import sys, muxd.client.blocking, muxd.muxctl.commandline;"
            "print([m for m in sys.modules if m.split('.')[0] in ('twisted', 'zope', 'usb')])"
        )
        environ = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            env=environ,
            timeout=PATIENCE,
            check=True,
        )
        self.assertEqual(done.stdout.strip(), b"[]")

    def test_names(self) -> None:
        """
        Everything that is promised is there.
        """
        for name in blocking.__all__:
            self.assertTrue(hasattr(blocking, name), name)


class AddressTests(SynchronousTestCase):
    """
    Where the daemon is looked for.
    """

    def setUp(self) -> None:
        """
        Start a daemon that has a BUID.
        """
        self.fake = FakeDaemon(self, answering({"BUID": "x"}))

    def test_value(self) -> None:
        """
        The address can be a value.
        """
        self.assertEqual(blocking.buid(address=self.fake.address), "x")

    def test_text(self) -> None:
        """
        It can be text.
        """
        self.assertEqual(blocking.buid(address=f"UNIX:{self.fake.address.path}"), "x")

    def test_environment(self) -> None:
        """
        Without it the environment says where.
        """
        self.patch(os, "environ", {"USBMUXD_SOCKET_ADDRESS": self.fake.address.path})
        self.assertEqual(blocking.buid(), "x")


class ProgramNameTests(SynchronousTestCase):
    """
    What the daemon is told of who asks.
    """

    def test_names(self) -> None:
        """
        It is the program's name, or its package's, if that can be said.
        """
        for path, name in (
            ("/usr/bin/muxctl", "muxctl"),
            ("/lib/muxd/muxctl/__main__.py", "muxctl"),
            ("", "python"),
            ("/bin/\x01", "python"),
            ("/bin/\udc80", "python"),
        ):
            requests: list[dict[str, object]] = []
            self.patch(sys, "argv", [path])
            fake = FakeDaemon(self, answering({"BUID": "x"}, requests))
            blocking.buid(PATIENCE, address=fake.address)
            self.assertEqual(requests[0]["ProgName"], name)


class CommandTests(SynchronousTestCase):
    """
    What is asked and answered at once.
    """

    def test_devices(self) -> None:
        """
        All phones are listed.
        """
        entries = listOf(deviceEntry(), deviceEntry(2, OTHER, ConnectionType="Network"))
        fake = FakeDaemon(self, answering(entries))
        found = blocking.devices(PATIENCE, address=fake.address)
        self.assertEqual(
            [(device.udid, device.connectionType) for device in found],
            [(UDID, "USB"), (OTHER, "Network")],
        )

    def test_noDaemon(self) -> None:
        """
        Without a daemon the error says where we looked.
        """
        error = self.assertRaises(NoDaemon, blocking.devices, address=NOWHERE)
        self.assertIn("no usbmuxd at /nonexistent/usbmuxd", str(error))
        self.assertIsInstance(error, ConnectionError)

    def test_listeners(self) -> None:
        """
        Listeners are listed, the odd ones too.
        """
        full = {"ID String": "3-x", "ProgName": "x", "BundleID": "b", "kLibUSBMuxVersion": 3}
        odd = {"ID String": "4-y", "ProgName": "y", "kLibUSBMuxVersion": "?"}
        fake = FakeDaemon(self, answering({"ListenerList": [full, "nonsense", odd]}))
        self.assertEqual(
            blocking.listeners(PATIENCE, address=fake.address),
            [
                ListenerRecord(listenerID="3-x", program="x", bundleID="b", version=3),
                ListenerRecord(listenerID="4-y", program="y"),
            ],
        )

    def test_missingKeys(self) -> None:
        """
        Answers without what was asked for are the daemon's fault.
        """
        address = FakeDaemon(self, *[answering({"X": 1})] * 3).address
        self.assertRaises(DaemonNonsense, blocking.listeners, PATIENCE, address=address)
        self.assertRaises(DaemonNonsense, blocking.buid, PATIENCE, address=address)
        self.assertRaises(DaemonNonsense, blocking.readPairRecord, UDID, PATIENCE, address=address)


class PairRecordTests(SynchronousTestCase):
    """
    Pair records.
    """

    def test_read(self) -> None:
        """
        A record is read as it is stored.
        """
        requests: list[dict[str, object]] = []
        fake = FakeDaemon(self, answering({"PairRecordData": b"bplist..."}, requests))
        data = blocking.readPairRecord(UDID, PATIENCE, address=fake.address)
        self.assertEqual(data, b"bplist...")
        self.assertEqual(requests[0]["PairRecordID"], UDID)

    def test_missing(self) -> None:
        """
        Result 2 is a missing record here (protocol 9, edge 49).
        """
        address = FakeDaemon(self, result(2), result(2)).address
        error = self.assertRaises(
            NoPairRecord, blocking.readPairRecord, UDID, PATIENCE, address=address
        )
        self.assertIsInstance(error, FileNotFoundError)
        self.assertIn(f"ReadPairRecord of {UDID}", str(error))
        self.assertIn("it has no such pair record", str(error))
        self.assertRaises(NoPairRecord, blocking.deletePairRecord, UDID, PATIENCE, address=address)

    def test_save(self) -> None:
        """
        A record is saved from a dictionary or as it is, with the phone's number
        if that is given.
        """
        requests: list[dict[str, object]] = []
        ok = answering({"MessageType": "Result", "Number": 0}, requests)
        address = FakeDaemon(self, ok, ok).address
        blocking.savePairRecord(UDID, {"HostID": "x"}, PATIENCE, address=address)
        blocking.savePairRecord(UDID, b"raw", PATIENCE, deviceID=4, address=address)
        data = requests[0]["PairRecordData"]
        assert isinstance(data, bytes)
        self.assertEqual(plistlib.loads(data), {"HostID": "x"})
        self.assertNotIn("DeviceID", requests[0])
        self.assertEqual((requests[1]["PairRecordData"], requests[1]["DeviceID"]), (b"raw", 4))

    def test_refused(self) -> None:
        """
        What else the daemon says of a record is told with its number.
        """
        address = FakeDaemon(self, result(22), result(13)).address
        error = self.assertRaises(
            PairRecordError, blocking.deletePairRecord, "../x", PATIENCE, address=address
        )
        self.assertIn("DeletePairRecord of ../x", str(error))
        self.assertIn("Result 22 (EINVAL)", str(error))
        error = self.assertRaises(
            PairRecordError, blocking.deletePairRecord, UDID, PATIENCE, address=address
        )
        self.assertEqual(error.result, 13)


class ConnectTests(SynchronousTestCase):
    """
    L{blocking.connect}.
    """

    def test_gluedBytes(self) -> None:
        """
        What the phone says in the same segment as the Result is not lost
        (protocol 9, edge 78).
        """
        fake = FakeDaemon(self, LISTED, connecting(untilClosed, glued=b"SSH-2.0"))
        with blocking.connect(22, address=fake.address) as phone:
            self.assertEqual(phone.recv(100), b"SSH-2.0")

    def test_anOrdinarySocket(self) -> None:
        """
        The socket blocks, has no time-out, and closes in halves.
        """

        def echo(peer: Peer) -> None:
            peer.socket.sendall(peer.rest().upper())

        fake = FakeDaemon(self, LISTED, connecting(echo))
        with blocking.connect(7, UDID.lower(), timeout=PATIENCE, address=fake.address) as phone:
            self.assertIsInstance(phone, socket.socket)
            self.assertIsNone(phone.gettimeout())
            phone.sendall(b"hello")
            phone.shutdown(socket.SHUT_WR)
            self.assertEqual(phone.makefile("rb").read(), b"HELLO")

    def test_http(self) -> None:
        """
        http.client works over it.
        """

        def serve(peer: Peer) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += peer.take(1)
            peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        fake = FakeDaemon(self, LISTED, connecting(serve))
        http = HTTPConnection("phone")
        http.sock = blocking.connect(80, address=fake.address)
        self.addCleanup(http.close)
        http.request("GET", "/")
        self.assertEqual(http.getresponse().read(), b"hi")

    def test_choices(self) -> None:
        """
        Which phone, and which way to it, is asked for.
        """
        requests: list[dict[str, object]] = []
        wireless = deviceEntry(2, UDID, ConnectionType="Network")
        ok = answering({"MessageType": "Result", "Number": 0}, requests)
        both = answering(listOf(deviceEntry(), wireless, deviceEntry(3, OTHER)))
        address = FakeDaemon(self, both, ok, both, ok, both).address
        blocking.connect(7, UDID, address=address).close()
        blocking.connect(7, UDID, network=Network.PREFER, address=address).close()
        self.assertEqual([request["DeviceID"] for request in requests], [1, 2])
        self.assertRaises(SeveralPhones, blocking.connect, 7, address=address)

    def test_noPhone(self) -> None:
        """
        Without C{wait} a phone that is not there is an error at once.
        """
        fake = FakeDaemon(self, NOBODY)
        self.assertRaises(NoPhone, blocking.connect, 7, address=fake.address)
        self.assertRaises(NoDaemon, blocking.connect, 7, address=NOWHERE)

    def test_badPort(self) -> None:
        """
        A port that is none is refused before anything is done.
        """
        for port in (0, -1, 65536):
            self.assertRaises(ValueError, blocking.connect, port, address=NOWHERE)

    def test_diesWhileConnecting(self) -> None:
        """
        When a daemon closes in the middle, it is the phone that has gone, as with
        the C daemon.
        """

        def dying(peer: Peer) -> None:
            assert peer.read().type == MessageType.PLIST

        fake = FakeDaemon(self, LISTED, dying)
        error = self.assertRaises(PhoneGone, blocking.connect, 7, address=fake.address)
        self.assertIn("closed the connection", str(error))
