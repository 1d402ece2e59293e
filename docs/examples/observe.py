"""
A Twisted program that uses the machine's daemon: asks each phone that comes for the
time, and goes on until it is interrupted.

    python docs/examples/observe.py
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from zope.interface import implementer

from muxd.client import (
    Device,
    DeviceObserverMixin,
    DeviceWatcher,
    IDeviceObserver,
    UsbmuxClient,
    UsbmuxError,
)

DAYTIME = 13
"""A port of each simulated phone, which sends the time of day."""


class Printer(Protocol):
    """
    Prints what a phone sends.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        A phone has sent something.
        """
        print(data.decode(errors="replace").strip(), flush=True)


@implementer(IDeviceObserver)
class Visitor(DeviceObserverMixin):
    """
    Connects to each phone that comes.
    """

    def __init__(self, client: UsbmuxClient) -> None:
        self._client = client

    def deviceAttached(self, device: Device) -> None:
        """
        A phone can be connected to.
        """
        Deferred.fromCoroutine(self._visit(device))

    async def _visit(self, device: Device) -> None:
        try:
            await self._client.connect(device, DAYTIME, Factory.forProtocol(Printer))
        except UsbmuxError as error:
            print(f"{device.udid}: {error}", flush=True)


def main(reactor: Any) -> Deferred[None]:
    """
    Visit phones until the program is interrupted.
    """
    client = UsbmuxClient(reactor)
    watcher = DeviceWatcher(reactor, Visitor(client), client.access)
    watcher.startService()
    reactor.addSystemEventTrigger("before", "shutdown", watcher.stopService)
    return Deferred()


if __name__ == "__main__":
    react(main)
