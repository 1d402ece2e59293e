"""
A Twisted program with phones of its own: asks each phone that is plugged in for the
time, and ends when it has met as many as it was told to.

    python docs/examples/embed.py [SOURCE [COUNT]]

SOURCE is C{usb} for real phones; by default it is two simulated ones.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd import AttachedDevice, IDevice, IDeviceListener, MuxService

DAYTIME = 13
"""A port of each simulated phone, which sends the time of day."""


class Reader(Protocol):
    """
    Reads all that a phone sends.
    """

    def __init__(self) -> None:
        self.text = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a part.
        """
        self.text += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all.
        """
        self.done.callback(self.text)


@implementer(IDeviceListener)
class Counter:
    """
    Waits for a number of phones.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.phones: list[IDevice] = []
        self.enough: Deferred[None] = Deferred()

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        A phone has been plugged in.
        """
        self.phones.append(attached.device)
        if len(self.phones) == self.count:
            self.enough.callback(None)

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        A phone is gone.
        """

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        A phone trusts this machine now.
        """


async def main(reactor: Any, source: str = "simulated:2", count: str = "2") -> None:
    """
    Meet some phones.
    """
    counter = Counter(int(count))
    service = MuxService(reactor, sources=[source])
    service.registry.subscribe(counter)
    service.startService()
    try:
        await counter.enough
        for phone in counter.phones:
            reader = Reader()
            await connectProtocol(phone.endpoint(DAYTIME), reader)
            time = (await reader.done).decode().strip()
            print(f"{phone.identity.udid}: {time}")
    finally:
        # Fires when no thread and no claimed interface is left.
        await service.stopService()


if __name__ == "__main__":
    react(lambda reactor, *words: Deferred.fromCoroutine(main(reactor, *words)), sys.argv[1:])
