# -*- test-case-name: tests.tap.test_capturefile -*-
"""
C{--capture FILE}: all that phones and their clients say to each other, from the start of a
daemon to its end.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from muxd.capture.capture import Capture
from muxd.capture.sinks import FileSink
from muxd.limits import LIMITS, Limits
from muxd.net.workthread import WorkThread
from muxd.service import MuxService


class CannotCapture(Exception):
    """
    The file of a capture cannot be opened; the text is for the person that named it.
    """


class CapturingService(MuxService):
    """
    A daemon that may capture everything.

    @ivar captureFile: Where to; None for nowhere.
    """

    _captureLog = Logger()

    captureFile: str | None = None

    def __init__(self, reactor: Any, *, limits: Limits = LIMITS, **arguments: Any) -> None:
        super().__init__(reactor, limits=limits, **arguments)
        self._captureQueue = limits.captureQueue
        self._thread = WorkThread(reactor, "capture")
        self._capture: Capture | None = None

    def privilegedStartService(self) -> None:
        """
        Open the file, and do everything else.

        @raise CannotCapture: It cannot be opened.
        """
        sink = None if self.captureFile is None else self._opened(self.captureFile)
        try:
            super().privilegedStartService()
        except BaseException:
            if sink is not None:
                sink.end()
            raise
        if sink is not None:
            self._capture = self.capture(sink)

    def _opened(self, path: str) -> FileSink:
        """
        A file that is open, and still has what was in it.
        """
        sink = FileSink(path, self._captureQueue, self._thread.run, self._captureFailed)
        try:
            sink.open()
        except OSError as error:
            raise CannotCapture(f"--capture {path}: {error.strerror or error}") from None
        return sink

    def startService(self) -> None:
        """
        Begin, and say what is being written down.
        """
        super().startService()
        if self._capture is not None:
            self._captureLog.warn(
                "everything that clients and phones say to each other is written to {path}",
                path=self.captureFile,
            )

    def stopService(self) -> Deferred[None]:
        """
        Stop, then let the thread go.
        """
        return super().stopService().addCallback(self._captureStopped)

    def _captureStopped(self, _: None) -> Deferred[None]:
        self._capture = None
        return self._thread.stop()

    def _captureFailed(self, error: OSError) -> None:
        self._captureLog.error(
            "the capture has ended, {path} cannot be written: {error}; the daemon goes on,"
            " restart it to capture again",
            path=self.captureFile,
            error=error.strerror or str(error),
        )
        if self._capture is not None:
            self.endCapture(self._capture)


def captureFromOption(path: str, directory: str = os.curdir) -> str:
    """
    The file of C{--capture}, from wherever C{twistd} goes.

    @param directory: Where a relative path is.
    @raise ValueError: It cannot be one.
    """
    if not path:
        raise ValueError("--capture must name a file")
    absolute = os.path.abspath(os.path.join(directory, path))
    if not os.path.isdir(os.path.dirname(absolute)):
        raise ValueError(f"--capture {path}: there is no directory for it")
    return absolute
