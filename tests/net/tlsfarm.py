"""
A farm's certificates, for tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from muxd.muxctl.authority import CertificateAuthority, Purpose
from muxd.net.tlsfiles import TLSFiles

NOW = datetime.now(UTC)


class TLSFarm:
    """
    An authority and the directories of those that it has certified.

    @ivar authority: The authority.
    """

    def __init__(self, directory: Path, name: str = "farm") -> None:
        self._directory = directory
        self.authority = CertificateAuthority.create(directory / f"{name}-ca", name, NOW)

    def directoryOf(self, name: str) -> Path:
        """
        Where the files of a host or a client are.
        """
        return self._directory / name

    def filesOf(self, name: str) -> TLSFiles:
        """
        The same as an endpoint has them.
        """
        return TLSFiles.fromOptions({"files": str(self.directoryOf(name))})

    def issue(
        self, name: str, purpose: Purpose = Purpose.CLIENT, *others: str, days: float = 1
    ) -> TLSFiles:
        """
        Certify a host or a client.

        @param days: How long it is good, from now; if less than 0, until when it was.
        """
        begin = NOW if days > 0 else NOW + timedelta(days=days - 1)
        to = self.directoryOf(name)
        self.authority.issue((name, *others), purpose, days if days > 0 else 1, begin, to)
        return self.filesOf(name)

    def host(self, name: str, *others: str) -> TLSFiles:
        """
        Certify a host.
        """
        return self.issue(name, Purpose.HOST, *others)

    def revoke(self, name: str, at: str) -> None:
        """
        Revoke a certificate, and tell a host.
        """
        self.authority.revoke(name, NOW)
        there = self.directoryOf(at) / "crl.pem"
        there.write_bytes(self.authority.revokedPath.read_bytes())
