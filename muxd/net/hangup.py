# -*- test-case-name: tests.net.test_hangup,tests.net.test_hangupwatch -*-
"""
Whether the peer of a socket has gone.

An end of file does not say so: the peer may only have finished sending.  Where the
peer is on this machine the kernel knows, and is asked (L{muxd.net.peers}).  What becomes
of a peer that has only finished sending is in L{muxd.net.halfclosed}.

And an end of file is not read from a socket that is paused.  The reactor does not look
at it at all, and where the other side of its stream takes nothing it would stay paused
for as long as the phone is plugged in, whatever has become of the client.  So sockets
that are paused are looked at now and then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IFileDescriptor, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from zope.interface import implementer

from muxd.net.peers import Presence, presenceOf

LOOKS = 3
"""How often a paused peer is looked at before the patience ends."""


def hasHungUp(transport: Any) -> bool:
    """
    Whether the peer of a transport is known to have closed its socket altogether.

    False means that it may still be reading.
    """
    return peerOf(transport) is Presence.GONE


def peerOf(transport: Any) -> Presence:
    """
    What is known of a transport's peer.
    """
    return presenceOf(descriptorOf(transport))


def descriptorOf(transport: Any) -> int:
    """
    The descriptor of a transport's socket; -1 if it has none.
    """
    return transport.fileno() if IFileDescriptor.providedBy(transport) else -1


def hangUp(transport: Any) -> None:
    """
    End a transport whose peer has hung up.

    What the reactor does with a transport that cannot be half-closed is done
    here at once: an abort would take another turn of the reactor, a timer, and a
    socket option for a peer that is not there.
    """
    if isinstance(transport, Connection) and not getattr(transport, "TLS", False):
        transport.connectionLost(connectionDone)
    else:
        getattr(transport, "abortConnection", transport.loseConnection)()


class Pausable(Protocol):
    """
    The reader of a socket.
    """

    def hasHungUp(self) -> bool:
        """
        Whether the socket's peer is known to have gone.
        """

    def passedOn(self) -> object:
        """
        What is different when anything of what has come from the peer has been taken.
        """

    def hangUp(self) -> None:
        """
        The peer has gone, and nothing is taken: end it.
        """


@dataclass(frozen=True, slots=True)
class _Gone:
    """
    A producer whose peer has gone.

    @ivar progress: How much had come then, and been taken at the other end.
    @ivar since: The reactor's seconds.
    """

    progress: object
    since: float


class HangUpWatch:
    """
    The producers that have paused a socket.

    What the peer had sent before it went is still in the socket, and is read as the
    other side takes it: the end comes when nothing has been taken for some time.
    """

    def __init__(self, clock: IReactorTime, patience: float) -> None:
        """
        @param patience: How many seconds nothing that came from a peer that has
            gone be taken; up to a third more pass before that is noticed.
        """
        self._clock = clock
        self._patience = patience
        self._paused: dict[Pausable, _Gone | None] = {}
        self._timer: IDelayedCall | None = None

    def add(self, reader: Pausable) -> None:
        """
        A producer is paused.
        """
        self._paused.setdefault(reader)
        if self._timer is None:
            # It goes on until there is none: pauses are short and many.
            self._timer = self._clock.callLater(self._patience / LOOKS, self._look)

    def remove(self, reader: Pausable) -> None:
        """
        A producer is resumed, or gone.
        """
        self._paused.pop(reader, None)

    def stop(self) -> None:
        """
        Leave no timer behind.
        """
        self._paused.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for reader, gone in list(self._paused.items()):
            if not reader.hasHungUp():
                continue
            progress = reader.passedOn()
            if gone is None or gone.progress != progress:
                self._paused[reader] = _Gone(progress, now)
            elif now - gone.since >= self._patience:
                self.remove(reader)
                reader.hangUp()
        if self._paused and self._timer is None:
            self._timer = self._clock.callLater(self._patience / LOOKS, self._look)


@implementer(IPushProducer)
class WatchedProducer:
    """
    The transport of a producer that is watched while it is paused.
    """

    __slots__ = ("_reader", "_transport", "_watch")

    def __init__(self, reader: Pausable, transport: Any, watch: HangUpWatch) -> None:
        self._reader = reader
        self._transport = transport
        self._watch = watch

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self._transport.pauseProducing()
        self._watch.add(self._reader)

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self._watch.remove(self._reader)
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        Nothing is taken any more.
        """
        self._watch.remove(self._reader)
        self._transport.stopProducing()
