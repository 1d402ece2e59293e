# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
What uses a session with a hostile phone, and what they may do at any moment.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.device.muxer import Muxer
from muxd.device.transport import SessionTransport
from tests.device.links import Recorder, RecorderFactory, RecordingProducer


class App:
    """
    A session as whoever asked for it sees it.

    @ivar written: All that it has written.
    @ivar heard: The payload of all segments sent for it, in order.
    """

    def __init__(self, muxer: Muxer, port: int) -> None:
        self.port = port
        self.recorder = Recorder()
        self.factory = RecorderFactory(self.recorder)
        self.written = b""
        self.heard = 0
        self.outcomes: list[object] = []
        before = set(muxer._sessions)
        self.connecting = muxer.connect(port, self.factory)
        self.connecting.addBoth(self.outcomes.append)
        made = set(muxer._sessions) - before
        self.key = made.pop() if made else None

    @property
    def session(self) -> SessionTransport | None:
        """
        The transport, once there has been one.
        """
        return self.recorder.session if self.recorder.transport is not None else None

    def write(self, size: int) -> None:
        """
        Write bytes that tell their place.
        """
        session = self.session
        if session is None:
            return
        begin = len(self.written)
        data = bytes((begin + at) * 7 & 0xFF for at in range(size))
        if session._acceptsWrites():
            self.written += data
        session.write(data)


def pause(app: App, session: SessionTransport) -> None:
    """
    It reads no more for now.
    """
    session.pauseProducing()


def resume(app: App, session: SessionTransport) -> None:
    """
    It reads again.
    """
    session.resumeProducing()


def lose(app: App, session: SessionTransport) -> None:
    """
    It has had enough.
    """
    session.loseConnection()


def abort(app: App, session: SessionTransport) -> None:
    """
    It does not care.
    """
    session.abortConnection()


def half(app: App, session: SessionTransport) -> None:
    """
    It has said everything.
    """
    session.loseWriteConnection()


def produce(app: App, session: SessionTransport) -> None:
    """
    A producer writes to it, or not any more.
    """
    if session._gate.producer is None:
        session.registerProducer(RecordingProducer(), True)
    else:
        session.unregisterProducer()


def write(app: App, session: SessionTransport) -> None:
    """
    It writes something small.
    """
    app.write(100)


ACTIONS: tuple[Callable[[App, SessionTransport], None], ...] = (
    pause,
    resume,
    lose,
    abort,
    half,
    produce,
    write,
)
