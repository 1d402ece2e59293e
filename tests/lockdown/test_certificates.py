"""
Tests of L{muxd.lockdown.certificates}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import encodebytes
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.certificates import (
    clientContext,
    isSignedBy,
    makePairRecord,
    privatePEM,
    publicPEM,
    serverContext,
)
from muxd.net.certificates import begunCertificate
from muxd.phone.lockdown.key import PRIVATE_KEY
from tests.lockdown.keptkeys import longKey, strangersKey
from tests.lockdown.phones import anyRecord
from tests.lockdown.strangekeys import armoured, element, number, strangeKeys
from tests.running.processes import startsProcesses

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def der(tag: int, content: bytes) -> bytes:
    """
    An element of less than 128 bytes.
    """
    return bytes([tag, len(content)]) + content


def certificate(name: str) -> x509.Certificate:
    """
    A certificate of the record.
    """
    return x509.load_pem_x509_certificate(anyRecord().values[name])


class CertificateTests(SynchronousTestCase):
    """
    What is in a record.
    """

    def test_root(self) -> None:
        """
        The root may sign, and nothing else may.
        """
        for name, isRoot in (
            ("RootCertificate", True),
            ("HostCertificate", False),
            ("DeviceCertificate", False),
        ):
            found = certificate(name).extensions.get_extension_for_class(x509.BasicConstraints)
            self.assertEqual((found.value.ca, found.critical), (isRoot, True))

    def test_usage(self) -> None:
        """
        The others are for signing and for passing on keys.
        """
        for name in ("HostCertificate", "DeviceCertificate"):
            usage = certificate(name).extensions.get_extension_for_class(x509.KeyUsage).value
            self.assertTrue(usage.digital_signature and usage.key_encipherment)

    def test_keys(self) -> None:
        """
        Each key is with its certificate, and the phone's is the phone's.
        """
        values = anyRecord().values
        for key, name in (
            (values["RootPrivateKey"], "RootCertificate"),
            (values["HostPrivateKey"], "HostCertificate"),
            (PRIVATE_KEY, "DeviceCertificate"),
        ):
            loaded = serialization.load_pem_private_key(key, None)
            self.assertEqual(loaded.public_key(), certificate(name).public_key())

    def test_validity(self) -> None:
        """
        They are good for ten years.
        """
        record = makePairRecord(publicPEM(strangersKey()), "H", "B", NOW)
        found = x509.load_pem_x509_certificate(record.values["HostCertificate"])
        self.assertEqual(found.not_valid_before_utc, NOW)
        self.assertEqual((found.not_valid_after_utc - NOW).days, 3650)

    def test_noKey(self) -> None:
        """
        What is no RSA key is refused.
        """
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for key in (b"", b"garbage", pem):
            self.assertRaises(ValueError, makePairRecord, key, "H", "B")


class SignatureTests(SynchronousTestCase):
    """
    Whom a phone believes.
    """

    def load(self, name: str) -> crypto.X509:
        """
        A certificate of the record.
        """
        return crypto.load_certificate(crypto.FILETYPE_PEM, anyRecord().values[name])

    def test_signed(self) -> None:
        """
        What the root has signed, and the root itself; not what another has.
        """
        key = strangersKey().public_key()
        root = certificate("RootCertificate").public_key()
        for name in ("HostCertificate", "RootCertificate", "DeviceCertificate"):
            self.assertTrue(isSignedBy(self.load(name), root))  # type: ignore[arg-type]
            self.assertFalse(isSignedBy(self.load(name), key))

    def test_otherAlgorithm(self) -> None:
        """
        A signature of another kind is none.
        """
        key = ed25519.Ed25519PrivateKey.generate()
        noName = x509.Name([])
        signed = begunCertificate(
            noName, noName, key.public_key(), 1, NOW, NOW, isAuthority=True
        ).sign(key, None)
        self.assertFalse(
            isSignedBy(crypto.X509.from_cryptography(signed), strangersKey().public_key())
        )
        pem = signed.public_bytes(serialization.Encoding.PEM)
        values = anyRecord().values
        error = self.assertRaises(
            ValueError, serverContext, PRIVATE_KEY, values["DeviceCertificate"], pem
        )
        self.assertIn("expected an RSA key", str(error))

    def test_unusable(self) -> None:
        """
        A key or certificate that is none, or not the other's, is told.
        """
        record = anyRecord()
        for broken in (
            record.having(HostPrivateKey=b"x"),
            record.having(HostCertificate=b"x"),
            record.having(HostCertificate=record.values["RootCertificate"]),
        ):
            self.assertIn("unusable", str(self.assertRaises(ValueError, clientContext, broken)))

    def test_forms(self) -> None:
        """
        A key is usable in the old form and in the new one, and with what tools write
        above it.
        """
        key = serialization.load_pem_private_key(anyRecord().values["HostPrivateKey"], None)
        for form in (
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.PrivateFormat.PKCS8,
        ):
            pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
            for data in (pem, b"Bag Attributes\n" + pem, pem.replace(b"\n", b"\r\n"), pem + b"\0"):
                clientContext(anyRecord().having(HostPrivateKey=data))

    def test_strangeKeys(self) -> None:
        """
        A key of another kind or of an absurd size is unusable, and OpenSSL is not shown it:
        it would compute with it as long as its maker likes.
        """
        self.patch(crypto, "load_privatekey", self.fail)
        for name, key in strangeKeys().items():
            with self.subTest(name):
                record = anyRecord().having(HostPrivateKey=key)
                text = str(self.assertRaises(ValueError, clientContext, record))
                self.assertIn("a key of the pair record is unusable: ", text)

    def test_longKey(self) -> None:
        """
        One that is twice as long as those of today is usable; only its certificate has to be
        another.
        """
        key = longKey()
        record = anyRecord().having(HostPrivateKey=privatePEM(key))
        text = str(self.assertRaises(ValueError, clientContext, record))
        self.assertIn("key values mismatch", text)

    def test_absurdPhone(self) -> None:
        """
        A phone's key of 5,000 bits gets no certificate.
        """
        for modulus, exponent in ((1 << 5000 | 1, 65537), (1 << 2048 | 1, 1 << 2000 | 1)):
            key = armoured("RSA PUBLIC KEY", element(0x30, number(modulus), number(exponent)))
            text = str(self.assertRaises(ValueError, makePairRecord, key, "H", "B"))
            self.assertIn("expected an RSA key", text)

    def test_oldPhones(self) -> None:
        """
        A phone whose TLS is older than secure renegotiation (RFC 5746) is spoken to.
        """
        for version in (b"\3\1", b"\3\3"):
            # AES128-SHA, without any extension.
            body = version + bytes(32) + b"\0" + b"\x00\x2f" + b"\0"
            hello = b"\2\0\0" + bytes([len(body)]) + body
            connection = SSL.Connection(clientContext(anyRecord()), None)
            connection.set_connect_state()
            self.assertRaises(SSL.WantReadError, connection.do_handshake)
            connection.bio_write(b"\x16" + version + b"\0" + bytes([len(hello)]) + hello)
            self.assertRaises(SSL.WantReadError, connection.do_handshake)

    @startsProcesses
    def test_systemsMinimum(self) -> None:
        """
        A phone of TLS 1.0 is spoken to also where the system's OpenSSL is told to speak
        nothing older than TLS 1.2.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "openssl.cnf").write_text(FEDORA)
        (directory / "record.plist").write_bytes(anyRecord().toBytes())
        done = subprocess.run(
            [sys.executable, "-c", OLD_PHONE, str(directory / "record.plist")],
            env={**os.environ, "OPENSSL_CONF": str(directory / "openssl.cnf")},
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.stdout, "refused by the system\nspoken to\n", done.stderr)


FEDORA = """\
openssl_conf = openssl_init
[openssl_init]
ssl_conf = ssl_module
[ssl_module]
system_default = crypto_policy
[crypto_policy]
MinProtocol = TLSv1.2
"""

OLD_PHONE = """\
import sys
from OpenSSL import SSL
from muxd.lockdown.certificates import CIPHERS, clientContext
from muxd.lockdown.pairrecord import PairRecord

def speak(context):
    body = bytes((3, 1)) + bytes(32) + bytes((0, 0, 47, 0))
    hello = bytes((2, 0, 0, len(body))) + body
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        pass
    connection.bio_write(bytes((22, 3, 1, 0, len(hello))) + hello)
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return "spoken to"
    except SSL.Error:
        return "refused by the system"

plain = SSL.Context(SSL.TLS_METHOD)
plain.set_options(0x4)
plain.set_cipher_list(CIPHERS)
print(speak(plain))
print(speak(clientContext(PairRecord.fromBytes(open(sys.argv[1], "rb").read()))))
"""

CHILD = """\
import sys
from muxd.lockdown.certificates import clientContext
from muxd.lockdown.pairrecord import PairRecord
try:
    clientContext(PairRecord.fromBytes(open(sys.argv[1], "rb").read()))
except ValueError as error:
    print(f"unusable: {error}")
"""


class StrangeKeyTests(SynchronousTestCase):
    """
    Keys of kinds that the libraries do not know.
    """

    def test_phone(self) -> None:
        """
        A phone's key of an algorithm or a curve that nobody has heard of is no RSA
        key.
        """
        unknown = bytes.fromhex("06032a0304")
        curve = bytes.fromhex("06072a8648ce3d0201")
        for algorithm in (unknown, curve + unknown):
            point = der(0x03, bytes([0, 4]) + bytes(64))
            info = der(0x30, der(0x30, algorithm) + point)
            pem = b"-----BEGIN PUBLIC KEY-----\n%b-----END PUBLIC KEY-----\n" % encodebytes(info)
            text = str(self.assertRaises(ValueError, makePairRecord, pem, "H", "B"))
            self.assertIn("expected an RSA key", text)

    def test_host(self) -> None:
        """
        Nor is that of a host's root, to the simulated phone.
        """
        values = anyRecord().values
        root = crypto.load_certificate(crypto.FILETYPE_PEM, values["RootCertificate"])
        plain, pss = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("01", "0a"))
        changed = crypto.dump_certificate(crypto.FILETYPE_ASN1, root).replace(plain, pss)
        pem = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % encodebytes(changed)
        error = self.assertRaises(
            ValueError, serverContext, PRIVATE_KEY, values["DeviceCertificate"], pem
        )
        self.assertIn("unusable", str(error))


@startsProcesses
class EncryptedTests(SynchronousTestCase):
    """
    Records with something in them that has a passphrase.
    """

    def refused(self, **values: bytes) -> None:
        """
        Such a record is unusable, and nobody is asked for a passphrase: neither on
        the terminal, which a process has not that is alone in its session, nor by
        way of its input, where OpenSSL would look for it then.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(anyRecord().having(**values).toBytes())
        child = subprocess.run(
            [sys.executable, "-c", CHILD, path],
            input="secret\n" * 3,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        )
        self.assertIn("unusable", child.stdout)
        self.assertEqual(child.stderr, "")

    def test_keys(self) -> None:
        """
        An encrypted key, in the old form and in the new one.
        """
        key = serialization.load_pem_private_key(anyRecord().values["HostPrivateKey"], None)
        for form in (
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.PrivateFormat.PKCS8,
        ):
            encrypted = key.private_bytes(
                serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"secret")
            )
            self.refused(HostPrivateKey=encrypted)

    def test_keyIsNotTried(self) -> None:
        """
        OpenSSL is not shown such a key: it would compute what the passphrase has to be
        compared with, as long as the key says that this takes.
        """
        self.patch(crypto, "load_privatekey", self.fail)
        key = serialization.load_pem_private_key(anyRecord().values["HostPrivateKey"], None)
        plain = privatePEM(strangersKey())
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        header = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC," + b"0" * 32 + b"\n\n"
        begin = b"-----BEGIN RSA PRIVATE KEY-----\n"
        for strange in (encrypted, plain.replace(begin, begin + header), b"", b"x" * 100):
            record = anyRecord().having(HostPrivateKey=strange)
            text = str(self.assertRaises(ValueError, clientContext, record))
            self.assertEqual(text, "a key of the pair record is unusable: expected plain PEM")

    def test_certificate(self) -> None:
        """
        A certificate that says it is encrypted.
        """
        plain = anyRecord().values["HostCertificate"]
        header = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC," + b"0" * 32 + b"\n\n"
        begin = b"-----BEGIN CERTIFICATE-----\n"
        self.assertIn(begin, plain)
        self.refused(HostCertificate=plain.replace(begin, begin + header))
