# -*- test-case-name: tests.phone.test_source -*-
"""
Simulated iPhones as a source of devices, by the same way as real ones: they are
on a bus that L{USBSource} looks at.  No hardware, no libusb and no permission is
needed.

At rest they cost nothing: the bus tells when it changes, and links have no threads and
no timers (L{muxd.phone.bus.link}).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from zope.interface import implementer

from muxd.identity import udidFromSerial
from muxd.interfaces import IDeviceReceiver, IDeviceSource, IFirstLook
from muxd.limits import LIMITS, Limits
from muxd.phone.bus.faultplan import NO_FAULTS, FaultPlan
from muxd.phone.bus.link import BusLink
from muxd.phone.bus.simulated import SimulatedBus, WatchedBus
from muxd.phone.identity import PhoneIdentity
from muxd.phone.iphone import Phone, stopPhones
from muxd.phone.lockdown.trust import Owner
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


@implementer(IDeviceSource, IFirstLook)
class SimulatedSource(Service):
    """
    A bus with phones on it while it runs.

    @ivar bus: The bus.
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
        first: int = 0,
        faults: FaultPlan = NO_FAULTS,
        threads: bool = False,
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
        @param first: How many simulated phones there are before these.
        @param faults: What goes wrong with each; by chance with each in its own way.
        @param threads: Whether packets are moved by the engine C{threads}, as pyusb does
            it everywhere.
        """
        self.description = description
        self.bus = SimulatedBus()
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
                faultPlan=replace(faults, seed=faults.seed + index),
                returnDelay=RETURN_DELAY,
            )
            for index, serial in enumerate(serials, first)
        )
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
        """
        Service.startService(self)
        for phone in self.phones:
            phone.plug(self.bus)
        self._source.startService()

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
        return self._source.stopService().addCallback(self._stopped)

    def _stopped(self, _: None) -> None:
        stopPhones(self.phones)
