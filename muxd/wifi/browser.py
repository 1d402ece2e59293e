# -*- test-case-name: tests.wifi.test_browser -*-
"""
Who announces what on the networks of this machine: multicast DNS, by the package C{zeroconf}.

That package has a thread of its own with a loop of its own; what it finds is told in the
reactor's thread.  It needs the extra C{wifi}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zeroconf import IPVersion, ServiceBrowser, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from muxd.wifi.adverts import SERVICE, AdvertObserver, readAdvert

RESOLVE_TIME = 3000
"""Milliseconds for the addresses of an announcement."""

MOST_INSTANCES = 512
"""Announcements that are known at a time: anyone on the network can make some."""


class MulticastBrowser:
    """
    Looks for phones on all networks of this machine.
    """

    def __init__(self, reactor: Any, observer: AdvertObserver) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}, and has a thread pool.
        """
        self._reactor = reactor
        self._observer = observer
        self._known: set[str] = set()
        self._zeroconf: Zeroconf | None = None
        self._browser: Any = None

    def start(self) -> Deferred[None]:
        """
        Begin to look.

        @return: fires when that has begun.  It fails with C{OSError} if there is no network to
            look on.
        """
        return self._inThread(self._open)

    def stop(self) -> Deferred[None]:
        """
        Look no more.
        """
        return self._inThread(self._close)

    def _inThread(self, work: Callable[[], None]) -> Deferred[None]:
        # Both wait for the other loop, for up to some seconds.
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _open(self) -> None:
        self._zeroconf = Zeroconf(ip_version=IPVersion.All)
        self._browser = ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._changed])

    def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            zeroconf.close()

    # In zeroconf's thread

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        instance = name.removesuffix(f".{SERVICE}")
        if state_change is ServiceStateChange.Removed:
            self._known.discard(instance)
            self._reactor.callFromThread(self._observer.advertGone, instance)
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
                advert = readAdvert(instance, _addresses(info), info.properties)
                self._reactor.callFromThread(self._observer.advertFound, advert)

        asyncio.ensure_future(resolve())  # noqa: RUF006 (it is bounded by RESOLVE_TIME)


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
