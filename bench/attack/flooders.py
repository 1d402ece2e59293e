# -*- test-case-name: tests.bench.test_attack -*-
"""
Flooders: each a program that does one thing to a daemon for as long as it may::

    python -m bench.attack.flooders KIND SOCKET SECONDS USER

It prints how many requests, connections or records those were, and how many bytes.
"""

from __future__ import annotations

import json
import plistlib
import random
import select
import socket
import sys
import time
from base64 import encodebytes
from collections.abc import Callable, Iterator
from contextlib import suppress

from bench.attack.requests import LONG_NAME, ask, become, connect, costly, message, receive

CROWD = 500
LISTENERS = 400
ASKERS = 300
SILENT = 2000
BITS = 9990
"""Of a Diffie-Hellman group: as much as fits a key that used to be taken."""


class Flood:
    """
    One attack that goes on.

    @ivar sent: Bytes that the daemon was sent.
    @ivar done: How often.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self.sent = self.done = 0
        self.path = path
        self._end = time.monotonic() + seconds
        self.kept: list[socket.socket] = []

    @property
    def isOn(self) -> bool:
        """
        Whether there is time left.
        """
        return time.monotonic() < self._end

    def say(self, connection: socket.socket, data: bytes) -> None:
        """
        Send something.
        """
        connection.sendall(data)
        self.sent += len(data)
        self.done += 1

    def newClient(self) -> socket.socket | None:
        """
        Another connection, which stays; None if the daemon wants no more.
        """
        try:
            made = connect(self.path)
        except OSError:
            return None
        self.kept.append(made)
        return made

    def rest(self) -> None:
        """
        Stay until the end.
        """
        while self.isOn:
            time.sleep(0.05)


def unread(flood: Flood) -> None:
    """
    Listeners with long names, and clients that ask for the list of them and read nothing.
    """
    listen = {"MessageType": "Listen", "ProgName": LONG_NAME, "BundleID": LONG_NAME}
    for _ in range(LISTENERS):
        made = flood.newClient()
        if made is not None:
            with suppress(OSError):
                flood.say(made, message(listen))
                receive(made)
    request = message({"MessageType": "ListListeners"})
    for _ in range(ASKERS):
        made = flood.newClient()
        if made is not None:
            with suppress(OSError):
                flood.say(made, request)
    flood.rest()


def requests(flood: Flood) -> None:
    """
    A crowd of clients that all send requests which take long to parse, as fast as they can.
    """
    _pour(flood, costly(4096))


def _pour(flood: Flood, data: bytes) -> None:
    left: dict[int, memoryview] = {}
    sockets: dict[int, socket.socket] = {}
    poller = select.epoll()

    def come() -> None:
        made = flood.newClient()
        if made is not None:
            made.setblocking(False)
            sockets[made.fileno()] = made
            poller.register(made, select.EPOLLIN | select.EPOLLOUT)

    def go(number: int) -> None:
        gone = sockets.pop(number)
        left.pop(number, None)
        flood.kept.remove(gone)
        gone.close()

    for _ in range(CROWD):
        come()
    while flood.isOn:
        for number, events in poller.poll(0.1):
            try:
                if events & select.EPOLLIN and not sockets[number].recv(65536):
                    raise ConnectionResetError
                if events & select.EPOLLOUT:
                    rest = left.get(number) or memoryview(data)
                    count = sockets[number].send(rest)
                    flood.sent += count
                    left[number] = rest[count:]
                    flood.done += not left[number]
            except BlockingIOError:
                pass
            except OSError:
                go(number)
                come()
        time.sleep(0.002)


def connections(flood: Flood) -> None:
    """
    Clients that come, ask, and leave without reading.
    """
    request = message({"MessageType": "ListDevices"})
    while flood.isOn:
        with suppress(OSError), connect(flood.path) as made:
            flood.say(made, request)


def silent(flood: Flood) -> None:
    """
    Clients that say nothing, and stay.
    """
    for _ in range(SILENT):
        flood.done += flood.newClient() is not None
    flood.rest()


def listeners(flood: Flood) -> None:
    """
    Many listeners, one more of which comes and goes while another client asks for the list.
    """
    for _ in range(LISTENERS):
        made = flood.newClient()
        if made is not None:
            with suppress(OSError):
                ask(made, {"MessageType": "Listen", "ProgName": "x"})
    asker = connect(flood.path)
    listen, request = message({"MessageType": "Listen"}), message({"MessageType": "ListListeners"})
    while flood.isOn:
        with suppress(OSError), connect(flood.path) as made:
            flood.say(made, listen)
            flood.say(asker, request)
            receive(asker)


def records(flood: Flood) -> None:
    """
    Clients that store records under names of their own invention.
    """
    data = plistlib.dumps({"HostID": "x", "Pad": bytes(20000)})
    clients = [client for _ in range(20) if (client := flood.newClient()) is not None]
    for number in _numbers(flood):
        values = {"PairRecordID": f"F{number}", "PairRecordData": data}
        client = clients[number % len(clients)]
        try:
            flood.say(client, message({"MessageType": "SavePairRecord", **values}))
            if number % len(clients) == len(clients) - 1:
                for each in clients:
                    receive(each)
        except OSError:
            return flood.rest()
    return None


def lines(flood: Flood) -> None:
    """
    Clients that ask for what there is not, and for ports that are refused: each a line of the
    log, if the daemon has no limit.
    """
    while flood.isOn:
        with suppress(OSError), connect(flood.path) as made:
            flood.say(made, message({"MessageType": f"Unknown{flood.done}"}))
            receive(made)
        with suppress(OSError), connect(flood.path) as made:
            flood.say(made, message({"MessageType": "Connect", "DeviceID": 99, "PortNumber": 1}))
            receive(made)
        with suppress(OSError), connect(flood.path) as made:
            flood.say(made, b"GET / HTTP/1.1\r\n\r\n")


def keys(flood: Flood) -> None:
    """
    A client that stores a record, of a phone that is attached, whose key takes half a second
    to load; again and again.
    """
    client = connect(flood.path)
    (device, *_) = ask(client, {"MessageType": "ListDevices"})["DeviceList"]
    udid = device["Properties"]["SerialNumber"]
    answer = ask(client, {"MessageType": "ReadPairRecord", "PairRecordID": udid})
    record = plistlib.loads(answer["PairRecordData"])
    record["HostPrivateKey"] = hellman(BITS)
    values = {"PairRecordID": udid, "PairRecordData": plistlib.dumps(record), "DeviceID": 1}
    for _ in _numbers(flood):
        flood.say(client, message({"MessageType": "SavePairRecord", **values}))
        receive(client)


def phone(flood: Flood) -> None:
    """
    Nothing: it is a phone that attacks (L{bench.attack.daemon}).
    """
    flood.rest()


def _numbers(flood: Flood) -> Iterator[int]:
    number = 0
    while flood.isOn:
        yield number
        number += 1


KINDS: dict[str, Callable[[Flood], None]] = {
    each.__name__: each
    for each in (unread, requests, connections, silent, listeners, records, lines, keys, phone)
}


def hellman(bits: int) -> bytes:
    """
    A Diffie-Hellman key as PKCS #8, for whose public half OpenSSL computes.
    """
    chance = random.Random(1)
    group = _sequence(_number(chance.getrandbits(bits) | 1 | 1 << (bits - 1)), _number(2))
    algorithm = _sequence(bytes.fromhex("06092a864886f70d010301"), group)
    key = _sequence(_number(0), algorithm, _element(4, _number(chance.getrandbits(bits - 3))))
    return b"-----BEGIN PRIVATE KEY-----\n%b-----END PRIVATE KEY-----\n" % encodebytes(key)


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _number(value: int) -> bytes:
    return _element(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _sequence(*parts: bytes) -> bytes:
    return _element(0x30, b"".join(parts))


def main(arguments: list[str]) -> None:
    """
    Flood, and say what was done.
    """
    kind, path, seconds, user = arguments
    become(int(user))
    flood = Flood(path, float(seconds))
    try:
        KINDS[kind](flood)
    finally:
        print(json.dumps({"done": flood.done, "sent": flood.sent}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
