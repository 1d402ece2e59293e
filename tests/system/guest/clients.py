"""
Programs that use the daemon.
"""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.integration.conversation import Conversation
from tests.system.guest.waiting import PATIENCE
from tests.system.scenario import Failed

_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Attached:
    """
    What a listener is told of a phone.

    @ivar deviceID: The number to connect with.
    @ivar properties: All that it was told.
    """

    deviceID: int
    properties: dict[str, Any]


class Listener:
    """
    A program that wants to know of phones.
    """

    def __init__(self, path: str) -> None:
        self._conversation = Conversation(path, PATIENCE)
        reply = self._conversation.ask("Listen", kLibUSBMuxVersion=3)
        if reply.get("Number") != 0:
            raise Failed(f"Listen: expected result 0, got {reply}")
        self._phones: dict[int, Attached] = {}
        self._events: list[tuple[str, Attached]] = []

    def close(self) -> None:
        """
        Hang up.
        """
        self._conversation.close()

    def attached(self, udid: str, patience: float = PATIENCE) -> Attached:
        """
        Wait until a phone is plugged in.
        """
        return self._next("Attached", udid, patience)

    def detached(self, udid: str, patience: float = PATIENCE) -> Attached:
        """
        Wait until it is gone.
        """
        return self._next("Detached", udid, patience)

    def pending(self) -> list[str]:
        """
        What has come that nobody has waited for.
        """
        while self._receive(0):
            pass
        return [f"{kind} {phone.properties['SerialNumber']}" for kind, phone in self._events]

    def _next(self, kind: str, udid: str, patience: float) -> Attached:
        """
        The next event: of this phone it must be of this kind.
        """
        end = time.monotonic() + patience
        while True:
            for index, (found, phone) in enumerate(self._events):
                if phone.properties["SerialNumber"] != udid:
                    continue
                if found != kind:
                    raise Failed(f"expected {kind} for {udid}, got {found}")
                del self._events[index]
                return phone
            if not self._receive(end - time.monotonic()):
                raise Failed(f"waited {patience:g} s for {kind} of {udid}")

    def _receive(self, patience: float) -> bool:
        """
        Take one event, if one comes.
        """
        if not select.select([self._conversation.socket], [], [], max(patience, 0))[0]:
            return False
        try:
            event = self._conversation.receive()
        except EOFError as error:
            raise Failed("the daemon hung up on a listener") from error
        kind = event["MessageType"]
        if kind == "Attached":
            phone = Attached(event["DeviceID"], event["Properties"])
            self._phones[phone.deviceID] = phone
            self._events.append((kind, phone))
        elif kind == "Detached":
            self._events.append((kind, self._phones.pop(event["DeviceID"])))
        return True


class Stream:
    """
    A connection to a phone's port.
    """

    def __init__(self, path: str, deviceID: int, port: int) -> None:
        self._conversation = Conversation(path, PATIENCE)
        result = self._conversation.connect(deviceID, port)
        if result != 0:
            self.close()
            raise Failed(f"Connect to port {port}: expected result 0, got {result}")
        self.socket = self._conversation.socket

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """
        Hang up.
        """
        self._conversation.close()

    def send(self, data: bytes) -> None:
        """
        Send all of it.
        """
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        """
        So many bytes, neither less nor more.
        """
        try:
            return self._conversation.exactly(size)
        except (EOFError, OSError) as error:
            raise Failed(f"expected {size} bytes: {error or type(error).__name__}") from error

    def untilClosed(self) -> bytes:
        """
        What comes until it ends, in whatever way.
        """
        data = bytearray()
        try:
            while chunk := self.socket.recv(_CHUNK):
                data += chunk
        except ConnectionResetError:
            pass
        except TimeoutError as error:
            raise Failed("the stream did not end") from error
        return bytes(data)


def exchange(streams: dict[Stream, bytes], between: Callable[[], object] = lambda: None) -> None:
    """
    Send data on several streams to echo services at once, and compare what comes
    back.

    @param between: Called whenever something was moved.
    @raise Failed: It was something else, or not all of it.
    """
    unsent = {stream.socket: memoryview(data) for stream, data in streams.items()}
    received = {stream.socket: bytearray() for stream in streams}
    wanted = {stream.socket: data for stream, data in streams.items()}
    for each in unsent:
        each.setblocking(False)
    try:
        while pending := [each for each in wanted if len(received[each]) < len(wanted[each])]:
            writing = [each for each in pending if unsent[each]]
            readable, writable, _ = select.select(pending, writing, [], PATIENCE)
            if not (readable or writable):
                counts = [f"{len(received[each])} of {len(wanted[each])}" for each in pending]
                raise Failed(f"echo stopped after {', '.join(counts)} bytes")
            for each in writable:
                unsent[each] = unsent[each][each.send(unsent[each][:_CHUNK]) :]
            for each in readable:
                chunk = each.recv(_CHUNK)
                if not chunk:
                    raise Failed(f"echo: the stream ended after {len(received[each])} bytes")
                received[each] += chunk
            between()
    except OSError as error:
        raise Failed(f"echo: {error}") from error
    finally:
        for each in wanted:
            each.settimeout(PATIENCE)
    for each, data in wanted.items():
        sent, came = (hashlib.sha256(side).hexdigest() for side in (data, received[each]))
        if sent != came:
            raise Failed(f"echo of {len(data)} bytes: sent {sent}, got {came}")


def randomBytes(size: int) -> bytes:
    """
    Data that no mistake maps to itself.
    """
    return os.urandom(size)


def runTool(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """
    Run one of the client programs of Debian to its end.
    """
    try:
        return subprocess.run(
            words,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"`{' '.join(words)}` does not end") from error
