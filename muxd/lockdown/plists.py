# -*- test-case-name: tests.lockdown.test_plists -*-
"""
Property lists one after the other: what lockdownd and most of a phone's services
speak (protocol 5.3).

A message is a big-endian length of four bytes and an XML property list, which is
a dictionary.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver

from muxd.net.connections import Answering
from muxd.wire.messages import MalformedMessage, parsePlist, writePlist
from muxd.wire.text import printable

LONGEST_MESSAGE = 1 << 18
"""
Bytes; no phone says more than a quarter of that at once.  The XML parser of Python
3.11 needs quadratic time for a single long tag (CVE-2023-52425): of this length that
is less than for many short ones.
"""

Message = dict[str, Any]


class PlistProtocol(Int32StringReceiver):
    """
    One conversation.
    """

    _log = Logger()
    _isClosed = False
    MAX_LENGTH = LONGEST_MESSAGE

    def plistReceived(self, message: Message) -> None:
        """
        The other side has said something.
        """
        raise NotImplementedError

    def sendPlist(self, message: Message) -> None:
        """
        Say something.
        """
        self.sendString(writePlist(message))

    def malformed(self, reason: str) -> None:
        """
        The other side does not speak this protocol: there is no telling what
        comes next.
        """
        self._log.info(
            "{name} closes: {reason}", name=type(self).__name__, reason=printable(reason)
        )
        self.close()

    def close(self) -> None:
        """
        Listen no more, and close when everything has been said.
        """
        self._isClosed = self.paused = True
        transport = self.transport
        if transport is None:
            return
        transport.loseConnection()
        carrier = getattr(transport, "transport", None)
        if carrier is not None:
            # TLS has said that this is the end, and would wait for the other side to say
            # so too, forever.
            carrier.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Listen, unless this is over.
        """
        if not self._isClosed:
            super().dataReceived(data)

    def stringReceived(self, string: bytes) -> None:
        """
        Read a message.
        """
        try:
            message = parsePlist(string)
        except MalformedMessage as error:
            self.malformed(str(error))
        else:
            self.plistReceived(message)

    def lengthLimitExceeded(self, length: int) -> None:
        """
        A message is longer than any that is meant.
        """
        self.malformed(f"message of {length} bytes, expected at most {self.MAX_LENGTH}")


class AnsweringProtocol(PlistProtocol, Answering):
    """
    A conversation whose other side asks, and is read from only while it reads the answers.
    """

    def connectionMade(self) -> None:
        """
        Agree with the transport on a measure.
        """
        self.beginAnswering()

    def close(self) -> None:
        """
        Listen no more, and close when everything has been said.
        """
        self.endAnswering()
        super().close()
