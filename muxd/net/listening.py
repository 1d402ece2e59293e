# -*- test-case-name: tests.net.test_listening -*-
"""
The places where clients connect.

Any server endpoint will do: a UNIX socket, TCP, TLS, a socket inherited from
systemd.  A UNIX socket has a file, which is looked after here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.limits import LIMITS, Limits
from muxd.net.accepting import watchAccept
from muxd.net.announcing import Announcing
from muxd.net.nodelay import sendAtOnce
from muxd.net.serverstrings import Owner, Place, placeAt, placeFromString
from muxd.net.socketfile import (
    START_PATIENCE,
    CannotListen,
    explain,
    removeStaleSocket,
    startingAlone,
)
from muxd.net.socketwatch import SocketWatch

DEFAULT_MODE = 0o666
"""Twisted's, of UNIX sockets of whose mode nothing is said."""

TakeOver = Callable[[IListeningPort, Callable[[OSError], object]], IListeningPort | None]


class ListeningEndpoint:
    """
    One place where clients connect, opened and closed with the daemon.

    @ivar description: As it was typed.
    @ivar isExposed: Whether other machines can reach it.
    @ivar isOpen: Whether they can, and need no certificate.
    @ivar complaint: Why clients should not connect there; nothing if they may.
    @ivar takeOver: If there is one, it is called with each port that has been opened, and
        with what to call when a client cannot be let in: it returns a port that lets
        clients in in its place, or None.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        description: str,
        path: str | None,
        clock: IReactorTime | None = None,
        limits: Limits = LIMITS,
        place: Place | None = None,
    ) -> None:
        """
        @param path: The UNIX socket's file, if there is one.
        @param clock: Times the looks at it; without one there are none.
        @param place: What else is known of the place.
        """
        self.description = description
        self.path = path
        self.isExposed = place is not None and place.isExposed
        self.isOpen = self.isExposed and place is not None and not place.asksCertificates
        self.complaint = "" if place is None else place.complaint
        self._owner = Owner() if place is None else place.owner
        self.takeOver: TakeOver | None = None
        self._endpoint = endpoint
        self._opening: Deferred[IListeningPort | None] | None = None
        self._port: IListeningPort | None = None
        self._problem: CannotListen | None = None
        self._isPaused = False
        self._clock = clock
        self._watch: SocketWatch | None = None
        self._clients: tuple[IProtocolFactory, Callable[[OSError], object]] | None = None
        self._announcing: Announcing | None = None
        if place is not None and place.isAnnounced:
            self._announcing = Announcing(clock, description)
        if path is not None and clock is not None:
            self._watch = SocketWatch(clock, limits.socketLook, path, self._listenAgain)

    @classmethod
    def fromDescription(
        cls, reactor: Any, description: str, limits: Limits = LIMITS, mayAnnounce: bool = False
    ) -> Self:
        """
        From what a person typed, such as C{unix:/var/run/usbmuxd:mode=666}.

        @param reactor: Provides C{IReactorTime} and what the endpoint needs.
        @param mayAnnounce: Whether it is a place of the kind that is announced.
        @raise ValueError: It is not a server endpoint's description.
        """
        place = placeFromString(reactor, description)
        if place.isAnnounced and not mayAnnounce:
            raise ValueError(
                f"cannot listen on {description!r}: only where clients of a usbmuxd connect can be"
                " announced; leave out announce=yes"
            )
        return cls(place.endpoint, description, place.path, reactor, limits, place)

    @classmethod
    def atAddress(cls, reactor: object, address: str, port: int) -> Self:
        """
        A TCP port at one of this machine's addresses.  There is no description to be
        looked up, which takes milliseconds and counts where there are many.

        @param address: An IP address.
        """
        place = placeAt(reactor, address, port)
        host = f"[{address}]" if ":" in address else address
        return cls(place.endpoint, f"{host}:{port}", None, place=place)

    def changeFile(self, description: str) -> None:
        """
        Take on what a description says anew of the socket's file, which stays.

        @param description: One that differs in nothing else (L{withoutFile}).
        @raise CannotListen: The file cannot be changed.
        """
        place = placeFromString(self._clock, description)
        self._endpoint, self._owner = place.endpoint, place.owner
        self.description = description
        if self._port is None or self.path is None:
            return
        try:
            os.chmod(self.path, DEFAULT_MODE if place.mode < 0 else place.mode)
        except OSError as error:
            raise CannotListen(f"{self.path}: its mode cannot be changed: {error}") from error
        self._problem = None
        self._giveAway()
        if self._problem is not None:
            raise self._problem

    @property
    def hasFile(self) -> bool:
        """
        Whether it is a UNIX socket with a name in the file system.
        """
        return self.path is not None

    @property
    def portNumber(self) -> int | None:
        """
        The TCP port that it listens on; None if it does not, or has none.
        """
        number: int | None = None
        if self._port is not None:
            number = getattr(self._port.getHost(), "port", None)
        return number

    def removeStaleSocket(self) -> None:
        """
        Take what a daemon that is no longer alive has left here out of the way.

        @raise CannotListen: Something else is in the way.
        """
        if self.path is not None:
            removeStaleSocket(self.path)

    def takePlace(
        self,
        factory: IProtocolFactory,
        acceptFailed: Callable[[OSError], object],
        patience: float = START_PATIENCE,
    ) -> None:
        """
        L{removeStaleSocket}, then L{open}, with no other of our kind in between.

        @param patience: How long others are waited for, in seconds; it blocks.
        @raise CannotListen: As these two.
        """
        with ExitStack() as alone:
            if self.path is not None:
                alone.enter_context(startingAlone(self.path, patience))
            self.removeStaleSocket()
            self.open(factory, acceptFailed)

    def open(self, factory: IProtocolFactory, acceptFailed: Callable[[OSError], object]) -> None:
        """
        Let clients in.

        @param acceptFailed: Called when one cannot be let in, as the process or the
            system is short of something (L{muxd.net.accepting}); it calls L{pause}.

        @raise CannotListen: It is known at once that this will not do.  An
            endpoint that takes its time reports to the log.
        """
        self._problem = None
        self._clients = factory, acceptFailed
        opening: Deferred[IListeningPort | None] = self._endpoint.listen(factory).addCallbacks(
            self._opened, self._failed, callbackArgs=(acceptFailed,)
        )
        if self._problem is not None:
            self._opening = opening
            self.close()
            raise self._problem
        self._opening = opening

    def _opened(
        self, port: IListeningPort, acceptFailed: Callable[[OSError], object]
    ) -> IListeningPort | None:
        """
        The port is open.
        """
        if self._watch is not None:
            self._watch.hold(port)
        self._giveAway()
        sendAtOnce(getattr(port, "socket", None))
        taken = None if self.takeOver is None else self.takeOver(port, acceptFailed)
        if taken is None:
            watchAccept(port, acceptFailed)
        else:
            port = taken
        self._port = port
        if self._isPaused:
            self._tell("stopReading")
        self.announce(port)
        if self._announcing is not None:
            address: Any = port.getHost()
            self._announcing.start(address.host, address.port)
        return port

    def _giveAway(self) -> None:
        """
        Give the socket's file to the user and group that are to have it.
        """
        owner = self._owner
        if self.path is None or owner == Owner():
            return
        try:
            found = os.stat(self.path)
            if owner.uid in (-1, found.st_uid) and owner.gid in (-1, found.st_gid):
                return
            os.chown(self.path, owner.uid, owner.gid)
        except OSError as error:
            self._problem = CannotListen(
                f"{self.path}: cannot be given to user {owner.uid} and group {owner.gid}"
                f" ({error.strerror}); start as root, or as a member of that group"
            )

    def announce(self, port: IListeningPort) -> None:
        """
        Say that clients can connect.
        """
        self._log.info("listening on {description}", description=self.description)

    def _failed(self, failure: Failure) -> IListeningPort | None:
        """
        They cannot, and will not.
        """
        if failure.check(CancelledError):
            return None
        reason = failure.value or RuntimeError("no reason given")
        self._problem = CannotListen(explain(self.path or self.description, reason))
        self._problem.__cause__ = reason
        if self._opening is not None:
            self._log.critical("cannot listen on {problem}", problem=self._problem)
        return None

    def pause(self) -> None:
        """
        Leave new clients in the kernel's queue.
        """
        self._isPaused = True
        self._tell("stopReading")

    def resume(self) -> None:
        """
        Let them in again, one at first.
        """
        self._isPaused = False
        self.acceptOneAtATime()
        self._tell("startReading")

    def acceptOneAtATime(self) -> None:
        """
        Let no more than one in next time: Twisted's ports accept as many at once as
        they had to before, and twenty more.
        """
        port = self._port
        if port is not None and hasattr(port, "numberAccepts"):
            port.numberAccepts = 1

    def _tell(self, method: str) -> None:
        """
        Have the port do something that not every reactor's ports can do.
        """
        getattr(self._port, method, lambda: None)()

    def close(self) -> Deferred[None]:
        """
        Stop accepting, and remove the socket's file if it is ours.

        @return: fires when that is done.
        """
        try:
            if self._watch is not None:
                self._watch.release()
        except OSError as error:
            self._cannotRemove(error)
        opening, self._opening = self._opening, None
        self._port = None
        closed = Deferred.fromCoroutine(self._close(opening))
        if self._announcing is None:
            return closed
        ended = gatherResults([closed, self._announcing.stop()])
        return ended.addCallback(lambda _: None)

    async def _close(self, opening: Deferred[IListeningPort | None] | None) -> None:
        """
        Close what C{opening} has opened or is about to.
        """
        if opening is None:
            return
        opening.cancel()
        port = await opening
        if port is None:
            return
        try:
            await _asDeferred(port.stopListening())
        except OSError as error:
            # The port itself is closed.
            self._cannotRemove(error)

    def _cannotRemove(self, error: OSError) -> None:
        self._log.warn(
            "{description}: {error}; the next start takes care of it",
            description=self.description,
            error=error.strerror,
        )

    def _listenAgain(self) -> None:
        """
        Take the path back, if no other daemon listens there.

        @raise CannotListen: Another one does, or it cannot be done.
        """
        assert self._clients is not None
        before = self._opening
        self.takePlace(*self._clients, patience=0)
        # Only now, as a factory that listens nowhere would come to its end.
        Deferred.fromCoroutine(self._close(before))


async def _asDeferred(result: object) -> None:
    """
    Wait for what a port's C{stopListening} returned, if it is to be waited for.
    """
    if isinstance(result, Deferred):
        await result
