# -*- test-case-name: tests.muxctl.test_authority -*-
"""
Tests of L{muxd.muxctl.authority}, and of C{muxctl cert}.
"""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.muxctl.console import Outcome, muxctl

try:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from muxd.muxctl.authority import CertificateAuthority, Purpose
except ImportError:
    x509 = None  # type: ignore[assignment]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _AuthorityCase(SynchronousTestCase):
    def setUp(self) -> None:
        """
        Make a directory.
        """
        if x509 is None:
            raise SkipTest("cryptography is not installed")
        self.directory = Path(self.mktemp())
        self.to = self.directory / "rack1"


class AuthorityTests(_AuthorityCase):
    """
    Tests of L{CertificateAuthority}.
    """

    def setUp(self) -> None:
        """
        Make an authority.
        """
        super().setUp()
        self.authority = CertificateAuthority.create(self.directory / "ca", "farm", NOW)

    def certificate(self) -> x509.Certificate:
        """
        That which was issued last.
        """
        return x509.load_pem_x509_certificate((self.to / "cert.pem").read_bytes())

    def test_issue(self) -> None:
        """
        A certificate has the names it is to have, for as long as it is to; its key is its
        owner's alone.
        """
        names = ("rack1.example.org", "192.0.2.1", "fd00::1")
        ends = self.authority.issue(names, Purpose.HOST, 3, NOW, self.to)
        self.assertEqual(ends, NOW + timedelta(days=3))
        certificate = self.certificate()
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate((self.to / "ca.pem").read_bytes())
        )
        self.assertEqual(certificate.not_valid_after_utc, ends)
        self.assertLess(certificate.not_valid_before_utc, NOW)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(found.get_values_for_type(x509.DNSName), ["rack1.example.org"])
        self.assertEqual(list(map(str, found.get_values_for_type(x509.IPAddress))), [*names[1:]])
        for path in (self.to / "key.pem", self.directory / "ca" / "ca-key.pem"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_purpose(self) -> None:
        """
        A client's cannot be a server's.
        """
        server = ExtendedKeyUsageOID.SERVER_AUTH
        for purpose, isServers in ((Purpose.HOST, True), (Purpose.CLIENT, False)):
            self.to = self.directory / purpose.value
            self.authority.issue(["a"], purpose, 1, NOW, self.to)
            usage = self.certificate().extensions.get_extension_for_class(x509.ExtendedKeyUsage)
            self.assertIs(server in usage.value, isServers)

    def test_another(self) -> None:
        """
        A certificate takes the place of the one that it renews, and of no other: neither
        another name's nor another purpose's, nor of a file that is none of ours.
        """
        for _ in range(2):
            self.authority.issue(["rack1", "rack1.lan"], Purpose.HOST, 1, NOW, self.to)
        before = self.certificate()
        for name, purpose in (("rack2", Purpose.HOST), ("rack1", Purpose.CLIENT)):
            error = self.assertRaises(
                ValueError, self.authority.issue, [name], purpose, 1, NOW, self.to
            )
            self.assertIn("has the certificate of the host rack1", str(error))
        self.assertEqual(self.certificate(), before)
        (self.to / "cert.pem").write_text("something else")
        error = self.assertRaises(
            ValueError, self.authority.issue, ["rack1"], Purpose.HOST, 1, NOW, self.to
        )
        self.assertIn("none of ours", str(error))

    def test_once(self) -> None:
        """
        An authority is not made a second time in its place.
        """
        self.assertRaises(
            FileExistsError, CertificateAuthority.create, self.directory / "ca", "farm", NOW
        )

    def test_names(self) -> None:
        """
        What cannot be a name is none, and neither a path.
        """
        for names in ([""], ["a/b"], ["../a"], ["a b"], ["x" * 65], ["."], ["a..b"], []):
            self.assertRaises(
                ValueError, self.authority.issue, names, Purpose.HOST, 1, NOW, self.to
            )
        self.assertFalse(self.to.exists())

    def test_longest(self) -> None:
        """
        None outlives its authority.
        """
        ends = self.authority.issue(["a"], Purpose.HOST, 36500, NOW, self.to)
        self.assertEqual(ends, NOW + timedelta(days=3650))

    def test_revoke(self) -> None:
        """
        A name's certificates are revoked that have not ended, once, and so is one by its
        number; another authority that is opened in the place knows.
        """
        for name, days in (("a", 1), ("a", 3), ("b", 3)):
            self.authority.issue([name], Purpose.CLIENT, days, NOW, self.directory / name)
        later = NOW + timedelta(days=2)
        (one,) = self.authority.revoke("a", later)
        again = CertificateAuthority(self.directory / "ca")
        self.assertEqual(again.revoke("a", later), [])
        (other,) = (each for each in again.issued() if each.name == "b")
        self.assertEqual(again.revoke(other.serial, later), [other])
        revoked = x509.load_pem_x509_crl(again.revokedPath.read_bytes())
        self.assertEqual(
            {f"{each.serial_number:x}" for each in revoked}, {one.serial, other.serial}
        )
        self.assertEqual([each.isRevoked for each in again.issued()].count(True), 2)

    def test_owner(self) -> None:
        """
        What root issues into a directory of another user's is that user's, whose daemon has to
        read its key; and nothing but what is issued is left there.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can give files away")
        self.to.mkdir()
        os.chown(self.to, 12345, 54321)
        self.authority.issue(["rack1"], Purpose.HOST, 30, NOW, self.to)
        owners = {each.name: each.stat().st_uid for each in self.to.iterdir()}
        names = ("ca.pem", "cert.pem", "crl.pem", "key.pem")
        self.assertEqual(owners, dict.fromkeys(names, 12345))

    def test_damaged(self) -> None:
        """
        An authority that is not there, or is damaged, is said to be so.
        """
        self.assertRaises(FileNotFoundError, CertificateAuthority, self.directory / "none")
        (self.directory / "ca" / "ca-key.pem").write_text("nothing")
        self.assertRaises(ValueError, CertificateAuthority, self.directory / "ca")


class CommandTests(_AuthorityCase):
    """
    Tests of C{muxctl cert}.
    """

    def cert(self, *words: str) -> Outcome:
        """
        What it does.
        """
        return muxctl("cert", *words, "--ca", str(self.directory / "ca"))

    def test_life(self) -> None:
        """
        An authority is made, certifies, revokes, and lists what it has.
        """
        self.assertIn("an authority, my farm", self.cert("init", "--name", "my farm").out)
        to = str(self.to)
        self.assertIn(f"{to}: the certificate of rack1", self.cert("host", "rack1", "-o", to).out)
        self.assertEqual(self.cert("client", "ci", "-o", f"{to}-ci", "--days", "1").status, 0)
        outcome = self.cert("revoke", "ci")
        self.assertIn("of ci", outcome.out)
        self.assertIn("crl.pem to all hosts", outcome.err)
        rows = [json.loads(line) for line in self.cert("list", "--json").out.splitlines()]
        self.assertEqual(
            [(row["name"], row["for"], row["state"]) for row in rows],
            [("ci", "client", "revoked"), ("rack1", "host", "good")],
        )
        self.assertRegex(self.cert("list").out, r"NAME +FOR +STATE")

    def test_trouble(self) -> None:
        """
        What is wrong is one line.
        """
        outcome = self.cert("host", "a")
        self.assertEqual(outcome.status, 5)
        self.assertIn("no authority is there; make one with muxctl cert init", outcome.err)
        self.cert("init")
        for words, said in (
            (["init"], "there is an authority"),
            (["revoke", "x"], "no certificate of 'x' is in use"),
        ):
            outcome = self.cert(*words)
            self.assertEqual(outcome.status, 5)
            self.assertIn(said, outcome.err)
            self.assertEqual(outcome.err.count("\n"), 1)
        for words in (["host", "a", "--days", "-1"], ["host"], ["host", "a/b"], ["sign"], []):
            self.assertEqual(self.cert(*words).status, 2, words)

    def test_anywhere(self) -> None:
        """
        Options may stand before names.
        """
        self.cert("init")
        to = str(self.to)
        self.assertEqual(self.cert("host", "-o", to, "a", "b", "--json").status, 0)
        self.assertTrue((self.to / "cert.pem").exists())
