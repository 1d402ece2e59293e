# -*- test-case-name: tests.phone.test_service -*-
"""
Simulated iPhones for any usbmuxd: on this machine's USB stack, or on that of
any host that speaks USB/IP.

C{twistd iphone} runs one of these, and so may a test of any program::

    phones = [Phone(reactor)]
    service = PhoneService(reactor, phones, usbip=["tcp:3240:interface=127.0.0.1"])
    service.startService()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.limits import LIMITS, Limits
from muxd.net.serverstrings import forOwnerAlone
from muxd.net.socketfile import CannotListen
from muxd.phone.console import Console, ConsoleFactory
from muxd.phone.doors import Doors
from muxd.phone.iphone import Phone, stopPhones
from muxd.phone.pluggedphone import CannotNow, PluggedPhone
from muxd.phone.usbip.exports import Exports, IRemoteBus
from muxd.phone.usbip.server import UsbipFactory
from muxd.phone.usbip.vhci import VirtualController
from muxd.phone.wireless import Style, WirelessAccess


class PhoneService(Service):
    """
    Phones that are on a bus while it runs.

    @ivar stations: The phones in their places, in order.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        phones: Sequence[Phone],
        *,
        usbip: Iterable[str] = (),
        controller: VirtualController | None = None,
        control: Iterable[str] = (),
        wifi: Iterable[str] = (),
        wifiStyle: Style = Style.TAGS,
        plugged: bool = True,
        quit: Callable[[], object] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param usbip: Where hosts connect, as server endpoints' descriptions.
        @param controller: What the phones are attached to instead.
        @param control: Where programs connect that give commands, likewise; a UNIX socket
            is its owner's alone unless it says mode=.
        @param wifi: Addresses of this machine, one for each phone that is on a network, too.
        @param wifiStyle: How these announce themselves.
        @param plugged: Whether the phones are plugged in at the start.
        @param quit: What ends the process, for the command of that name.

        @raise ValueError: A description is wrong.
        """
        self.reactor = reactor
        self._limits = limits
        self._plugged = plugged
        exports = Exports()
        bus: IRemoteBus = exports if controller is None else controller
        self._controller = controller
        self.stations = tuple(PluggedPhone(phone, bus) for phone in phones)
        self._hosts = UsbipFactory(reactor, exports, limits)
        self._console = ConsoleFactory(
            Console(self.stations, quit or self.stopService), limits, reactor
        )
        self._doors = Doors(reactor, limits)
        self._doors.add(usbip, self._hosts)
        self._doors.add(map(forOwnerAlone, control), self._console)
        phonesOnNetwork = list(zip(phones, wifi, strict=False))
        self._wireless = [
            WirelessAccess(reactor, phone, address, style=wifiStyle)
            for phone, address in phonesOnNetwork
        ]
        self._open = False

    def privilegedStartService(self) -> None:
        """
        Plug the phones in, and then listen: a client that can connect finds everything
        there.

        @raise CannotListen: One of it is not possible; nothing is left then.
        """
        super().privilegedStartService()
        # What is taken is found out before a phone is plugged in.
        self._doors.removeStale()
        try:
            if self._plugged:
                for number, station in enumerate(self.stations, 1):
                    self._plug(number, station)
            self._doors.open()
            for access in self._wireless:
                self._join(access)
        except BaseException:
            for access in self._wireless:
                if access.running:
                    access.stopService()
            self._unplug()
            self._doors.close()
            raise
        self._open = True

    def startService(self) -> None:
        """
        The same, if this has not been done.

        @raise CannotListen: As L{privilegedStartService}.
        """
        if not self._open:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop accepting, pull the phones out, and close what is open; it takes
        no longer than L{Limits.stopTimeout} for each.

        @return: fires when that is done.
        """
        super().stopService()
        self._open = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._finish([access.stopService() for access in self._wireless])
        await self._finish(self._doors.close())
        self._doors.stop()
        self._unplug()
        ends = [self._hosts.stop(), self._console.stop()]
        if self._controller is not None:
            ends.append(self._controller.stop())
        await self._finish(ends)
        stopPhones(station.phone for station in self.stations)

    async def _finish(self, ends: list[Deferred[None]]) -> None:
        for end in ends:
            end.addTimeout(self._limits.stopTimeout, self.reactor)
            end.addErrback(self._unfinished)
        await gatherResults(ends)

    def _unfinished(self, failure: Failure) -> None:
        """
        A host or a program does not read.  We end all the same.
        """
        failure.trap(DeferredTimeout)
        self._log.warn(
            "stopping: a peer did not drain within {timeout:g} s; going on",
            timeout=self._limits.stopTimeout,
        )

    def _join(self, access: WirelessAccess) -> None:
        try:
            access.startService()
        except CannotListenError as problem:
            raise CannotListen(
                f"{problem.interface}, port {problem.port}: {problem.socketError}; name an address"
                " of this machine that has this port free"
            ) from None

    def _plug(self, number: int, station: PluggedPhone) -> None:
        try:
            place = station.plug()
        except CannotNow as problem:
            raise CannotListen(f"phone {number}: {problem}") from None
        self._log.info(
            "phone {number}, {udid}, is plugged in: {kind} {place}",
            number=number,
            udid=station.phone.udid,
            kind="USB/IP device" if self._controller is None else "vhci port",
            place=place,
        )

    def _unplug(self) -> None:
        for station in self.stations:
            station.unplug()
