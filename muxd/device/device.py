# -*- test-case-name: tests.device.test_device -*-
"""
A phone behind a muxer, as the floors above see it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from muxd.device.muxer import Muxer
from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice


@implementer(IStreamClientEndpoint)
class SessionEndpoint:
    """
    A TCP port of a phone, reached through its muxer.
    """

    def __init__(self, muxer: Muxer, port: int) -> None:
        self._muxer = muxer
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a session; see L{Muxer.connect}.
        """
        return self._muxer.connect(self._port, protocolFactory)


@implementer(IDevice)
class MuxedDevice:
    """
    @ivar identity: The phone's identity.
    @ivar muxer: The way to it.
    """

    def __init__(self, identity: DeviceIdentity, muxer: Muxer) -> None:
        self.identity = identity
        self.muxer = muxer

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a TCP port of the phone.

        @raise ValueError: There is no such port.
        """
        if not 0 <= port <= 65535:
            raise ValueError(f"expected a port from 0 to 65535, got {port}")
        return SessionEndpoint(self.muxer, port)
