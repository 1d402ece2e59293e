# -*- test-case-name: tests.test_service,tests.test_servicelistening -*-
"""
The daemon put together: sources, the registry of devices, and the places where
clients connect.

C{twistd} runs one of these, and so may any application::

    service = MuxService(reactor, sources=["usb"])
    service.setServiceParent(application)
    service.endpoint(62078).connect(factory)
"""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.runtime import Platform, platform

from muxd.capture.capture import Capture, PacketSink
from muxd.capture.taps import CaptureTaps
from muxd.device.device import MuxedDevice
from muxd.identity import Selection, canonicalUDID
from muxd.importing.extras import installing
from muxd.interfaces import (
    AttachedDevice,
    IDevice,
    IDeviceReceiver,
    IDeviceSource,
    IFirstLook,
    ILimitedSource,
    IRecordReader,
    IReleasingSource,
)
from muxd.limits import LIMITS, Limits
from muxd.net.acceptthrottle import filesAllowed
from muxd.net.credentials import peerText
from muxd.net.eventloop import loopOf
from muxd.net.listening import ListeningEndpoint
from muxd.net.turns import Turns
from muxd.server.factory import ControlFactory
from muxd.server.fastlane import FastLane
from muxd.server.intake import DeviceIntake
from muxd.server.lookup import DeviceLookup, PhoneEndpoint
from muxd.server.places import ListeningAddress, ListeningPlaces
from muxd.server.preflightreceiver import PreflightReceiver, recordMaker
from muxd.server.records import PairRecordStore
from muxd.server.recordthread import RecordThread
from muxd.server.registry import DeviceRegistry
from muxd.server.viewgrammar import NamedView
from muxd.sources import distinctSources, sourceFromString

SourceFactory = Callable[[IDeviceReceiver], IDeviceSource]


def defaultConfigDir(system: Platform = platform, environ: Mapping[str, str] = os.environ) -> str:
    """
    Where pair records are on this system (protocol 4.11).
    """
    if system.isWindows():
        return ntpath.join(environ.get("PROGRAMDATA", "C:\\ProgramData"), "Apple", "Lockdown")
    return "/var/db/lockdown" if system.isMacOSX() else "/var/lib/lockdown"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _checkedUDID(text: str) -> str:
    """
    A UDID as phones have it.

    @raise ValueError: It is none.
    """
    if not re.fullmatch("[0-9A-Za-z-]{1,64}", text):
        raise ValueError(f"expected a UDID, got {text[:80]!r}")
    return canonicalUDID(text)


class MuxService(Service):
    """
    usbmuxd, as a service of any Twisted application.

    Nothing is opened before it is started, and it can be started again after it
    was stopped.

    @ivar reactor: What everything of it lives on.
    @ivar registry: The devices that are attached, whichever source they are of.
    @ivar sources: Where devices come from.
    @ivar labels: What operators call phones.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        listen: Iterable[str | IStreamServerEndpoint | ListeningAddress] = (),
        sources: Iterable[str | SourceFactory] = (),
        configDir: str | None = None,
        limits: Limits = LIMITS,
        preflight: bool = False,
        labels: Mapping[str, Selection] | None = None,
    ) -> None:
        """
        @param reactor: What everything of it lives on.
        @param listen: Where clients connect: endpoints, or descriptions of such, in which a
            view may be described as well, such as C{unix:/run/a.sock:only=UDID}; or either
            with a view (L{ListeningAddress}).  With none of them, only this process
            reaches the phones.
        @param sources: Where devices come from: descriptions such as C{usb}, or
            callables that make a source from its receiver.
        @param configDir: Where pair records are; C{None} is the system's place.
        @param limits: What clients and phones may cost at most.
        @param preflight: Whether phones are asked for their trust; that needs the
            extra C{pairing}.
        @param labels: What operators call phones.

        @raise ValueError: A description is wrong.
        """
        self.labels: Mapping[str, Selection] = labels or {}
        self.registry = DeviceRegistry()
        self._lookup = DeviceLookup(self.registry)
        self.reactor = reactor
        self._limits = limits
        self._store = PairRecordStore(configDir or defaultConfigDir(), limits=limits)
        self._records = RecordThread(reactor, self._store)
        self._turns = Turns(reactor, limits.turnLength)
        self._preflight = preflight
        self._preflights = self._makePreflights() if preflight else None
        self._factory = ControlFactory(
            reactor,
            self.registry,
            self._records,
            limits,
            recordSaved=self._preflights.recordSaved if self._preflights else None,
            turns=self._turns,
        )
        self._places = ListeningPlaces(reactor, self._factory, limits)
        self._places.set(map(ListeningAddress.of, listen))
        self._open = False
        intake = DeviceIntake(self.registry, self._preflights or self.registry, self._records)
        receiver = self._taps = CaptureTaps(reactor, intake, self._capturing)
        sources = list(sources)
        distinct = iter(distinctSources([source for source in sources if isinstance(source, str)]))
        self.sources: list[IDeviceSource] = [
            sourceFromString(reactor, receiver, next(distinct))
            if isinstance(source, str)
            else source(receiver)
            for source in sources
        ]
        for each in self.sources:
            if IRecordReader.providedBy(each):
                IRecordReader(each).useRecords(self._records)
            if ILimitedSource.providedBy(each):
                each.useLimits(limits)

    def _makePreflights(self) -> PreflightReceiver | None:
        makeRecord = recordMaker(self.reactor)
        if makeRecord is None:
            return None
        return PreflightReceiver(
            self.reactor, self.registry, self._records, self._limits, makeRecord, self._turns
        )

    def endpoint(
        self, port: int, udid: str | None = None, wait: float | None = None
    ) -> IStreamClientEndpoint:
        """
        The way to a TCP port of a phone, within this process.

        The phone is looked up at each attempt to connect, so the endpoint
        outlives the phone's being unplugged.

        @param port: The phone's port, such as 62078.
        @param udid: Which phone, with or without its dash; C{None} means the only one.
        @param wait: How many seconds each attempt waits for the phone, if it is not
            there; C{None} for not at all.  An attempt whose wait was in vain fails
            with a L{NoSuchDevice} that is a C{TimeoutError} as well.
        """
        return PhoneEndpoint(self.reactor, self._lookup, port, udid, wait)

    def whenAttached(self, udid: str | None = None) -> Deferred[IDevice]:
        """
        Wait for a phone, without limit: cancel it, or give it an C{addTimeout}.

        With preflight, a phone is attached when clients see it.

        @param udid: Which phone, with or without its dash; C{None} for whichever is
            there first.
        @return: fires with the device, at once if it is there.  It fails with
            L{NoSuchDevice} when the service is stopped.
        """
        return self._lookup.whenAttached(udid)

    @property
    def released(self) -> list[str]:
        """
        The UDIDs of the phones that L{release} has let go of, in alphabetical order.
        """
        return sorted({udid for source in self._releasing() for udid in source.released})

    def release(self, udid: str) -> Deferred[int]:
        """
        Let go of a phone, for a virtual machine or another program: its sessions end, clients
        see it detached, and it is left alone, also when it is plugged in again, until
        L{take} or the end of the process.  It need not be there.

        @param udid: With or without its dash.
        @return: fires with how many devices with this UDID were there, when none of them is
            claimed any more.
        @raise ValueError: It is no UDID.
        """
        name = _checkedUDID(udid)
        released = [source.release(name) for source in self._releasing()]
        self._log.info("{udid} is released, until it is taken back", udid=name)
        return gatherResults(released).addCallback(sum)

    def take(self, udid: str) -> bool:
        """
        Take a phone back, now or when it is plugged in.

        @return: Whether it had been released.
        @raise ValueError: It is no UDID.
        """
        name = _checkedUDID(udid)
        wasReleased = name in self.released
        for source in self._releasing():
            source.take(name)
        if wasReleased:
            self._log.info("{udid} is taken back", udid=name)
        return wasReleased

    def _releasing(self) -> list[Any]:
        return [source for source in self.sources if IReleasingSource.providedBy(source)]

    def logConnects(self) -> None:
        """
        Log each Connect for debugging: to which port of which phone, and by which process.
        """
        self._factory.connectWatchers.append(self._factory.logConnect)

    @property
    def summary(self) -> str:
        """
        How the service is doing, in a line.
        """
        attached = [each.device for each in self.registry.attached()]
        muxers = [device.muxer for device in attached if isinstance(device, MuxedDevice)]
        sessions = sum(1 for muxer in muxers for _ in muxer.sessions)
        return f"{_counted(len(attached), 'phone')}, {_counted(sessions, 'session')}"

    def capture(
        self, sink: PacketSink, udid: str | None = None, port: int | None = None
    ) -> Capture:
        """
        Begin to capture what phones and their clients say to each other, payloads included,
        as a pcapng file.  It ends with L{endCapture}, or when the service is stopped.

        @param sink: Takes the file.
        @param udid: The phone that is wanted, which need not be there yet; None for all.
        @param port: The phone's port that is wanted; None for all.
        """
        return self._taps.begin(sink, udid, port)

    def endCapture(self, capture: Capture) -> Deferred[None]:
        """
        End a capture; harmless for one that has ended.

        @return: fires when all of it is where it belongs.
        """
        return self._taps.end(capture)

    def _capturing(self, isCapturing: bool) -> None:
        """
        Have captures know the clients of sessions.
        """
        watchers = self._factory.connectWatchers
        if isCapturing:
            watchers.append(self._captureClient)
        else:
            watchers.remove(self._captureClient)

    def _captureClient(self, transport: object, attached: AttachedDevice, port: int) -> None:
        self._taps.clientConnecting(attached.device.identity.udid, port, peerText(transport))

    @property
    def server(self) -> ControlFactory:
        """
        What all clients share: its counters and limits are there to be looked at.
        """
        return self._factory

    @property
    def limits(self) -> Limits:
        """
        What clients and phones may cost at most.
        """
        return self._limits

    @property
    def listening(self) -> Sequence[ListeningEndpoint]:
        """
        The places where clients connect.
        """
        return self._places.listening

    def trustOf(self, device: IDevice) -> str:
        """
        How far preflight has got with a device, such as C{trusted} or C{waiting} (for a tap on
        its screen); "" where there is none.
        """
        stage = None if self._preflights is None else self._preflights.stageOf(device)
        return "" if stage is None else stage.value

    def recordsObstacle(self) -> Deferred[str]:
        """
        Look whether pair records could be written.

        @return: fires with why not, and what to do about it; with "" if nothing is seen.
        """
        return self._records.run(self._store.obstacle)

    @property
    def views(self) -> list[tuple[ListeningEndpoint, NamedView | None]]:
        """
        The same, each with what there is for its clients; None for everything.
        """
        views = (address.view for address in self._places.addresses)
        return list(zip(self._places.listening, views, strict=True))

    @property
    def socketPaths(self) -> list[str]:
        """
        The files of the UNIX sockets that clients connect to.
        """
        return self._places.paths

    def privilegedStartService(self) -> None:
        """
        Open the listening sockets, and prepare the sources, before privileges are given up.

        @raise CannotListen: One of the sockets cannot be opened.
        """
        super().privilegedStartService()
        self._prepareSources()
        throttle = self._factory.throttle
        loop = loopOf(self.reactor)
        takeOver = None
        if loop is not None:
            takeOver = FastLane(self.reactor, loop, self._factory).takeOver
        throttle.begin(filesAllowed())
        self._factory.accounts.share(throttle.room)
        try:
            self._places.open(takeOver)
        except BaseException:
            self.refuseClients()
            raise
        self._open = True

    def changeListening(
        self, listen: Iterable[str | IStreamServerEndpoint | ListeningAddress]
    ) -> None:
        """
        Have clients connect at other places, or see other things there.  Streams that are
        still permitted go on; what is not permitted any more ends.

        @param listen: All places from now on, as for a new service.
        @raise ValueError: A description is wrong: nothing has changed.
        @raise CannotListen: A place cannot be opened: nothing has changed.
        """
        self._places.change([ListeningAddress.of(place) for place in listen])

    def refuseClients(self) -> None:
        """
        Take a start back that has come as far as the listening sockets.
        """
        self._open = False
        self._places.close()
        self._factory.throttle.stop()

    def _prepareSources(self) -> None:
        """
        Have the sources import and load what they need: afterwards this process may be
        one that may not read it.
        """
        for source in self.sources:
            try:
                source.privilegedStartService()
            except Exception as error:
                self._log.error(
                    "source {source} cannot be prepared: {error}",
                    source=source.description,
                    error=error,
                )

    def startService(self) -> None:
        """
        Look for devices; and open the listening sockets, if this has not been done.

        @raise CannotListen: One of them cannot be opened.
        """
        if not self._open:
            self.privilegedStartService()
        super().startService()
        if self._preflight:
            checked = self._records.run(self._store.check)
            checked.addErrback(lambda failure: self._log.failure("pair records", failure))
            if self._preflights is None:
                self._log.warn(
                    "preflight is off, phones are not asked for their trust; {remedy}",
                    remedy=installing("pairing"),
                )
        for source in self.sources:
            try:
                source.startService()
            except Exception as error:
                # One that fails must not take the others' phones away.
                self._log.error(
                    "source {source} did not start, going on without it: {error}",
                    source=source.description,
                    error=error,
                )
                self._log.failure(
                    "source {source} did not start", source=source.description, level=LogLevel.debug
                )

        self._factory.firstLook.begin(
            source.whenLooked
            for source in self.sources
            if source.running and IFirstLook.providedBy(source)
        )

    def stopService(self) -> Deferred[None]:
        """
        Close the listening sockets; then detach all devices, which ends their sessions;
        then let clients have what they have not read yet.  Each of it takes only
        so long (L{Limits.stopTimeout}).

        @return: fires when nothing is left: no socket, no thread, no claimed
            interface.
        """
        super().stopService()
        self._open = False
        self._factory.firstLook.stop()
        self._lookup.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """
        The order in which it all ends.
        """
        await self._finish("listening", self._places.close())
        if self._preflights is not None:
            self._preflights.stop()
        running = [source for source in self.sources if source.running]
        await self._finish("sources", [maybeDeferred(source.stopService) for source in running])
        await self._finish("clients", [self._factory.stop()])
        await self._finish("captures", self._taps.endAll())
        self._factory.desk.stop()
        await self._finish("pair records", [self._records.stop()])

    async def _finish(self, what: str, ends: list[Deferred[Any]]) -> None:
        """
        Wait until all of C{ends} have fired, but not forever, and whatever
        becomes of one of them.
        """
        for end in ends:
            end.addTimeout(self._limits.stopTimeout, self.reactor)
            end.addErrback(self._unfinished, what)
        await gatherResults(ends)

    def _unfinished(self, failure: Failure, what: str) -> None:
        """
        Something did not end as it should.  We end all the same.
        """
        if failure.check(DeferredTimeout):
            self._log.error(
                "stopping: {what} took longer than {timeout} s; going on",
                what=what,
                timeout=self._limits.stopTimeout,
            )
        else:
            self._log.failure("stopping: {what} failed; going on", failure, what=what)
