"""
Tests of L{muxd.lockdown.pairing}.
"""

from __future__ import annotations

import plistlib
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.errors import LockdownUnavailable
from muxd.lockdown.pairing import proposeRecord, requestTrust
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.phone.lockdown.lockdownd import Lockdownd
from tests.lockdown.phones import BUID, Conversation, recordOf

HOST = UUID(int=10)


class PairingTests(SynchronousTestCase):
    """
    A record, from its proposal to its being complete.
    """

    def setUp(self) -> None:
        """
        Begin to talk.
        """
        self.talk = Conversation()
        self.asked: list[bytes] = []

    async def makeRecord(self, key: bytes, hostID: str, systemBUID: str) -> PairRecord:
        """
        Without making keys.
        """
        self.asked.append(key)
        if key != PUBLIC_KEY:
            raise ValueError("no key")
        return recordOf(hostID, systemBUID)

    def propose(self) -> Deferred[Any]:
        """
        What comes of a proposal.
        """
        proposing = Deferred.fromCoroutine(
            proposeRecord(self.talk.client, BUID, lambda: HOST, self.makeRecord)
        )
        self.talk.device.flush()
        return proposing

    def change(self, key: str, value: Any) -> None:
        """
        Have the phone tell something else, or nothing.
        """
        values = self.talk.phone.lockdown.values._values[""]
        values.pop(key)
        if value is not None:
            values[key] = value

    def test_proposal(self) -> None:
        """
        The record is for the phone's key, and has its address.
        """
        record = self.successResultOf(self.propose())
        self.assertEqual(self.asked, [PUBLIC_KEY])
        self.assertEqual(record.hostID, str(HOST).upper())
        self.assertEqual(record.systemBUID, BUID)
        self.assertEqual(record.values["WiFiMACAddress"], "02:00:00:4e:5f:60")

    def test_noAddress(self) -> None:
        """
        A phone without Wi-Fi has none.
        """
        self.change("WiFiAddress", None)
        self.assertNotIn("WiFiMACAddress", self.successResultOf(self.propose()).values)

    def test_strangeAddress(self) -> None:
        """
        What could not be written into a record is none.
        """

        def sendBinary(lockdownd: Lockdownd, message: Any) -> None:
            lockdownd.sendString(plistlib.dumps(message, fmt=plistlib.FMT_BINARY))

        self.patch(Lockdownd, "sendPlist", sendBinary)
        self.change("WiFiAddress", "02:\x01")
        self.assertNotIn("WiFiMACAddress", self.successResultOf(self.propose()).values)

    def test_noKey(self) -> None:
        """
        A phone that shows no key, or none that is one, cannot be paired with.
        """
        for key in ("text", b"garbage"):
            self.change("DevicePublicKey", key)
            self.failureResultOf(self.propose(), LockdownUnavailable)

    def test_bag(self) -> None:
        """
        The phone's escrow bag belongs to the record.
        """
        record = recordOf("H")
        self.talk.trust(record)
        asking = Deferred.fromCoroutine(requestTrust(self.talk.client, record))
        self.talk.device.flush()
        self.assertEqual(len(self.successResultOf(asking).values["EscrowBag"]), 32)
