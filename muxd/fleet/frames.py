# -*- test-case-name: tests.fleet.test_jobs -*-
"""
One end of a connection that messages of a fleet go over.

One that asks on and on, and does not take the answers, is disconnected.  Reading less of it
would do as well, but not over TLS, which has to read before it can write.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.fleet.codec import BadMessage, Codec
from muxd.net.nodelay import sendAtOnceOver

LAST_PATIENCE = 5.0
"""Seconds in which the other end may take a last message."""


MOST_UNTAKEN = 256
"""Messages that may come from the other end while it does not take what is sent to it."""


@implementer(IPushProducer)
class _Taking:
    """
    Whether the other end takes what is sent to it, as its transport says.

    @ivar isFull: Whether more waits for it than should.
    @ivar untaken: How many messages have come from it since.
    """

    def __init__(self) -> None:
        self.isFull = False
        self.untaken = 0

    def pauseProducing(self) -> None:
        """
        It does not.
        """
        self.isFull = True

    def resumeProducing(self) -> None:
        """
        It does.
        """
        self.isFull = False
        self.untaken = 0

    def stopProducing(self) -> None:
        """
        It never will again.
        """


class FrameProtocol(Int32StringReceiver):
    """
    Reads and writes messages.  One that makes no sense ends the connection, and so does
    silence.

    @cvar reads: The messages that come.
    @cvar writes: The messages that go.
    @ivar patience: Seconds of silence after which the other end counts as gone; None for any.
    @ivar isOver: Whether nothing is read any more.
    @ivar wasSilent: Whether that is because the other end was silent for too long.
    """

    _log = Logger()

    reads: Codec
    writes: Codec
    MAX_LENGTH = 4096

    def __init__(self, clock: IReactorTime, patience: float | None) -> None:
        self.clock = clock
        self.patience = patience
        self.isOver = False
        self.wasSilent = False
        self._silence: IDelayedCall | None = None
        self._taking = _Taking()

    def messageReceived(self, message: Any) -> None:
        """
        A message has come.
        """
        raise NotImplementedError

    def badMessage(self, problem: str) -> None:
        """
        Something has come that makes no sense; the connection ends.
        """
        self.complain(problem)

    def complain(self, problem: str) -> None:
        """
        Tell the operator.
        """
        self._log.warn("{it}: {problem}", it=self, problem=problem)

    def ended(self, reason: Failure) -> None:
        """
        The connection is over.
        """

    def __str__(self) -> str:
        return "the other end"

    def send(self, message: Any) -> None:
        """
        Send a message.
        """
        if self.transport is not None and not self.isOver:
            self.sendString(self.writes.encode(message))

    def finish(self, message: Any | None = None) -> None:
        """
        Send a last message, and end the connection.  Harmless for one that is over.
        """
        if self.isOver:
            return
        if message is not None:
            self.send(message)
        self.isOver = True
        if self.transport is not None:
            # With a producer, TLS would wait for it.
            self._stream.unregisterProducer()
            self._stream.loseConnection()
            # Which waits for what the other end does not take.
            self._listen(LAST_PATIENCE)

    def abort(self) -> None:
        """
        End the connection at once.
        """
        self.isOver = True
        if self.transport is not None:
            self._stream.abortConnection()

    def connectionMade(self) -> None:
        """
        Begin.
        """
        sendAtOnceOver(self.transport)
        self._stream.registerProducer(self._taking, True)
        self._listen(self.patience)

    def stringReceived(self, string: bytes) -> None:
        """
        A frame is whole.
        """
        if self.isOver:
            return
        if self._taking.isFull:
            self._taking.untaken += 1
            if self._taking.untaken > MOST_UNTAKEN:
                self._refuse("it asks and does not take the answers")
                return
        try:
            message = self.reads.decode(string)
        except BadMessage as error:
            self._refuse(str(error))
            return
        self.messageReceived(message)
        if not self.isOver:
            # It may have more of it by now.
            self._listen(self.patience)

    def lengthLimitExceeded(self, length: int) -> None:
        """
        A frame is longer than any that there is.
        """
        self._refuse(f"expected a message of up to {self.MAX_LENGTH} bytes, got one of {length}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.isOver = True
        self._listen(None)
        self._stream.unregisterProducer()
        self.ended(reason)

    @property
    def _stream(self) -> Any:
        return self.transport

    def _refuse(self, problem: str) -> None:
        self.badMessage(problem)
        if not self.isOver:
            self.abort()

    def _listen(self, seconds: float | None) -> None:
        """
        Wait so long for the next message.
        """
        if self._silence is not None and self._silence.active():
            if seconds is not None and not self.isOver:
                self._silence.reset(seconds)
                return
            self._silence.cancel()
        self._silence = None
        if seconds is not None:
            self._silence = self.clock.callLater(seconds, self._silent)

    def _silent(self) -> None:
        self._silence = None
        if not self.isOver:
            self.complain(f"silent for {self.patience} s")
            self.wasSilent = True
        self.abort()
