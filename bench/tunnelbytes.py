"""
A service of a simulated phone that gives and takes as many bytes as it is told to: what
C{python -m bench.tunnel} moves.

A host says C{D} or C{U} and a number of eight bytes; C{U} is answered by a byte when all have come.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

ASKED = 9
CHUNK = bytes(65536)


@implementer(IPushProducer)
class Bytes(Protocol):
    """
    One transfer.
    """

    def __init__(self) -> None:
        self._asked = b""
        self._left = 0
        self._isPaused = False

    def dataReceived(self, data: bytes) -> None:
        """
        What is wanted, and then what is given.
        """
        if len(self._asked) < ASKED:
            need = ASKED - len(self._asked)
            self._asked += data[:need]
            data = data[need:]
            if len(self._asked) < ASKED:
                return
            self._left = int.from_bytes(self._asked[1:])
            if self._asked[:1] == b"D":
                transport: Any = self.transport
                transport.registerProducer(self, True)
                self.resumeProducing()
                return
        self._left -= len(data)
        if self._asked[:1] == b"U" and self._left <= 0:
            assert self.transport is not None
            self.transport.write(b"k")

    def resumeProducing(self) -> None:
        """
        Give.
        """
        transport: Any = self.transport
        self._isPaused = False
        while self._left > 0 and not self._isPaused:
            size = min(len(CHUNK), self._left)
            self._left -= size
            transport.write(CHUNK[:size])
        if self._left <= 0 and not self._isPaused:
            transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self._isPaused = True

    def stopProducing(self) -> None:
        """
        It is over.
        """
        self._left = 0
