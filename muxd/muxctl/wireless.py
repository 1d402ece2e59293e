# -*- test-case-name: tests.muxctl.test_wireless -*-
"""
C{muxctl wifi}: whether a phone may be reached by the network.

The phone is asked in a session, which needs its pair record: only those may do this that the
daemon lets read it.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from muxd.client import blocking
from muxd.client.selection import Network
from muxd.client.socketerrors import UsbmuxError
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord
from muxd.muxctl.columns import jsonLine
from muxd.muxctl.details import LOCKDOWN
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

DOMAIN = "com.apple.mobile.wireless_lockdown"
KEY = "EnableWifiConnections"

PATIENCE = 30.0
"""Seconds for all of it."""


class NotSwitched(UsbmuxError):
    """
    The phone was not told; the text says why.
    """


def switchWireless(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl wifi on} and C{muxctl wifi off}.

    @raise UsbmuxError: It has not been done.
    """
    udid: str = options.phone
    timeout: float = options.timeout or PATIENCE
    isOn = options.action == "on"
    stored = blocking.readPairRecord(udid, timeout, address=terminal.address)
    try:
        record = PairRecord.fromBytes(stored)
    except BadPairRecord as error:
        raise NotSwitched(f"the pair record of {udid} cannot be used: {error}") from error
    # Errors of daemons and of phones that are not there are those of every command.
    blocking.connect(
        LOCKDOWN, udid, network=Network.YES, timeout=timeout, address=terminal.address
    ).close()
    from twisted.internet import reactor

    failed = _run(reactor, options, terminal, record, timeout)
    if failed is not None:
        from muxd.muxctl.phoneerrors import statusOfPhone, textOfPhone

        status = statusOfPhone(failed)
        terminal.error(failed, status, f"{udid} was not told: {textOfPhone(failed, 'telling it')}")
        return status
    text = f"{udid} is reached by the network from now on, when it is on one"
    if not isOn:
        text = f"{udid} is not reached by the network any more"
    terminal.show([jsonLine({"udid": udid, "wifi": isOn}) if terminal.json else text])
    return 0


def _run(
    reactor: Any, options: Namespace, terminal: Terminal, record: PairRecord, timeout: float
) -> BaseException | None:
    """
    Tell it, with a reactor that runs for as long as that takes.

    @return: What has gone wrong.
    @raise KeyboardInterrupt: It was interrupted.
    """
    from twisted.internet.defer import Deferred

    from muxd.client.access import accessAt
    from muxd.client.endpoint import UsbmuxClientEndpoint

    endpoint = UsbmuxClientEndpoint(
        reactor,
        LOCKDOWN,
        udid=options.phone,
        via=accessAt(reactor, terminal.address),
        network=Network.YES,
        timeout=timeout,
    )
    outcome: list[Any] = []
    isInterrupted = False

    def begin() -> None:
        switching = Deferred.fromCoroutine(
            switch(endpoint, reactor, record, options.action == "on")
        )
        switching.addTimeout(timeout, reactor)
        switching.addBoth(outcome.append)
        switching.addBoth(lambda _: None if isInterrupted else reactor.stop())

    def end() -> None:
        # What is lost from now on is so because the reactor has been stopped.
        nonlocal isInterrupted
        isInterrupted = not outcome

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", end)
    reactor.run()
    if isInterrupted:
        raise KeyboardInterrupt
    failed: BaseException | None = getattr(outcome[0], "value", None)
    return failed


async def switch(
    endpoint: IStreamClientEndpoint, clock: Any, record: PairRecord, isOn: bool
) -> None:
    """
    Have a phone be reached by the network, or not any more.

    @param endpoint: Of its lockdownd.
    @raise LockdownError: It refuses.
    @raise LockdownUnavailable: It does not answer, or is not the phone of the record.
    """
    from muxd.lockdown.client import connectLockdown

    lockdown = await connectLockdown(endpoint, clock, "muxctl")
    try:
        await lockdown.startSession(record)
        await lockdown.setValue(KEY, isOn, DOMAIN)
    finally:
        lockdown.close()
