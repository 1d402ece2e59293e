# -*- test-case-name: tests.phone.test_iphone -*-
"""
The simulated iPhone: its descriptors, its muxer and its services, joined.

A host's program calls the bus from its threads.  The phone lives in the
reactor's thread: between the two is a mailbox.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from muxd.identity import serialFromUDID, udidFromSerial
from muxd.net.wakeup import WakeUp
from muxd.phone.bus.control import ControlRequest, Stalled
from muxd.phone.bus.descriptors import (
    MUX_IN,
    MUX_OUT,
    SERIAL,
    DeviceDescriptor,
    Speed,
    muxEndpoints,
)
from muxd.phone.bus.faultmachine import FaultMachine
from muxd.phone.bus.faultplan import NO_FAULTS, FaultPlan
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.interfaces import CannotPlug, IAttachment, IBus
from muxd.phone.bus.profiles import iPhone, recoveryDevice
from muxd.phone.identity import NAME
from muxd.phone.lockdown.dumps import Domains
from muxd.phone.lockdown.lockdownd import LOCKDOWN_PORT, RESTORE, LockdownState
from muxd.phone.lockdown.memory import PairingFile, ValueFile
from muxd.phone.lockdown.trust import Owner, Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.mux.behaviour import STRICT, Expectations, Faults
from muxd.phone.mux.muxer import PACKET_SIZE, WINDOW, PhoneMuxer
from muxd.phone.services.apps import Apps
from muxd.phone.services.coredevice import (
    PROXY,
    TunnelServices,
    fileServices,
    hasTunnels,
    tunnelService,
)
from muxd.phone.services.features import AppService, DeviceInfo
from muxd.phone.services.inet import inetServices
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.notices import NoticeCentre
from muxd.phone.services.ports import NamedService, ServicePorts
from muxd.phone.services.processes import Processes
from muxd.phone.services.standard import FOLDERS, Interior, Storage, standardServices

PACKETS_PER_TURN = 64
MODES = range(1, 6)

FAREWELL = 0.5
"""Seconds between a host's asking for a restart and the phone's leaving the bus."""

ABSENCE = 2.0
"""Seconds that a restart takes; a real phone needs many times as long."""


class Phone(Gadget):
    """
    A simulated iPhone.

    @ivar udid: The phone's UDID, with its dash.
    @ivar serial: The USB serial number that this is from.
    @ivar isInRecovery: Whether it is in recovery mode, or will be when it comes back to the bus.
    @ivar services: What listens on which port.
    @ivar notices: What happens on it.
    @ivar syslog: Its log.
    @ivar trust: The hosts that it trusts, and the dialog on its screen.
    @ivar values: What it tells of itself.
    @ivar ports: The ports of the services that lockdownd starts.
    @ivar lockdown: What its lockdownd says.
    @ivar muxer: Its end of the muxer.
    @ivar faultMachine: What goes wrong on its cable; C{faults} is what it does wrong itself.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        udid: str = udidFromSerial(SERIAL),
        serial: str | None = None,
        name: str | None = NAME,
        dump: Domains | None = None,
        values: Mapping[str, Any] | None = None,
        strict: bool = False,
        services: Mapping[int, IProtocolFactory] | None = None,
        named: Mapping[str, NamedService] | None = None,
        extra: Mapping[str, Callable[[Any], Any]] | None = None,
        owner: Owner = Owner.ACCEPT,
        files: str | None = None,
        state: str | None = None,
        log: str | None = None,
        apps: str | None = None,
        mux: int = 2,
        mode: int = 1,
        window: int = WINDOW,
        packetSize: int = PACKET_SIZE,
        faultPlan: FaultPlan = NO_FAULTS,
        returnDelay: float | None = None,
        expectations: Expectations = STRICT,
        **descriptorOptions: Any,
    ) -> None:
        """
        @param reactor: Provides C{IReactorTime} and C{IReactorFromThreads}.
        @param serial: The USB serial number if it is not that of C{udid}, however odd.
        @param name: What its owner calls it; C{None} for what C{dump} says.
        @param dump: Lockdownd's values by domain, see L{muxd.phone.lockdown.dumps}; C{None} for
            those of the usual model.
        @param values: Those without a domain that are others.
        @param strict: Whether a host whose BUID has changed is refused a session.
        @param services: By port, beside lockdownd's; small ones if C{None}.
        @param named: Those that lockdownd starts; C{None} means
            L{standardServices}.
        @param extra: Others that it starts, by name: each makes the factory for a phone, see
            L{muxd.phone.services.own}.
        @param owner: What is done when it asks whether to trust a host.
        @param files: The directory that is shown as its files; C{None} means one in C{state}, or
            without that a new one, which goes away with the phone.
        @param state: The directory where its pairings and the values that hosts have changed are
            kept; C{None} for a phone that forgets them with its process.
        @param log: A file or a pipe whose lines are in its log, see
            L{muxd.phone.services.logbook}.
        @param apps: The directory with its apps, see L{muxd.phone.services.apps}; C{None} as for
            C{files}.
        @param mux: The newest version of the protocol it speaks, 1 or 2.
        @param packetSize: Of the largest packets it sends.
        @param faultPlan: What goes wrong on its cable.
        @param returnDelay: How long it stays away when that has thrown it off the bus;
            C{None} means until it is plugged in.
        @param expectations: What it insists on.
        @param descriptorOptions: See L{muxd.phone.bus.profiles.iPhone}.
        """
        self.serial = serialFromUDID(udid) if serial is None else serial
        self._descriptorOptions = descriptorOptions
        super().__init__(iPhone(self.serial, mode=mode, **descriptorOptions), mode)
        self.udid = udidFromSerial(self.serial)
        self.isInRecovery = False
        self.notices = NoticeCentre()
        self.syslog = SyslogBook(reactor, feed=log)
        self.trust = Trust(
            reactor,
            self.notices,
            owner,
            None if state is None else PairingFile(state, self.udid),
        )
        self.values = PhoneValues(
            reactor,
            self.udid,
            name,
            dump,
            values,
            None if state is None else ValueFile(state, self.udid),
            lambda: self.trust.isLocked,
        )
        self._storages = {
            "files": self._storageOf(files, state, "files", FOLDERS),
            "apps": self._storageOf(apps, state, "apps", ()),
            "crashes": self._storageOf(None, state, "crashes", ()),
            "temporary": self._storageOf(None, None, "temporary", ()),
        }
        installed, self._processes = Apps(self._storages["apps"].directory), Processes()
        if named is None:
            named = standardServices(
                Interior(
                    clock=reactor,
                    notices=self.notices,
                    syslog=self.syslog,
                    storage=self._storages["files"],
                    apps=installed,
                    crashes=self._storages["crashes"],
                    values=self.values,
                    trust=self.trust,
                    restart=self.restart,
                    shutDown=self.shutDown,
                )
            )
        if extra:
            own = {name: NamedService(make(self), ssl=True) for name, make in extra.items()}
            named = {**named, **own}
        if hasTunnels(self.values):
            features = (
                DeviceInfo(self.values, self.trust),
                AppService(installed, self._processes, self.notices.post),
            )
            others = fileServices(
                installed,
                self._storages["temporary"].directory,
                self._storages["crashes"].directory,
            )
            inside = TunnelServices(self.values, named, self._remoteLockdown, features, others)
            named = {**named, PROXY: tunnelService(reactor, inside)}
        self.services: dict[int, IProtocolFactory] = dict(
            inetServices() if services is None else services
        )
        self.ports = ServicePorts(reactor, self.services, named)
        self.lockdown = LockdownState(
            reactor, self.values, self.trust, self.ports, self.notices, self.syslog
        )
        self.lockdown.isStrict = strict
        self.lockdown.enterRecovery = lambda: self.restart(recovery=True)
        self.services.setdefault(LOCKDOWN_PORT, self.lockdown.factory())
        self.muxer = PhoneMuxer(
            reactor,
            self._send,
            self.services,
            mux=mux,
            udid=self.udid,
            window=window,
            packetSize=packetSize,
            hasRoom=self._hasRoom,
            expectations=expectations,
        )
        self.faultMachine = FaultMachine(faultPlan)
        self._returnDelay = returnDelay
        self._returning: IDelayedCall | None = None
        self._absence: float | None = None
        self._leaving: IDelayedCall | None = None
        self._reactor = reactor
        self._bus: IBus | None = None
        self._attachment: IAttachment | None = None
        self._out, self._in = MUX_OUT, MUX_IN
        self._events: deque[Callable[[], None]] = deque()
        self._wakeUp = WakeUp(self._callFromThread, self._work)

    @property
    def name(self) -> str:
        """
        What its owner calls it.
        """
        return str(self.values.get("DeviceName"))

    @property
    def violations(self) -> list[str]:
        """
        What the host has done wrong, in words.
        """
        return self.muxer.violations

    @property
    def faults(self) -> Faults:
        """
        How it misbehaves.
        """
        return self.muxer.faults

    # What its owner does.

    def plug(self, bus: IBus) -> Any:
        """
        Plug it in.

        @return: What the bus says of where.
        @raise CannotPlug: The bus does not take it.
        """
        place = bus.plug(self)
        self._bus = bus
        return place

    def unplug(self, error: int = 0) -> None:
        """
        Pull it out; harmless if it is not plugged in.

        @param error: What transfers under way fail with if not ENODEV.
        """
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.unplug(self, error)

    def _storageOf(
        self, path: str | None, state: str | None, what: str, folders: Iterable[str]
    ) -> Storage:
        """
        Where it keeps something: in a directory that was named, or among what it remembers, or in
        one that goes away with it.
        """
        if path is None and state is not None:
            return Storage(os.path.join(state, f"{self.udid}.{what}"), isOurs=True, folders=folders)
        return Storage(path, folders=folders)

    def _remoteLockdown(self, isTrusted: bool) -> Protocol:
        """
        A conversation with its lockdownd in a tunnel.
        """
        return self.lockdown.remoteConversation(isTrusted)

    def shutDown(self) -> None:
        """
        Leave the bus soon, until it is plugged in again.
        """
        if self._leaving is None:
            self._leaving = self._reactor.callLater(FAREWELL, self._restart, False, None)

    def restart(self, recovery: bool = False) -> None:
        """
        Leave the bus soon, once what was said has been sent, and come back by and by.

        @param recovery: Come back in recovery mode, where only another restart leads out.
        """
        if self._leaving is None:
            self._leaving = self._reactor.callLater(FAREWELL, self._restart, recovery, ABSENCE)

    def _restart(self, recovery: bool, absence: float | None) -> None:
        self._leaving = None
        self._processes.restart()
        self.isInRecovery = recovery
        self.mode = 1
        self.descriptor = self._describe()
        if self._bus is not None:
            self._absence = absence
            self._bus.unplug(self)

    def stop(self) -> None:
        """
        Pull it out and stop its services.
        """
        self.unplug()
        for timer in (self._returning, self._leaving):
            if timer is not None:
                timer.cancel()
        self._returning = self._leaving = None
        self._events.clear()
        self._attachment = None
        self.muxer.lost()
        self.ports.stop()
        self.trust.unplugged()
        for storage in self._storages.values():
            storage.remove()

    # How it misbehaves.

    def refuse(self, port: int, text: bytes = b"connection refused") -> None:
        """
        Refuse sessions on a port, for a reason.
        """
        self.faults.refusals[port] = text

    def ignore(self, port: int) -> None:
        """
        Never answer a SYN to a port.
        """
        self.faults.deaf.add(port)

    def restore(self) -> None:
        """
        Be in restore mode, for lockdownd's clients.
        """
        self.lockdown.type = RESTORE

    def mute(self) -> None:
        """
        Take lockdownd's requests and answer none.
        """
        self.lockdown.isMute = True

    def amnesia(self, text: bytes = b"amnesia: the host has overrun the window") -> None:
        """
        End every session, as if the host had overrun its window.
        """
        for session in list(self.muxer.sessions.values()):
            session.reset(text)

    def hold(self) -> None:
        """
        Answer nothing on USB, neither yes nor no, until L{release}.
        """
        self._plugged.hold()

    def release(self) -> None:
        """
        Go on after L{hold}.
        """
        self._plugged.release()

    def stall(self) -> None:
        """
        Stall both endpoints until the host clears them.
        """
        self._plugged.stall(self._in)
        self._plugged.stall(self._out)

    def unplugWithin(self, packet: bytes, count: int) -> None:
        """
        Begin to send a packet and leave the bus after this many bytes of it.
        """
        self.transmit(packet[:count], end=False)
        self.unplug()

    def transmit(self, data: bytes, end: bool = True) -> None:
        """
        Send the host a USB message that the muxer knows nothing of, or without
        C{end} whole packets of one.
        """
        self._plugged.send(self._in, data, end)

    @property
    def attachment(self) -> IAttachment | None:
        """
        Its place on a bus of some host, as far as its reactor knows.
        """
        return self._attachment

    @property
    def endpoints(self) -> tuple[int, int]:
        """
        The OUT and the IN endpoint of its mux interface.
        """
        return self._out, self._in

    @property
    def _plugged(self) -> IAttachment:
        if self._attachment is None:
            raise ValueError("the phone is not plugged in, or its reactor has not run since")
        return self._attachment

    # What the bus tells, in any thread.

    def plugged(self, attachment: IAttachment) -> None:
        """
        It is on a bus.
        """
        self._post(lambda: self._pluggedIn(attachment))

    def unplugged(self, attachment: IAttachment) -> None:
        """
        It is off it.
        """
        self._post(self._pulledOut)

    def configured(self, attachment: IAttachment, value: int) -> None:
        """
        The host has set a configuration: everything begins anew.
        """
        self._post(lambda: self._pluggedIn(attachment))

    def outReady(self, attachment: IAttachment, endpoint: int) -> None:
        """
        The host has sent something.
        """
        self._wakeUp()

    def inReady(self, attachment: IAttachment, endpoint: int) -> None:
        """
        The host has read something.
        """
        self._post(self.muxer.roomAvailable)

    def thrownOff(self) -> None:
        """
        Leave the bus; C{plug} brings it back.
        """
        bus = self._bus
        if bus is not None:
            self._absence = self._returnDelay
            bus.unplug(self)

    def control(self, attachment: IAttachment, request: ControlRequest) -> bytes:
        """
        Answer the requests about the mode, which a boot loader knows nothing of.
        """
        if self.isInRecovery:
            raise Stalled
        return super().control(attachment, request)

    def modeRequested(self, attachment: IAttachment, mode: int) -> bytes:
        """
        Agree to a mode: leave the bus and come back in it (protocol 1.2).
        """
        if mode not in MODES or "configurations" in self._descriptorOptions:
            return b"\1"
        self._post(lambda: self._changeMode(mode))
        return b"\0"

    def _post(self, event: Callable[[], None]) -> None:
        self._events.append(event)
        self._wakeUp()

    def _callFromThread(self, call: Callable[[], object]) -> None:
        self._reactor.callFromThread(call)

    # In the reactor's thread.

    def _work(self) -> None:
        """
        Look after everything that has happened.  What waits in an endpoint came
        after the last change of configuration, so the changes go first.
        """
        while self._events:
            self._events.popleft()()
        for _ in range(PACKETS_PER_TURN):
            attachment = self._attachment
            if attachment is None or attachment.isCrowded(self._in):
                return
            data = attachment.take(self._out)
            if data is None:
                return
            self.muxer.hostPacket(data)
        self._wakeUp()

    def _pluggedIn(self, attachment: IAttachment) -> None:
        self.muxer.lost()
        self._attachment = attachment
        active = attachment.descriptor.configuration(attachment.configuration)
        self._out, self._in = muxEndpoints(active)

    def _pulledOut(self) -> None:
        self._attachment = None
        self.trust.unplugged()
        self.muxer.lost()
        absence, self._absence = self._absence, None
        if absence is not None and self._returning is None:
            self._returning = self._reactor.callLater(absence, self._return)

    def _return(self) -> None:
        self._returning = None
        if self._bus is not None and self._attachment is None:
            self._plugAgain(self._bus)

    def _changeMode(self, mode: int) -> None:
        bus = self._bus
        if bus is None:
            return
        self.unplug()
        self.mode = mode
        self.descriptor = self._describe()
        self._plugAgain(bus)

    def _describe(self) -> DeviceDescriptor:
        """
        What it is on USB now.
        """
        if self.isInRecovery:
            speed = self._descriptorOptions.get("speed", Speed.HIGH)
            return recoveryDevice(self.serial, speed=speed)
        return iPhone(self.serial, mode=self.mode, **self._descriptorOptions)

    def _plugAgain(self, bus: IBus) -> None:
        """
        Come back to the bus.
        """
        try:
            self.plug(bus)
        except CannotPlug as problem:
            self._log.error(
                "{udid} has left its bus and does not come back: {problem}",
                udid=self.udid,
                problem=problem,
            )

    def _send(self, packet: bytes) -> None:
        if self._attachment is not None:
            self._attachment.send(self._in, packet)

    def _hasRoom(self) -> bool:
        return self._attachment is None or self._attachment.hasRoom(self._in)


def stopPhones(phones: Iterable[Phone]) -> None:
    """
    Stop all of them: trouble with one does not keep the others.
    """
    for phone in phones:
        try:
            phone.stop()
        except Exception:
            Phone._log.failure("{udid} could not be stopped in order", udid=phone.udid)
