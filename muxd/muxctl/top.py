# -*- test-case-name: tests.muxctl.test_top -*-
"""
C{muxctl top}: phones and their sessions, live, on a terminal.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic
from typing import Any, TextIO

from muxd.client.socketerrors import UsbmuxError
from muxd.muxctl.activity import Activity, eventsOf
from muxd.muxctl.columns import jsonLine
from muxd.muxctl.reader import endWithReader
from muxd.muxctl.screen import ENTER, LEAVE, frame
from muxd.muxctl.status import clientFor
from muxd.muxctl.statusclient import StatusClient
from muxd.muxctl.terminal import Terminal

EVENTS = "/api/events"
AGAIN = 1.0
"""Seconds until a daemon that has gone is looked for again."""

KEYS = 0.1
"""Seconds within which a key is noticed."""

WAITING = 64
"""Events that may wait to be shown: the daemon leaves out what is not taken."""

QUIT = frozenset("qQ\x03\x04\x1b")
SESSIONS = frozenset("sS")


def top(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl top}; it ends without an error when C{--timeout} is over, whatever the daemon does.

    @raise UsbmuxError: There is no terminal, or no status socket.
    """
    end = None if options.timeout is None else monotonic() + options.timeout
    client = clientFor(options, terminal)
    if terminal.json:
        endWithReader(terminal.stdout)
        with client.stream(EVENTS) as response:
            for name, values in eventsOf(response):
                terminal.show([jsonLine({"event": name, "values": values})])
        if client.isOver:
            return 0
        raise UsbmuxError("the daemon has ended: look into its log")
    if not terminal.stdout.isatty() or terminal.stdin is None or not terminal.stdin.isatty():
        raise UsbmuxError("top needs a terminal: take muxctl status, or top --json")
    # The first connection's errors are the command's; later ones are shown and got over.
    client.get("/health")
    with keysOf(terminal.stdin) as key:
        terminal.stdout.write(ENTER)
        try:
            Top(client, terminal.stdout, key, end=end).run()
        finally:
            terminal.stdout.write(LEAVE)
            terminal.stdout.flush()
    return 0


class Top:
    """
    What is on the screen.
    """

    def __init__(
        self,
        client: StatusClient,
        output: TextIO,
        key: Callable[[float], str],
        size: Callable[[], os.terminal_size] = shutil.get_terminal_size,
        end: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        @param key: Waits for so many seconds for a key, and returns it, or "".
        @param size: Tells how large the screen is.
        @param end: When the time is over, by the clock; None for never.
        """
        self._end = inf if end is None else end
        self._clock = clock
        self._activity = Activity()
        self._client = client
        self._output = output
        self._key = key
        self._size = size
        self._showsSessions = False
        self._trouble = ""
        self._came: Queue[tuple[str, Any]] = Queue(WAITING)
        self._ended = Event()

    def run(self) -> None:
        """
        Show until a key ends it, or the time is over.
        """
        Thread(target=self._listen, name="events", daemon=True).start()
        shown: os.terminal_size | None = None
        try:
            while self._clock() < self._end:
                size = self._size()
                if self._takeAll() or size != shown:
                    shown = size
                    self._draw(size)
                pressed = self._key(KEYS)
                if pressed and pressed in QUIT:
                    return
                if pressed and pressed in SESSIONS:
                    self._showsSessions = not self._showsSessions
                    shown = None
        finally:
            self._ended.set()

    def _draw(self, size: os.terminal_size) -> None:
        text = frame(self._activity, size.columns, size.lines, self._showsSessions, self._trouble)
        encoding = self._output.encoding or "utf-8"
        self._output.write(text.encode(encoding, "replace").decode(encoding))
        self._output.flush()

    def _takeAll(self) -> bool:
        """
        Take what has come.

        @return: Whether there was anything.
        """
        taken = False
        while True:
            try:
                name, values = self._came.get_nowait()
            except Empty:
                return taken
            taken = True
            if name == "trouble":
                self._trouble = values
                continue
            self._trouble = ""
            try:
                self._activity.take(name, values)
            except ValueError as error:
                self._trouble = str(error)

    def _listen(self) -> None:
        """
        In a thread: read events for as long as there is a daemon, and wait for it when there
        is none.
        """
        while not self._ended.is_set():
            try:
                with self._client.stream(EVENTS) as response:
                    for event in eventsOf(response):
                        self._came.put(event)
                        if self._ended.is_set():
                            return
                text = "the daemon has ended"
            except (OSError, ValueError) as error:
                text = str(error)
            self._came.put(("trouble", f"{text}; trying again"))
            self._ended.wait(AGAIN)


@contextmanager
def keysOf(stdin: TextIO) -> Iterator[Callable[[float], str]]:
    """
    Read keys as they are pressed, without showing them.

    @return: what waits for so many seconds for one, and returns it, or "".
    """
    if sys.platform == "win32":
        raise UsbmuxError("top needs a terminal as UNIX has them: take muxctl status")
    import termios
    import tty

    descriptor = stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def key(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        return os.read(descriptor, 1).decode("latin-1") if ready else ""

    try:
        tty.setcbreak(descriptor)
        yield key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
