# -*- test-case-name: tests.net.test_mutualtls -*-
"""
Ending what is connected with a certificate that is revoked.

A handshake asks whether a certificate is believed, and nothing does later: a stream to a phone
may go on for days.  So while anything is connected, it is looked once a second whether there is
another list of what was revoked, and what is on it is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from muxd.wire.text import printable

LOOK = 1.0
"""Seconds between two looks at the files."""


class RevocationGuard:
    """
    The connections of one side, and what was revoked.
    """

    _log = Logger()

    def __init__(self, clock: Any, renew: Callable[[], object]) -> None:
        """
        @param clock: The reactor.
        @param renew: Looks at the files, and calls L{use} if there is another list.
        """
        self._clock = clock
        self._renew = renew
        self._revoked: Any = None
        self._revision = 0
        self._checked: dict[Any, int] = {}
        self._timer: IDelayedCall | None = None

    def use(self, revoked: Any) -> None:
        """
        This is the list from now on.

        @param revoked: A C{CertificateRevocationList}, or None.
        """
        self._revoked = revoked
        self._revision += 1

    def watch(self, connection: Any) -> None:
        """
        Cut a connection when its certificate is revoked.

        @param connection: A C{TLSMemoryBIOProtocol}.
        """
        lost = connection.connectionLost

        def connectionLost(reason: Any) -> None:
            del connection.connectionLost
            self._forget(connection)
            lost(reason)

        # An instance attribute on purpose: it is told of its end alone.
        connection.connectionLost = connectionLost
        self._checked[connection] = 0
        self._schedule()

    def look(self) -> None:
        """
        Look whether there is another list, and cut what is on it.
        """
        try:
            self._renew()
        except (OSError, ValueError):
            # They never could be used, which was said.
            return
        for connection, revision in list(self._checked.items()):
            if revision == self._revision or connection not in self._checked:
                continue
            certificate = connection.getPeerCertificate()
            if certificate is None:
                # It is shaking hands, perhaps by what the list was before.
                continue
            self._checked[connection] = self._revision
            if self._isRevoked(certificate.to_cryptography()):
                self._log.warn(
                    "the certificate of {name} was revoked: what is connected with it is cut",
                    name=printable(certificate.get_subject().commonName or "a peer"),
                )
                connection.abortConnection()

    def _isRevoked(self, certificate: Any) -> bool:
        revoked = self._revoked
        if revoked is None or certificate.issuer != revoked.issuer:
            return False
        number = certificate.serial_number
        return revoked.get_revoked_certificate_by_serial_number(number) is not None

    def _forget(self, connection: Any) -> None:
        self._checked.pop(connection, None)
        if not self._checked and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(LOOK, self._lookAgain)

    def _lookAgain(self) -> None:
        self._timer = None
        self.look()
        if self._checked:
            self._schedule()
