# -*- test-case-name: tests.phone.test_source -*-
"""
Simulated iPhones as a source of devices, by the same way as real ones: they are
on a bus that L{USBSource} looks at.  No hardware, no libusb and no permission is
needed.

At rest they cost nothing: the bus tells when it changes, and links have no threads and
no timers (L{muxd.phone.bus.link}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from muxd.identity import udidFromSerial
from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IFirstLook,
    ILimitedSource,
    IReleasingSource,
)
from muxd.limits import LIMITS, Limits
from muxd.net.serverstrings import forOwnerAlone
from muxd.phone.bus.faultplan import NO_FAULTS, FaultPlan
from muxd.phone.bus.link import BusLink
from muxd.phone.bus.simulated import SimulatedBus, WatchedBus
from muxd.phone.console import Console, ConsoleFactory
from muxd.phone.doors import Doors
from muxd.phone.identity import PhoneIdentity
from muxd.phone.iphone import Phone, stopPhones
from muxd.phone.lockdown.trust import Owner
from muxd.phone.pluggedphone import PluggedPhone
from muxd.usb.source import USBSettings, USBSource

POLL = 30.0
"""Seconds between two looks at a bus that has not told of a change."""

RETURN_DELAY = 1.0
"""Seconds until a phone comes back that a fault has thrown off the bus."""


def busSource(
    reactor: Any,
    receiver: IDeviceReceiver,
    description: str,
    bus: SimulatedBus,
    *,
    threads: bool = False,
    limits: Limits = LIMITS,
) -> USBSource:
    """
    A source of the phones on a simulated bus.

    @param threads: Whether packets are moved by the engine C{threads}, as pyusb does
        it everywhere.
    """
    return USBSource(
        reactor,
        receiver,
        description,
        loadBackend=lambda: bus,
        settings=USBSettings(poll=POLL, engine="threads", simulated=True),
        limits=limits,
        makeBus=partial(WatchedBus, bus),
        makeLink=None if threads else BusLink,
    )


@implementer(IDeviceSource, IFirstLook, ILimitedSource, IReleasingSource)
class SimulatedSource(Service):
    """
    A bus with phones on it while it runs.

    @ivar bus: The bus.
    @ivar stations: All phones in their places.
    @ivar phones: All of them; one that has been pulled out can be plugged in
        again.
    """

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        *,
        serials: tuple[str, ...],
        identity: PhoneIdentity = PhoneIdentity(),  # noqa: B008 (frozen)
        strict: bool = False,
        mux: int = 2,
        owner: Owner = Owner.ACCEPT,
        files: str | None = None,
        state: str | None = None,
        log: str | None = None,
        apps: str | None = None,
        extra: Mapping[str, Callable[[Any], Any]] | None = None,
        first: int = 0,
        bus: int = 1,
        faults: FaultPlan = NO_FAULTS,
        threads: bool = False,
        control: Iterable[str] = (),
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param reactor: Provides C{IReactorTime} and C{IReactorFromThreads}.
        @param serials: Of each phone.
        @param identity: What they are called, and what they are.
        @param strict: Whether a host whose BUID has changed is refused a session.
        @param mux: The version of the protocol that they speak.
        @param owner: What is done when they ask whether to trust a host.
        @param files: A directory with their files; C{None} for one of its own for
            each.
        @param state: The directory where what they remember is kept; C{None} for phones that
            forget.
        @param log: A file or a pipe with lines for their logs.
        @param apps: A directory with their apps.
        @param extra: Services of one's own, see L{muxd.phone.services.own}.
        @param first: How many simulated phones there are before these.
        @param bus: The number of the bus that they are on.
        @param faults: What goes wrong with each; by chance with each in its own way.
        @param threads: Whether packets are moved by the engine C{threads}, as pyusb does
            it everywhere.
        @param control: Where programs connect that give commands, as server endpoints'
            descriptions (L{muxd.phone.console}).
        """
        self.description = description
        self._reactor = reactor
        self._limits = limits
        self.bus = SimulatedBus(bus)
        self.phones = tuple(
            Phone(
                reactor,
                udid=udidFromSerial(serial),
                name=identity.nameOf(index),
                dump=identity.dump,
                values=identity.values,
                strict=strict,
                mux=mux,
                owner=owner,
                files=files,
                state=state,
                log=log,
                apps=apps,
                extra=extra,
                faultPlan=replace(faults, seed=faults.seed + index),
                returnDelay=RETURN_DELAY,
            )
            for index, serial in enumerate(serials, first)
        )
        self.stations = tuple(PluggedPhone(phone, self.bus) for phone in self.phones)
        self._console = ConsoleFactory(Console(self.stations, None), limits, reactor)
        self._doors = Doors(reactor, limits)
        self._doors.add(map(forOwnerAlone, control), self._console)
        self._source = busSource(reactor, receiver, description, self.bus, threads=threads)

    def privilegedStartService(self) -> None:
        """
        Import what is needed later.
        """
        Service.privilegedStartService(self)
        self._source.privilegedStartService()

    def startService(self) -> None:
        """
        Plug the phones in and begin to look.

        @raise CannotListen: Programs that give commands could not connect.
        """
        self._doors.removeStale()
        self._doors.open()
        Service.startService(self)
        for phone in self.phones:
            phone.plug(self.bus)
        self._source.startService()

    def useLimits(self, limits: Limits) -> None:
        """
        See L{ILimitedSource}.
        """
        self._source.useLimits(limits)

    @property
    def released(self) -> list[str]:
        """
        See L{IReleasingSource}.
        """
        return self._source.released

    def release(self, udid: str) -> Deferred[int]:
        """
        See L{IReleasingSource}.
        """
        return self._source.release(udid)

    def take(self, udid: str) -> None:
        """
        See L{IReleasingSource}.
        """
        self._source.take(udid)

    def whenLooked(self) -> Deferred[None]:
        """
        See L{IFirstLook}.
        """
        return self._source.whenLooked()

    def stopService(self) -> Deferred[None]:
        """
        Stop looking, and then pull the phones out.
        """
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ends = [*self._doors.close(), self._console.stop()]
        for end in ends:
            # A program that does not read its answers is not waited for any longer.
            end.addTimeout(self._limits.stopTimeout, self._reactor, lambda *_: None)
        await gatherResults(ends)
        self._doors.stop()
        await self._source.stopService()
        stopPhones(self.phones)
