# -*- test-case-name: tests.client.test_endpoint,tests.client.test_endpointtimes -*-
"""
A phone's port as a Twisted client endpoint.

Every connection begins with looking for the phone: one that was plugged out and
in again has another number (protocol 9, edge 77).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client import errors
from muxd.client.access import DaemonAccess
from muxd.client.answers import Device
from muxd.client.client import PhoneAddress, UsbmuxClient
from muxd.client.errors import NoDaemon, NoPhone, Stage, TimedOut
from muxd.client.requests import CONNECT_TIMEOUT
from muxd.client.selection import Network, chooseDevice, fits
from muxd.client.waiting import PhoneWait
from muxd.net.socketway import ISocketEndpoint, SocketWay

OPTIONS = frozenset({"port", "udid", "via", "network", "wait", "timeout"})


@implementer(IStreamClientEndpoint, ISocketEndpoint)
class UsbmuxClientEndpoint:
    """
    A port of a phone, by way of a daemon.

    Its connections' transport is that of the daemon's socket, with all that it
    can do.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        udid: str | None = None,
        via: DaemonAccess | IStreamClientEndpoint | str | None = None,
        network: Network = Network.NO,
        wait: float | None = None,
        timeout: float = CONNECT_TIMEOUT,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param port: On the phone.
        @param udid: Of the phone, with or without its dash; None for the only
            one.
        @param via: As in L{muxd.client.access.daemonAccess}.
        @param network: Whether phones on the network count; they do not unless
            asked for.
        @param wait: How many seconds to wait for the phone to be plugged in, and
            for the daemon to be started; None for not at all.
        @param timeout: Seconds for everything else together.
        """
        self._client = UsbmuxClient(reactor, via, environ)
        self._clock = self._client.access.clock
        self._port = port
        self._udid = udid
        self._network = network
        self._wait = wait
        self._timeout = timeout

    def __repr__(self) -> str:
        phone = "the only phone" if self._udid is None else self._udid
        return f"<port {self._port} of {phone} by {self._client.access.where}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Find the phone and connect to it.

        @return: fires with the protocol.  It fails with one of
            L{muxd.client.errors}, all of which are C{ConnectError}s, or with
            C{ConnectingCancelledError} when it is cancelled, whereupon no
            socket is left.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        begun = self._clock.seconds()
        try:
            try:
                device = await self._lookUp()
                left = self._timeout - (self._clock.seconds() - begun)
            except (NoDaemon, NoPhone) as absence:
                if self._wait is None:
                    raise
                left = self._timeout - (self._clock.seconds() - begun)
                device = await self._waitForPhone(self._wait, absence)
            return await self._client.connect(device, self._port, factory, left)
        except CancelledError:
            raise self._cancelled() from None

    def socketWay(self) -> SocketWay | None:
        """
        The way to it with bare sockets, as long as the phone and the daemon are there.
        """
        loop = self._client.access.loop
        if loop is None:
            return None
        # Only for programs that connect again and again.
        from muxd.client.shortway import ShortWay

        return ShortWay(
            self._client.access,
            loop,
            self._port,
            self._timeout,
            self._choose,
            lambda: Failure(self._cancelled()),
        )

    def _cancelled(self) -> ConnectingCancelledError:
        address = PhoneAddress(udid=self._udid or "any", port=self._port, deviceID=0)
        return ConnectingCancelledError(address)

    async def _lookUp(self) -> Device:
        seconds = min(self._timeout, self._client.access.limits.answerTimeout)
        return self._choose(await self._client.listDevices(seconds))

    def _waitForPhone(self, seconds: float, absence: Exception) -> Deferred[Device]:
        def timedOut(result: object, _: float) -> Device:
            raise TimedOut(Stage.WAIT, seconds, str(absence)) from absence

        def lookUp() -> Deferred[Device]:
            return Deferred.fromCoroutine(self._lookUp())

        def isMeant(device: Device) -> bool:
            return fits(device, self._udid, self._network)

        waiting = PhoneWait(self._client.access, isMeant, lookUp).start()
        return waiting.addTimeout(seconds, self._clock, timedOut)

    def _choose(self, devices: Iterable[Device]) -> Device:
        return chooseDevice(devices, self._udid, self._network, self._client.access.where, errors)


def endpointFromOptions(reactor: Any, options: Mapping[str, str]) -> UsbmuxClientEndpoint:
    """
    An endpoint from the words of a description, see
    L{muxd.client.parser.UsbmuxClientParser}.

    @raise ValueError: They make no sense; the text is for the person that typed them.
    """
    unknown = sorted(options.keys() - OPTIONS)
    if unknown:
        raise ValueError(f"expected only {', '.join(sorted(OPTIONS))}, got {', '.join(unknown)}")
    if "port" not in options:
        raise ValueError("the port is missing")
    udid = options.get("udid")
    if udid == "":
        raise ValueError("the udid is empty; leave it out for the only phone")
    return UsbmuxClientEndpoint(
        reactor,
        _port(options["port"]),
        udid=udid,
        via=options.get("via"),
        network=Network.fromWord(options.get("network", Network.NO.value)),
        wait=_seconds("wait", options["wait"]) if "wait" in options else None,
        timeout=_seconds("timeout", options.get("timeout", str(CONNECT_TIMEOUT))),
    )


def _port(text: str) -> int:
    if re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65536:
        return int(text)
    raise ValueError(f"expected a port from 1 to 65535, got {text!r}")


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not (seconds >= 0 and isfinite(seconds)):
        raise ValueError(f"expected {name} to be a number of seconds, got {text!r}")
    return seconds
