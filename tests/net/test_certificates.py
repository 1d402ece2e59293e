"""
Tests for L{muxd.net.certificates}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twisted.trial.unittest import SkipTest, SynchronousTestCase

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from muxd.net.certificates import begunCertificate, isOfServer, keyPEM, keyUsage
except ImportError:
    x509 = None  # type: ignore[assignment]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


class MakingTests(SynchronousTestCase):
    """
    Tests of what all certificates have in common.
    """

    def setUp(self) -> None:
        """
        A key, of the kind that is quickest to make.
        """
        if x509 is None:
            raise SkipTest("cryptography is not installed")
        self.key = ed25519.Ed25519PrivateKey.generate()

    def made(self, *, isAuthority: bool, pathLength: int | None = None) -> x509.Certificate:
        """
        A certificate that has signed itself.
        """
        noName, key = x509.Name([]), self.key.public_key()
        begun = begunCertificate(
            noName, noName, key, 7, NOW, LATER, pathLength, isAuthority=isAuthority
        )
        return begun.sign(self.key, None)

    def test_begunCertificate(self) -> None:
        """
        A certificate has the number, the key and the time that it is given.
        """
        made = self.made(isAuthority=False)
        self.assertEqual(made.serial_number, 7)
        self.assertEqual(made.public_key(), self.key.public_key())
        self.assertEqual((made.not_valid_before_utc, made.not_valid_after_utc), (NOW, LATER))

    def test_isOfServer(self) -> None:
        """
        A certificate is one of a server if it says so; one that does not say what it is for is
        nothing to be taken for either.
        """
        noName, key = x509.Name([]), self.key.public_key()
        server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        for usages, expected in (([server, client], True), ([server], True), ([client], False)):
            begun = begunCertificate(noName, noName, key, 7, NOW, LATER, isAuthority=False)
            begun = begun.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            self.assertIs(isOfServer(begun.sign(self.key, None)), expected)
        self.assertRaises(x509.ExtensionNotFound, isOfServer, self.made(isAuthority=False))

    def test_authority(self) -> None:
        """
        A certificate always says whether its key may sign others, so that none is taken for
        an authority's that is not.
        """
        for isAuthority, pathLength in ((False, None), (True, None), (True, 0)):
            made = self.made(isAuthority=isAuthority, pathLength=pathLength)
            found = made.extensions.get_extension_for_class(x509.BasicConstraints)
            self.assertTrue(found.critical)
            self.assertEqual((found.value.ca, found.value.path_length), (isAuthority, pathLength))

    def test_keyUsage(self) -> None:
        """
        A key may be used for what is named, and for nothing else.
        """
        usage = keyUsage("digital_signature", "crl_sign")
        self.assertEqual((usage.digital_signature, usage.crl_sign), (True, True))
        self.assertEqual((usage.key_cert_sign, usage.key_agreement), (False, False))

    def test_unknownUse(self) -> None:
        """
        A use that does not exist is refused, and named.
        """
        error = self.assertRaises(ValueError, keyUsage, "digital_signature", "signing")
        self.assertEqual(str(error), "expected uses of a key, got signing")

    def test_keyPEM(self) -> None:
        """
        A private key can be read again.
        """
        pem = keyPEM(self.key, serialization.PrivateFormat.PKCS8)
        again = serialization.load_pem_private_key(pem, None)
        self.assertEqual(again.public_key(), self.key.public_key())
