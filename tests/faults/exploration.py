"""
One fault plan after the other, over real traffic.

A seed makes a scenario: two or three phones, the last of which has a fault plan; several
clients of each; sizes, windows and limits.  The same seed decides the order of everything that
happens, how much is read and written at a time, whether and when the phone with the faults is
pulled out, and when the end of a transfer is seen.

What must hold, whatever goes wrong:

  - What a client receives, and what a service on a phone receives, is at every moment the
    beginning of what it is to receive.

  - The clients of the phones without faults get everything, and so do the services there; and
    these phones have nothing to complain of.

  - A client of the phone with the faults gets everything, or is closed or refused.  There is
    no more to be said of a packet that was lost without anybody being told: no number and no
    deadline of the protocol tells a phone that has nothing to say from one whose answer was
    lost.  Such a client may wait, and goes when it has waited long enough.  Only clients that
    have lost a packet of their own may: the others of the same phone have to be served or
    closed.

  - When all have gone and the deadlines of L{muxd.limits} have passed, nothing is left: no
    session, no port in use, no timer, no transfer, no client, no device that is not on the
    bus.  No error was logged, and nothing has raised.

  - A phone that is on the bus and is not attached by then is one that has not answered, and is
    about to be tried again; unless chance has a part in the plan, it is attached in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from muxd.device.device import MuxedDevice
from muxd.phone.bus.faultplan import NO_FAULTS, Direction, FaultKind, FaultPlan
from muxd.phone.iphone import Phone
from muxd.phone.parser import serials
from muxd.usb.hotplug import Location
from tests.faults.clients import Client, End, State, Wrong
from tests.faults.listener import Listener
from tests.faults.programs import Kind, ServiceFactory, makeProgram
from tests.faults.scenarios import Outcome, makeLimits, makePlan, phonePorts
from tests.faults.world import Source, World

MOST_STEPS = 30000
"""A scenario takes some hundred."""

PATIENCE = 30.0
"""Longer than any deadline that a client meets: who still waits after so many seconds waits for
ever."""

RETURN = 600.0
"""A phone that is well is attached again within so many seconds."""

UNNOTICED = (FaultKind.SHORT, FaultKind.REORDER, FaultKind.TRUNCATE, FaultKind.GARBAGE)
"""Faults by which a packet can be lost without anybody being told."""


@contextmanager
def logged() -> Iterator[list[str]]:
    """
    The errors that are logged.
    """
    errors: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.error or "log_failure" in event:
            failure = event.get("log_failure")
            text = failure.getTraceback() if failure is not None else ""
            errors.append(f"logged: {event.get('log_format')} {text}")

    observer = cast("ILogObserver", observe)
    globalLogPublisher.addObserver(observer)
    try:
        yield errors
    finally:
        globalLogPublisher.removeObserver(observer)


class Exploration:
    """
    One scenario.
    """

    def __init__(self, seed: int, plan: FaultPlan | None = None, trace: bool = False) -> None:
        """
        @param plan: Another one than the seed's.
        @param trace: Print each step.
        """
        self.seed = seed
        self._random = random = Random(seed)
        own = makePlan(random)
        self.plan = own if plan is None else plan
        self._trace = trace
        self._steps = 0
        self._wrong: list[str] = []
        self._plugging = random.choice((0.0, 0.0, 0.0, 0.003, 0.01))
        self._world = world = World(
            random, makeLimits(random), random.choice((0.0, 0.0, 0.0, 0.02))
        )
        count = random.choice((2, 2, 2, 3))
        udids = serials(count)
        for index, udid in enumerate(udids):
            world.addPhone(
                udid,
                self.plan if index == count - 1 else NO_FAULTS,
                services={},
                mux=random.choice((1, 2, 2, 2)),
                window=random.choice((512, 8192, 131072)),
                packetSize=random.choice((600, 8192, 16384, 65535)),
            )
        self._listener = Listener(world.factory)
        self._clients = [
            self._makeClient(index, random.randrange(count))
            for index in range(random.choice((2, 3, 4, 5)))
        ]
        self._faulty = world.phones[-1]
        if not any(client.udid == self._faulty.udid for client in self._clients):
            self._clients.append(self._makeClient(len(self._clients), count - 1))
        if all(client.udid == self._faulty.udid for client in self._clients):
            self._clients.append(self._makeClient(len(self._clients), 0))

    @property
    def _comesBack(self) -> bool:
        """
        Whether the phone with the faults has to be attached in the end: what happens once
        does not keep it from that, and what is left to chance may do so for ever.
        """
        return not any(fault.probability for fault in self.plan.faults)

    @property
    def mayUnplug(self) -> bool:
        """
        Whether the phone with the faults may be pulled out.
        """
        return self._plugging > 0

    def _makeClient(self, index: int, phoneIndex: int) -> Client:
        world = self._world
        phone = world.phones[phoneIndex]
        program = makeProgram(self._random, index)
        phone.services[program.port] = ServiceFactory(program)
        return Client(
            self._random,
            world.factory,
            world.registry,
            phone.udid,
            program,
            f"client {index}",
            phone.muxer.packetSize,
        )

    def run(self) -> Outcome:
        """
        From the start of the daemon to its end.
        """
        with logged() as errors:
            try:
                self._serve()
                self._checkClients()
                self._settle()
                self._checkAtRest()
                self._stop()
            except Wrong as error:
                self._wrong.append(str(error))
            except Exception:
                self._wrong.append(Failure().getTraceback())
            finally:
                for phone in self._world.phones:
                    phone.stop()
        for client in self._clients:
            self._wrong += [f"{client}: {text}" for text in client.program.wrong]
        return Outcome(
            self.seed,
            self.plan,
            tuple(self._faulty.faultMachine.strikes),
            tuple(
                client.end
                for client in self._clients
                if client.end is not None and client.udid == self._faulty.udid
            ),
            self._steps,
            tuple(self._wrong + errors),
        )

    # Phases.

    def _serve(self) -> None:
        """
        Until all clients have gone.
        """
        world = self._world
        waitedSince = world.seconds()
        received = -1
        while clients := [client for client in self._clients if client.end is None]:
            if self._step(clients) or world.look() or self._replug():
                continue
            progress = sum(
                client.received + client.program.arrived + (client.state is not State.OUTSIDE)
                for client in self._clients
            )
            if progress != received:
                received, waitedSince = progress, world.seconds()
            if not self._wait(waitedSince):
                for client in self._clients:
                    if client.end is None:
                        self._say(f"gives up: {client}")
                        client.giveUp()

    def _settle(self) -> None:
        """
        Until all deadlines have passed, and the phone with the faults has come back.
        """
        world = self._world
        since = world.seconds()
        while self._step() or world.look() or self._wait(since):
            pass
        since = world.seconds()
        while self._isMissing() and self._comesBack:
            if not (self._step() or world.look() or self._wait(since, RETURN)):
                break

    def _stop(self) -> None:
        """
        End the daemon, and see that nothing is left.
        """
        world = self._world
        ended = [world.factory.stop(), world.source.stopService()]
        since = world.seconds()
        while not all(each.called for each in ended):
            if not (self._step() or self._wait(since)):
                raise Wrong("the daemon does not end")
        world.factory.doStop()
        for phone in world.phones:
            phone.stop()
        while self._step():
            pass
        self._require(not world.registry.attached(), "devices are left")
        self._require(not world.bus.attachments, "phones are left on the bus")
        for context in world.contexts:
            self._require(context.isReleased and not context.inFlight, "a context is left")
        self._require(not world.removeAll(), "descriptors are watched")
        timers = [str(call) for call in world.getDelayedCalls()]
        self._require(not timers, f"timers are left: {timers}")

    # Steps.

    def _wait(self, since: float, patience: float = PATIENCE) -> bool:
        """
        Let time pass until there is something to do.

        @return: False if that has gone on for too long.
        """
        world = self._world
        time = world.nextTime()
        if time is None or time - since > patience:
            return False
        # The calls that are due then are steps.
        world.rightNow = max(time, world.seconds())
        return True

    def _step(self, clients: Sequence[Client] = ()) -> bool:
        """
        Let one thing happen, whatever comes first from a random place on.

        @return: Whether there was any.
        """
        random = self._random
        sources: list[Source] = [*self._world.sources(), *clients]
        count = len(sources)
        start = int(random.random() * count)
        for place in range(start, start + count):
            source = sources[place % count]
            if source.isReady():
                break
        else:
            return False
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise Wrong("it goes on and on: " + "; ".join(map(str, self._clients)))
        if clients and self._plugging and random.random() < self._plugging:
            self._plugOrUnplug()
            if not source.isReady():
                return True
        if self._trace:
            self._say(str(source))
        source.step()
        return True

    def _plugOrUnplug(self) -> None:
        if self._isOnBus():
            self._say("unplug")
            self._faulty.unplug(self._random.choice((0, 5)))
        else:
            self._replug()

    def _replug(self) -> bool:
        """
        Plug the phone in if it is out; sometimes it is left alone.

        @return: Whether it was.
        """
        if self._isOnBus() or self._random.random() < 0.3:
            return False
        self._say("plug")
        self._faulty.plug(self._world.bus)
        return True

    def _isOnBus(self) -> bool:
        return any(each.gadget is self._faulty for each in self._world.bus.attachments)

    def _isMissing(self) -> bool:
        """
        Whether the phone with the faults is there, and not attached.
        """
        isAttached = self._world.registry.findByUDID(self._faulty.udid) is not None
        return self._isOnBus() and not isAttached

    def _say(self, text: str) -> None:
        if self._trace:
            print(f"{self._world.seconds():8.3f} {self._steps:5} {text}")

    # What must hold.

    def _require(self, condition: bool, text: str) -> None:
        if not condition:
            self._wrong.append(text)

    def _checkClients(self) -> None:
        touched = set(self._touched())
        for client in self._clients:
            program = client.program
            if client.udid != self._faulty.udid:
                self._require(client.end is End.COMPLETE, f"{client}: {client.end}")
            elif client.end is End.SILENT:
                self._require(program.port in touched, f"{client}: it waits for ever")

    def _touched(self) -> Iterator[int]:
        """
        The ports of the sessions that have lost a packet without anybody being told.
        """
        for strike in self._faulty.faultMachine.strikes:
            isToldOf = strike.kind is FaultKind.SHORT and strike.direction is Direction.OUT
            if strike.kind in UNNOTICED and not isToldOf:
                yield from phonePorts(strike)

    def _checkAtRest(self) -> None:
        """
        Everybody has gone.
        """
        world = self._world
        self._listener.read()
        self._listener.close()
        attached = {each.deviceID: each.device.identity.udid for each in world.registry.attached()}
        self._require(
            self._listener.present == attached,
            f"a listener was told of {self._listener.present}, and there are {attached}",
        )
        self._require(not world.factory.clients, "clients are left")
        for client in self._clients:
            isWhole = client.program.arrived == len(client.program.sent)
            mustBeWhole = (
                client.udid != self._faulty.udid and client.program.kind is not Kind.KILLED
            )
            self._require(isWhole or not mustBeWhole, f"{client}: not all of it has arrived")
        present = {attachment.gadget: attachment for attachment in world.bus.attachments}
        byUDID = {each.device.identity.udid: each.device for each in world.registry.attached()}
        self._require(len(byUDID) == len(world.registry.attached()), "a phone is attached twice")
        for phone in world.phones:
            device = byUDID.pop(phone.udid, None)
            isHealthy = phone is not self._faulty
            if isHealthy:
                self._require(device is not None, f"{phone.udid} is not attached any more")
                self._require(not phone.muxer.sessions, f"{phone.udid} has sessions left")
                self._require(not phone.violations, f"{phone.udid} complains: {phone.violations}")
            if device is None and phone in present:
                attachment = present[phone]
                self._checkIsAwaited(phone, (attachment.bus, attachment.address))
            if device is not None:
                self._require(phone in present, f"{phone.udid} is attached, and not on the bus")
                assert isinstance(device, MuxedDevice)
                muxer = device.muxer
                self._require(not list(muxer.sessions), f"{phone.udid}: sessions are left")
                self._require(not len(muxer._ports), f"{phone.udid}: ports are in use")
                self._require(not muxer._sessions, f"{phone.udid}: openings are left")
                self._require(not muxer.outbound.backlog, f"{phone.udid}: segments wait")
        self._require(not byUDID, f"unknown devices are attached: {list(byUDID)}")

    def _checkIsAwaited(self, phone: Phone, location: Location) -> None:
        """
        A phone that is there and is not attached is about to be tried again, and it is chance
        that has kept it away for so long.
        """
        self._require(self._world.isAwaited(location), f"{phone.udid} is not tried again")
        self._require(not self._comesBack, f"{phone.udid} does not come back")
