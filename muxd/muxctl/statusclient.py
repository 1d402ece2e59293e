# -*- test-case-name: tests.muxctl.test_statusclient -*-
"""
A client of a daemon's status socket: questions, actions, and answers without an end.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from threading import Timer
from time import monotonic
from typing import Any, Protocol

from muxd.client.address import Address, TCPAddress, TLSAddress, UnixAddress
from muxd.client.problems import Stage
from muxd.client.socketerrors import TimedOut, UsbmuxError
from muxd.client.socketio import Deadline, openSocket
from muxd.muxctl.errors import NoStatus, StatusNonsense, StatusRefused
from muxd.wire.text import printable

SUFFIX = ".status"
"""What a status socket's name has behind that of the socket for clients."""

ANSWER = 10.0
"""Seconds for an answer, where no other time is given."""

FOREVER = 366 * 86400.0
"""Seconds."""

LONGEST = 64 << 20
"""Bytes of an answer: a thousand sessions have 300,000."""


def statusAddress(given: Address | None, daemon: Address) -> Address:
    """
    Where the status socket of a daemon is.

    @param given: Where it was said to be, if it was.
    @param daemon: Where clients connect.
    @raise NoStatus: That cannot be told.
    """
    if given is not None:
        return given
    if isinstance(daemon, UnixAddress):
        return UnixAddress(daemon.path + SUFFIX)
    raise NoStatus(
        f"the usbmuxd at {daemon} has no socket beside which its status socket could be:"
        " name its UNIX socket with -s, or the status socket with --status"
    )


class Alarm(Protocol):
    """
    What calls a function in a while.
    """

    def cancel(self) -> None:
        """
        Do not.
        """


def after(seconds: float, function: Callable[[], None]) -> Alarm:
    """
    Call a function in a while, in a thread.
    """
    # More than a year is more than a thread can wait, on some systems.
    timer = Timer(min(seconds, FOREVER), function)
    timer.daemon = True
    timer.start()
    return timer


class StatusClient:
    """
    Asks one daemon, each time on a new connection.

    @ivar isOver: Whether an answer without an end was ended because its time was over.
    """

    isOver = False

    def __init__(
        self,
        address: Address,
        timeout: float | None = None,
        after: Callable[[float, Callable[[], None]], Alarm] = after,
    ) -> None:
        """
        @param address: Of the status socket.
        @param timeout: Seconds for each answer, also for all of one without an end; if None, such
            a one has to begin in L{ANSWER} seconds.
        @param after: Calls a function in so many seconds, perhaps in a thread.
        """
        self._address = address
        self._timeout = ANSWER if timeout is None else timeout
        self._isLimited = timeout is not None
        self._after = after

    def get(self, path: str) -> dict[str, Any]:
        """
        Ask a question.

        @param path: Such as C{/api/status}.
        @raise UsbmuxError: There is no answer, or it is an error.
        """
        with self._asked("GET", path, None) as response:
            return self._object(response)

    def post(self, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """
        Have something done.

        @param path: Such as C{/api/release}.
        @raise UsbmuxError: There is no answer, or it is an error.
        """
        with self._asked("POST", path, values) as response:
            return self._object(response)

    @contextmanager
    def stream(self, path: str) -> Iterator[HTTPResponse]:
        """
        Ask for an answer without an end, and close the connection at the end of the block.  When
        the time is over, what is read comes to an end, and L{isOver} is true.

        @return: a response to read from, which may wait as long as the time is not over.
        @raise UsbmuxError: There is no answer, or it is an error; or reading from it fails.
        """
        try:
            with self._asked("GET", path, None, endless=True) as response:
                yield response
        except Exception:
            # A line may have been cut, which is no news then.
            if not self.isOver:
                raise

    @contextmanager
    def _asked(
        self, method: str, path: str, values: Mapping[str, Any] | None, endless: bool = False
    ) -> Iterator[HTTPResponse]:
        connection = _Connection(self._address, self._timeout)
        body = None if values is None else json.dumps(values)
        headers = {} if body is None else {"Content-Type": "application/json"}
        alarm: Alarm | None = None
        begun = monotonic()
        try:
            connection.begin()
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise self._refusal(response)
            if endless:
                connection.patient()
            if endless and self._isLimited:
                left = max(0.0, begun + self._timeout - monotonic())
                alarm = self._after(left, partial(self._end, connection))
            yield response
        except TimeoutError as error:
            if isinstance(error, UsbmuxError):
                raise
            raise TimedOut(Stage.ANSWER, self._timeout, str(self._address)) from error
        except (HTTPException, ConnectionError) as error:
            if isinstance(error, UsbmuxError | BrokenPipeError):
                raise
            raise UsbmuxError(
                f"lost the status socket at {self._address} ({_told(error)}):"
                " look into the daemon's log"
            ) from error
        finally:
            if alarm is not None:
                alarm.cancel()
            connection.close()

    def _end(self, connection: _Connection) -> None:
        self.isOver = True
        connection.end()

    def _refusal(self, response: HTTPResponse) -> UsbmuxError:
        values = self._object(response)
        text = printable(str(values.get("error", f"status {response.status}")))
        remedy = printable(str(values.get("remedy", "")))
        return StatusRefused(response.status, f"{text}; {remedy}" if remedy else text)

    def _object(self, response: HTTPResponse) -> dict[str, Any]:
        data = response.read(LONGEST)
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._nonsense(error) from error
        if not isinstance(values, dict):
            raise self._nonsense("no object")
        return values

    def _nonsense(self, reason: object) -> StatusNonsense:
        return StatusNonsense(
            f"what came from {self._address} makes no sense ({reason}):"
            " is it really the status socket of a usbmuxd?"
        )


class _Connection(HTTPConnection):
    """
    A connection over whichever kind of socket.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        # What the request says it is for: a name that no web page can have led here.
        name = address.host if isinstance(address, TCPAddress) else "localhost"
        super().__init__(name, 80, timeout=timeout)
        self._address = address
        self._connected: socket.socket | None = None

    def connect(self) -> None:
        """
        @raise OSError: That is not possible.
        """
        if isinstance(self._address, UnixAddress):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._address.path)
        elif isinstance(self._address, TLSAddress):
            self.sock = openSocket(self._address, Deadline(self.timeout))
            self.sock.settimeout(self.timeout)
        else:
            place = self._address.host, self._address.port
            self.sock = socket.create_connection(place, self.timeout)
        self._connected = self.sock

    def begin(self) -> None:
        """
        Connect.

        @raise NoStatus: That is not possible.
        """
        try:
            self.connect()
        except TimeoutError:
            raise
        except OSError as error:
            remedy = "start usbmuxd, or say with --status where it is"
            if isinstance(error, PermissionError):
                remedy = "it is its owner's alone: be that user (sudo), or see --status of usbmuxd"
            raise NoStatus(
                f"no status socket at {self._address} ({_told(error)}): {remedy}"
            ) from error

    def patient(self) -> None:
        """
        Wait for what comes, however long.
        """
        # Which is the response's by now, if that has no length.
        assert self._connected is not None
        self._connected.settimeout(None)

    def end(self) -> None:
        """
        Let what is read come to an end, from another thread.
        """
        assert self._connected is not None
        # It may have ended by itself.
        with suppress(OSError):
            self._connected.shutdown(socket.SHUT_RDWR)


def _told(error: BaseException) -> str:
    if isinstance(error, IncompleteRead):
        return "the daemon has ended"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(text.strip(), None)
