# -*- test-case-name: tests.net.test_mutualtls -*-
"""
TLS of which both sides show a certificate: endpoints for a farm that has its own authority.

Only TLS 1.3 is spoken, no session is resumed, so that each connection is looked at anew, and
files that are renewed are used from the next connection on (L{muxd.net.tlsfiles}); what is
connected is cut when its certificate is revoked (L{muxd.net.revoking}).  A server
refuses a client with no certificate, one that is expired, revoked or another authority's, one that
is not for clients, and one with none of the names that it is for.  A client refuses a server
that has not the name that it was told to expect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from zope.interface import implementer

from muxd.net.credentials import namesIn
from muxd.net.revoking import RevocationGuard
from muxd.net.tlsfiles import Renewing, TLSFiles, certificatesIn, contentOf
from muxd.ratelimit import RateLimit
from muxd.wire.text import printable

T = TypeVar("T")

_LEAF = 0
_WRONG_NAME = -1

_REASONS = {
    _WRONG_NAME: "its names are none of those that this address is for",
    2: "it was signed by another authority",
    3: "there is no list of what its authority has revoked",
    7: "its signature is wrong",
    9: "it is not valid yet; compare the clocks",
    10: "it has expired; renew it with muxctl cert",
    12: "the list of what its authority has revoked has expired",
    18: "it is not signed by an authority",
    19: "it was signed by another authority",
    20: "it was signed by another authority",
    21: "it was signed by another authority",
    23: "it was revoked",
    26: "it is for another purpose, as one of a host is not for a client",
}
"""Why a certificate is refused, by OpenSSL's numbers, X509_V_ERR_*."""


class _Side(Generic[T]):
    """
    What a server and a client have in common.
    """

    _log = Logger()

    def __init__(self, clock: Any, files: TLSFiles, make: Callable[[TLSFiles], T]) -> None:
        """
        @param clock: The reactor.
        """
        self.files = files
        self._renewing = Renewing(files, make, self._renewed)
        self._guard = RevocationGuard(clock, self._renewing.current)

    def check(self) -> None:
        """
        Look whether the files can be used.

        @raise OSError: One cannot be read.
        @raise ValueError: They are no certificates, or not of this key.
        """
        self._renewing.current()

    def _renewed(self, trouble: Exception | None) -> None:
        if trouble is None:
            self._log.info("{cert}: the renewed certificate is used", cert=self.files.cert)
        else:
            self._log.warn(
                "{cert}: not renewed, the one before is used: {trouble}",
                cert=self.files.cert,
                trouble=trouble,
            )


@implementer(IOpenSSLServerConnectionCreator)
class MutualServer(_Side[SSL.Context]):
    """
    The server's side: which clients it lets in.
    """

    def __init__(self, clock: Any, files: TLSFiles, names: frozenset[str] = frozenset()) -> None:
        """
        @param clock: The reactor.
        @param names: Those of whom it lets in; all whom the authority has signed when empty.
        """
        super().__init__(clock, files, self._make)
        self.names = names
        self._limit = RateLimit(clock, self._summarise)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        A connection that was accepted.
        """
        connection = SSL.Connection(self._renewing.current(), None)
        self._guard.watch(protocol)
        return connection

    def _make(self, files: TLSFiles) -> SSL.Context:
        own, chain, roots = _load(files)
        options = CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=own.original,
            extraCertChain=[each.original for each in chain],
            trustRoot=trustRootFromCertificates(roots),
            raiseMinimumTo=TLSVersion.TLSv1_3,
        )
        context = options.getContext()
        revoked = _revokedIn(files)
        _revoke(context, revoked)
        self._guard.use(revoked)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return context

    def _verify(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        if ok and depth == _LEAF and self.names:
            ok = not self.names.isdisjoint(namesIn(certificate))
            error = _WRONG_NAME
        name = "" if ok else printable(certificate.get_subject().commonName or "a client")
        if not ok and self._limit.admit("refused", name):
            self._log.warn(
                "refused the certificate of {name}: {reason}",
                name=name,
                reason=_REASONS.get(error, f"OpenSSL's reason is number {error}"),
            )
        return bool(ok)

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn("{count} more certificates {kind}", count=count, kind=kind)


@implementer(IOpenSSLClientConnectionCreator)
class MutualClient(_Side[Callable[[Any], SSL.Connection]]):
    """
    The client's side: which server it expects.
    """

    def __init__(self, files: TLSFiles, name: str, clock: Any) -> None:
        """
        @param name: The server's, which its certificate has to have: of the domain name
            system, or an IP address.
        @param clock: The reactor.
        """
        super().__init__(clock, files, self._make)
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        A connection that was made.
        """
        connection = self._renewing.current()(tlsProtocol)
        self._guard.watch(tlsProtocol)
        return connection

    def _make(self, files: TLSFiles) -> Callable[[Any], SSL.Connection]:
        own, chain, roots = _load(files)
        revoked = _revokedIn(files)
        creator = optionsForClientTLS(
            self._name,
            trustRoot=trustRootFromCertificates(roots),
            clientCertificate=own,
            extraCertificateOptions={
                "raiseMinimumTo": TLSVersion.TLSv1_3,
                "extraCertChain": [each.original for each in chain],
            },
        )
        isNew = True
        self._guard.use(revoked)

        def connected(tlsProtocol: Any) -> SSL.Connection:
            nonlocal isNew
            connection: SSL.Connection = creator.clientConnectionForTLS(tlsProtocol)
            if isNew:
                # All of them have one context, and only they tell which.
                _revoke(connection.get_context(), revoked)
                isNew = False
            return connection

        return connected


def _load(files: TLSFiles) -> tuple[PrivateCertificate, list[Certificate], list[Certificate]]:
    """
    The own certificate with its key, those between it and its authority, and those that are
    believed.

    @raise ValueError: They are unusable, or do not belong together.
    """
    try:
        key = KeyPair.load(contentOf(files.key), crypto.FILETYPE_PEM)
        first, *chain = (Certificate.loadPEM(each) for each in certificatesIn(files.cert))
        roots = [Certificate.loadPEM(each) for each in certificatesIn(files.ca)]
    except crypto.Error as error:
        raise ValueError(
            f"expected PEM in {files.key}, {files.cert} and {files.ca}: {error}"
        ) from error
    try:
        own = PrivateCertificate.fromCertificateAndKeyPair(first, key)
    except VerifyError as error:
        raise ValueError(f"{files.key} is not the key of {files.cert}") from error
    return own, chain, roots


def _revokedIn(files: TLSFiles) -> x509.CertificateRevocationList | None:
    """
    What their authority has revoked.

    @raise ValueError: The list is none.
    """
    if not files.crl:
        return None
    try:
        return x509.load_pem_x509_crl(contentOf(files.crl))
    except ValueError as error:
        raise ValueError(f"{files.crl}: expected a list of revoked certificates") from error


def _revoke(context: SSL.Context, revoked: x509.CertificateRevocationList | None) -> None:
    """
    Have a context refuse what was revoked.
    """
    store = context.get_cert_store()
    if revoked is not None and store is not None:
        store.add_crl(revoked)
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
