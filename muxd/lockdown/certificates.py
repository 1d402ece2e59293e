# -*- test-case-name: tests.lockdown.test_certificates -*-
"""
The keys and certificates of a pairing (protocol 5.3), and TLS with them.

A root signs two certificates: one for this host's key and one for the phone's.
Neither side checks names or dates; the phone checks that our certificate was signed
by the root that it has agreed to.

No key and no certificate reaches OpenSSL before L{muxd.lockdown.rsakeys} has seen that
it is RSA of a usual size, whether a program has stored it or a device shows it: what is loaded
here is loaded in the reactor's thread, and takes a few milliseconds at most.

This needs the extra C{pairing}.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from OpenSSL import SSL, crypto

from muxd.lockdown.pairrecord import PairRecord
from muxd.lockdown.rsakeys import (
    PublicKey,
    certificateDER,
    certificateKey,
    elements,
    privateKey,
    publicKey,
)
from muxd.net.certificates import PEM, VALIDITY, begunCertificate, keyPEM, keyUsage

KEY_SIZE = 2048
EXPONENT = 65537

CIPHERS = b"DEFAULT:!DHE:!DHEPSK:!PSK:!SRP:!aDSS:!aECDSA:@SECLEVEL=0"
"""
Old phones have nothing better, and every pairing is of 2048-bit RSA keys.  In DHE the other
side chooses the group, and with one of 10,000 bits a handshake takes more than a second.
"""

_LEGACY_SERVER_CONNECT = 0x4
"""OpenSSL's SSL_OP_LEGACY_SERVER_CONNECT, for which pyOpenSSL has no name."""


def makeKey() -> rsa.RSAPrivateKey:
    """
    A new key.  It takes about 50 ms, in which other threads run, as of version 47
    of C{cryptography}.
    """
    return rsa.generate_private_key(EXPONENT, KEY_SIZE)


def publicPEM(key: rsa.RSAPrivateKey) -> bytes:
    """
    The public half of a key, as phones show theirs.
    """
    return key.public_key().public_bytes(PEM, serialization.PublicFormat.PKCS1)


def privatePEM(key: rsa.RSAPrivateKey) -> bytes:
    """
    A key, as records have them.
    """
    return keyPEM(key, serialization.PrivateFormat.TraditionalOpenSSL)


def loadDeviceKey(pem: bytes) -> rsa.RSAPublicKey:
    """
    What a phone shows as its public key.

    @raise ValueError: That is no RSA key of a usual size.
    """
    return _loaded(publicKey(pem))


def _loaded(key: PublicKey) -> rsa.RSAPublicKey:
    """
    A key that a library computes with.

    @raise ValueError: It says that it is none.
    """
    return rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()


def makePairRecord(
    devicePublicKey: bytes, hostID: str, systemBUID: str, now: datetime | None = None
) -> PairRecord:
    """
    Keys and certificates for a phone.  This takes a tenth of a second: not for
    the reactor's thread.

    @param devicePublicKey: What the phone shows as C{DevicePublicKey}, PEM.
    @param now: When the certificates begin to be valid.
    @raise ValueError: That is no RSA key.
    """
    deviceKey = loadDeviceKey(devicePublicKey)
    moment = datetime.now(UTC) if now is None else now
    rootKey, hostKey = makeKey(), makeKey()
    return PairRecord.fromValues(
        {
            "DeviceCertificate": _certificate(deviceKey, rootKey, moment, isRoot=False),
            "HostCertificate": _certificate(hostKey.public_key(), rootKey, moment, isRoot=False),
            "HostID": hostID,
            "HostPrivateKey": privatePEM(hostKey),
            "RootCertificate": _certificate(rootKey.public_key(), rootKey, moment, isRoot=True),
            "RootPrivateKey": privatePEM(rootKey),
            "SystemBUID": systemBUID,
        }
    )


def _certificate(
    key: rsa.RSAPublicKey, rootKey: rsa.RSAPrivateKey, now: datetime, *, isRoot: bool
) -> bytes:
    """
    A certificate without names, as all tools make them.  They number it 0,
    which the library refuses to do: it gets 1.
    """
    noName = x509.Name([])
    builder = begunCertificate(noName, noName, key, 1, now, now + VALIDITY, isAuthority=isRoot)
    if not isRoot:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        ).add_extension(keyUsage("digital_signature", "key_encipherment"), critical=True)
    return builder.sign(rootKey, hashes.SHA256()).public_bytes(PEM)


def clientContext(record: PairRecord) -> SSL.Context:
    """
    For this host, towards a phone.

    @raise ValueError: The record's key or certificate cannot be read.
    """
    context = _context(record.values["HostPrivateKey"], record.values["HostCertificate"])
    # Old phones know no secure renegotiation (RFC 5746), and renegotiation is not used.
    context.set_options(_LEGACY_SERVER_CONNECT)
    # With a newer one the handshake seems to be done before the phone has decided.
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    # The client looks whose key it is; here it is only looked whether computing with it
    # takes long, before that is done.
    context.set_verify(SSL.VERIFY_PEER, _isUsual)
    return context


def _isUsual(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    if depth > 0:
        return True
    try:
        certificateKey(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))
    except ValueError:
        return False
    return True


def serverContext(deviceKey: bytes, deviceCertificate: bytes, root: bytes) -> SSL.Context:
    """
    For a phone, towards a host whose certificate this root has signed, or is.

    @raise ValueError: A key or certificate cannot be read.
    """
    context = _context(deviceKey, deviceCertificate)
    try:
        rootKey = _loaded(certificateKey(certificateDER(root)))
    except ValueError as error:
        raise ValueError(f"the root's key is unusable: {error}") from error

    def verify(
        connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        return depth > 0 or isSignedBy(certificate, rootKey)

    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
    return context


def isSignedBy(certificate: crypto.X509, rootKey: rsa.RSAPublicKey) -> bool:
    """
    Whether this key has signed a certificate, its own included: hosts show
    either.

    OpenSSL would look for the signer by its name, and takes every certificate
    for its own signer where there are no names.  C{cryptography} refuses to read a
    certificate with the number 0, which is what other tools give them.
    """
    algorithm = _ALGORITHMS.get(certificate.get_signature_algorithm())
    if algorithm is None:
        return False
    # A certificate is a sequence of what was signed, how, and the signature.
    (outer,) = elements(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))
    signed, _, signature = elements(outer.content)
    try:
        # A bit string begins with the number of bits that do not count.
        rootKey.verify(signature.content[1:], signed.whole, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


_ALGORITHMS: dict[bytes, hashes.HashAlgorithm] = {
    b"sha1WithRSAEncryption": hashes.SHA1(),
    b"sha256WithRSAEncryption": hashes.SHA256(),
    b"sha384WithRSAEncryption": hashes.SHA384(),
    b"sha512WithRSAEncryption": hashes.SHA512(),
}


def _context(key: bytes, certificate: bytes) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_options(SSL.OP_NO_SSLv2 | SSL.OP_NO_SSLv3)
    # A system's openssl.cnf may say MinProtocol = TLSv1.2 (Fedora, RHEL), which is meant for
    # the internet; phones before iOS 5 or so speak TLS 1.0 alone.
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_cipher_list(CIPHERS)
    try:
        context.use_certificate(_loadCertificate(certificate))
        context.use_privatekey(_loadKey(key))
        context.check_privatekey()
    except (crypto.Error, SSL.Error) as error:
        raise ValueError(f"a key or certificate of the pair record is unusable: {error}") from error
    return context


def _loadKey(data: bytes) -> crypto.PKey:
    """
    A private key.  OpenSSL is shown what was understood of it, and never a piece of PEM: that
    may be encrypted, and say itself how long it is to take to compare a passphrase with it.
    """
    try:
        plain = privateKey(data).toDER()
    except ValueError as error:
        raise ValueError(f"a key of the pair record is unusable: {error}") from error
    return crypto.load_privatekey(crypto.FILETYPE_ASN1, plain)


def _loadCertificate(data: bytes) -> crypto.X509:
    try:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, certificateDER(data))
    except (ValueError, crypto.Error) as error:
        raise ValueError(f"a certificate of the pair record is unusable: {error}") from error
