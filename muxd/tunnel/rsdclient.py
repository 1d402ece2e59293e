# -*- test-case-name: tests.tunnel.test_rsd -*-
"""
The host's end of RSD.
"""

from __future__ import annotations

from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.tunnel.remotexpc import RemoteXPC
from muxd.tunnel.rsd import FLAGS, VERSION, PeerInfo, parsePeerInfo
from muxd.tunnel.xpc import Message, Unsigned


class RSDClient(RemoteXPC):
    """
    The host's end.

    @ivar whenTold: fires with what the phone tells.
    """

    def __init__(self, identity: UUID) -> None:
        """
        @param identity: The host's; a phone takes another one for another host, and closes what it
            has had open.
        """
        super().__init__()
        self._identity = identity
        self.whenTold: Deferred[PeerInfo] = Deferred(lambda _: self.close("it is too late"))

    def ready(self) -> None:
        """
        Say what the host is.
        """
        self.send(
            {
                "MessageType": "Handshake",
                "MessagingProtocolVersion": Unsigned(VERSION),
                "UUID": self._identity,
                "Properties": {
                    "RemoteXPCVersionFlags": Unsigned(FLAGS),
                    "SensitivePropertiesVisible": True,
                },
                "Services": {},
            }
        )

    def messageReceived(self, message: Message) -> None:
        """
        The phone tells.
        """
        if self.whenTold.called:
            # What else it has to say, when something has changed, is not followed.
            return
        self.whenTold.callback(parsePeerInfo(message.body))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It will not tell.
        """
        if not self.whenTold.called:
            self.whenTold.errback(
                Failure(ConnectionLost(f"RSD has told nothing: {reason.getErrorMessage()}"))
            )
