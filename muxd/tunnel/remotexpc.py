# -*- test-case-name: tests.tunnel.test_rsd -*-
"""
RemoteXPC: XPC messages in two streams of an HTTP/2 connection whose header fields are empty.

The host opens the streams, in an order that phones insist on, and each end answers what the other
begins with.  The first stream has the messages, the second is for replies.  Of HTTP/2 there is what
this needs: frames (by hyperframe), settings, pings and windows.

An end that does not take its answers is not read from: what it asks for would wait without bound.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from muxd.net.connections import Answering
from muxd.tunnel.xpc import (
    ALWAYS,
    INIT_HANDSHAKE,
    IS_REPLY,
    ROOT_TERMINATOR,
    MalformedXPC,
    Message,
    MessageReader,
    writeMessage,
)
from muxd.wire.text import printable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ROOT, REPLY = 1, 3
"""The two streams."""

BEGINNING = frozenset({(ROOT, False), (ROOT, True), (REPLY, False)})
"""
What each end says first: in which stream, and whether it has the flags of a terminator.  Some hosts
take what comes before all of it was answered for an answer.
"""

FRAME = 16384
"""Bytes of the largest frame."""

STREAMS = 100
"""Streams that we say there may be; two are used."""

USUAL_WINDOW = 65535
WINDOW = 1 << 20
"""Bytes that each stream may bring before we say that they were read."""

LONGEST_MESSAGE = 1 << 20
"""Bytes; what a phone tells of its services has some twenty thousand."""

MOST_WAITING = 1 << 20
"""Bytes that wait for the other end's window, beyond which it is given up."""

_HEADER = 9


class RemoteXPC(Answering, Protocol):
    """
    One end of a connection.

    @cvar isHost: Whether it is the host's.
    """

    _log = Logger()
    isHost = True

    def __init__(self) -> None:
        self._held = bytearray()
        self._isBegun = self.isHost
        self._isOver = False
        self._isReady = False
        self._readers = {stream: MessageReader(LONGEST_MESSAGE) for stream in (ROOT, REPLY)}
        self._windows = {0: USUAL_WINDOW, ROOT: USUAL_WINDOW, REPLY: USUAL_WINDOW}
        self._initial = USUAL_WINDOW
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waitingSize = 0
        self._seen: set[tuple[int, bool]] = set()
        self._number = 1 if self.isHost else 2

    def ready(self) -> None:
        """
        Both ends have begun: messages may be sent.
        """

    def messageReceived(self, message: Message) -> None:
        """
        The other end has said something.
        """
        raise NotImplementedError

    def send(self, body: Any, flags: int = 0) -> None:
        """
        Say something.
        """
        self._sendMessage(ROOT, Message(ALWAYS | flags, self._number, body))
        # Each end has numbers of its own.
        self._number += 2

    def reply(self, message: Message, body: Any) -> None:
        """
        Answer a message that wants that, in the stream for replies, under its number.
        """
        self._sendMessage(REPLY, Message(ALWAYS | IS_REPLY, message.number, body))

    def close(self, reason: str = "") -> None:
        """
        End it.
        """
        if self._isOver:
            return
        self._isOver = True
        if reason:
            self._log.info(
                "{name} closes: {reason}", name=type(self).__name__, reason=printable(reason)
            )
        self.endAnswering()
        self.transport.loseConnection()

    # The beginning

    def connectionMade(self) -> None:
        """
        Begin, if that is ours to do.
        """
        self.beginAnswering()
        if self.isHost:
            self.transport.write(PREFACE)
            self._sendSettings()
            self._sendFrame(HeadersFrame(ROOT, flags=["END_HEADERS"]))
            self._sendMessage(ROOT, Message(ALWAYS, 0, {}))
            self._sendFrame(HeadersFrame(REPLY, flags=["END_HEADERS"]))
            self._sendMessage(ROOT, Message(ROOT_TERMINATOR))
            self._sendMessage(REPLY, Message(ALWAYS | INIT_HANDSHAKE))

    def _sendSettings(self) -> None:
        settings = {
            SettingsFrame.MAX_CONCURRENT_STREAMS: STREAMS,
            SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW,
        }
        self._sendFrame(SettingsFrame(0, settings=settings))
        self._sendFrame(WindowUpdateFrame(0, window_increment=WINDOW - USUAL_WINDOW))

    # What comes

    def dataReceived(self, data: bytes) -> None:
        """
        Read frames.
        """
        if self._isOver:
            return
        held = self._held
        held += data
        if not self._isBegun:
            if held[: len(PREFACE)] != PREFACE[: len(held)]:
                self.close("expected the preface of HTTP/2")
                return
            if len(held) < len(PREFACE):
                return
            del held[: len(PREFACE)]
            self._isBegun = True
            self._sendSettings()
        while len(held) >= _HEADER and not self._isOver:
            try:
                frame, length = Frame.parse_frame_header(memoryview(bytes(held[:_HEADER])))
                if length > FRAME:
                    raise MalformedXPC(f"frame of {length} bytes, expected at most {FRAME}")
                if len(held) < _HEADER + length:
                    return
                frame.parse_body(memoryview(bytes(held[_HEADER : _HEADER + length])))
                del held[: _HEADER + length]
                self._frameReceived(frame)
            except (HyperframeError, MalformedXPC, ValueError) as error:
                self.close(f"no RemoteXPC: {error}")

    def _frameReceived(self, frame: Frame) -> None:
        if isinstance(frame, DataFrame):
            self._dataFrameReceived(frame)
        elif isinstance(frame, SettingsFrame):
            if "ACK" not in frame.flags:
                self._settingsReceived(frame)
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id in self._windows:
                self._windows[frame.stream_id] += frame.window_increment
                self._sendWaiting()
        elif isinstance(frame, PingFrame):
            if "ACK" not in frame.flags:
                self._sendFrame(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, GoAwayFrame):
            self.close(f"the other end goes away, code {frame.error_code}")
        elif isinstance(frame, RstStreamFrame) and frame.stream_id in self._readers:
            self.close(f"the other end ends stream {frame.stream_id}, code {frame.error_code}")

    def _settingsReceived(self, frame: SettingsFrame) -> None:
        initial = frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, self._initial)
        if initial >= 1 << 31:
            raise MalformedXPC(f"a window of {initial} bytes")
        for stream in (ROOT, REPLY):
            self._windows[stream] += initial - self._initial
        self._initial = initial
        self._sendFrame(SettingsFrame(0, flags=["ACK"]))
        self._sendWaiting()

    def _dataFrameReceived(self, frame: DataFrame) -> None:
        stream = frame.stream_id
        if frame.flow_controlled_length:
            for each in (0, stream):
                update = WindowUpdateFrame(each, window_increment=frame.flow_controlled_length)
                self._sendFrame(update)
        reader = self._readers.get(stream)
        if reader is None:
            # Of a file that was announced, which is for others.
            return
        for message in reader.feed(frame.data):
            if self._isOver:
                return
            self._received(stream, message)

    def _received(self, stream: int, message: Message) -> None:
        if message.body:
            self.messageReceived(message)
            return
        if not self.isHost:
            # Each of what the host begins with is answered by the same.
            if stream not in {seen for seen, _ in self._seen}:
                self._sendFrame(HeadersFrame(stream, flags=["END_HEADERS"]))
            flags = message.flags & (ROOT_TERMINATOR | INIT_HANDSHAKE) | ALWAYS
            self._sendMessage(stream, Message(flags, 0, message.body))
        self._seen.add((stream, message.flags == ROOT_TERMINATOR))
        if not self._isReady and self._seen >= BEGINNING:
            self._isReady = True
            self.ready()

    # What is sent

    def _sendFrame(self, frame: Frame) -> None:
        self.transport.write(frame.serialize())

    def _sendMessage(self, stream: int, message: Message) -> None:
        data = writeMessage(message)
        self._waiting.append((stream, data))
        self._waitingSize += len(data)
        self._sendWaiting()
        if self._waitingSize > MOST_WAITING:
            self.close(f"{self._waitingSize} bytes wait for the other end's window")

    def _sendWaiting(self) -> None:
        while self._waiting and not self._isOver:
            stream, data = self._waiting[0]
            size = min(len(data), FRAME, self._windows[0], self._windows[stream])
            if size <= 0:
                return
            self._windows[0] -= size
            self._windows[stream] -= size
            self._waitingSize -= size
            if size == len(data):
                self._waiting.popleft()
            else:
                self._waiting[0] = stream, data[size:]
            self._sendFrame(DataFrame(stream, data[:size]))
