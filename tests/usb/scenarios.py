"""
What L{tests.usb.asynchronous.test_libusb} does to a library, as a program::

    python -m tests.usb.scenarios SCENARIO ENGINE

The library is named by C{MUXD_LIBUSB}, the phones by C{RIG_CONTROL} and
C{RIG_PHONE}.  The last line that it prints is a JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater, react
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from muxd.build import description
from muxd.interfaces import IDevice, IDeviceReceiver
from muxd.limits import Limits
from muxd.net.eventloop import loopOf
from muxd.net.packetmemory import PacketMemory
from muxd.usb.asynchronous.link import AsynchronousLink
from muxd.usb.asynchronous.pollfds import LibusbDescriptor
from muxd.usb.engines import SMALL_PACKET, LinkState
from muxd.usb.hotplug import PolledBus
from muxd.usb.libraries import newContext
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from tests.usb.hosts import ECHO, MEBIBYTE, Client, Host, control, everything, leftovers


async def echo(host: Host) -> None:
    """
    One session up and down.
    """
    await host.open()
    await host.echo(4 * MEBIBYTE)
    await host.close()


async def download(host: Host) -> None:
    """
    One session down.
    """
    await host.open()
    await host.download(8 * MEBIBYTE)
    await host.close()


async def parallel(host: Host) -> None:
    """
    Four sessions at once.
    """
    await host.open()
    await everything(
        host.echo(MEBIBYTE),
        host.download(2 * MEBIBYTE),
        host.echo(MEBIBYTE),
        host.download(2 * MEBIBYTE),
    )
    await host.close()


async def unplug(host: Host) -> None:
    """
    The phone is unplugged while transfers fly in both directions.
    """
    await host.open()
    clients = await host.busy()
    lost = host.muxer.whenLost()
    control("unplug 0")
    await expectLoss(lost, clients)
    await host.close()


async def expectLoss(lost: Deferred[None], clients: list[Client]) -> None:
    """
    Wait until the muxer and all sessions have been told of the end.
    """
    try:
        await lost
    except ConnectionLost as error:
        print("lost:", error)
    for client in clients:
        reason = await client.lost
        assert "phone" in reason, reason


async def fault(host: Host) -> bool:
    """
    A transfer fails on the way.

    @return: Whether the link survived that.
    """
    await host.open()
    lost = host.muxer.whenLost()
    survived = True
    try:
        await host.echo(4 * MEBIBYTE)
    except Exception as error:
        # The phone may have ended the session for the packet that is missing,
        # just before the link is lost for it.
        await expectLoss(lost, [])
        survived = False
        print("session lost:", error)
    lost.addErrback(lambda reason: None)
    await host.close()
    return survived


async def memory(host: Host) -> list[str]:
    """
    More reads than there is memory for.

    @return: What was logged about that.
    """
    host.limits = Limits(readsInFlight=32)
    warnings: list[str] = []
    globalLogPublisher.addObserver(
        cast(ILogObserver, lambda event: warnings.append(event["log_format"] or ""))
    )
    await host.open()
    await everything(host.echo(2 * MEBIBYTE), host.echo(MEBIBYTE), host.download(2 * MEBIBYTE))
    await host.close()
    return [line for line in warnings if "usbfs_memory_mb" in line]


async def freed(host: Host) -> None:
    """
    The mistake that must not be made, for the tests of the tests.
    """
    await host.open()
    context = cast(AsynchronousLink, host.link)._context
    library = context._polled
    library.libusb_free_transfer.argtypes = [ctypes.c_void_p]
    for transfer in context.inFlight:
        library.libusb_free_transfer(transfer.address)
    await host.echo(MEBIBYTE)


def transferBuffers() -> int:
    """
    How many buffers of transfers there are.
    """
    return sum(
        isinstance(one, PacketMemory) and one.size >= SMALL_PACKET for one in gc.get_objects()
    )


async def buffers(host: Host) -> tuple[int, int]:
    """
    A link that is closed while nobody looks for garbage.

    @return: How many buffers there were before that, and after.
    """
    gc.disable()
    await host.open()
    await host.echo(MEBIBYTE)
    before = transferBuffers()
    await host.close()
    return before, transferBuffers()


async def hang(host: Host) -> None:
    """
    The phone does nothing any more, and no transfer comes back even when it is
    cancelled.
    """
    host.limits = Limits(linkFlushTimeout=0.1, linkCloseTimeout=0.5)
    await host.open()
    await host.busy()
    os.kill(int(os.environ["RIG_PHONE"]), signal.SIGSTOP)
    link = host.link
    began = time.monotonic()
    host.muxer.stop()
    await link.close()
    took = time.monotonic() - began
    assert link.state is LinkState.CLOSED
    assert took < 5, took
    left = await watchedFiles(host)
    assert not left, left
    del host.link, link
    gc.collect()
    # What comes back now finds its memory where it was.
    os.kill(int(os.environ["RIG_PHONE"]), signal.SIGCONT)
    await deferLater(host.reactor, 0.2)


async def watchedFiles(host: Host) -> list[object]:
    """
    What of libusb's the reactor watches, or the loop beside it.
    """
    loop = loopOf(host.reactor)
    watched = {
        *host.reactor.getReaders(),
        *host.reactor.getWriters(),
        *(loop.owners if loop else ()),
    }
    return [each for each in watched if isinstance(each, LibusbDescriptor)]


async def reopen(host: Host) -> None:
    """
    The link is closed with transfers in flight, and the phone opened again.
    """
    for _ in range(20):
        await host.open()
        clients = await host.busy()
        await host.close()
        for client in clients:
            await client.lost


async def descriptors(host: Host) -> None:
    """
    File descriptors are added by libusb and removed again while the link runs.
    """
    await host.open()
    before = await watchedFiles(host)
    control("plug 1")
    device = host.link._phone.device
    backend = device.backend
    others = [each for each in backend.enumerate_devices() if each.devid != device._ctx.dev.devid]
    handle = backend.open_device(others[0])
    await host.echo(MEBIBYTE)
    during = await watchedFiles(host)
    backend.close_device(handle)
    await host.echo(MEBIBYTE)
    after = await watchedFiles(host)
    assert len(during) == len(before) + 1, (before, during)
    assert set(after) == set(before), (before, after)
    del others, handle, device, backend
    await host.close()
    control("unplug 1")


@implementer(IDeviceReceiver)
class Attachments:
    """
    What a source has attached and detached.
    """

    def __init__(self) -> None:
        self.attached: list[IDevice] = []
        self.detached: list[IDevice] = []
        self._changed: Deferred[None] = Deferred()

    def deviceAttached(self, device: IDevice) -> None:
        """
        Count.
        """
        self.attached.append(device)
        self._change()

    def devicePaired(self, device: IDevice) -> None:
        """
        Not called: it is this host that pairs with it.
        """

    def deviceDetached(self, device: IDevice) -> None:
        """
        Count.
        """
        self.detached.append(device)
        self._change()

    async def until(self, attached: int, detached: int) -> None:
        """
        Wait.
        """
        while (len(self.attached), len(self.detached)) != (attached, detached):
            await self._changed

    def _change(self) -> None:
        changed, self._changed = self._changed, Deferred()
        changed.callback(None)


async def replug(host: Host) -> dict[str, int]:
    """
    Two phones are plugged in at once, one of them fifty times.

    @return: How many files were open with both, at first and in the end, and
        how many contexts were made.
    """
    contexts = []

    def load() -> Any:
        backend = newContext()
        contexts.append(backend.ctx.value)
        return backend

    receiver = Attachments()
    source = USBSource(
        host.reactor,
        receiver,
        "usb",
        loadBackend=load,
        settings=USBSettings(poll=0.02, engine=host.engine),
        makeBus=PolledBus,
    )
    control("plug 1")
    source.startService()
    await receiver.until(2, 0)
    first = len(leftovers()[0])
    last = 0
    for times in range(1, 51):
        control("unplug 1")
        await receiver.until(1 + times, times)
        control("plug 1")
        await receiver.until(2 + times, times)
        await endpointEcho(receiver.attached[-1])
        last = len(leftovers()[0])
    await source.stopService()
    # This was called by what is to be gone.
    await deferLater(host.reactor, 0)
    del source
    receiver.attached.clear()
    receiver.detached.clear()
    after = leftovers()
    assert after == host.before, f"before: {host.before}, after: {after}"
    control("unplug 1")
    return {"first": first, "last": last, "contexts": len(contexts)}


async def endpointEcho(device: IDevice) -> None:
    """
    See that a phone can be used.
    """
    client = Client(5)
    connected: Deferred[IProtocol] = device.endpoint(ECHO).connect(
        Factory.forProtocol(lambda: client)
    )
    await connected
    client.session.write(b"hello")
    await client.enough
    client.session.loseConnection()
    await client.lost


Scenario = Callable[[Host], Awaitable[Any]]
SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        echo,
        download,
        parallel,
        unplug,
        fault,
        memory,
        freed,
        buffers,
        hang,
        reopen,
        descriptors,
        replug,
    )
}


async def run(reactor: Any, name: str, engine: str) -> None:
    """
    Run one, and report.
    """
    await deferLater(reactor, 0)
    result = await SCENARIOS[name](Host(reactor, engine))
    print(json.dumps({"result": result, "build": description(), **control("total")}))


if __name__ == "__main__":
    react(lambda reactor, *words: ensureDeferred(run(reactor, *words)), sys.argv[1:])
