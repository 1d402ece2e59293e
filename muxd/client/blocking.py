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

import socket
import sys
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import lru_cache
from typing import Any

from muxd.client.address import Address, InvalidAddress
from muxd.client.answers import (
    Attached,
    Detached,
    Device,
    DeviceTable,
    Event,
    ListenerRecord,
    Paired,
)
from muxd.client.daemon import Daemon, completed
from muxd.client.problems import Stage
from muxd.client.requests import CONNECT_TIMEOUT, programName
from muxd.client.selection import Network, fits
from muxd.client.socketdaemon import (
    LOSSES,
    Lost,
    Outage,
    checkPort,
    ignoreLoss,
    meantAddress,
)
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
CONNECT = CONNECT_TIMEOUT


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
    return _watch(daemon, daemon.deadline(timeout), lost or ignoreLoss if reconnect else None)


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
    checkPort(port)
    daemon = _daemonAt(address)
    deadline = daemon.deadline(timeout)
    try:
        device = daemon.choose(udid, network, deadline)
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
    return completed(daemon.commands(daemon.deadline(timeout)).listListeners())


def buid(timeout: float | None = ANSWER, *, address: Address | str | None = None) -> str:
    """
    The identity of the daemon's host, which phones trust.
    """
    daemon = _daemonAt(address)
    return completed(daemon.commands(daemon.deadline(timeout)).readBUID())


def readPairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> bytes:
    """
    The pair record of a phone: a property list, with private keys in it.

    @raise NoPairRecord: There is none.
    """
    daemon = _daemonAt(address)
    return completed(daemon.commands(daemon.deadline(timeout)).readPairRecord(udid))


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
    commands = daemon.commands(daemon.deadline(timeout))
    completed(commands.savePairRecord(udid, record, deviceID))


def deletePairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> None:
    """
    Forget a pair record: the phone will ask again whether to trust this host.

    @raise NoPairRecord: There is none.
    """
    daemon = _daemonAt(address)
    completed(daemon.commands(daemon.deadline(timeout)).deletePairRecord(udid))


def _daemonAt(address: Address | str | None) -> Daemon:
    return _remembered(meantAddress(address))


@lru_cache(maxsize=64)
def _remembered(address: Address) -> Daemon:
    """
    One L{Daemon} for each address, which knows the protocol spoken there.
    """
    return Daemon(address, programName(sys.argv[0]))


def _watch(daemon: Daemon, end: Deadline, lost: Lost | None) -> Generator[Event, None, None]:
    """
    The generator of L{watch}.

    @param lost: None to raise what is wrong with the daemon.
    """
    table = DeviceTable()
    outage = Outage(lost)
    while True:
        try:
            with daemon.listen(end.within(daemon.limits.answerTimeout), table) as listener:
                outage.over()
                while True:
                    yield listener.next(end)
        except LOSSES as error:
            if not outage.outlived(error, end):
                return
        yield from table.clear()
        daemon.sleep(end.atMost(daemon.limits.reconnectDelay))


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
                    return daemon.choose(udid, network, deadline)
                except NoPhone:
                    continue
    # The latest trouble says more than the first absence, if there was any.
    subject = (troubles or [absence])[-1]
    raise TimedOut(Stage.WAIT, wait, str(subject))
