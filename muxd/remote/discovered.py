# -*- test-case-name: tests.remote.test_discovered -*-
"""
The phones of all hosts that announce a usbmuxd on the networks of this machine.

usbfluxd's convention: C{_remote-mobdev._tcp}, at whose host and port a usbmuxd speaks in plain
text, without a proof of its identity.  Announcements are from the network, and so anyone's; each
host that is believed is a source of its own, with all that holds for one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.access import DaemonAccess
from muxd.client.client import UsbmuxClient
from muxd.interfaces import IDeviceReceiver, IDeviceSource, ISourceHealth, SourceHealth
from muxd.net.announcing import MARK
from muxd.ratelimit import RateLimit
from muxd.remote.phone import RemotePhone
from muxd.remote.settings import RemoteSettings
from muxd.remote.source import RemoteSource
from muxd.wire.text import printable

MOST_HOSTS = 64
"""Hosts that are believed at a time: anyone on the network can announce some."""

MOST_ADDRESSES = 8
"""Of one host, that are tried."""

LOOK_AGAIN = 15.0
"""Seconds between two looks whether hosts whose announcement has gone can be forgotten."""

LONGEST_NAME = 64


@implementer(IStreamClientEndpoint)
class Whereabouts:
    """
    The way to a host that may announce other addresses at any time.

    @ivar addresses: Those of the last announcement.
    @ivar port: Its port.
    """

    def __init__(self, endpoint: Callable[[str, int], IStreamClientEndpoint]) -> None:
        """
        @param endpoint: Makes the endpoint of an address and a port.
        """
        self.addresses: tuple[str, ...] = ()
        self.port = 0
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the first address that lets one.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        problem: Exception = ConnectError(string="it announces no address")
        for address in self.addresses:
            try:
                return await self._endpoint(address, self.port).connect(factory)
            except ConnectError as error:
                problem = error.with_traceback(None)
        try:
            raise problem
        finally:
            # It knows this frame, and the frame it.
            del problem


class _Host:
    """
    One host.

    @ivar isAnnounced: Whether it still announces itself.
    """

    def __init__(self, source: RemoteSource, whereabouts: Whereabouts) -> None:
        self.source = source
        self.whereabouts = whereabouts
        self.isAnnounced = True


@implementer(IDeviceSource, ISourceHealth)
class DiscoveredHosts(Service):
    """
    A source of the phones of hosts that announce themselves.

    A host that does not any more keeps its phones for as long as it can be reached: a goodbye is
    a packet that anyone can send.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        settings: RemoteSettings,
        endpoint: Callable[[str, int], IStreamClientEndpoint],
        makeBrowser: Callable[[DiscoveredHosts], Any],
        ownMark: str = "",
        retryPolicy: Callable[[int], float] | None = None,
    ) -> None:
        """
        @param settings: Of each host, but for its name.
        @param endpoint: Makes the endpoint of an address and a port.
        @param makeBrowser: Makes what looks for announcements and tells this source; called at
            each start.
        @param ownMark: What our own announcements have, which are not used.
        @param retryPolicy: As of L{RemoteSource}.
        """
        self.description = description
        self._reactor = reactor
        self._receiver = receiver
        self._settings = settings
        self._endpoint = endpoint
        self._makeBrowser = makeBrowser
        self._ownMark = ownMark.encode()
        self._retryPolicy = retryPolicy
        self._browser: Any = None
        self._hosts: dict[str, _Host] = {}
        self._looking = LoopingCall(self._forgetGone)
        self._looking.clock = reactor
        self._limit = RateLimit(reactor, lambda kind, count: None, burst=1)
        self._blind: tuple[str, ...] = ()

    @property
    def phones(self) -> list[RemotePhone]:
        """
        The phones that are attached.
        """
        return [phone for host in self._hosts.values() for phone in host.source.phones]

    @property
    def hosts(self) -> list[str]:
        """
        The instances of the announcements that are believed.
        """
        return list(self._hosts)

    def health(self) -> SourceHealth:
        """
        See L{ISourceHealth}.
        """
        troubles = [host.source.health().troubles for host in self._hosts.values()]
        return SourceHealth(troubles=tuple(chain(self._blind, *troubles)))

    def startService(self) -> None:
        """
        Begin to look.
        """
        super().startService()
        self._blind = ()
        self._browser = self._makeBrowser(self)
        self._browser.start().addErrback(self._notBrowsing)
        self._looking.start(LOOK_AGAIN, now=False)

    def stopService(self) -> Deferred[None]:
        """
        Look no more, and detach all phones.
        """
        super().stopService()
        if self._looking.running:
            self._looking.stop()
        self._limit.stop()
        browser, self._browser = self._browser, None
        ends = [] if browser is None else [maybeDeferred(browser.stop)]
        hosts, self._hosts = self._hosts, {}
        ends += [host.source.stopService() for host in hosts.values()]
        return gatherResults(ends).addCallback(lambda _: None)

    def found(self, announced: Any) -> None:
        """
        A host announces itself, or does so with something else.

        @param announced: As L{muxd.net.multicast.Announced}.
        """
        isOwn = self._ownMark and announced.properties.get(MARK.encode()) == self._ownMark
        if not self.running or isOwn or not announced.port:
            return
        host = self._hosts.get(announced.instance)
        if host is None:
            host = self._believe(announced.instance)
        if host is not None:
            host.isAnnounced = True
            host.whereabouts.addresses = announced.addresses[:MOST_ADDRESSES]
            host.whereabouts.port = announced.port
            if not host.source.running:
                host.source.startService()

    def gone(self, instance: str) -> None:
        """
        It does not any more.
        """
        host = self._hosts.get(instance)
        if host is not None:
            host.isAnnounced = False
            self._forgetGone()

    def _believe(self, instance: str) -> _Host | None:
        if len(self._hosts) >= MOST_HOSTS:
            if self._limit.admit("hosts"):
                self._log.warn(
                    "more than {most} hosts announce themselves; not using {instance}",
                    most=MOST_HOSTS,
                    instance=printable(instance, LONGEST_NAME),
                )
            return None
        name = printable(instance, LONGEST_NAME) or "a host without a name"
        whereabouts = Whereabouts(self._endpoint)
        access = DaemonAccess(self._reactor, whereabouts, name)
        source = RemoteSource(
            self._reactor,
            self._receiver,
            f"{self.description} ({name})",
            UsbmuxClient(self._reactor, access),
            replace(self._settings, name=name),
            self._retryPolicy,
        )
        self._log.info("{name} announces itself", name=name)
        host = self._hosts[instance] = _Host(source, whereabouts)
        return host

    def _forgetGone(self) -> None:
        """
        Forget the hosts that neither announce themselves nor can be reached.
        """
        for instance, host in list(self._hosts.items()):
            source = host.source
            if not host.isAnnounced and source.trouble and not source.phones:
                del self._hosts[instance]
                source.stopService()

    def _notBrowsing(self, failure: Failure) -> None:
        problem = (
            f"cannot look for hosts on the network: {failure.getErrorMessage()};"
            " name them by remote:ENDPOINT, or see that this machine may use UDP port 5353"
        )
        self._log.error("{problem}", problem=problem)
        self._blind = (problem,)
