"""
Devices that accept any session with a pair record: each was trusted, as the key that it
showed in TLS was not compared with that of the phone.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import errors
from muxd.client.answers import Device, devicesFrom
from muxd.client.selection import Network, chooseDevice
from muxd.lockdown.certificates import clientContext
from muxd.net.turns import Turns
from muxd.phone.lockdown.lockdownd import Lockdownd
from muxd.phone.lockdown.trust import Owner, Pairing
from muxd.server.listeners import EventBroadcaster
from muxd.server.lookup import DeviceLookup, NoSuchDevice
from muxd.server.preflightmachine import Stage
from muxd.server.telling import Teller
from muxd.wire.messages import parsePlist
from tests.attacks.claimants import ClaimCase
from tests.lockdown.keptkeys import strangersKey
from tests.lockdown.phones import NearDevice, anyRecord

PRIMES = (1 << 4253) - 1, (1 << 521) - 1
"""Of a key of 4,774 bits that need not be looked for."""


def absurdKey() -> rsa.RSAPrivateKey:
    """
    A key that is larger than any that may be used.
    """
    p, q = PRIMES
    public = rsa.RSAPublicNumbers(65537, p * q)
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


class ProofTests(ClaimCase):
    """
    A gadget with the UDID of a phone that has paired.
    """

    def setUp(self) -> None:
        """
        The phone has paired, and the gadget accepts whatever it is asked.
        """
        super().setUp()
        self.victim = self.device(Owner.ACCEPT)
        self.assertIs(self.plug(self.victim).stage, Stage.TRUSTED)
        self.udid = self.victim.identity.udid
        self.stored = self.store.records[self.udid]
        self.unplug(self.victim)
        self.thief = self.device(Owner.ASK)

    def hostile(self, key: rsa.RSAPrivateKey | None) -> NearDevice:
        """
        The gadget.

        @param key: With which it does TLS; None for none.
        """
        thief = self.thief.phone.lockdown
        startSession, startTLS = Lockdownd._startSession, Lockdownd._startTLS

        def accept(lockdownd: Lockdownd, request: Any) -> Any:
            if lockdownd._state is not thief:
                return startSession(lockdownd, request)
            if key is not None:
                lockdownd._session = Pairing("", "", b"", b"")
            return {"SessionID": "1", "EnableSessionSSL": key is not None}

        def secure(lockdownd: Lockdownd, pairing: Pairing) -> None:
            if lockdownd._state is not thief:
                startTLS(lockdownd, pairing)
                return
            assert key is not None
            assert lockdownd.upgradable is not None
            lockdownd.transport.unregisterProducer()  # type: ignore[union-attr]
            lockdownd.upgradable.startTLS(self.context(key), isClient=False)
            lockdownd.connectionMade()

        self.patch(Lockdownd, "_startSession", accept)
        self.patch(Lockdownd, "_startTLS", secure)
        return self.thief

    def context(self, key: rsa.RSAPrivateKey) -> SSL.Context:
        """
        A server's with a key and a certificate of its own making.
        """
        own = crypto.PKey.from_cryptography_key(key)
        certificate = crypto.X509()
        certificate.set_version(2)
        certificate.set_pubkey(own)
        certificate.gmtime_adj_notBefore(0)
        certificate.gmtime_adj_notAfter(1000)
        certificate.sign(own, "sha256")
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.use_privatekey(own)
        context.use_certificate(certificate)
        return context

    def test_anotherKey(self) -> None:
        """
        It is not trusted, which is said once and loudly, and the record is kept.
        """
        thief = self.plug(self.hostile(strangersKey()))
        self.assertIs(thief.stage, Stage.UNPROVED)
        self.wait(120)
        self.assertIs(thief.stage, Stage.UNPROVED)
        (line,) = self.lines("has not proved")
        self.assertIn("it has another key than the phone of the record", line)
        self.assertEqual(self.lines("trusts this computer"), [f"{self.udid} trusts this computer"])
        self.assertEqual(self.store.records, {self.udid: self.stored})

    def test_noTLS(self) -> None:
        """
        Nor is it without TLS, as the record's phone has it.
        """
        self.assertIs(self.plug(self.hostile(None)).stage, Stage.UNPROVED)
        (line,) = self.lines("has not proved")
        self.assertIn("it wants no TLS", line)

    def test_absurdKey(self) -> None:
        """
        With a key that takes long to compute with, the handshake ends when it is shown.
        """
        self.assertIs(self.plug(self.hostile(absurdKey())).stage, Stage.UNSURE)
        (line,) = self.lines("no TLS with the phone")
        self.assertIn("certificate verify failed", line)
        self.assertEqual(self.store.records, {self.udid: self.stored})

    def test_names(self) -> None:
        """
        Whichever is plugged in first, the phone's name is the phone's, and in its absence the
        gadget's alone.
        """
        lookup = DeviceLookup(self.registry)
        self.hostile(strangersKey())
        for devices in ((self.victim, self.thief), (self.thief, self.victim)):
            for device in devices:
                self.plug(device)
            self.assertIs(lookup.find(self.udid), self.victim)
            self.assertIs(lookup.find(None), self.victim)
            self.unplug(self.victim)
            self.assertIs(lookup.find(self.udid), self.thief)
            self.unplug(self.thief)

    def test_clients(self) -> None:
        """
        Clients see both, and the gadget is marked, so that those of ours choose the phone.
        """
        feed = EventBroadcaster(self.registry, Teller(Turns(self.clock, 1.0)))

        def listed() -> list[Device]:
            return devicesFrom(parsePlist(b"".join(feed.deviceListBody())))

        self.hostile(strangersKey())
        self.plug(self.victim)
        self.plug(self.thief)
        self.assertEqual([one.isDoubtful for one in listed()], [False, True])
        self.assertEqual(
            chooseDevice(listed(), self.udid, Network.NO, "here", errors).deviceID,
            self.registry.attached()[0].deviceID,
        )
        self.unplug(self.victim)
        self.assertEqual([one.isDoubtful for one in listed()], [False])

    def test_noName(self) -> None:
        """
        Where neither has proved it, the name is nobody's, until one has.
        """
        lookup = DeviceLookup(self.registry)
        self.hostile(strangersKey())
        found: list[Any] = []
        # It answers, and says nothing.
        silent = self.patch(self.victim.phone.lockdown, "type", "")
        self.plug(self.victim)
        self.plug(self.thief)
        text = str(self.assertRaises(NoSuchDevice, lookup.find, self.udid))
        self.assertIn("several devices say that they are", text)
        lookup.whenFound(self.udid).addCallback(found.append)
        self.unplug(self.thief)
        self.assertEqual(found, [self.victim])
        self.plug(self.thief)
        silent.restore()
        self.wait(61)
        self.assertIs(lookup.find(self.udid), self.victim)


class CipherTests(SynchronousTestCase):
    """
    What TLS is offered.
    """

    def test_noDHE(self) -> None:
        """
        Nothing in which the device chooses a group of numbers: one of 9,990 bits took more than
        a second.  What old phones have is there.
        """
        offered = SSL.Connection(clientContext(anyRecord()), None).get_cipher_list()
        self.assertEqual([name for name in offered if name.startswith("DHE-")], [])
        self.assertEqual([name for name in offered if "ECDSA" in name], [])
        self.assertIn("AES128-SHA", offered)
        self.assertIn("ECDHE-RSA-AES128-GCM-SHA256", offered)
