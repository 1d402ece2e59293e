# -*- test-case-name: tests.integration.test_oldclients -*-
"""
Clients that are older than the property lists of the protocol, and those that
have to find out (protocol 4.3, 4.13).
"""

from __future__ import annotations

import os
import plistlib
import struct
import uuid

from tests.integration.conversation import Conversation
from tests.integration.daemon import DaemonTestCase
from tests.integration.test_tools import ECHO, FIRST, NOBODY

LISTEN = bytes.fromhex("10000000 00000000 03000000 01000000")
LISTENING = bytes.fromhex("14000000 00000000 01000000 01000000 00000000")
ATTACHED = struct.Struct("<IIIIIH256sHI")
CONNECTED = bytes.fromhex("14000000 00000000 01000000 02000000 00000000")
REFUSED = bytes.fromhex("14000000 00000000 01000000 02000000 03000000")


def connect(deviceID: int, port: int) -> bytes:
    """
    Connect, with tag 2: the port is the only number in network order.
    """
    return (
        bytes.fromhex("18000000 00000000 02000000 02000000")
        + deviceID.to_bytes(4, "little")
        + port.to_bytes(2, "big")
        + bytes(2)
    )


class BinaryTests(DaemonTestCase):
    """
    A client of version 0.
    """

    def listen(self, stream: Conversation) -> dict[str, int]:
        """
        Listen until both phones have been told of.

        @return: their device ids, by serial number.
        """
        stream.socket.sendall(LISTEN)
        self.assertEqual(stream.exactly(len(LISTENING)), LISTENING)
        devices: dict[str, int] = {}
        for _ in range(2):
            length, version, message, tag, deviceID, product, serial, padding, location = (
                ATTACHED.unpack(stream.exactly(ATTACHED.size))
            )
            self.assertEqual((length, version, message, tag, padding), (284, 0, 4, 0, 0))
            self.assertTrue(0x1290 <= product <= 0x12AF and location)
            devices[serial.rstrip(b"\0").decode()] = deviceID
        return devices

    def test_wholeLife(self) -> None:
        """
        It lists the phones, is refused a port, connects to another one on the
        same socket, and has its bytes echoed.
        """
        daemon = self.startDaemon(phones=2)
        with daemon.conversation() as listening, daemon.conversation() as stream:
            deviceID = self.listen(listening)[FIRST]
            stream.socket.sendall(connect(deviceID, NOBODY))
            self.assertEqual(stream.exactly(len(REFUSED)), REFUSED)
            stream.socket.sendall(connect(deviceID, ECHO))
            self.assertEqual(stream.exactly(len(CONNECTED)), CONNECTED)
            data = os.urandom(100_000)
            stream.socket.sendall(data)
            self.assertEqual(stream.exactly(len(data)), data)

    def test_detached(self) -> None:
        """
        It is told of phones that go, in binary, and then the daemon hangs up.
        """
        daemon = self.startDaemon(phones=2)
        with daemon.conversation() as listening:
            devices = self.listen(listening)
            self.stop(daemon)
            left = [struct.unpack("<5I", listening.exactly(20)) for _ in devices]
            self.assertEqual(
                sorted(left), [(20, 0, 5, 0, deviceID) for deviceID in sorted(devices.values())]
            )
            self.assertEqual(listening.untilClosed(), b"")


class ProbeTests(DaemonTestCase):
    """
    A client that asks on a socket of its own which version the daemon speaks,
    and then uses it.
    """

    def test_probe(self) -> None:
        """
        The reply to ReadBUID is a property list, on this socket; a fresh one
        still takes binary messages.
        """
        daemon = self.startDaemon()
        with daemon.conversation() as probe:
            first = probe.ask("ReadBUID")["BUID"]
            self.assertEqual(str(uuid.UUID(first)).upper(), first)
        with daemon.conversation() as again:
            self.assertEqual(again.ask("ReadBUID"), {"BUID": first})
        with daemon.conversation() as binary:
            binary.socket.sendall(LISTEN)
            self.assertEqual(binary.exactly(len(LISTENING)), LISTENING)


class RecordTests(DaemonTestCase):
    """
    Pair records, and the tools that keep them.
    """

    def setUp(self) -> None:
        """
        Start the daemon.
        """
        self.daemon = self.startDaemon("--no-preflight")

    def test_life(self) -> None:
        """
        A record is saved, listed, read, and deleted; each listener is told of
        the pairing.
        """
        record = plistlib.dumps({"HostID": "a host", "SystemBUID": "a system"})
        deviceID = self.daemon.devices()[FIRST]
        with self.daemon.conversation() as listening, self.daemon.conversation() as client:
            listening.ask("Listen", kLibUSBMuxVersion=3)
            self.assertEqual(listening.receive()["MessageType"], "Attached")
            saved = client.ask(
                "SavePairRecord", PairRecordID=FIRST, PairRecordData=record, DeviceID=deviceID
            )
            self.assertEqual(saved["Number"], 0)
            self.assertEqual(listening.receive(), {"MessageType": "Paired", "DeviceID": deviceID})
            read = client.ask("ReadPairRecord", PairRecordID=FIRST)["PairRecordData"]
            self.assertEqual(plistlib.loads(read), plistlib.loads(record))
            self.assertEqual(client.ask("DeletePairRecord", PairRecordID=FIRST)["Number"], 0)
            self.assertEqual(client.ask("ReadPairRecord", PairRecordID=FIRST)["Number"], 2)

    def test_tools(self) -> None:
        """
        C{idevicepair} shows the host's identity and that of its record.
        """
        with self.daemon.conversation() as client:
            identity = client.ask("ReadBUID")["BUID"]
            client.ask(
                "SavePairRecord",
                PairRecordID=FIRST,
                PairRecordData=plistlib.dumps({"HostID": "a host"}),
            )
        self.assertEqual(self.output(self.daemon, "idevicepair", "systembuid"), f"{identity}\n")
        hostID = self.output(self.daemon, "idevicepair", "-u", FIRST, "hostid")
        self.assertEqual(hostID, "a host\n")
        # It reads the system's own directory, so what it lists is not known here.
        self.output(self.daemon, "idevicepair", "list")
