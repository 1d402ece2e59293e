# -*- test-case-name: tests.wifi.test_adverts -*-
"""
What phones announce of themselves on a network, and whose they may be.

A phone with Wi-Fi connections switched on announces C{_apple-mobdev2._tcp}.  Its instance is
named by the address of its interface, which is a random one on most networks; on a cable it says
by which name it does, until that changes with the network or in time.  Since iOS 26.4
there is also one tag for each host that it is paired with, made of the pairing's HostID.  All
of this is a hint: what proves which phone it is, is a session in TLS with its record.

Names and tags are from the network, and so anyone's: they are bounded, and compared only.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol as TypingProtocol

from muxd.lockdown.pairrecord import PairRecord

SERVICE = "_apple-mobdev2._tcp.local."

TAG_SIZE = 8
KEY_SIZE = 32
MOST_TAGS = 256
LONGEST_TEXT = 255

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")

KEPT_KEYS = 4096
"""Pairings of which the key of their tags is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """
    One announcement.

    @ivar instance: Its name, such as C{18:f1:d8:df:17:9f@fe80::1af1:d8ff:fedf:179f}.
    @ivar addresses: Where it is, numerically, an IPv6 one of the link with its scope
        (C{fe80::1%3}).
    @ivar identifier: What its tags are made of, if it has any.
    @ivar tags: Of the hosts that it is paired with.
    """

    instance: str
    addresses: tuple[str, ...] = ()
    identifier: str = ""
    tags: frozenset[bytes] = frozenset()

    @property
    def mac(self) -> str:
        """
        The address of the interface, in lower case; empty if the instance has none.
        """
        before, at, _ = self.instance.partition("@")
        mac = before.lower()
        return mac if at and _MAC.fullmatch(mac) else ""

    @property
    def fullName(self) -> str:
        """
        The name of the service's instance as clients are told.
        """
        return f"{self.instance}.{SERVICE}"


class AdvertObserver(TypingProtocol):
    """
    What is told of announcements, in the reactor's thread.
    """

    def advertFound(self, advert: Advert) -> None:
        """
        A phone announces itself, or does so with other addresses.
        """

    def advertGone(self, instance: str) -> None:
        """
        It does not any more.
        """


def readAdvert(
    instance: str, addresses: Iterable[str], properties: Mapping[bytes, bytes | None]
) -> Advert:
    """
    Read an announcement, whatever is in it; what makes no sense is left out.

    @param properties: Of the TXT record.
    """
    identifier = b""
    tags: set[bytes] = set()
    for key, value in properties.items():
        name = key.lower()
        if value is None or len(value) > LONGEST_TEXT:
            continue
        if name == b"identifier":
            identifier = value
        elif (name == b"authtag" or name.startswith(b"authtag#")) and len(tags) < MOST_TAGS:
            tag = _decodeTag(value)
            if tag is not None:
                tags.add(tag)
    return Advert(
        instance=instance[:LONGEST_TEXT],
        addresses=tuple(addresses),
        identifier=identifier.decode("utf-8", "replace"),
        tags=frozenset(tags),
    )


def _decodeTag(value: bytes) -> bytes | None:
    try:
        tag = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        return None
    return tag if len(tag) == TAG_SIZE else None


def authTag(hostID: str, identifier: str) -> bytes:
    """
    The tag that a phone announces for a pairing.

    @param hostID: As it is in the pair record, whatever its case.
    @param identifier: As the phone announces it.
    """
    return hmac.digest(tagKey(hostID), identifier.encode(), "sha256")[:TAG_SIZE]


@lru_cache(KEPT_KEYS)
def tagKey(hostID: str) -> bytes:
    """
    The key of a pairing's tags, which costs as much as thirty tags; it is kept, as anyone on the
    network can have tags made.
    """
    # Imported late: a simulated phone on a cable has the extra for nothing else.
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA512(), KEY_SIZE, salt=None, info=b"").derive(hostID.encode())


def candidates(
    advert: Advert, records: Mapping[str, PairRecord], names: Mapping[str, str] | None = None
) -> list[str]:
    """
    The UDIDs of the phones that an announcement may be of, of those that have a record; none
    if it is not one of ours, as far as can be told.

    @param names: By which each said, when it was last on a cable, that it announces itself.
    """
    own = _plainName(advert.fullName)
    same = [
        udid for udid, name in (names or {}).items() if udid in records and _plainName(name) == own
    ]
    if same:
        return same
    if advert.mac:
        same = [udid for udid, record in records.items() if _mac(record) == advert.mac]
        if same:
            return same
    if not advert.identifier or not advert.tags:
        return []
    return [
        udid
        for udid, record in records.items()
        if authTag(record.hostID, advert.identifier) in advert.tags
    ]


def _mac(record: PairRecord) -> str:
    mac = record.values.get("WiFiMACAddress")
    return mac.lower() if isinstance(mac, str) else ""


def _plainName(name: str) -> str:
    """
    A name as it is compared: names in DNS have no case, and may end with a dot.
    """
    return name.lower().rstrip(".")
