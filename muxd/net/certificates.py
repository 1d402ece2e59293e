# -*- test-case-name: tests.net.test_certificates -*-
"""
Certificates as this program makes them: those of pairings (L{muxd.lockdown.certificates}) and
those of a farm's authority (L{muxd.muxctl.authority}).

What is in a certificate is its maker's to say; what all have in common is here.

This needs the extra C{pairing}.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

VALIDITY = timedelta(days=3650)
"""
Ten years, of what nothing renews: pairings, an authority itself.
"""

PEM = serialization.Encoding.PEM

_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def begunCertificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    number: int,
    begins: datetime,
    ends: datetime,
    pathLength: int | None = None,
    *,
    isAuthority: bool,
) -> x509.CertificateBuilder:
    """
    A certificate with what each must have, to be completed and signed.

    @param key: The public key that it is of.
    @param number: Its serial number; the library refuses 0.
    @param pathLength: Of an authority: how many authorities may follow it.
    @param isAuthority: Whether its key may sign others.
    """
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(number)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(isAuthority, pathLength), critical=True)
    )


def keyUsage(*uses: str) -> x509.KeyUsage:
    """
    What a certificate's key may be used for.

    @param uses: The names of those of the nine uses (RFC 5280, 4.2.1.3) that it may, as the
        library has them.
    @raise ValueError: There is no such use.
    """
    if unknown := sorted({*uses} - {*_USES}):
        raise ValueError(f"expected uses of a key, got {', '.join(unknown)}")
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def isOfServer(certificate: x509.Certificate) -> bool:
    """
    Whether a certificate is one of a server, which those of clients alone are not.

    @raise x509.ExtensionNotFound: It does not say what it is for.
    @raise ValueError: It says that in a way that makes no sense.
    """
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


def keyPEM(key: PrivateKeyTypes, form: serialization.PrivateFormat) -> bytes:
    """
    A private key as text, which no passphrase protects: its file's mode does.
    """
    return key.private_bytes(PEM, form, serialization.NoEncryption())
