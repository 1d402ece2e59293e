# -*- test-case-name: tests.net.test_multicast -*-
"""
Multicast DNS on the networks of this machine, by the package C{zeroconf}: looking for services,
and announcing one.

That package has a thread of its own with a loop of its own; what it finds is told in the
reactor's thread.  It needs the extra C{wifi}, and its import alone starts processes, to find
libraries: import this module when it is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol
from uuid import uuid4

import ifaddr
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zeroconf import (
    IPVersion,
    ServiceBrowser,
    ServiceInfo,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceInfo

RESOLVE_TIME = 3000
"""Milliseconds for the addresses of an announcement."""

MOST_INSTANCES = 512
"""Announcements that are known at a time: anyone on the network can make some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """
    What is announced of one service.

    @ivar instance: Its name, without that of the kind of service.
    @ivar addresses: Where it is, numerically, an IPv6 one of the link with its scope
        (C{fe80::1%3}).
    @ivar port: The port that it says.
    @ivar properties: Of its TXT record.
    """

    instance: str
    addresses: tuple[str, ...] = ()
    port: int = 0
    properties: Mapping[bytes, bytes | None] = field(default_factory=dict)


class AnnouncementObserver(Protocol):
    """
    What is told of announcements, in the reactor's thread.
    """

    def found(self, announced: Announced) -> None:
        """
        A service announces itself, or does so with something else.
        """

    def gone(self, instance: str) -> None:
        """
        It does not any more.
        """


class MulticastBrowser:
    """
    Looks for services of one kind on all networks of this machine.
    """

    def __init__(
        self,
        reactor: Any,
        service: str,
        observer: AnnouncementObserver,
        open: Callable[[], Any] = lambda: Zeroconf(ip_version=IPVersion.All),
    ) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}, and has a thread pool.
        @param service: Such as C{_apple-mobdev2._tcp.local.}.
        @param open: Makes a C{Zeroconf}.
        """
        self._reactor = reactor
        self._service = service
        self._observer = observer
        self._makeZeroconf = open
        self._known: set[str] = set()
        self._zeroconf: Any = None
        self._browser: Any = None

    def start(self) -> Deferred[None]:
        """
        Begin to look.

        @return: fires when that has begun.  It fails with C{OSError} if there is no network to
            look on.
        """
        return _inThread(self._reactor, self._open)

    def stop(self) -> Deferred[None]:
        """
        Look no more.
        """
        return _inThread(self._reactor, self._close)

    def _open(self) -> None:
        self._zeroconf = self._makeZeroconf()
        self._browser = ServiceBrowser(self._zeroconf, self._service, handlers=[self._changed])

    def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            zeroconf.close()

    # In zeroconf's thread

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        instance = name.removesuffix(f".{self._service}")
        if state_change is ServiceStateChange.Removed:
            self._known.discard(instance)
            self._reactor.callFromThread(self._observer.gone, instance)
            return
        if instance not in self._known and len(self._known) >= MOST_INSTANCES:
            return
        self._known.add(instance)
        info = AsyncServiceInfo(service_type, name)
        assert zeroconf.loop is not None
        zeroconf.loop.call_soon_threadsafe(self._resolve, zeroconf, info, instance)

    def _resolve(self, zeroconf: Zeroconf, info: AsyncServiceInfo, instance: str) -> None:
        async def resolve() -> None:
            if await info.async_request(zeroconf, RESOLVE_TIME):
                announced = Announced(
                    instance=instance,
                    addresses=tuple(_addresses(info)),
                    port=info.port or 0,
                    properties=info.properties,
                )
                self._reactor.callFromThread(self._observer.found, announced)

        asyncio.ensure_future(resolve())  # noqa: RUF006 (it is bounded by RESOLVE_TIME)


class Announcement:
    """
    Announces one service of this machine, while it runs.
    """

    def __init__(
        self,
        reactor: Any,
        service: str,
        name: str,
        properties: Mapping[str, str],
        open: Callable[..., Any] = Zeroconf,
    ) -> None:
        """
        @param service: Such as C{_remote-mobdev._tcp.local.}.
        @param name: Of the instance; if another has it, it becomes another one.
        @param properties: What its TXT record says.
        @param open: Makes a C{Zeroconf}.
        """
        self._reactor = reactor
        self._service = service
        self._name = name
        self._properties = dict(properties)
        self._makeZeroconf = open
        self._zeroconf: Any = None
        self._isOver = False

    def start(self, address: str, port: int) -> Deferred[None]:
        """
        Announce.

        @param address: Where the service listens; C{0.0.0.0} or C{::} is everywhere.
        @return: fires when it is announced.  It fails with C{OSError} if there is no network to
            do so.
        """
        return _inThread(self._reactor, lambda: self._open(address, port))

    def stop(self) -> Deferred[None]:
        """
        Say that it is gone.
        """
        self._isOver = True
        return _inThread(self._reactor, self._close)

    def _open(self, address: str, port: int) -> None:
        asked = ip_address(address.partition("%")[0])
        isEverywhere = asked.is_unspecified
        addresses = _ownAddresses(asked.version) if isEverywhere else [address]
        where = {} if isEverywhere else {"interfaces": [address]}
        info = ServiceInfo(
            self._service,
            f"{self._name}.{self._service}",
            port=port,
            parsed_addresses=addresses,
            properties=self._properties,
            # A name of its own: that of the machine is announced by another program.
            server=f"muxd-{uuid4().hex}.local.",
        )
        zeroconf = self._makeZeroconf(**where)
        try:
            zeroconf.register_service(info, allow_name_change=True)
        except BaseException:
            zeroconf.close()
            raise
        self._zeroconf = zeroconf
        if self._isOver:
            self._close()

    def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            # It says that its services are gone.
            zeroconf.close()


def _inThread(reactor: Any, work: Callable[[], None]) -> Deferred[None]:
    # Opening and closing wait for the other loop, for up to some seconds.
    return deferToThreadPool(reactor, reactor.getThreadPool(), work)


def _ownAddresses(version: int) -> list[str]:
    """
    The addresses of this machine that others can reach.
    """
    numbers = [
        ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
    ]
    return [str(one) for one in numbers if one.version == version and not one.is_loopback]


def _addresses(info: AsyncServiceInfo) -> list[str]:
    """
    Where a service is; an address of the link with the number of its scope.
    """
    found = []
    for address in info.ip_addresses_by_version(IPVersion.All):
        scope = getattr(address, "scope_id", None)
        plain = ip_address(str(address).partition("%")[0])
        if isinstance(plain, IPv6Address) and plain.is_link_local:
            if scope:
                found.append(f"{plain}%{scope}")
        else:
            found.append(str(plain))
    return found
