# -*- test-case-name: tests.device.test_socketend,tests.device.test_socketendings -*-
"""
The end of a session that is a client's socket, without a Twisted transport in between.

The socket is read into the memory that is sent from, when it is the session's turn and
the phone has room: until then the bytes are in the kernel, which is the queue, and holds
up the client when that is full.  What the phone sends is sent from the memory that it was
read to; only what the socket does not take is copied and held, which is at most one
window, as nothing else is acknowledged.

B{Events.}  The kernel tells of changes, once each: that something has come, that the peer
has finished sending, that it has gone.  So a socket is taken for readable from then on,
until it has given less than was asked for; and once its peer has finished, until it has
come to its end.  In front of urgent data, and behind a message with descriptors, less is given
than there is, which is told with it: then it is read until there is nothing.

While a socket is taken for readable, what its peer goes on sending is no
news, and each piece of it would wake us up: after L{NEEDLESS} times that is not listened to
until there is nothing to read.

B{A peer that has gone} is not one that has finished sending (L{muxd.net.halfclosed}).  A
UNIX socket knows the difference, and says it at once.  What the peer had sent before is
still sent to the phone, as slowly as that takes it; the session is closed like any other
(L{Session.close}), and what the phone says is dropped.
"""

from __future__ import annotations

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.device.ends import SessionEnd
from muxd.device.opening import PendingSession
from muxd.device.session import Session
from muxd.device.states import CLOSED, DRAINING, ESTABLISHED
from muxd.net.eventloop import (
    GONE,
    ON_CHANGE,
    PEER_ENDED,
    READABLE,
    URGENT,
    WRITABLE,
    EventLoop,
    Watched,
)
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import Presence, presenceOf
from muxd.net.sockets import heldByKernel
from muxd.net.streams import BLOCKED, StreamSocket

PLENTY = 1 << 30
"""
What a readable socket is said to have: how many bytes there are is found by reading them.
"""

LOOKS = 4
"""
How often it is looked whether a peer has read anything, before it is taken for one that
does not read: a socket counts what it holds by buffers of up to 36 KiB, and says nothing
of those that are partly read.  With 15 s in between, 600 bytes a second are seen.
"""

EVENTS = READABLE | URGENT | PEER_ENDED | ON_CHANGE

NEEDLESS = 2
"""
How often it is told that something has come where something is known to be there, before it is
told no more: to change that costs two system calls, there and back.
"""


class SocketOwner(Watched):
    """
    What has asked for a session for its socket, and is told of that before.  All are
    subclasses, so that compiled code calls them without asking Python what they have.
    """

    __slots__ = ()

    def sessionOpened(self) -> None:
        """
        The phone has accepted; nothing has been read or written yet.
        """
        raise NotImplementedError

    def sessionRefused(self, reason: Failure) -> None:
        """
        It has not, and the socket is the owner's again: L{SocketEnd.socket}.
        """
        raise NotImplementedError

    def requestCancelled(self) -> None:
        """
        The client has gone before the phone has answered, and its socket is closed.
        """
        raise NotImplementedError

    def socketClosed(self) -> None:
        """
        The socket is closed; the session may still be giving the phone its last bytes.
        """
        raise NotImplementedError

    def streamEnded(self, sent: int, received: int) -> None:
        """
        The session is over.

        @param sent: How many bytes have gone to the phone.
        @param received: How many have come from it.
        """
        raise NotImplementedError


class SocketEnd(SessionEnd):
    """
    A client's socket and its session, from the request for one to the end.

    @ivar socket: The socket.
    """

    __slots__ = (
        "_halfClosed",
        "_hasEnded",
        "_held",
        "_isCancelled",
        "_isEnding",
        "_isFinished",
        "_isGone",
        "_isReadable",
        "_isUneven",
        "_isUnknown",
        "_kept",
        "_looks",
        "_loop",
        "_needless",
        "_opening",
        "_owner",
        "_session",
        "socket",
    )

    def __init__(
        self,
        socket: StreamSocket,
        loop: EventLoop,
        halfClosed: HalfClosedWatch,
        owner: SocketOwner,
    ) -> None:
        """
        @param halfClosed: Looks whether a peer that has finished sending has gone.
        """
        self.socket = socket
        self._loop = loop
        self._halfClosed = halfClosed
        self._owner = owner
        self._opening: PendingSession | None = None
        self._session: Session | None = None
        self._held: bytearray | None = None
        self._isReadable = False
        self._isEnding = False
        self._isGone = False
        self._isUneven = False
        self._isUnknown = False
        self._isFinished = False
        self._hasEnded = False
        self._isCancelled = False
        self._kept = 0
        self._looks = 0
        self._needless = 0

    def begin(self, opening: PendingSession) -> None:
        """
        The phone has been asked.  From now on the socket is watched.

        @raise OSError: It cannot be.
        """
        self._opening = opening
        self._loop.watch(self.socket.fileno(), EVENTS, self)

    def cut(self) -> None:
        """
        End it now, but let a client have what a phone that has gone has sent it.
        """
        session = self._session
        if session is None:
            self._cancel()
        elif session.state is not DRAINING:
            session.abort()

    # SessionRequest

    def accepted(self) -> None:
        """
        Tell the client first, as it is what waits.
        """
        self._owner.sessionOpened()

    def established(self, session: Session) -> None:
        """
        Lead the session to the socket.
        """
        self._session = session
        session.end = self
        if self._isEnding and not self._watchFinished():
            return
        if self._isReadable and session.state is not CLOSED:
            session.available = PLENTY
            session.offer()

    def refused(self, reason: Failure) -> None:
        """
        Give the socket back, if the client is still there.
        """
        self._loop.forget(self.socket.fileno())
        self._opening = None
        if self._isCancelled:
            self._close()
            self._owner.requestCancelled()
        else:
            self._owner.sessionRefused(reason)

    def _cancel(self) -> None:
        """
        The client will not use the session.
        """
        self._isCancelled = True
        opening = self._opening
        if opening is not None:
            opening.cancel()

    # Events

    def happened(self, events: int) -> None:
        """
        Something has happened to the socket.
        """
        session = self._session
        if session is None:
            self._happenedEarly(events)
            return
        if events & GONE:
            self._peerGone()
            return
        if events & WRITABLE and self._held is not None:
            self._sendHeld()
        if events & URGENT:
            self._isUneven = True
        if events & (READABLE | PEER_ENDED):
            if events & PEER_ENDED and not self._isEnding and not self._watchFinished():
                return
            state = session.state
            if not self._hasEnded and state is not DRAINING and state is not CLOSED:
                if session.available and not self._isEnding:
                    self._needless += 1
                    if self._needless == NEEDLESS:
                        self._listen()
                session.available = PLENTY
                session.outbound.ready(session)

    def _listen(self) -> None:
        """
        Be told of what is news.
        """
        events = EVENTS
        if self._needless >= NEEDLESS:
            events -= READABLE | URGENT
        if self._held is not None:
            events += WRITABLE
        self._loop.change(self.socket.fileno(), events)

    def _ranOut(self) -> None:
        """
        There is nothing to read, or has not been: what comes is news.
        """
        session = self._session
        assert session is not None
        session.available = 0
        needless, self._needless = self._needless, 0
        if needless >= NEEDLESS and not self._hasEnded:
            self._listen()

    def failed(self, failure: Failure) -> None:
        """
        A mistake of ours ends this session, and nothing else.
        """
        session = self._session
        if session is None:
            self._cancel()
        else:
            session.abort(failure)

    def _happenedEarly(self, events: int) -> None:
        """
        The phone has not answered yet.  A client that has finished sending is still
        served if it is there to read; or may be, and has sent something for the phone.
        """
        self._isReadable = True
        if events & URGENT:
            self._isUneven = True
        if events & GONE:
            self._cancel()
        elif events & PEER_ENDED:
            self._isEnding = True
            presence = presenceOf(self.socket.fileno())
            isThere = presence is Presence.HELD or (
                presence is Presence.UNKNOWN and self.socket.waiting() > 0
            )
            if not isThere:
                self._cancel()

    def _peerGone(self) -> None:
        """
        The client has gone: it takes nothing any more, and sends nothing else.
        """
        session = self._session
        assert session is not None
        if self._isGone:
            return
        self._isGone = self._isEnding = True
        if self._held is not None:
            self.forgetHeld()
        if session.state is DRAINING:
            session.close()
            return
        if not self._hasEnded:
            session.available = PLENTY
            session.offer()
            if session.state is CLOSED:
                return
        if self._hasEnded:
            self._close()
        # The phone takes what is left in its own time.
        session.close()

    # SessionEnd

    def fill(self, memory: PacketMemory, start: int, most: int) -> int:
        """
        Read from the socket.
        """
        session = self._session
        assert session is not None
        count = memory.receiveNoting(self.socket, start, most)
        if count > 0:
            if count < most and not (self._isEnding or self._isUneven or memory.wasCut):
                self._ranOut()
            return count
        if count != BLOCKED:
            self._hasEnded = True
            if count < 0:
                self._isGone = True
        self._ranOut()
        return 0

    def ranDry(self) -> None:
        """
        There was nothing to read; perhaps there never will be.
        """
        session = self._session
        assert session is not None
        if not self._hasEnded:
            return
        if not self._isEnding and not self._watchFinished():
            return
        if self._isGone:
            self._close()
            session.close()
        elif session.state is ESTABLISHED:
            if self._isUnknown and not self._halfClosed.grace:
                self.graceOver()
            else:
                session.closeHalf()
        if session.state is not CLOSED:
            session.checkFlushed()

    def _watchFinished(self) -> bool:
        """
        The client has finished sending, though not all of it may have been read: it may be
        waiting for an answer, or have gone.

        @return: Whether it is there, as far as can be known.
        """
        self._isEnding = True
        self._isFinished = True
        presence = self._halfClosed.add(self, self.socket.fileno())
        self._isUnknown = presence is Presence.UNKNOWN
        if presence is Presence.GONE:
            self._peerGone()
            return False
        return True

    # FinishedPeer

    def peerGone(self) -> None:
        """
        The client has gone, after it had said everything.
        """
        self._peerGone()

    def graceOver(self) -> None:
        """
        It has probably gone.
        """
        session = self._session
        assert session is not None
        if self._held is not None and session.isQuiet():
            # It gets what it was sent.
            session.ended(connectionDone, reset=True)
        else:
            session.close()

    def progress(self) -> object:
        """
        What has been moved; None while something waits for the client to read.
        """
        session = self._session
        if self._held is not None or session is None:
            return None
        return session.bytesReceived, session.progress

    def isTaken(self) -> bool:
        """
        Whether the phone has taken everything.
        """
        return self._session is None or (self._hasEnded and self._session.isQuiet())

    # The rest of SessionEnd

    def waiting(self) -> int:
        """
        What the kernel has.
        """
        return max(self.socket.waiting(), 0)

    def sent(self) -> None:
        """
        It is looked for more as long as there is room.
        """

    def isFinished(self) -> bool:
        """
        Whether the socket has come to its end.
        """
        return self._hasEnded

    def forgetUnsent(self) -> None:
        """
        It is not read any more.
        """

    def deliver(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        Write to the socket, and hold what it does not take.
        """
        session = self._session
        assert session is not None
        held = self._held
        if held is not None:
            held += memory.read(start, size)
            return
        count = memory.send(self.socket, start, size)
        if count == size:
            session.taken(size)
            return
        if count < 0:
            if count != BLOCKED:
                self._peerGone()
                return
            count = 0
        session.taken(count)
        self._held = bytearray(memory.read(start + count, size - count))
        session.stalled()
        self._listen()

    def _sendHeld(self) -> None:
        session, held = self._session, self._held
        assert session is not None and held is not None
        count = self.socket.send(held)
        if count < 0:
            if count != BLOCKED:
                self._peerGone()
            return
        session.taken(count)
        if count == len(held):
            self._held = None
            self._listen()
        else:
            del held[:count]
        self._looks = 0
        session.resumed()

    def forgetHeld(self) -> None:
        """
        The client will not take it.
        """
        if self._held is not None:
            self._held = None
            if self.socket.fileno() >= 0:
                self._listen()

    def isTaking(self) -> bool:
        """
        Whether the peer may be reading, although the socket takes nothing more.
        """
        kept = heldByKernel(self.socket.fileno())
        if kept != self._kept:
            self._kept, self._looks = kept, 0
        else:
            self._looks += 1
        return kept > 0 and self._looks < LOOKS

    def writeFinished(self, later: bool) -> None:
        """
        The client is not told: it has said that it was all.
        """

    def lost(self, reason: Failure, later: bool) -> None:
        """
        Close the socket, which has taken everything there was.
        """
        session = self._session
        assert session is not None
        self._held = None
        self._hasEnded = True
        self._close()
        self._opening = None
        self._owner.streamEnded(session.bytesSent, session.bytesReceived)

    def _close(self) -> None:
        descriptor = self.socket.fileno()
        if descriptor >= 0:
            if self._isFinished:
                self._halfClosed.remove(self)
            self._loop.forget(descriptor)
            self.socket.close()
            # It may let go of this end, and so of itself.
            owner = self._owner
            owner.socketClosed()
