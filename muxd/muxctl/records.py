# -*- test-case-name: tests.muxctl.test_records -*-
"""
C{muxctl record}: pair records.
"""

from __future__ import annotations

import plistlib
from argparse import Namespace
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from muxd.client import blocking
from muxd.client.blocking import UsbmuxError
from muxd.identity import canonicalUDID
from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.terminal import Terminal


def useRecord(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl record show} and C{muxctl record delete}.
    """
    udid: str = options.record
    timeout: float = options.timeout or blocking.ANSWER
    if options.action == "delete":
        blocking.deletePairRecord(udid, timeout, address=terminal.address)
        if terminal.json:
            terminal.show([jsonLine({"udid": canonicalUDID(udid), "deleted": True})])
        else:
            terminal.remark(f"deleted the pair record of {canonicalUDID(udid)}")
        return 0
    values = _parsed(udid, blocking.readPairRecord(udid, timeout, address=terminal.address))
    if terminal.json:
        terminal.show([jsonLine(_plain(values, options.plist))])
    elif options.plist:
        terminal.show(_xml(udid, values))
    else:
        terminal.show(table(("KEY", "VALUE"), list(_summary(values))))
    return 0


def _parsed(udid: str, data: bytes) -> Mapping[str, Any]:
    try:
        values = plistlib.loads(data)
    except Exception as error:
        # plistlib lets its parsers' own exceptions through, of many kinds.
        raise UsbmuxError(f"the pair record of {udid} is no property list: {error}") from error
    if not isinstance(values, dict):
        raise UsbmuxError(f"the pair record of {udid} is no dictionary")
    return values


def _xml(udid: str, values: Mapping[str, Any]) -> list[str]:
    """
    All of a record as text, whatever form it was stored in.
    """
    try:
        return plistlib.dumps(dict(values)).decode().splitlines()
    except Exception as error:
        # There is more in binary property lists than can be said in XML, and
        # plistlib has an exception for each.
        raise UsbmuxError(f"the pair record of {udid} cannot be shown as XML: {error}") from error


def _summary(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """
    What identifies a record and nothing that is secret: certificates and keys
    are only counted.
    """
    # Keys of a binary property list need not be text.
    for key in sorted(values, key=str):
        value = values[key]
        text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
        yield str(key), text


def _plain(value: Any, secrets: bool) -> Any:
    """
    A part of a record as JSON can say it.

    @param secrets: Whether data is told, as base64, and not only how much of it there
        is.
    """
    match value:
        case bytes():
            return b64encode(value).decode() if secrets else {"bytes": len(value)}
        case Mapping():
            return {str(key): _plain(item, secrets) for key, item in value.items()}
        case list():
            return [_plain(item, secrets) for item in value]
        case bool() | int() | float() | str():
            return value
        case _:
            return str(value)
