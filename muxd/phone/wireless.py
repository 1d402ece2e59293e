# -*- test-case-name: tests.phone.test_wireless -*-
"""
A simulated iPhone on a network: lockdownd and the services that it starts, by TCP.

A phone listens on port 62078, whatever it announces, and so does this one: it needs an address
of its own, such as 127.0.0.2.  With the extra C{wifi} it announces itself as phones do,
under a random address of its interface, with the tags of the hosts that trust it.
"""

from __future__ import annotations

import base64
import ipaddress
import socket
from enum import Enum
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.importing.extras import installing
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.lockdownd import LOCKDOWN_PORT
from muxd.wifi.adverts import SERVICE, authTag

PRIVATE_MAC = "02:00:00:5e"
"""What random addresses of an interface begin with here; phones use such on most networks."""


class Style(Enum):
    """
    How a phone announces itself.

    @cvar TAGS: As since iOS 26.4: under a random address, with a tag for each host.
    @cvar PRIVATE: As before: under a random address, and nothing more.
    @cvar MAC: Under the address that it has told its hosts.
    """

    TAGS = "tags"
    PRIVATE = "private"
    MAC = "mac"


class WirelessAccess(Service):
    """
    The network that one phone is on, while it runs.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        phone: Phone,
        address: str,
        announce: bool = True,
        style: Style = Style.TAGS,
    ) -> None:
        """
        @param address: One of this machine's, for this phone alone.
        @param announce: Whether it announces itself.
        @param style: How.
        @raise ValueError: That is no address.
        """
        self._address = str(ipaddress.ip_address(address))
        self._style = style
        mac = phone.values.get("WiFiAddress")
        if style is not Style.MAC or not isinstance(mac, str):
            tail = phone.serial[-4:].lower().rjust(4, "0")
            mac = f"{PRIVATE_MAC}:{tail[:2]}:{tail[2:]}"
        self._name = f"{mac}@fe80::{phone.serial[-4:].lower()}.{SERVICE}"
        phone.values.announces(self._name)
        self._reactor = reactor
        self._phone = phone
        self._announce = announce
        self._ports: dict[int, IListeningPort] = {}
        self._announcement: Any = None

    def startService(self) -> None:
        """
        Listen, and announce.

        @raise CannotListenError: Another program has the port.
        """
        super().startService()
        self._listen(LOCKDOWN_PORT, self._phone.services[LOCKDOWN_PORT])
        self._phone.ports.watch(self._opened, self._closed)
        if self._announce:
            self._begin()

    def stopService(self) -> Deferred[None]:
        """
        Be gone from the network; what is connected goes on until it closes.
        """
        super().stopService()
        self._phone.ports.watch(None, None)
        ends = [maybeDeferred(port.stopListening) for port in self._ports.values()]
        self._ports.clear()
        announcement, self._announcement = self._announcement, None
        if announcement is not None:
            ends.append(self._inThread(announcement.close))
        return gatherResults(ends).addCallback(lambda _: None)

    def _listen(self, port: int, factory: IProtocolFactory) -> None:
        self._ports[port] = self._reactor.listenTCP(port, factory, interface=self._address)

    def _opened(self, port: int, factory: IProtocolFactory) -> None:
        try:
            self._listen(port, factory)
        except CannotListenError as error:
            # It can still be reached by the cable.
            self._log.warn("a service cannot be reached by the network: {error}", error=error)

    def _closed(self, port: int) -> None:
        listening = self._ports.pop(port, None)
        if listening is not None:
            maybeDeferred(listening.stopListening)

    def _begin(self) -> None:
        try:
            from zeroconf import ServiceInfo, Zeroconf
        except ImportError:
            self._log.warn(
                "not announced on the network, there is no zeroconf; {remedy}",
                remedy=installing("wifi"),
            )
            return
        version = ipaddress.ip_address(self._address).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        info = ServiceInfo(
            SERVICE,
            self._name,
            # Phones announce a port on which nothing listens.
            port=32498,
            properties=announced(self._phone) if self._style is Style.TAGS else {},
            addresses=[socket.inet_pton(family, self._address)],
        )

        def announce() -> Any:
            zeroconf = Zeroconf(interfaces=[self._address])
            zeroconf.register_service(info)
            return zeroconf

        self._inThread(announce).addCallbacks(self._announced, self._notAnnounced)

    def _inThread(self, work: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _announced(self, zeroconf: Any) -> None:
        if self.running:
            self._announcement = zeroconf
        else:
            self._inThread(zeroconf.close)

    def _notAnnounced(self, failure: Failure) -> None:
        self._log.warn(
            "{udid} is not announced on the network: {reason}",
            udid=self._phone.udid,
            reason=failure.getErrorMessage(),
        )


def announced(phone: Phone) -> dict[str | bytes, str | bytes | None]:
    """
    The TXT record of a phone's announcement: a tag for each host that it trusts.
    """
    identifier = phone.udid
    properties: dict[str | bytes, str | bytes | None] = {"identifier": identifier}
    for number, hostID in enumerate(phone.trust.hostIDs):
        key = f"authTag#{number}" if number else "authTag"
        properties[key] = base64.b64encode(authTag(hostID, identifier))
    return properties
