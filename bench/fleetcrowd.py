"""
What many clients of a hub's socket get: a part of C{make fleet-sim}, in a process of its own.

Lists are asked for one after the other; then a thousand clients listen, and it is looked when the
last of them has heard of each phone that comes or goes.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import statistics
import sys
import time
from bisect import bisect_left
from itertools import pairwise
from pathlib import Path

from muxd.wire.messages import HEADER, plistMessage

LISTS = 60
LISTENERS = 1000
SECONDS = 20.0
"""How long it is looked at events, when all listeners have heard of all phones."""

LONGEST = 120.0


def connected(path: str, request: str) -> socket.socket:
    """
    A client that has asked for something.
    """
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    message = plistMessage({"MessageType": request, "ProgName": "fleetcrowd"}, 1)
    client.sendall(message.encode())
    return client


def lists(path: str) -> tuple[int, list[float]]:
    """
    Ask for lists, some of which come after a change and some before the next one.

    @return: the length of one, and how many milliseconds each has taken.
    """
    took = []
    length = 0
    for number in range(LISTS):
        began = time.monotonic()
        with connected(path, "ListDevices") as client:
            head = client.recv(HEADER.size, socket.MSG_WAITALL)
            length = HEADER.unpack(head)[0] - HEADER.size
            body = memoryview(bytearray(length))
            place = 0
            while place < length:
                place += client.recv_into(body[place:])
        took.append(1000 * (time.monotonic() - began))
        time.sleep(0.3 if number % 2 else 0.01)
    return length, took


class Listeners:
    """
    Clients that listen.

    @ivar greeted: When each had been told of everything that was there.
    @ivar lost: How many were disconnected.
    """

    def __init__(self, path: str, greeting: int) -> None:
        """
        @param greeting: How many bytes say what is there, at least.
        """
        self.greeted: float | None = None
        self.lost = 0
        self.arrivals: list[float] = []
        self._greeting = greeting
        self._clients: dict[int, socket.socket] = {}
        self._received: dict[int, int] = {}
        self._poll = select.epoll()
        self.began = time.monotonic()
        for _ in range(LISTENERS):
            client = connected(path, "Listen")
            client.setblocking(False)
            self._clients[client.fileno()] = client
            self._received[client.fileno()] = 0
            self._poll.register(client, select.EPOLLIN)

    def read(self, until: float) -> None:
        """
        Read what comes, until then or until all have been told of everything.
        """
        space = bytearray(1 << 20)
        wasGreeted = self.greeted is not None
        while time.monotonic() < until:
            for number, _ in self._poll.poll(0.1):
                try:
                    count = self._clients[number].recv_into(space)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    count = 0
                if not count:
                    self.lost += 1
                    self._poll.unregister(number)
                    del self._received[number]
                    continue
                self._received[number] += count
                self.arrivals.append(time.monotonic())
            if not wasGreeted and min(self._received.values(), default=0) >= self._greeting:
                self.greeted = time.monotonic()
                self.arrivals.clear()
                return


def main() -> None:
    """
    Measure, and print it as JSON.
    """
    path, log = sys.argv[1:]
    # Their sockets are this process's as well as the hub's.
    resource.setrlimit(resource.RLIMIT_NOFILE, (LISTENERS + 100, LISTENERS + 100))
    length, took = lists(path)
    figures: dict[str, object] = {
        "ListDevices at the hub's socket, while phones come and go: MB": round(length / 1e6, 2),
        "the same: ms, the first": round(took[0], 1),
        "the same: ms p50, the longest": [round(statistics.median(took), 1), round(max(took), 1)],
    }
    # An event has a head of its own, and the list has two tabs more in each line.
    listeners = Listeners(path, int(length * 0.9))
    listeners.read(time.monotonic() + LONGEST)
    if listeners.greeted is not None:
        took = [listeners.greeted - listeners.began]
        figures[f"s until {LISTENERS} that begin to listen at once know all phones"] = round(
            took[0], 1
        )
        began = time.monotonic() + 1
        listeners.read(began + SECONDS)
        lines = [line.split() for line in Path(log).read_text().splitlines()]
        events = [float(line[2]) for line in lines if line[:1] in (["gone"], ["there"])]
        last = []
        for at, following in pairwise(events):
            first, after = (bisect_left(listeners.arrivals, each) for each in (at, following))
            if at > began and after > first and following < listeners.arrivals[-1]:
                last.append(1000 * (listeners.arrivals[after - 1] - at))
        if last:
            name = f"an event, host to the last of {LISTENERS} listeners: ms p50, the longest"
            figures[name] = [round(statistics.median(last), 1), round(max(last), 1)]
    figures["listeners that were disconnected"] = listeners.lost
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
