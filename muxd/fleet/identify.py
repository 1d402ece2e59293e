# -*- test-case-name: tests.fleet.test_ways -*-
"""
What has connected to a hub, by its certificate.
"""

from __future__ import annotations

from typing import Any

from muxd.fleet.messages import Hello, Role
from muxd.fleet.values import FleetError, Why
from muxd.net.credentials import certificateNames


def isProved(transport: Any) -> bool:
    """
    Whether the other end has shown a certificate.
    """
    getCertificate = getattr(transport, "getPeerCertificate", None)
    return getCertificate is not None and getCertificate() is not None


def checkName(transport: Any, hello: Hello) -> None:
    """
    See that something is what it says it is, where there is TLS: it has the name, and a host has
    the certificate of a host, which those of jobs are not.

    @raise FleetError: It is not.
    """
    if not isProved(transport):
        return
    names = certificateNames(transport)
    if hello.name not in names:
        has = ", ".join(sorted(names)) or "no name"
        raise FleetError(Why.NOT_ALLOWED, f"the certificate has {has}, and not {hello.name}"[:300])
    if hello.role is Role.HOST and not _isOfHost(transport.getPeerCertificate()):
        raise FleetError(
            Why.NOT_ALLOWED, "the certificate is a client's; a host has one of muxctl cert host"
        )


def _isOfHost(certificate: Any) -> bool:
    # There is TLS, so there is what this needs.
    from cryptography.x509 import ExtensionNotFound

    from muxd.net.certificates import isOfServer

    try:
        return isOfServer(certificate.to_cryptography())
    except (ExtensionNotFound, ValueError):
        return False
