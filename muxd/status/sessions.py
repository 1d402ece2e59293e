# -*- test-case-name: tests.status.test_sessions -*-
"""
The sessions of all phones, and the programs at their other ends.

Which program that is, the kernel tells of a UNIX socket (C{SO_PEERCRED}).  It is asked when
an operator looks, once for each session, and never when a client connects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muxd.device.device import MuxedDevice
from muxd.device.session import Session
from muxd.device.socketend import SocketEnd
from muxd.device.transport import SessionTransport
from muxd.interfaces import AttachedDevice
from muxd.net.credentials import Peer, addressOfDescriptor, peerOf, peerOfDescriptor
from muxd.net.pipe import PipeEnd
from muxd.server.registry import DeviceRegistry


@dataclass(frozen=True, slots=True)
class SessionView:
    """
    A session, and what never changes of it.

    @ivar name: The phone's number and our port, which no other session has meanwhile.
    @ivar attached: The phone.
    @ivar session: The session.
    @ivar isClient: Whether it is a client's, and not this program's own.
    @ivar peer: Which program uses it, for JSON.
    """

    name: str
    attached: AttachedDevice
    session: Session
    isClient: bool
    peer: dict[str, Any]

    def values(self, now: float) -> dict[str, Any]:
        """
        All of it.

        @param now: By the reactor's clock.
        """
        session = self.session
        return {
            "name": self.name,
            "phone": self.attached.deviceID,
            "udid": self.attached.device.identity.udid,
            "port": session.port,
            "peer": self.peer,
            "age": round(max(now - session.since, 0.0), 3),
            "state": session.state.value,
            "toPhone": session.bytesSent,
            "fromPhone": session.bytesReceived,
            "sendWindow": session.send.size,
            "inFlight": session.send.inFlight(),
            "receiveWindow": session.receive.size,
            "held": heldBytes(session),
            "stalls": session.stalls,
            "stalledFor": _stalledFor(session, now),
        }


def heldBytes(session: Session) -> int:
    """
    How many bytes have come that its client has not taken.
    """
    receive = session.receive
    return (receive.expected - receive.delivered) & 0xFFFFFFFF


def _stalledFor(session: Session, now: float) -> float:
    since = session.stalledSince
    return round(max(now - since, 0.0), 3) if since >= 0 else 0.0


class SessionViews:
    """
    The views of all sessions that are there.
    """

    def __init__(self, registry: DeviceRegistry) -> None:
        self._registry = registry
        self._known: dict[Session, SessionView] = {}

    def look(self) -> list[SessionView]:
        """
        Those of all sessions that are established now.
        """
        known, self._known = self._known, {}
        for attached, session in self.sessions():
            view = known.get(session)
            self._known[session] = _view(attached, session) if view is None else view
        return list(self._known.values())

    def forget(self) -> None:
        """
        Keep none of them until the next look.
        """
        self._known.clear()

    def sessions(self) -> Iterator[tuple[AttachedDevice, Session]]:
        """
        All of them, without views.
        """
        for attached in self._registry.everything():
            if isinstance(attached.device, MuxedDevice):
                for session in attached.device.muxer.sessions:
                    yield attached, session


def _view(attached: AttachedDevice, session: Session) -> SessionView:
    name = f"{attached.deviceID}-{session.sourcePort}"
    peer = _peer(session)
    return SessionView(name, attached, session, isClient(session), peer)


def isClient(session: Session) -> bool:
    """
    Whether a session is a client's, on whichever way that has come.
    """
    end = session.end
    if isinstance(end, SocketEnd):
        return True
    return isinstance(end, SessionTransport) and isinstance(end.protocol, PipeEnd)


def _peer(session: Session) -> dict[str, Any]:
    end = session.end
    if isinstance(end, SocketEnd):
        descriptor = end.socket.fileno()
        return _described(peerOfDescriptor(descriptor), addressOfDescriptor(descriptor))
    protocol = end.protocol if isinstance(end, SessionTransport) else None
    if not isinstance(protocol, PipeEnd):
        return {"program": "this daemon"}
    transport: Any = protocol.peer.transport
    if transport is None:
        return {}
    address = transport.getPeer()
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    shown = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") if host else ""
    return _described(peerOf(getattr(transport, "socket", None)), shown)


def _described(peer: Peer | None, address: str) -> dict[str, Any]:
    if peer is not None:
        return {"pid": peer.pid, "uid": peer.uid, "gid": peer.gid, "program": peer.program}
    return {"address": address} if address else {}
