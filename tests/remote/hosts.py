"""
What the tests of phones of other hosts have in common.
"""

from __future__ import annotations

from zope.interface import implementer

from muxd.client.client import UsbmuxClient
from muxd.interfaces import IDevice, IDeviceReceiver
from muxd.remote.phone import RemotePhone
from muxd.remote.settings import RemoteSettings
from muxd.remote.source import RemoteSource
from tests.client.daemons import DaemonConnection
from tests.client.hosts import Host


@implementer(IDeviceReceiver)
class Recorder:
    """
    Remembers what it is told, in order.

    @ivar present: The phones that are attached, by UDID.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.present: dict[str, RemotePhone] = {}

    def deviceAttached(self, device: IDevice) -> None:
        """
        Remember it.
        """
        assert isinstance(device, RemotePhone)
        udid = device.identity.udid
        assert udid not in self.present, "attached twice"
        self.present[udid] = device
        self.events.append(("attached", udid))

    def deviceDetached(self, device: IDevice) -> None:
        """
        Remember it; it must have been there.
        """
        udid = device.identity.udid
        assert self.present.pop(udid) is device
        self.events.append(("detached", udid))

    def devicePaired(self, device: IDevice) -> None:
        """
        Remember it.
        """
        self.events.append(("paired", device.identity.udid))

    def take(self) -> list[tuple[str, str]]:
        """
        What was told since the last time.
        """
        taken, self.events = self.events, []
        return taken


class RemoteHost(Host):
    """
    Another host in memory, and a source of its phones, which tries again after two
    seconds.
    """

    def __init__(
        self,
        connection: type[DaemonConnection] = DaemonConnection,
        settings: RemoteSettings | None = None,
    ) -> None:
        super().__init__(connection)
        self.receiver = Recorder()
        self.source = RemoteSource(
            self.reactor,
            self.receiver,
            "remote:test",
            UsbmuxClient(self.reactor, self.access()),
            settings or RemoteSettings(name="test"),
            retryPolicy=lambda _: 2.0,
        )

    def start(self) -> None:
        """
        Start the source, and let happen what can.
        """
        self.source.startService()
        self.settle()
