# -*- test-case-name: tests.muxctl.test_authority -*-
"""
The certificate authority of a farm: a directory with its key, and what it has signed.

Certificates are of hosts, whose daemons are servers and clients of each other, or of clients
alone: what a client has cannot be used to stand in for a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.python.filepath import FilePath

from muxd.atomicfiles import AtomicFiles
from muxd.muxctl.certifiednames import LONGEST_NAME, checkedName
from muxd.net.certificates import (
    PEM,
    VALIDITY,
    begunCertificate,
    isOfServer,
    keyPEM,
    keyUsage,
)

SKEW = timedelta(minutes=5)
"""How far another machine's clock may be behind this one's."""

_CERTIFICATE, _KEY, _REVOKED, _ISSUED = "ca.pem", "ca-key.pem", "crl.pem", "issued"


class Purpose(Enum):
    """
    What a certificate is for.
    """

    HOST = "host"
    CLIENT = "client"


_USAGES = {
    Purpose.HOST: (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    Purpose.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH,),
}


@dataclass(frozen=True, slots=True)
class Issued:
    """
    A certificate that was signed.

    @ivar name: The first of its names.
    @ivar serial: Its number, as text.
    @ivar isRevoked: Whether it is believed no more.
    """

    name: str
    serial: str
    purpose: Purpose
    ends: datetime
    isRevoked: bool


class CertificateAuthority:
    """
    An authority in its directory.

    @ivar directory: Where it is.
    """

    def __init__(self, directory: Path) -> None:
        """
        Open one that is there.

        @raise OSError: It is not, or cannot be read.
        @raise ValueError: Its files are unusable.
        """
        self.directory = directory
        try:
            self._certificate = x509.load_pem_x509_certificate(self._read(_CERTIFICATE))
            key = serialization.load_pem_private_key(self._read(_KEY), None)
            self._revoked = x509.load_pem_x509_crl(self._read(_REVOKED))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                error.errno,
                "no authority is there; make one with muxctl cert init, or name it with --ca",
                str(directory),
            ) from error
        except (ValueError, TypeError) as error:
            raise ValueError(f"the authority in {directory} cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"the authority in {directory} has a key that is no elliptic curve's")
        self._key = key

    @classmethod
    def create(cls, directory: Path, name: str, now: datetime) -> Self:
        """
        Make one.

        @param name: What it is called.
        @param now: The time, with its zone.
        @raise FileExistsError: There is one: a new one would end all that it has signed.
        """
        if (directory / _KEY).exists():
            raise FileExistsError(
                17, "there is an authority; remove it by hand if it is to end", str(directory)
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / _ISSUED).mkdir(mode=0o700, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        # One with the name of its authority would be taken for one that has signed itself, so
        # that of the authority has a part more.
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "authority"),
                x509.NameAttribute(NameOID.COMMON_NAME, name[:LONGEST_NAME]),
            ]
        )
        certificate = (
            _begun(subject, subject, key, now, VALIDITY, isAuthority=True)
            .add_extension(keyUsage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        _write(directory / _KEY, keyPEM(key, serialization.PrivateFormat.PKCS8), 0o600)
        _write(directory / _REVOKED, _list(certificate, key, 1, [], now), 0o644)
        _write(directory / _CERTIFICATE, certificate.public_bytes(PEM), 0o644)
        return cls(directory)

    def issue(
        self, names: Iterable[str], purpose: Purpose, days: float, now: datetime, to: Path
    ) -> datetime:
        """
        Sign a certificate, with a new key, and put all that an endpoint needs into a
        directory.  The certificate comes last: until then it is not used, as the key is
        another one's.

        @param names: The first is what it is called; hosts' may be IP addresses.
        @return: until when it is good.
        @raise ValueError: A name cannot be one, or the directory is another one's.
        """
        checked = [checkedName(name) for name in names]
        if not checked:
            raise ValueError("expected a name")
        _refuseOther(to, checked[0], purpose)
        ends = min(now + timedelta(days=days), self._certificate.not_valid_after_utc)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, checked[0])])
        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        certificate = (
            _begun(subject, self._certificate.subject, key, now, ends - now, isAuthority=False)
            .add_extension(keyUsage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES[purpose]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in checked]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer.value),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(PEM)
        _write(self.directory / _ISSUED / f"{certificate.serial_number:x}.pem", pem, 0o644)
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(to / "key.pem", keyPEM(key, serialization.PrivateFormat.PKCS8), 0o600)
        _write(to / "ca.pem", self._read(_CERTIFICATE), 0o644)
        _write(to / "crl.pem", self._read(_REVOKED), 0o644)
        _write(to / "cert.pem", pem, 0o644)
        return ends

    def issued(self) -> Iterator[Issued]:
        """
        What it has signed, each as it is now.

        @raise ValueError: A file among them is no certificate.
        """
        for path in sorted((self.directory / _ISSUED).glob("*.pem")):
            try:
                certificate = x509.load_pem_x509_certificate(path.read_bytes())
            except ValueError as error:
                raise ValueError(f"{path}: expected a certificate") from error
            name, purpose = _holderOf(certificate)
            serial = certificate.serial_number
            yield Issued(
                name,
                f"{serial:x}",
                purpose,
                certificate.not_valid_after_utc,
                self._revoked.get_revoked_certificate_by_serial_number(serial) is not None,
            )

    def revoke(self, which: str, now: datetime) -> list[Issued]:
        """
        Believe certificates no more: put them on the list that servers are to have.

        @param which: The name of some, of which all are meant that have not ended, or the
            number of one.
        @return: those that were believed until now.
        """
        ended = [
            one
            for one in self.issued()
            if which in (one.name, one.serial) and not one.isRevoked and one.ends > now
        ]
        if ended:
            number = self._revoked.extensions.get_extension_for_class(x509.CRLNumber).value
            before = [(one.serial_number, one.revocation_date_utc) for one in self._revoked]
            after = [*before, *((int(one.serial, 16), now) for one in ended)]
            pem = _list(self._certificate, self._key, number.crl_number + 1, after, now)
            _write(self.directory / _REVOKED, pem, 0o644)
            self._revoked = x509.load_pem_x509_crl(pem)
        return ended

    @property
    def revokedPath(self) -> Path:
        """
        The list of what it has revoked, for those who are to refuse it.
        """
        return self.directory / _REVOKED

    def _read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    validity: timedelta,
    *,
    isAuthority: bool,
) -> x509.CertificateBuilder:
    return begunCertificate(
        subject,
        issuer,
        key.public_key(),
        x509.random_serial_number(),
        min(now - SKEW, now + validity - SKEW),
        now + validity,
        0 if isAuthority else None,
        isAuthority=isAuthority,
    )


def _list(
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    number: int,
    revoked: Iterable[tuple[int, datetime]],
    now: datetime,
) -> bytes:
    """
    The list of what is believed no more.  It is good for as long as the authority is: to
    refuse everything because no list was copied for a while would be no help.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now - SKEW)
        .next_update(max(certificate.not_valid_after_utc, now))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, moment in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment).build()
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM)


def _holderOf(certificate: x509.Certificate) -> tuple[str, Purpose]:
    """
    What a certificate of ours is called, and what it is for.
    """
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value), Purpose.HOST if isOfServer(certificate) else Purpose.CLIENT


def _refuseOther(directory: Path, name: str, purpose: Purpose) -> None:
    """
    See that a directory is for this certificate: that it has none, or one that is renewed.

    @raise ValueError: It has another one's, whose key would be lost.
    """
    try:
        there = x509.load_pem_x509_certificate((directory / "cert.pem").read_bytes())
        holder = _holderOf(there)
    except FileNotFoundError:
        return
    except (ValueError, x509.ExtensionNotFound):
        raise ValueError(f"{directory} has a cert.pem that is none of ours") from None
    if holder != (name, purpose):
        other, its = holder
        raise ValueError(
            f"{directory} has the certificate of the {its.value} {other}: name another directory"
            " with -o, or remove it"
        )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    AtomicFiles(FilePath(str(path.parent)), 0).replace(path.name, content, mode)
