# -*- test-case-name: tests.tap.test_tunnels -*-
"""
A phone's tunnel for other programs of this machine: a list by HTTP, in the forms in which
C{pymobiledevice3 remote tunneld} and C{ios tunnel start --userspace} have theirs, and a door, which
is how go-ios' programs reach what is in a tunnel of another process.

At the door a program says which address and port it wants, in twenty bytes, and has a stream. At
the list's port it has one by a WebSocket as well (L{muxd.tap.tunnelsockets}), as C{tunneld} has it.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from muxd.limits import LIMITS, Limits
from muxd.net.serverstrings import LOOPBACK
from muxd.tap.halves import Half, VisitingHalf
from muxd.tap.tunnelsockets import HOSTS, ListPort
from muxd.tunnel.host import Tunnel
from muxd.tunnel.opening import SharedTunnel

_ADDRESS = 16
_ASKED = 20


def listed(tunnel: Tunnel) -> dict[str, Any]:
    """
    A tunnel as C{tunneld} lists it.
    """
    parameters = tunnel.parameters
    return {
        "tunnel-address": str(parameters.phone),
        "tunnel-port": parameters.rsdPort,
        "interface": "muxd",
        "auxiliary-metadata": {},
        "origin": None,
    }


def described(tunnel: Tunnel, door: int) -> dict[str, Any]:
    """
    A tunnel as go-ios describes its own.

    @param door: The port of the door.
    """
    parameters = tunnel.parameters
    return {
        "address": str(parameters.phone),
        "rsdPort": parameters.rsdPort,
        "udid": str(tunnel.properties.get("UniqueDeviceID")),
        "userspaceTun": True,
        "userspaceTunPort": door,
    }


class TunnelList(Resource):
    """
    The list.
    """

    isLeaf = True

    def __init__(self, tunnels: TunnelDoors) -> None:
        super().__init__()
        self._tunnels = tunnels

    def render_GET(self, request: Request) -> int:
        """
        Answer when there is a tunnel; not to a page whose site has led a browser here.
        """
        if request.getRequestHostname() not in HOSTS:
            request.setResponseCode(403)
            request.finish()
            return NOT_DONE_YET
        found = self._tunnels.tunnel.get()
        request.notifyFinish().addErrback(lambda _: found.cancel())
        found.addCallback(self._answer, request).addErrback(self._sorry, request)
        return NOT_DONE_YET

    def _answer(self, tunnel: Tunnel, request: Request) -> None:
        path = b"/".join(request.postpath or []).decode("ascii", "replace")
        own = described(tunnel, self._tunnels.doorPort)
        answers: dict[str, Any] = {
            "": {own["udid"]: [listed(tunnel)]},
            "tunnels": [own],
            f"tunnel/{own['udid']}": own,
            "services": {each.name: each.port for each in tunnel.services.values()},
        }
        self._send(request, 200 if path in answers else 404, answers.get(path, {}))

    def _sorry(self, reason: Failure, request: Request) -> None:
        if reason.check(CancelledError) is None:
            self._send(request, 503, {"error": reason.getErrorMessage()})

    def _send(self, request: Request, status: int, answer: Any) -> None:
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.write(json.dumps(answer).encode())
        request.finish()


class Visitor(VisitingHalf):
    """
    A program at the door.
    """

    _log = Logger()

    def __init__(self, tunnels: TunnelDoors) -> None:
        super().__init__(tunnels)
        self._asked = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Hear what it wants, and then pass on what it says.
        """
        if self.other is not None or self._connecting is not None:
            super().dataReceived(data)
            return
        self._asked += data
        if len(self._asked) >= _ASKED:
            self.setTimeout(None)
            transport: Any = self.transport
            transport.pauseProducing()
            self._connecting = Deferred.fromCoroutine(self._connect())
            self._connecting.addErrback(self._refused)

    async def _connect(self) -> None:
        asked, rest = self._asked[:_ASKED], self._asked[_ASKED:]
        self._asked = b""
        tunnel = await self._tunnels.tunnel.get()
        port = int.from_bytes(asked[_ADDRESS:], "little")
        if asked[:_ADDRESS] != tunnel.parameters.phone.packed or not 0 < port < 65536:
            raise ValueError("it asks for an address that is not in the tunnel")
        far: Any = await tunnel.endpoint(port).connect(Factory.forProtocol(Half))
        self._connecting = None
        self.join(far)
        if rest:
            super().dataReceived(rest)
        transport: Any = self.transport
        transport.resumeProducing()

    def _refused(self, reason: Failure) -> None:
        self._log.info("a program at the door: {why}", why=reason.getErrorMessage())
        transport: Any = self.transport
        transport.loseConnection()


class _Door(Factory):
    """
    Lets programs in.
    """

    noisy = False

    def __init__(self, tunnels: TunnelDoors) -> None:
        self._tunnels = tunnels

    def buildProtocol(self, addr: IAddress | None) -> Visitor | None:
        """
        One of them, unless there are too many.
        """
        if self._tunnels.visitors >= self._tunnels.limits.tunnelSessions:
            return None
        return Visitor(self._tunnels)


class TunnelDoors(Service):
    """
    The list and the door of one phone's tunnel, for the programs of this machine.

    @ivar reactor: What all of it lives on.
    @ivar tunnel: The tunnel.
    @ivar visitors: How many programs are at the door or have gone through.
    @ivar doorPort: Where it is.
    """

    def __init__(
        self, reactor: Any, tunnel: SharedTunnel, port: int, limits: Limits = LIMITS
    ) -> None:
        """
        @param port: Of the list; the door has any that is free.
        """
        self.tunnel = tunnel
        self.limits = limits
        self.visitors = 0
        self.doorPort = 0
        self.reactor = reactor
        self._port = port
        self._listening: list[IListeningPort] = []

    @property
    def listPort(self) -> int:
        """
        Where the list is.
        """
        host: Any = self._listening[0].getHost()
        port: int = host.port
        return port

    def startService(self) -> None:
        """
        Listen.

        @raise CannotListenError: Another program does already.
        """
        super().startService()
        site = Site(TunnelList(self))
        site.noisy = False
        listed = ListPort(self, site)
        self._listening.append(self.reactor.listenTCP(self._port, listed, interface=LOOPBACK))
        door = self.reactor.listenTCP(0, _Door(self), interface=LOOPBACK)
        self._listening.append(door)
        self.doorPort = door.getHost().port

    def stopService(self) -> Deferred[Any]:
        """
        Listen no more, and close the tunnel.

        @return: fires when that is done.
        """
        super().stopService()
        listening, self._listening = self._listening, []
        stopped: list[Deferred[Any]] = [
            one for one in (port.stopListening() for port in listening) if one is not None
        ]
        return gatherResults([*stopped, self.tunnel.stop()])
