# -*- test-case-name: tests.bench.test_soakstreams -*-
"""
The service that both kinds of simulated phones have on port 21: an order, then so
many bytes of the pattern up, then so many of it down.

The first byte down is the receipt for all that came up.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from twisted.internet.interfaces import IConsumer, IPullProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from bench.soak.pattern import firstDifference, piece

EXCHANGE = 21
ECHO = 7
ORDER = struct.Struct(">IQQ")
"""Phase, bytes up, bytes down."""

_PIECE = 32768


@implementer(IPullProducer)
class Exchange(Protocol):
    """
    The exchange service, on a phone that lives in this process.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        """
        @param complain: Told of bytes that are not the right ones.
        """
        self._complain = complain
        self._head = b""
        self._phase = self._upload = self._download = self._got = self._sent = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Take an order, or what it announced.
        """
        if len(self._head) < ORDER.size:
            missing = ORDER.size - len(self._head)
            self._head += data[:missing]
            data = data[missing:]
            if len(self._head) < ORDER.size:
                return
            self._phase, self._upload, self._download = ORDER.unpack(self._head)
        wrong = firstDifference(data, self._phase + self._got)
        if wrong is not None or self._got + len(data) > self._upload:
            self._complain(f"exchange: wrong upload from byte {self._got + (wrong or 0)} on")
        self._got += len(data)
        if self._got == self._upload:
            IConsumer(self.transport).registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Send the next piece.
        """
        size = min(_PIECE, self._download - self._sent)
        consumer = IConsumer(self.transport)
        if size:
            consumer.write(piece(self._phase + self._sent, size))
        self._sent += size
        if self._sent == self._download:
            consumer.unregisterProducer()

    def stopProducing(self) -> None:
        """
        The session is over.
        """
