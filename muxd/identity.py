# -*- test-case-name: tests.test_identity -*-
"""
The identity of a device, as clients are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


def udidFromSerial(serial: str) -> str:
    """
    The UDID of a device with this USB serial number: exactly 24 characters get
    a dash after the eighth, all others stay as they are (protocol 1.5).
    """
    return f"{serial[:8]}-{serial[8:]}" if len(serial) == 24 else serial


def serialFromUDID(udid: str) -> str:
    """
    The USB serial number of the phone with this UDID (protocol 1.5).
    """
    dashed = len(udid) == 25 and udid[8] == "-"
    return udid.replace("-", "", 1) if dashed else udid


def canonicalUDID(udid: str) -> str:
    """
    A UDID as devices and the names of pair records have it, however it was typed: of
    24 hexadecimal digits in upper case, with a dash after the eighth, of 40 in lower
    case (protocol 1.5).  What is neither stays as it is.
    """
    digits = udid.replace("-", "")
    if not re.fullmatch("[0-9A-Fa-f]+", digits):
        return udid
    match len(digits):
        case 24:
            return udidFromSerial(digits.upper())
        case 40:
            return digits.lower()
        case _:
            return udid


def udidKey(text: str) -> str:
    """
    A UDID as it is compared, however it was typed; anything else as well.
    """
    return text.replace("-", "").strip().lower()


def udidSpellings(text: str) -> list[str]:
    """
    The spellings of a UDID under which a file may be named, the usual one first.  What is
    no UDID has none.
    """
    key = udidKey(text)
    if len(key) not in (24, 40) or not re.fullmatch("[0-9a-f]+", key):
        return []
    usual = canonicalUDID(key)
    plain = usual.replace("-", "")
    spellings = (usual, plain, usual.lower(), plain.lower(), usual.upper(), plain.upper())
    return list(dict.fromkeys(spellings))


def sameUDID(one: str, other: str) -> bool:
    """
    Whether two UDIDs are of one device, each with or without its dash and in either
    case.
    """
    return udidKey(one) == udidKey(other)


NAMED = 5
"""Phones that a text names; a farm has sixty."""


def namedInBrief(names: Iterable[str]) -> str:
    """
    Phones for a sentence: the first few in alphabetical order, and how many there are
    besides; nothing if there are none.
    """
    sortedNames = sorted(names)
    more = len(sortedNames) - NAMED
    return ", ".join(sortedNames[:NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """
    What never changes while a device is attached (protocol 4.9).

    @ivar udid: With its dash, as pair records are named.
    @ivar serial: The USB serial number, without a dash.
    @ivar productID: The USB product id.
    @ivar locationID: At most 32 bits: for USB the number that Apple makes of bus and
        ports, or bus number << 16 | address where the ports are not known.
    @ivar portPath: Where it is plugged in, such as C{3-1.4.2}: the bus, and the ports of
        all hubs on the way; the same after each plug.  Empty where that is not known.
    @ivar speed: Of the connection, in bit/s.
    @ivar connectionType: "USB" or "Network".
    @ivar name: What to call it in a log before anything better is known.
    @ivar isSimulated: Whether it is no real phone, as people are told.
    @ivar host: The name of the host that it is plugged into; empty if that is this one.
    """

    udid: str
    serial: str
    productID: int
    locationID: int
    speed: int = 480_000_000
    connectionType: str = "USB"
    name: str = ""
    portPath: str = ""
    isSimulated: bool = False
    host: str = ""
