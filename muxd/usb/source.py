# -*- test-case-name: tests.usb.test_source,tests.usb.test_handshakes -*-
"""
The phones on USB as a source of devices.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.identity import sameUDID
from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IFirstLook,
    ILimitedSource,
    IReleasingSource,
    ISourceHealth,
    SourceHealth,
)
from muxd.limits import LIMITS, Limits
from muxd.usb.attached import AttachedPhone
from muxd.usb.discovery import Discovery
from muxd.usb.engines import EngineError, LinkFactory, NoThread, linkFactory, usableEngines
from muxd.usb.hotplug import DeviceBus, Location, PolledBus
from muxd.usb.libraries import LibraryError
from muxd.usb.opening import OpenedPhone, OpenToken
from muxd.usb.retries import Retries
from muxd.usb.settings import USBSettings
from muxd.usb.withheld import WithheldPhones

__all__ = ["USBSettings", "USBSource"]


DEVICE_NODES = "/dev/bus/usb"
"""Where Linux has the files that USB devices are opened by."""


@implementer(IDeviceSource, IFirstLook, ILimitedSource, IReleasingSource, ISourceHealth)
class USBSource(Service):
    """
    Finds phones, agrees with each on a protocol version, and attaches it.

    @param reactor: Provides C{IReactorTime} and C{IReactorFromThreads}.
    @param loadBackend: Makes a pyusb backend with a new libusb context; called
        in the discovery thread.
    @param makeBus: Makes what shows the bus as the system sees it; by default
        libusb's own list is polled.
    @param makeDiscovery: Makes what searches.
    @param describe: Tells which libusb it is, for people; C{None} where there is none.
    @param makeLink: Makes the links, in place of the engine that the settings name.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        *,
        loadBackend: Callable[[], Any],
        settings: USBSettings,
        limits: Limits = LIMITS,
        makeBus: Callable[[], DeviceBus] = PolledBus,
        makeDiscovery: Callable[..., Discovery] = Discovery,
        describe: Callable[[], str] | None = None,
        makeLink: LinkFactory | None = None,
    ) -> None:
        self.description = description
        self._reactor = reactor
        self._receiver = receiver
        self._loadBackend = loadBackend
        self._settings = settings
        self._limits = limits
        self._makeBus = makeBus
        self._makeDiscovery = makeDiscovery
        self._describe = describe
        self._library = ""
        self._givenLink = makeLink
        self._discovery: Discovery | None = None
        # All that have not ended, of which a location may have several: the
        # one before may still be closing.
        self._phones: list[AttachedPhone] = []
        self._retries = Retries(reactor, self._openAgain, limits)
        self._lostInHandshake: set[Location] = set()
        self._withheld = WithheldPhones()
        # UDIDs and last openings of those that were here, by where they are.
        self._setAside: dict[Location, tuple[str, OpenToken]] = {}
        self._awaitingEnd: dict[AttachedPhone, list[Deferred[None]]] = {}
        self._stopped: Deferred[None] | None = None
        self._stopDeadline: IDelayedCall | None = None
        self._discoveryEnded = True
        self._hasLooked = False
        self._awaitingLook: list[Deferred[None]] = []

    def privilegedStartService(self) -> None:
        """
        Import the engines and load the library while this process may.
        """
        Service.privilegedStartService(self)
        try:
            if self._givenLink is None:
                linkFactory(self._settings.engine)
            self._loadBackend()
            self._library = "" if self._describe is None else self._describe()
        except (EngineError, LibraryError):
            # It is said by what needs them.
            pass

    def startService(self) -> None:
        """
        Start to look for phones.

        @raise EngineError: The engine asked for cannot be used here.
        """
        self._makeLink = self._givenLink or linkFactory(self._settings.engine)
        Service.startService(self)
        self._discovery = self._makeDiscovery(
            self,
            self._reactor.callFromThread,
            loadBackend=self._loadBackend,
            settings=self._settings,
            bus=self._makeBus(),
            withheld=self._withheld,
        )
        self._discoveryEnded = False
        self._hasLooked = False
        self._setAside.clear()
        self._discovery.start()

    def stopService(self) -> Deferred[None]:
        """
        Find no more phones, and end those that are there.
        """
        Service.stopService(self)
        self._stopped = stopped = Deferred[None]()
        discovery, self._discovery = self._discovery, None
        self._retries.stop()
        for attached in list(self._phones):
            attached.stop()
        if discovery is not None:
            self._stopDeadline = self._reactor.callLater(
                self._limits.linkCloseTimeout * 2, self._stopTimedOut
            )
            # What it has found by then arrives before it has ended.
            discovery.stop().addCallback(self._discoveryStopped)
        self._checkStopped()
        return stopped

    def useLimits(self, limits: Limits) -> None:
        """
        See L{ILimitedSource}.
        """
        self._limits = limits
        self._retries = Retries(self._reactor, self._openAgain, limits)

    @property
    def released(self) -> list[str]:
        """
        See L{IReleasingSource}.
        """
        return self._withheld.udids

    def release(self, udid: str) -> Deferred[int]:
        """
        See L{IReleasingSource}.
        """
        self._withheld.add(udid)
        ends: list[Deferred[None]] = []
        for attached in list(self._phones):
            if sameUDID(attached.identity.udid, udid):
                ended: Deferred[None] = Deferred()
                self._awaitingEnd.setdefault(attached, []).append(ended)
                ends.append(ended)
                attached.stop()
        return gatherResults(ends).addCallback(len)

    def take(self, udid: str) -> None:
        """
        See L{IReleasingSource}.
        """
        self._withheld.discard(udid)
        taken = [place for place, (each, _) in self._setAside.items() if sameUDID(each, udid)]
        openings = [self._setAside.pop(location)[1] for location in taken]
        if self._discovery is not None:
            for opening in openings:
                self._discovery.release(opening)
            self._discovery.reconsider()

    def pollNow(self) -> None:
        """
        Look at the bus at once instead of at the next poll.
        """
        if self._discovery is not None:
            self._discovery.pollNow()

    def health(self) -> SourceHealth:
        """
        See L{ISourceHealth}.
        """
        engines = usableEngines(self._settings.engine)
        problem, troubles = "", []
        if self._discovery is not None:
            problem = self._discovery.problem
            troubles = self._discovery.troubles()
        if not problem and self._library and self._lacksNodes():
            problem = f"{DEVICE_NODES} is missing; in a container, pass it in"
        return SourceHealth(
            library=self._library,
            engine=engines[0] if engines else "",
            problem=problem,
            troubles=tuple(troubles),
        )

    def _lacksNodes(self) -> bool:
        return sys.platform == "linux" and not os.path.isdir(DEVICE_NODES)

    def whenLooked(self) -> Deferred[None]:
        """
        See L{IFirstLook}: a phone that answers is attached by then.
        """
        looked: Deferred[None] = Deferred()
        self._awaitingLook.append(looked)
        self._checkLooked()
        return looked

    # What discovery tells.

    def looked(self) -> None:
        """
        The bus has been looked at.
        """
        self._hasLooked = True
        self._introduce()
        self._checkLooked()

    def _introduce(self) -> None:
        """
        Log one line of what phones are looked for with, and how many there are.
        """
        if not self._library:
            # There is none, which discovery says, or needs to be none.
            return
        if self._lacksNodes():
            self._log.warn(
                "{library}: {directory} is missing, so no phone can be opened; in a container,"
                " pass it in (-v {directory}:{directory}, with the rules for its devices)",
                library=self._library,
                directory=DEVICE_NODES,
            )
            return
        # With the engines, which may be none that can be used here.
        from muxd.usb.asynchronous.transfers import BUILD

        self._log.info(
            "{library}, engine {engine}, {build}: {count} phones found",
            library=self._library,
            engine=usableEngines(self._settings.engine)[0],
            build=BUILD,
            count=len(self._phones),
        )

    def _checkLooked(self) -> None:
        if self._hasLooked and not any(phone.isHandshaking for phone in self._phones):
            waiting, self._awaitingLook = self._awaitingLook, []
            for each in waiting:
                each.callback(None)

    def phoneFound(self, phone: OpenedPhone) -> None:
        """
        A phone was opened.
        """
        try:
            link = self._makeLink(self._reactor, phone, self._limits)
        except EngineError as error:
            self._log.error(
                "{udid} cannot be used: {reason}", udid=phone.identity.udid, reason=str(error)
            )
            phone.dispose()
            return
        attached = AttachedPhone(self._reactor, phone, link, self._receiver, self, self._limits)
        self._phones.append(attached)
        if self.running and phone.identity.udid not in self._withheld:
            attached.start()
        else:
            attached.stop()

    def phoneGone(self, location: Location) -> None:
        """
        A phone was unplugged.
        """
        for attached in list(self._phones):
            if attached.location == location:
                attached.gone()
        self._setAside.pop(location, None)
        # Last, as it may have been lost in its handshake just now.
        self._forgetTroubles(location)

    # What phones tell.

    def phoneReady(self, attached: AttachedPhone) -> None:
        """
        A phone was attached.
        """
        self._checkLooked()
        self._forgetTroubles(attached.location)
        self._log.debug(
            "{udid} answers at bus {bus} address {address}",
            udid=attached.identity.udid,
            bus=attached.location[0],
            address=attached.location[1],
        )

    def phoneFailed(self, attached: AttachedPhone, reason: Failure) -> None:
        """
        A handshake failed.  A phone that was lost in the middle of it does not
        count as one that will not answer.
        """
        if reason.check(ConnectionLost) is not None:
            if attached.location not in self._lostInHandshake:
                self._lostInHandshake.add(attached.location)
                self._log.info(
                    "{udid} was lost in its handshake: {reason}",
                    udid=attached.identity.udid,
                    reason=reason.getErrorMessage(),
                )
            return
        setback = self._retries.failed(attached.location)
        if setback.failures == 1:
            self._log.warn(
                "{udid}: handshake failed: {reason}; opening it again",
                udid=attached.identity.udid,
                reason=reason.getErrorMessage(),
            )
            return
        # All that an operator can do is told once.
        tell = self._log.warn if setback.failures == 2 else self._log.debug
        advice = ": unplug it and plug it in again, or try another cable"
        tell(
            "{udid}: handshake failed again: {reason}; it will be tried again in {delay:g} s, "
            "then less and less often, at least every {longest:g} s, for as long as it is "
            "plugged in{advice}",
            udid=attached.identity.udid,
            reason=reason.getErrorMessage(),
            delay=setback.delay,
            longest=self._limits.longestHandshakeRetry,
            failures=setback.failures,
            advice="" if reason.check(NoThread) else advice,
        )

    def phoneLost(self, attached: AttachedPhone, reason: Failure) -> None:
        """
        A phone that was attached is not any more.
        """
        self._log.info(
            "{udid} is lost: {reason}",
            udid=attached.identity.udid,
            reason=reason.getErrorMessage(),
        )

    def phoneEnded(self, attached: AttachedPhone) -> None:
        """
        A phone's interface was released: it can be opened again, if it is still
        there, now or after some time.
        """
        if attached in self._phones:
            self._phones.remove(attached)
        self._checkLooked()
        # A later one may have its address by now.
        ended = attached.opening
        isTaken = any(
            one.location == ended.location and one.opening.number > ended.number
            for one in self._phones
        )
        if self._discovery is not None and not isTaken:
            if attached.identity.udid in self._withheld:
                self._setAside[ended.location] = (attached.identity.udid, ended)
            else:
                self._retries.ended(ended)
        for awaiting in self._awaitingEnd.pop(attached, ()):
            awaiting.callback(None)
        self._checkStopped()

    def _openAgain(self, opening: OpenToken) -> None:
        assert self._discovery is not None
        self._discovery.release(opening)

    def _forgetTroubles(self, location: Location) -> None:
        """
        A phone has answered, or is gone: what comes next is no repetition.
        """
        self._retries.forget(location)
        self._lostInHandshake.discard(location)

    # The end.

    def _discoveryStopped(self, _: None) -> None:
        self._discoveryEnded = True
        self._checkStopped()

    def _checkStopped(self) -> None:
        """
        Fire C{stopService}'s Deferred when nothing is left.
        """
        if self._stopped is None or self._phones or not self._discoveryEnded:
            return
        stopped, self._stopped = self._stopped, None
        if self._stopDeadline is not None and self._stopDeadline.active():
            self._stopDeadline.cancel()
        stopped.callback(None)

    def _stopTimedOut(self) -> None:
        """
        A thread does not come back from libusb; it is a daemon thread, so the
        process can end all the same.
        """
        self._log.error("the search for phones does not end: left behind")
        self._discoveryEnded = True
        self._phones.clear()
        self._checkStopped()
