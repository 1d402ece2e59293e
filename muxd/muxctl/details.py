# -*- test-case-name: tests.muxctl.test_details -*-
"""
What phones say of themselves, for C{muxctl list -l}.

Every phone tells its name without being asked for trust; whether it trusts this host
is the answer to a session that is begun with what is in the pair record and not
gone through with.
"""

from __future__ import annotations

import plistlib
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from struct import Struct
from time import monotonic
from typing import Any

from muxd.client import blocking
from muxd.client.address import Address
from muxd.client.blocking import Device, Network, NoPairRecord
from muxd.client.selection import onNetwork

LOCKDOWN = 62078
"""The port of a phone's lockdownd."""

LONGEST = 1 << 20
"""Bytes of an answer; real ones have a few kilobytes."""

ATONCE = 16
"""Phones that are asked at the same time."""

_LENGTH = Struct(">I")


@dataclass(frozen=True, slots=True)
class Details:
    """
    What a phone says.

    @ivar name: What its owner calls it; "" if it does not answer, as the others.
    @ivar model: Such as C{iPhone14,5}.
    @ivar version: Of its iOS.
    @ivar trust: C{yes}, C{no}, C{locked} (with a passcode, since it was started), or
        "" if it does not answer.
    """

    name: str = ""
    model: str = ""
    version: str = ""
    trust: str = ""


def detailsOf(devices: Sequence[Device], timeout: float, address: Address) -> list[Details]:
    """
    Ask phones, all at the same time.

    @param timeout: Seconds for each.
    @param address: Of the daemon.
    """

    def ask(device: Device) -> Details:
        return _details(device, timeout, address)

    with ThreadPoolExecutor(ATONCE) as threads:
        return list(threads.map(ask, devices))


def _details(device: Device, timeout: float, address: Address) -> Details:
    end = monotonic() + timeout
    details = Details()
    network = Network.PREFER if onNetwork(device) else Network.NO
    try:
        record = _record(device.udid, timeout, address)
        details = Details(trust="no" if record == {} else "")
        left = max(0.001, end - monotonic())
        with blocking.connect(
            LOCKDOWN, device.udid, network=network, timeout=left, address=address
        ) as phone:
            lockdown = _Lockdown(phone, end)
            values = lockdown.ask(Request="GetValue").get("Value")
            if isinstance(values, dict):
                details = replace(
                    details,
                    name=_text(values.get("DeviceName")),
                    model=_text(values.get("ProductType")),
                    version=_text(values.get("ProductVersion")),
                )
            if record:
                details = replace(details, trust=_trust(lockdown, record))
    except (OSError, ValueError):
        # One that does not answer, or not so that it can be understood, must not hide
        # the others.
        pass
    return details


def _record(udid: str, timeout: float, address: Address) -> Mapping[str, Any] | None:
    """
    The pair record of a phone: empty if there is none, None if that is not known.
    """
    try:
        return _parsed(blocking.readPairRecord(udid, timeout, address=address))
    except NoPairRecord:
        return {}
    except (OSError, ValueError):
        return None


def _trust(lockdown: _Lockdown, record: Mapping[str, Any]) -> str:
    keys = {key: record[key] for key in ("HostID", "SystemBUID") if key in record}
    answer = lockdown.ask(Request="StartSession", **keys)
    match answer.get("Error"):
        case None:
            return "yes" if answer.get("SessionID") else ""
        case "InvalidHostID":
            return "no"
        case "PasswordProtected":
            return "locked"
        case _:
            return ""


class _Lockdown:
    """
    A conversation with a phone's lockdownd, without TLS.
    """

    def __init__(self, phone: socket.socket, end: float) -> None:
        """
        @param end: When it has to be over, by the monotonic clock.
        """
        self._phone = phone
        self._end = end

    def ask(self, **request: Any) -> Mapping[str, Any]:
        """
        Make a request.

        @raise OSError: The phone does not answer in time, or closes.
        @raise ValueError: The answer makes no sense.
        """
        data = plistlib.dumps({"Label": "muxctl", **request})
        self._phone.settimeout(self._left())
        self._phone.sendall(_LENGTH.pack(len(data)) + data)
        length: int = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
        if length > LONGEST:
            raise ValueError(f"expected an answer of at most {LONGEST} bytes, got {length}")
        return _parsed(self._exactly(length))

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            self._phone.settimeout(self._left())
            more = self._phone.recv(count - len(data))
            if not more:
                raise ConnectionError("the phone closed the connection")
            data += more
        return bytes(data)

    def _left(self) -> float:
        return max(0.001, self._end - monotonic())


def _parsed(data: bytes) -> Mapping[str, Any]:
    try:
        values = plistlib.loads(data)
    except Exception as error:
        # plistlib lets its parsers' own exceptions through, of many kinds.
        raise ValueError(f"no property list: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("no dictionary")
    return values


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
