# -*- test-case-name: tests.net.test_listening -*-
"""
The places where clients connect.

Any server endpoint will do: a UNIX socket, TCP, TLS, a socket inherited from
systemd.  A UNIX socket has a file, which is looked after here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.description import Description
from muxd.net.accepting import watchAccept
from muxd.net.nodelay import sendAtOnce
from muxd.net.socketfile import CannotListen, explain, removeStaleSocket

BACKLOG = 256
"""
Clients that may wait to be let in (protocol 4.1); a UNIX socket refuses more,
and Twisted's own 50 are soon reached where many programs start at once.
"""


_WITH_BACKLOG = frozenset({"unix", "tcp", "tcp6", "ssl"})


class ListeningEndpoint:
    """
    One place where clients connect, opened and closed with the daemon.

    @ivar description: As it was typed.
    """

    _log = Logger()

    def __init__(self, endpoint: IStreamServerEndpoint, description: str, path: str | None) -> None:
        """
        @param path: The UNIX socket's file, if there is one.
        """
        self.description = description
        self._endpoint = endpoint
        self._path = path
        self._opening: Deferred[IListeningPort | None] | None = None
        self._port: IListeningPort | None = None
        self._problem: CannotListen | None = None

    @classmethod
    def fromDescription(cls, reactor: object, description: str) -> Self:
        """
        From what a person typed, such as C{unix:/var/run/usbmuxd:mode=666}.

        @raise ValueError: It is not a server endpoint's description.
        """
        try:
            parsed = Description.fromString(description)
            endpoint = serverFromString(reactor, description + _backlog(parsed))
        except (ValueError, TypeError, LookupError, StopIteration, RuntimeError) as error:
            raise ValueError(f"cannot listen on {description!r}: {error}") from error
        path = None
        if parsed.name == "unix":
            path = parsed.positional[0] if parsed.positional else parsed.keywords["address"]
            if path.startswith("\0"):
                path = None
        return cls(endpoint, description, path)

    @property
    def hasFile(self) -> bool:
        """
        Whether it is a UNIX socket with a name in the file system.
        """
        return self._path is not None

    def removeStaleSocket(self) -> None:
        """
        Take what a daemon that is no longer alive has left here out of the way.

        @raise CannotListen: Something else is in the way.
        """
        if self._path is not None:
            removeStaleSocket(self._path)

    def open(self, factory: IProtocolFactory, acceptFailed: Callable[[OSError], object]) -> None:
        """
        Let clients in.

        @param acceptFailed: Called when one cannot be let in, as the process or the
            system is short of something (L{muxd.net.accepting}); it calls L{pause}.

        @raise CannotListen: It is known at once that this will not do.  An
            endpoint that takes its time reports to the log.
        """
        self._problem = None
        opening: Deferred[IListeningPort | None] = self._endpoint.listen(factory).addCallbacks(
            self._opened, self._failed, callbackArgs=(acceptFailed,)
        )
        if self._problem is not None:
            raise self._problem
        self._opening = opening

    def _opened(
        self, port: IListeningPort, acceptFailed: Callable[[OSError], object]
    ) -> IListeningPort | None:
        """
        Nobody was in the way.
        """
        self._port = port
        sendAtOnce(getattr(port, "socket", None))
        watchAccept(port, acceptFailed)
        self.announce(port)
        return port

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
        self._problem = CannotListen(explain(self._path or self.description, reason))
        if self._opening is not None:
            self._log.critical("cannot listen on {problem}", problem=self._problem)
        return None

    def pause(self) -> None:
        """
        Leave those who come in the kernel's queue.
        """
        self._tell("stopReading")

    def resume(self) -> None:
        """
        Let them in again, one at first.
        """
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
        Let nobody in any more, and remove the socket's file.

        @return: fires when that is done.
        """
        opening, self._opening = self._opening, None
        self._port = None
        return Deferred.fromCoroutine(self._close(opening))

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
            # The port itself is closed; what failed is the removal of its file.
            self._log.warn(
                "{description}: {error}; the next start takes care of it",
                description=self.description,
                error=error.strerror,
            )


def _backlog(parsed: Description) -> str:
    """
    What to add to a description for our backlog: nothing if it has one, by name
    or as the third argument, or cannot have one.
    """
    hasOne = "backlog" in parsed.keywords or len(parsed.positional) > 2
    return "" if hasOne or parsed.name not in _WITH_BACKLOG else f":backlog={BACKLOG}"


async def _asDeferred(result: object) -> None:
    """
    Wait for what a port's C{stopListening} returned, if it is to be waited for.
    """
    if isinstance(result, Deferred):
        await result
