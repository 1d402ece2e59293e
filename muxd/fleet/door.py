# -*- test-case-name: tests.fleet.test_door -*-
"""
A host's door: what jobs, and the hub's socket, reach its phones by.

What knocks says for which phone, and with which key; let in, it speaks to a usbmuxd that has
that phone and no other.  When its pass is over, all that it has is cut.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.codec import BadMessage
from muxd.fleet.gate import Gate, Pass
from muxd.fleet.messages import AT_DOOR, FROM_DOOR, LONGEST_HELLO, VERSION, Enter, Knock, Refused
from muxd.fleet.values import Why
from muxd.identity import Selection, canonicalUDID
from muxd.net.credentials import peerText
from muxd.net.nodelay import sendAtOnceOver
from muxd.ratelimit import RateLimit
from muxd.server.factory import ControlFactory, Entrance
from muxd.server.protocol import ControlProtocol
from muxd.server.view import View

PATIENCE = 10.0
"""Seconds in which something that has connected has to knock."""

MOST_KNOCKING = 256
"""Connections that have not been let in yet."""

_HEADER = 4


def framed(message: bytes) -> bytes:
    """
    A message with its length before it.
    """
    return len(message).to_bytes(_HEADER, "big") + message


class Door(Factory):
    """
    The door.

    @ivar gate: What decides.
    @ivar refusals: How many were not let in.
    @ivar knocking: How many have not been let in yet.
    """

    noisy = False
    _log = Logger()

    def __init__(self, clock: Any, server: ControlFactory) -> None:
        """
        @param server: Of the phones.
        """
        self.clock = clock
        self.gate = Gate(clock, self._cut, self._reserved)
        self.refusals = 0
        self.knocking = 0
        self._server = server
        self._entrances: dict[Pass, Entrance] = {}
        self._limit = RateLimit(clock, self._summarise)

    def buildProtocol(self, addr: IAddress | None) -> DoorProtocol | None:
        """
        Something has connected.
        """
        if self.knocking >= MOST_KNOCKING:
            return None
        protocol = DoorProtocol(self)
        protocol.factory = self
        return protocol

    def doStart(self) -> None:
        """
        The server is in use by this port, too.
        """
        super().doStart()
        self._server.doStart()

    def doStop(self) -> None:
        """
        It is not any more.
        """
        super().doStop()
        self._server.doStop()

    def stop(self) -> None:
        """
        Cut all that is inside.
        """
        self.gate.stop()
        self._limit.stop()

    def opened(self, knock: Knock, transport: Any) -> ControlProtocol | Refused:
        """
        Let something in, or say why not.
        """
        here = self._server.entrance.audience.devices.findByUDID(knock.udid)
        if knock.version != VERSION:
            detail = f"this host speaks version {VERSION}"
        elif here is None:
            detail = f"{knock.udid} is not here"
        else:
            opened = self.gate.knock(knock.udid, knock.key)
            if opened is not None:
                entrance = self._entrance(opened)
                return entrance.buildProtocol(None)
            holder = self.gate.holderOf(knock.udid)
            detail = f"{knock.udid} is reserved by {holder}" if holder else "the key opens nothing"
        self.refusals += 1
        if self._limit.admit("knocks refused"):
            self._log.info(
                "{client} is not let in: {detail}", client=peerText(transport), detail=detail
            )
        return Refused(why=Why.OVER, detail=detail)

    def _entrance(self, opened: Pass) -> Entrance:
        entrance = self._entrances.get(opened)
        if entrance is None:
            view = View(only=Selection(udids=frozenset({opened.key})))
            audience = self._server.audienceOf(view, opened.user)
            entrance = self._entrances[opened] = Entrance(self._server, audience)
        return entrance

    def _reserved(self, began: Pass) -> None:
        self._log.info(
            "{udid}: {user}'s from now on, with token {token}",
            user=began.user,
            udid=canonicalUDID(began.key),
            token=began.token,
        )

    def _cut(self, ended: Pass, why: str) -> None:
        count = self._disconnect(self._entrances.pop(ended, None))
        if ended.token:
            self._log.info(
                "{udid}: no longer {user}'s with token {token}, {why}: {count} connections ended",
                user=ended.user,
                udid=canonicalUDID(ended.key),
                token=ended.token,
                why=why,
                count=count,
            )

    def _disconnect(self, entrance: Entrance | None) -> int:
        if entrance is None:
            return 0
        clients = [
            client
            for client in self._server.clients
            if isinstance(client, ControlProtocol) and client.entrance is entrance
        ]
        for client in clients:
            client.cut()
        entrance.audience.stop()
        return len(clients)

    def _summarise(self, kind: str, count: int) -> None:
        self._log.info("{count} more {kind}", count=count, kind=kind)


class DoorProtocol(Protocol):
    """
    A connection that has not been let in yet.
    """

    _log = Logger()

    def __init__(self, door: Door) -> None:
        self._door = door
        self._received = b""
        self._timer: IDelayedCall | None = None
        self._inside: ControlProtocol | None = None

    def connectionMade(self) -> None:
        """
        Wait for a knock, not for long.
        """
        sendAtOnceOver(self.transport)
        self._door.knocking += 1
        self._timer = self._door.clock.callLater(PATIENCE, self._abort)

    def dataReceived(self, data: bytes) -> None:
        """
        A part of the knock, or all of it.
        """
        if self._inside is not None:
            self._inside.dataReceived(data)
            return
        self._received += data
        if len(self._received) < _HEADER:
            return
        size = int.from_bytes(self._received[:_HEADER], "big")
        if size > LONGEST_HELLO:
            self._abort()
        elif len(self._received) >= _HEADER + size:
            message = self._received[_HEADER : _HEADER + size]
            self._knocked(message, self._received[_HEADER + size :])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It has gone.
        """
        if self._inside is not None:
            self._inside.connectionLost(reason)
        self._done()

    def _knocked(self, message: bytes, rest: bytes) -> None:
        self._done()
        transport: Any = self.transport
        try:
            knock = AT_DOOR.decode(message)
        except BadMessage:
            transport.abortConnection()
            return
        opened = self._door.opened(knock, transport)
        if isinstance(opened, Refused):
            transport.write(framed(FROM_DOOR.encode(opened)))
            transport.loseConnection()
            return
        transport.write(framed(FROM_DOOR.encode(Enter())))
        opened.early = rest
        self._inside = opened
        # From here on it is a client as any other.
        transport.protocol = opened
        opened.makeConnection(transport)

    def _abort(self) -> None:
        self._done()
        transport: Any = self.transport
        transport.abortConnection()

    def _done(self) -> None:
        if self._timer is None:
            return
        if self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._door.knocking -= 1
