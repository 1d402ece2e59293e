# -*- test-case-name: tests.muxctl.test_details -*-
"""
Tests for L{muxd.muxctl.details}: C{muxctl list -l}.
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Mapping
from struct import pack, unpack
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.messages import plistMessage, swapPort
from tests.client.fakedaemon import OTHER, UDID, Peer, StandingDaemon, deviceEntry, listOf
from tests.muxctl.console import Outcome, muxctl
from tests.wire.results import resultMessage

THIRD = "00008030-0000000000000003"
RECORD = plistlib.dumps({"HostID": "H", "SystemBUID": "B", "HostPrivateKey": b"SECRET"})
VALUES = {"DeviceName": "Ann\u2028", "ProductType": "iPhone14,5", "ProductVersion": "15.4.1"}
HEADING = "UDID                       CONNECTION  NAME  MODEL       IOS     TRUST"


class ListLongTests(SynchronousTestCase):
    """
    C{muxctl list -l}, of a daemon with phones.
    """

    def setUp(self) -> None:
        """
        Have a phone with a record.
        """
        self.records: dict[str, bytes | int] = {UDID: RECORD}
        self.phones = [deviceEntry()]
        self.answers: dict[str, Mapping[str, Any] | bytes] = {
            "GetValue": {"Value": VALUES},
            "StartSession": {"SessionID": "S"},
        }
        self.asked: list[Mapping[str, Any]] = []

    def list(self, *words: str) -> Outcome:
        """
        List them.
        """
        return muxctl("list", "-l", *words, address=StandingDaemon(self, self.serve).address)

    def serve(self, peer: Peer) -> None:
        """
        Be the daemon.
        """
        request = peer.request()
        match request["MessageType"]:
            case "ListDevices":
                peer.send(plistMessage(listOf(*self.phones), 1))
            case "ReadPairRecord":
                record = self.records.get(request["PairRecordID"], 2)
                if isinstance(record, bytes):
                    peer.send(plistMessage({"PairRecordData": record}, 1))
                else:
                    peer.send(resultMessage(1, 1, record))
            case "Connect":
                assert swapPort(request["PortNumber"]) == 62078
                peer.send(resultMessage(1, 1, 0 if request["DeviceID"] == 1 else 3))
                self.beLockdown(peer)

    def beLockdown(self, peer: Peer) -> None:
        """
        Be the phone, until it is left.
        """
        while header := peer.socket.recv(4):
            values = plistlib.loads(peer.take(unpack(">I", header)[0]))
            self.asked.append(values)
            answer = self.answers[values["Request"]]
            data = answer if isinstance(answer, bytes) else plistlib.dumps(dict(answer))
            if isinstance(answer, bytes):
                peer.socket.sendall(data)
                return
            peer.socket.sendall(pack(">I", len(data)) + data)

    def test_table(self) -> None:
        """
        Each phone is asked for its name, its model and its version, and whether it
        knows this host; the private keys are not told to it.
        """
        outcome = self.list()
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertEqual(
            outcome.out.splitlines(),
            [HEADING, f"{UDID}  USB         Ann?  iPhone14,5  15.4.1  yes"],
        )
        self.assertEqual(
            [
                {"Request": "GetValue"},
                {"Request": "StartSession", "HostID": "H", "SystemBUID": "B"},
            ],
            [{k: v for k, v in asked.items() if k != "Label"} for asked in self.asked],
        )

    def test_json(self) -> None:
        """
        Programs get it with all the rest.
        """
        (line,) = self.list("--json").out.splitlines()
        values = json.loads(line)
        self.assertEqual(
            ("Ann\u2028", "yes", 1), tuple(map(values.get, ("name", "trust", "deviceID")))
        )
        self.assertEqual("iPhone14,5", values["model"])
        self.assertEqual("15.4.1", values["version"])

    def test_trust(self) -> None:
        """
        Without a record, or with one that the phone does not know, it does not trust
        us; one that was not unlocked since it was started cannot say.
        """
        for answer, trust in (
            ({"Error": "InvalidHostID"}, "no"),
            ({"Error": "PasswordProtected"}, "locked"),
            ({"Error": "SomethingElse"}, "-"),
            ({}, "-"),
        ):
            self.answers["StartSession"] = answer
            self.assertEqual(trust, self.list().out.split()[-1])
        self.records.clear()
        self.asked.clear()
        self.assertEqual("no", self.list().out.split()[-1])
        self.assertEqual(["GetValue"], [asked["Request"] for asked in self.asked])
        self.records[UDID] = 13
        self.assertEqual("-", self.list().out.split()[-1])

    def test_mutePhones(self) -> None:
        """
        Phones that refuse the connection, say nothing, or what makes no sense, are in
        the list, and do not keep the others out of it.
        """
        self.phones = [deviceEntry(), deviceEntry(2, OTHER), deviceEntry(3, THIRD)]
        lines = self.list().out.splitlines()
        self.assertEqual(4, len(lines))
        self.assertEqual(["USB", "-", "-", "-", "no"], lines[2].split()[1:])
        self.phones = [deviceEntry()]
        for nonsense in (
            b"\xff\xff\xff\xff",
            b"\0\0\0\4abcd",
            b"\0\0\1\0x",
            pack(">I", 200) + plistlib.dumps([]).ljust(200),
            {"Value": "x"},
            {"Value": {"DeviceName": 7}},
        ):
            self.answers["GetValue"] = nonsense
            outcome = self.list()
            self.assertEqual((outcome.status, outcome.err), (0, ""), nonsense)
            self.assertIn(f"{UDID}  USB         -     -", outcome.out)
