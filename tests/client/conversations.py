"""
What the tests of conversations have in common.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.client import PhoneAddress
from muxd.client.connection import Conversation
from muxd.client.exchange import State
from muxd.client.requests import Dialect, commandRequest, connectRequest
from muxd.limits import Limits
from muxd.wire.messages import Message

ADDRESS = PhoneAddress(udid="U", port=22, deviceID=1)
EVENT = {"MessageType": "Paired", "DeviceID": 1}


class OneFactory(Factory):
    """
    Builds the one protocol it was given, and remembers what happened to it.
    """

    def __init__(self, built: Protocol | None) -> None:
        self.built = built
        self.addresses: list[object] = []

    def buildProtocol(self, addr: object) -> Any:
        """
        The one.
        """
        self.addresses.append(addr)
        return self.built


class ConversationCase(SynchronousTestCase):
    """
    A conversation whose daemon is the test itself.
    """

    def setUp(self) -> None:
        """
        Open one.
        """
        self.transport = StringTransport()
        self.conversation = Conversation("here", "tests", Limits(replySize=4096))
        self.conversation.makeConnection(self.transport)

    def answer(self, *messages: Message) -> None:
        """
        Let the daemon say something, in one piece.
        """
        self.conversation.dataReceived(b"".join(message.encode() for message in messages))

    def ask(self) -> Deferred[Any]:
        """
        Make an ordinary request.
        """
        return self.conversation.ask(commandRequest("ReadBUID"), Dialect.PLIST)

    def become(self, built: Protocol | None) -> Deferred[IProtocol]:
        """
        Make a Connect for a protocol.
        """
        self.factory = OneFactory(built)
        return self.conversation.become(connectRequest(1, 22), Dialect.PLIST, self.factory, ADDRESS)

    def assertAborted(self) -> None:
        """
        The socket is being closed without delay.
        """
        self.assertTrue(self.transport.disconnected)
        self.assertIs(State.CLOSED, self.conversation.state)
