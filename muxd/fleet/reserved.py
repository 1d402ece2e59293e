# -*- test-case-name: tests.fleet.test_source -*-
"""
A usbmuxd that has one phone: that of a reservation.
"""

from __future__ import annotations

import os
import plistlib
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import quoteStringArgument
from zope.interface import implementer

from muxd.fleet.phone import FleetPhone
from muxd.interfaces import IDeviceReceiver, IDeviceSource
from muxd.service import MuxService

SOCKET = "usbmuxd"
_IDENTITY = "SystemConfiguration.plist"


@implementer(IDeviceSource)
class OnePhone(Service):
    """
    A source of one phone.
    """

    description = "reserved"

    def __init__(self, receiver: IDeviceReceiver, phone: FleetPhone) -> None:
        self._receiver = receiver
        self._phone = phone

    def startService(self) -> None:
        """
        It is there.
        """
        super().startService()
        self._receiver.deviceAttached(self._phone)

    def stopService(self) -> Deferred[None]:
        """
        It is gone.
        """
        super().stopService()
        self._receiver.deviceDetached(self._phone)
        return succeed(None)


class ReservedService(MuxService):
    """
    The daemon.  Its identity is that of the phone's host, which has the pair record.

    @ivar path: Its socket.
    """

    def __init__(self, reactor: Any, phone: FleetPhone, directory: str) -> None:
        """
        @param directory: One of its own, that nothing else can write in.
        """
        self.path = os.path.join(directory, SOCKET)
        self._phone = phone
        self._directory = directory
        super().__init__(
            reactor,
            listen=[f"unix:{quoteStringArgument(self.path)}:mode=600"],
            sources=[lambda receiver: OnePhone(receiver, phone)],
            configDir=directory,
        )

    async def prepare(self) -> None:
        """
        Take on the identity of the phone's host.

        @raise OSError: It does not tell.
        """
        buid = await self._phone.readBUID()
        with open(os.path.join(self._directory, _IDENTITY), "wb") as file:
            plistlib.dump({"SystemBUID": buid}, file)

    def lose(self) -> Deferred[None]:
        """
        The reservation is over: clients see the phone detached, and streams end, which a host
        that is out of reach cannot see to.
        """
        (source,) = self.sources
        for client in tuple(self.server.clients):
            if client.hasStream:
                client.disconnect()
        return source.stopService() if source.running else succeed(None)
