# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
The codec of the client protocol: messages, property lists, device records, and what
a client makes of a daemon's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.testing import StringTransport

from muxd.client import socketerrors
from muxd.client.answers import devicesFrom, parseAnswer
from muxd.client.exchange import Exchange, State
from muxd.client.feed import EventReceiver
from muxd.client.requests import (
    Dialect,
    Request,
    commandRequest,
    connectRequest,
    listenRequest,
)
from muxd.client.socketerrors import DaemonNonsense, DaemonRefused
from muxd.limits import Limits
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord
from muxd.server.quickplist import parseRequest
from muxd.wire.messages import (
    HEADER,
    PLIST_VERSION,
    DeviceRecord,
    MalformedMessage,
    Message,
    MessageReader,
    MessageType,
    parsePlist,
    writePlist,
)
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, watching
from tests.wire.results import resultMessage

MAXIMUM = 512
"""Of a message here: short enough that lengths just above it are tried."""

GROWTH = 64
"""So many times its size may a property list take up when it is written down."""


def read(reader: MessageReader) -> tuple[list[Message], bool]:
    """
    What a reader has, and whether it can go on.
    """
    messages = []
    try:
        for message in reader:
            messages.append(message)
    except MalformedMessage:
        return messages, False
    return messages, True


def stream(script: Script) -> None:
    """
    Messages come out the same however the stream is cut, and encode to what they
    were made of.
    """
    step = script.byte() + 1
    data = script.rest()
    whole = MessageReader(MAXIMUM)
    whole.feed(data)
    messages, isWell = read(whole)
    encoded = b"".join(message.encode() for message in messages)
    demand(data.startswith(encoded), "a message is not what it was made of")
    if isWell:
        left = whole.takeRest()
        demand(data == encoded + left, "bytes were lost")
        if len(left) >= HEADER.size:
            length = HEADER.unpack_from(left)[0]
            demand(len(left) < length <= MAXIMUM, f"a message of {length} bytes is waited for")
    pieces = MessageReader(MAXIMUM)
    found: list[Message] = []
    goesOn = True
    for start in range(0, len(data), step):
        pieces.feed(data[start : start + step])
        more, goesOn = read(pieces)
        found += more
        if not goesOn:
            break
    demand((found, goesOn) == (messages, isWell), "pieces make other messages")


def attempt(parse: Callable[[bytes], Mapping[str, Any]], body: bytes) -> Mapping[str, Any] | None:
    """
    What a parser makes of it; C{None} if it is malformed.
    """
    try:
        return parse(body)
    except MalformedMessage as error:
        demand(len(str(error)) < 500, f"an error of {len(str(error))} characters")
        return None


def propertyList(script: Script) -> None:
    """
    Both parsers agree, and what they accept is of a bounded size however it is
    looked at.
    """
    body = script.rest()
    values = attempt(parsePlist, body)
    quick = attempt(parseRequest, body)
    if values is None or quick is None:
        demand(values is quick, "one parser accepts what the other does not")
        return
    text = repr(dict(values))
    demand(text == repr(dict(quick)), f"the parsers disagree: {values!r} and {quick!r}")
    demand(len(text) <= GROWTH * len(body) + 64, f"{len(body)} bytes grow to {len(text)}")
    try:
        again = writePlist(values)
    except (TypeError, ValueError):
        # There are things that only binary property lists can say.
        demand(not body.lstrip().startswith(b"<"), f"XML that cannot be written: {values!r}")
        return
    demand(len(again) <= GROWTH * len(body) + 512, f"{len(body)} bytes grow to {len(again)}")
    # XML has one kind of line end.
    keys = {key.replace("\r\n", "\n").replace("\r", "\n") for key in values}
    demand(parsePlist(again).keys() == keys, "written down, it is another")
    try:
        PairRecord.fromBytes(body)
    except BadPairRecord:
        pass


def record(script: Script) -> None:
    """
    A device record that was read can be written, and read again.
    """
    body = script.rest()
    try:
        decoded = DeviceRecord.decode(body)
    except MalformedMessage:
        demand(len(body) < 32, "a record that is long enough is refused")
        return
    encoded = decoded.encode()
    demand(len(encoded) == 268, f"a record of {len(encoded)} bytes")
    again = DeviceRecord.decode(encoded)
    numbers = (decoded.deviceID, decoded.productID, decoded.location)
    demand((again.deviceID, again.productID, again.location) == numbers, "other numbers")
    demand(DeviceRecord.decode(again.encode()) == again, "another record")


def daemon(script: Script) -> None:
    """
    A client hears answers and events, or that they make no sense.
    """
    isRaw = script.byte() & 1
    data = b""
    while script and not isRaw:
        kind, body = script.choose(tuple(MessageType)), script.piece()
        version = PLIST_VERSION if kind == MessageType.PLIST else 0
        data += Message(version, kind, script.byte(), body).encode()
    data += script.rest()
    events: list[object] = []
    feed = EventReceiver("here", events.append, lambda feed, reason: None)
    feed.makeConnection(StringTransport())
    feed.dataReceived(data)
    reader = MessageReader(MAXIMUM)
    reader.feed(data)
    for message in read(reader)[0]:
        try:
            answer = parseAnswer(message)
            if answer is not None:
                devices = devicesFrom(answer.values)
                demand(all(device.udid for device in devices), "a device without a name")
        except MalformedMessage as error:
            demand(len(str(error)) < 1000, f"an error of {len(str(error))} characters")
    for request in (commandRequest("ReadBUID"), listenRequest(), connectRequest(1, 22)):
        whole, exact = outcome(request, data, False), outcome(request, data, True)
        demand(whole == exact, f"{whole} at once, {exact} in exact reads")


def outcome(request: Request, data: bytes, isExact: bool) -> tuple[str, bytes]:
    """
    What an exchange makes of a daemon's bytes.

    @param isExact: Whether it is given no more at once than it wants.
    @return: the answer or the error, and the bytes that belong to what the connection
        is after a hand-over.
    """
    exchange = Exchange("here", socketerrors, "fuzz", Limits(replySize=MAXIMUM))
    exchange.ask(request, Dialect.PLIST)
    position = 0
    while position < len(data):
        end = position + exchange.wanted if isExact else len(data)
        piece, position = data[position:end], end
        try:
            answer = exchange.receive(piece)
        except (DaemonNonsense, DaemonRefused) as error:
            demand(len(str(error)) < 2000, f"an error of {len(str(error))} characters")
            return type(error).__name__, b""
        if answer is not None:
            isOver = exchange.state is State.HANDED_OVER
            return repr(answer), exchange.takeRest() + data[position:] if isOver else b""
    return "more is awaited", b""


def result(script: Script) -> None:
    """
    A Result comes back as what it was.
    """
    version, tag, number = script.byte() & 1, script.long(), script.word()
    message = resultMessage(version, tag, number)
    demand(HEADER.unpack_from(message.encode())[0] == 16 + len(message.body), "another length")
    answer = parseAnswer(message)
    demand(answer is not None and answer.result == number, "another Result")


KINDS = (stream, propertyList, record, daemon, result)


def run(data: bytes) -> None:
    """
    The first byte says what the others are.
    """
    script = Script(data)
    with watching(), metering(data) as meter, meter.turn():
        script.choose(KINDS)(script)
