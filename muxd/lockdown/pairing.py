# -*- test-case-name: tests.lockdown.test_pairing -*-
"""
Asking a phone for its trust: what C{idevicepair pair} does, and preflight.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from muxd.lockdown.client import ILockdown
from muxd.lockdown.errors import LockdownError, LockdownUnavailable
from muxd.lockdown.pairrecord import PairRecord

MakeRecord = Callable[[bytes, str, str], Awaitable[PairRecord]]
"""
Makes a record of the phone's public key, a name of the pairing, and the name of
this host: L{muxd.lockdown.certificates.makePairRecord} in another thread.
"""


async def proposeRecord(
    lockdown: ILockdown, systemBUID: str, randomUUID: Callable[[], UUID], makeRecord: MakeRecord
) -> PairRecord:
    """
    A record to ask the phone's trust for.

    The address of its Wi-Fi has to be asked for beforehand (protocol 5.3).

    @raise LockdownError: The phone does not tell its public key.
    """
    try:
        wifi = await lockdown.getValue("WiFiAddress")
    except LockdownError:
        wifi = None
    key = await lockdown.getValue("DevicePublicKey")
    if not isinstance(key, bytes):
        raise LockdownUnavailable(f"expected the phone's public key, got {type(key).__name__}")
    hostID = str(randomUUID()).upper()
    try:
        record = await makeRecord(key, hostID, systemBUID)
    except ValueError as error:
        raise LockdownUnavailable(f"the phone's public key is unusable: {error}") from error
    # What XML cannot say would make a record of it that cannot be stored.
    isAddress = isinstance(wifi, str) and wifi.isprintable()
    return record.having(WiFiMACAddress=wifi if isAddress else None)


async def requestTrust(lockdown: ILockdown, record: PairRecord) -> PairRecord:
    """
    Ask the phone to trust this record.

    @return: The record, complete, to be stored.
    @raise LockdownError: DialogPending, PairingDenied, PhoneLocked and others.
    """
    return record.having(EscrowBag=await lockdown.pair(record))
