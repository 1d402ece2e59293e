# -*- test-case-name: tests.client.test_blocking,tests.client.test_watching -*-
"""
Phones for programs without a reactor::

    from muxd.client import blocking

    for device in blocking.devices():
        print(device.udid)

    with blocking.connect(22) as ssh:          # the only phone, its port 22
        print(ssh.recv(100))

What L{connect} returns is an ordinary connected C{socket.socket}, blocking and
without a time-out, ready for C{ssl}, C{http.client}, paramiko and all that takes
a socket.  It works with this project's daemon, with the C daemon and with
Apple's, on Linux, macOS and Windows.

Every function takes C{timeout}, the seconds that the whole of it may take (None
for as long as it needs), and C{address}, where the daemon is: as an
L{Address<muxd.client.address.Address>} or as text in any spelling that
C{USBMUXD_SOCKET_ADDRESS} may have; without it that variable is looked at, then
the platform's usual place.  Errors are those of L{muxd.client.socketerrors}, all
of them C{OSError}s.

Nothing here imports Twisted.
"""

from __future__ import annotations

import os
import plistlib
import socket
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from muxd.client import socketerrors
from muxd.client.address import Address, InvalidAddress, daemonAddress, parseAddress
from muxd.client.answers import Attached, Detached, Device, DeviceTable, Event, Paired
from muxd.client.daemon import Daemon
from muxd.client.selection import Network, chooseDevice, fits
from muxd.client.socketerrors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoDaemon,
    NoPairRecord,
    NoPhone,
    NotSupported,
    PairRecordError,
    PhoneGone,
    PortRefused,
    SeveralPhones,
    TimedOut,
    UsbmuxError,
)
from muxd.client.socketio import Deadline
from muxd.limits import LIMITS

__all__ = [
    "Attached",
    "DaemonLost",
    "DaemonNonsense",
    "DaemonRefused",
    "Detached",
    "Device",
    "Event",
    "InvalidAddress",
    "ListenerRecord",
    "Network",
    "NoDaemon",
    "NoPairRecord",
    "NoPhone",
    "NotSupported",
    "PairRecordError",
    "Paired",
    "PhoneGone",
    "PortRefused",
    "SeveralPhones",
    "TimedOut",
    "UsbmuxError",
    "buid",
    "connect",
    "deletePairRecord",
    "devices",
    "listeners",
    "readPairRecord",
    "savePairRecord",
    "watch",
]

ANSWER = LIMITS.answerTimeout
CONNECT = LIMITS.connectTimeout + LIMITS.answerTimeout
"""A daemon gives up on a phone that does not answer, and says so, before we do."""

Lost = Callable[[UsbmuxError], None]
"""Told why the daemon was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRecord:
    """
    A program that is told of phones.

    @ivar listenerID: As the daemon names its connection.
    @ivar program: The program's name.
    @ivar bundleID: Its bundle identifier; "" if it has none.
    @ivar version: The version of the client library that it says it is.
    """

    listenerID: str
    program: str
    bundleID: str = ""
    version: int = 0


def devices(
    timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> list[Device]:
    """
    All phones that are there now.
    """
    daemon = _daemonAt(address)
    return daemon.devices(daemon.deadline(timeout))


def watch(
    timeout: float | None = None,
    *,
    reconnect: bool = False,
    lost: Lost | None = None,
    address: Address | str | None = None,
) -> Generator[Event, None, None]:
    """
    Yield what happens to phones, beginning with one L{Attached} for each that is
    there; end after C{timeout} seconds.

    The connection is made by the first C{next} and closed with the generator.

    @param reconnect: Outlive the daemon: when it goes away, its phones are
        yielded as L{Detached}, and it is waited for.  It need not be there yet
        either.  Otherwise its loss is raised.
    @param lost: With C{reconnect}: called once whenever the daemon is lost.
    """
    daemon = _daemonAt(address)
    return _watch(daemon, daemon.deadline(timeout), lost or _ignore if reconnect else None)


def connect(
    port: int,
    udid: str | None = None,
    *,
    network: Network = Network.NO,
    wait: float | None = None,
    timeout: float | None = CONNECT,
    address: Address | str | None = None,
) -> socket.socket:
    """
    Connect to a TCP port of a phone.

    @param udid: Which phone, with or without the dash; None for the only one.
    @param network: Whether phones on the network count; they do not unless asked
        for.
    @param wait: How many seconds to wait for the phone (or for the daemon, which
        some systems start when a phone comes) if it is not there; this time is
        not counted as part of C{timeout}.
    @return: a connected, blocking socket.
    @raise NoPhone: It is not there.
    @raise TimedOut: It did not come within C{wait}, or all the rest took longer
        than C{timeout}.
    @raise SeveralPhones: Several are, and C{udid} does not say which.
    @raise PortRefused: Nothing listens on that port.
    """
    if not 0 < port < 65536:
        raise ValueError(f"expected a port from 1 to 65535, got {port}")
    daemon = _daemonAt(address)
    deadline = daemon.deadline(timeout)
    try:
        device = _choose(daemon, udid, network, deadline)
    except (NoPhone, NoDaemon) as absence:
        if wait is None:
            raise
        device = _await(daemon, udid, network, wait, deadline, absence)
    return daemon.connect(device, port, deadline)


def listeners(
    timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> list[ListenerRecord]:
    """
    The programs that the daemon tells of phones.
    """
    daemon = _daemonAt(address)
    values = daemon.command("ListListeners", daemon.deadline(timeout))
    entries = values.get("ListenerList")
    if not isinstance(entries, list):
        raise _without("ListenerList", "ListListeners", daemon)
    return [_listenerFrom(entry) for entry in entries if isinstance(entry, dict)]


def buid(timeout: float | None = ANSWER, *, address: Address | str | None = None) -> str:
    """
    The identity of the daemon's host, which phones trust.
    """
    daemon = _daemonAt(address)
    answer = daemon.command("ReadBUID", daemon.deadline(timeout)).get("BUID")
    if not isinstance(answer, str):
        raise _without("BUID", "ReadBUID", daemon)
    return answer


def readPairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> bytes:
    """
    The pair record of a phone: a property list, with private keys in it.

    @raise NoPairRecord: There is none.
    """
    daemon = _daemonAt(address)
    values = daemon.recordCommand("ReadPairRecord", udid, daemon.deadline(timeout))
    data = values.get("PairRecordData")
    if not isinstance(data, bytes):
        raise _without("PairRecordData", "ReadPairRecord", daemon)
    return data


def savePairRecord(
    udid: str,
    record: bytes | Mapping[str, Any],
    timeout: float | None = ANSWER,
    *,
    deviceID: int | None = None,
    address: Address | str | None = None,
) -> None:
    """
    Store a pair record, instead of one that may be there.

    @param record: A property list, or what to make one of.
    @param deviceID: Of the phone if it is there; listeners are then told that it
        is paired.
    """
    daemon = _daemonAt(address)
    data = record if isinstance(record, bytes) else plistlib.dumps(dict(record))
    keys: dict[str, Any] = {"PairRecordData": data}
    if deviceID is not None:
        keys["DeviceID"] = deviceID
    daemon.recordCommand("SavePairRecord", udid, daemon.deadline(timeout), **keys)


def deletePairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> None:
    """
    Forget a pair record: the phone will ask again whether to trust this host.

    @raise NoPairRecord: There is none.
    """
    daemon = _daemonAt(address)
    daemon.recordCommand("DeletePairRecord", udid, daemon.deadline(timeout))


def _daemonAt(address: Address | str | None) -> Daemon:
    if address is None:
        return _remembered(daemonAddress(os.environ))
    return _remembered(parseAddress(address) if isinstance(address, str) else address)


@lru_cache(maxsize=64)
def _remembered(address: Address) -> Daemon:
    """
    One L{Daemon} for each address, which knows the protocol spoken there.
    """
    return Daemon(address, _programName(sys.argv[0]))


def _programName(path: str) -> str:
    """
    What to call the program with this C{sys.argv[0]}, for C{muxctl listeners}.
    """
    directory, name = os.path.split(path)
    if name == "__main__.py":
        name = os.path.basename(directory)
    # Not every file name can be said in XML.
    return name if name and name.isprintable() else "python"


def _ignore(error: UsbmuxError) -> None:
    """
    Nobody wants to know of a loss.
    """


def _watch(daemon: Daemon, end: Deadline, lost: Lost | None) -> Generator[Event, None, None]:
    """
    The generator of L{watch}.

    @param lost: None to raise what is wrong with the daemon.
    """
    table = DeviceTable()
    present = True
    while True:
        try:
            with daemon.listen(end.within(daemon.limits.answerTimeout), table) as listener:
                present = True
                while True:
                    yield listener.next(end)
        except (NoDaemon, DaemonLost, DaemonNonsense, TimedOut) as error:
            if end.expired:
                return
            if lost is None:
                raise
            if present:
                lost(error)
            present = False
        yield from table.clear()
        daemon.sleep(end.atMost(daemon.limits.reconnectDelay))


def _choose(daemon: Daemon, udid: str | None, network: Network, deadline: Deadline) -> Device:
    return chooseDevice(daemon.devices(deadline), udid, network, daemon.where, socketerrors)


def _without(key: str, command: str, daemon: Daemon) -> DaemonNonsense:
    return DaemonNonsense(daemon.where, f"the answer to {command}", f"there is no {key} in it")


def _await(
    daemon: Daemon,
    udid: str | None,
    network: Network,
    wait: float,
    deadline: Deadline,
    absence: UsbmuxError,
) -> Device:
    """
    Wait for a phone.  What listening tells is only the reason to look again:
    the list says whether it is the only one.
    """
    began = daemon.clock()
    troubles: list[UsbmuxError] = []
    with closing(_watch(daemon, daemon.deadline(wait), troubles.append)) as events:
        for event in events:
            if isinstance(event, Attached) and fits(event.device, udid, network):
                now = daemon.clock()
                deadline.extend(now - began)
                began = now
                try:
                    return _choose(daemon, udid, network, deadline)
                except NoPhone:
                    continue
    # The latest trouble says more than the first absence, if there was any.
    subject = (troubles or [absence])[-1]
    raise TimedOut(wait, f"waiting for the phone to be plugged in ({subject})")


def _listenerFrom(entry: Mapping[str, Any]) -> ListenerRecord:
    version = entry.get("kLibUSBMuxVersion")
    return ListenerRecord(
        listenerID=str(entry.get("ID String", "")),
        program=str(entry.get("ProgName", "")),
        bundleID=str(entry.get("BundleID", "")),
        version=version if isinstance(version, int) else 0,
    )
