# -*- test-case-name: tests.lockdown.test_pairrecord -*-
"""
A pair record: the keys and names under which a phone and this host trust each
other (protocol 5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from muxd.wire.messages import MalformedMessage, parsePlist, writePlist

KNOWN = {
    "DeviceCertificate": bytes,
    "HostCertificate": bytes,
    "HostID": str,
    "HostPrivateKey": bytes,
    "RootCertificate": bytes,
    "RootPrivateKey": bytes,
    "SystemBUID": str,
}
"""What a record has when it is new."""

REQUIRED = ("HostCertificate", "HostID", "HostPrivateKey")
"""What a session with the phone needs.  Other programs may have kept no more."""

PUBLIC = ("DeviceCertificate", "HostCertificate", "HostID", "RootCertificate", "SystemBUID")
"""What the phone is told of a record."""


class BadPairRecord(ValueError):
    """
    It is none, or something is missing; the text says what.
    """


@dataclass(frozen=True, slots=True)
class PairRecord:
    """
    Certificates and keys are PEM.

    @ivar values: All of it, by the names that every tool uses.
    """

    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def fromBytes(cls, data: bytes) -> PairRecord:
        """
        Read a record, whichever program has written it.  What is unknown in it is kept.

        @raise BadPairRecord: It cannot be used.
        """
        try:
            values = parsePlist(data)
        except MalformedMessage as error:
            raise BadPairRecord(str(error)) from error
        return cls.fromValues(values)

    @classmethod
    def fromValues(cls, values: Mapping[str, Any]) -> PairRecord:
        """
        The record with these values.

        @raise BadPairRecord: One that is required is missing, or one is of another type.
        """
        for name, kind in KNOWN.items():
            if name not in values:
                if name in REQUIRED:
                    raise BadPairRecord(f"{name}: expected {kind.__name__}, got nothing")
                continue
            if not isinstance(values[name], kind):
                got = type(values[name]).__name__
                raise BadPairRecord(f"{name}: expected {kind.__name__}, got {got}")
            if kind is str and not values[name].isprintable():
                # A binary property list can hold it, and the phone cannot be told.
                raise BadPairRecord(f"{name}: expected a name, got {values[name]!r:.80}")
        return cls(dict(values))

    def toBytes(self) -> bytes:
        """
        As it is stored: an XML property list.
        """
        return writePlist(self.values)

    @property
    def hostID(self) -> str:
        """
        The name of this pairing.
        """
        return str(self.values["HostID"])

    @property
    def systemBUID(self) -> str | None:
        """
        The name of this host, if the record has it.
        """
        return self.values.get("SystemBUID")

    @property
    def hasEscrowBag(self) -> bool:
        """
        Whether the phone has given one, as all do since iOS 5: it has TLS.
        """
        return "EscrowBag" in self.values

    def public(self) -> dict[str, Any]:
        """
        What the phone is told: no private key.
        """
        return {name: self.values[name] for name in PUBLIC if name in self.values}

    def having(self, **values: Any) -> PairRecord:
        """
        The same record with further values; those that are None are left out.
        """
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, values={**self.values, **given})
