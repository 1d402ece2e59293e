"""
A phone that a test plays, attached to a service, with clients of each kind.
"""

from __future__ import annotations

import socket

from muxd.device import socketend
from muxd.device.device import MuxedDevice
from muxd.device.session import Session
from muxd.device.socketend import SocketEnd
from muxd.interfaces import AttachedDevice
from muxd.limits import LIMITS
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.streams import StreamSocket
from muxd.testing import BudgetTransport, fakeIdentity
from muxd.testing.packets import Segment
from muxd.wire.messages import HEADER
from tests.device.links import SYN_ACK, PhoneSide, ScriptedPhone
from tests.net.eventloops import handDrivenLoop
from tests.server.serving import connectRequest
from tests.status.asking import StatusTestCase


class SocketOwner(socketend.SocketOwner):
    """
    What asks for a session for a socket, and does not care.
    """

    def sessionOpened(self) -> None:
        """
        Nothing.
        """

    def sessionRefused(self, reason: object) -> None:
        """
        Nothing.
        """

    def requestCancelled(self) -> None:
        """
        Nothing.
        """

    def socketClosed(self) -> None:
        """
        Nothing.
        """

    def streamEnded(self, sent: int, received: int) -> None:
        """
        Nothing.
        """


class PhoneTestCase(StatusTestCase):
    """
    A service with a phone whose every packet a test says.
    """

    def setUp(self) -> None:
        """
        Attach the phone.
        """
        super().setUp()
        self.phone = ScriptedPhone.ready()
        self.device = MuxedDevice(fakeIdentity(1), self.phone.muxer)
        attached = self.service.registry.attach(self.device)
        assert attached is not None
        self.attached: AttachedDevice = attached

    def socketClient(self, kind: int = socket.AF_UNIX) -> tuple[socket.socket, Session]:
        """
        A client on a plain socket, with a session.
        """
        if kind == socket.AF_UNIX:
            client, ours = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                client = socket.create_connection(listening.getsockname())
                ours, _ = listening.accept()
        ours.setblocking(False)
        self.addCleanup(client.close)
        watch = HalfClosedWatch(self.phone.clock, 1.0, LIMITS.flushTimeout)
        end = SocketEnd(StreamSocket(ours.detach()), handDrivenLoop(), watch, SocketOwner())
        end.begin(self.phone.muxer.open(7, end))
        self.addCleanup(end.cut)
        self.accept(7)
        (session,) = [one for one in self.phone.muxer.sessions if one.end is end]
        return client, session

    def twistedClient(self) -> tuple[BudgetTransport, Session]:
        """
        A client on a Twisted transport, with a session.
        """
        before = set(self.phone.muxer.sessions)
        client = BudgetTransport.connect(self.reactor, self.service.server)
        client.deliver(connectRequest(self.attached.deviceID, 22).encode())
        self.accept(22)
        (session,) = set(self.phone.muxer.sessions) - before
        self.assertGreater(len(client.value()), HEADER.size)
        return client, session

    def ownSession(self) -> PhoneSide:
        """
        A session of this program's own.
        """
        return self.phone.open(port=62078)

    def accept(self, port: int) -> None:
        """
        Have the phone accept the last Connect.
        """
        syn: Segment = self.phone.take()[-1]
        self.phone.deliver(self.phone.segment(port, syn.sourcePort, 0, 1, SYN_ACK))
        self.phone.take()
