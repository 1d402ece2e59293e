"""
The whole daemon with phones, in one thread and without real time.

Real are the client protocol, the registry, the USB source with its search for phones, pyusb,
the asynchronous engine, the muxer, the sessions, and the phones with their services.  Made up
are the time, the reactor, the clients' sockets, and libusb's transfers, which are those of the
simulated bus.  Whatever could happen next is one of a list of steps, and the seed says which
one does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from muxd.capture.taps import CaptureTaps
from muxd.limits import Limits
from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.faultplan import FaultPlan
from muxd.phone.bus.profiles import configuration, mux
from muxd.phone.bus.simulated import SimulatedBus
from muxd.phone.iphone import Phone
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.testing import ImmediateRecords
from muxd.usb.asynchronous.link import AsynchronousLink
from muxd.usb.discovery import Discovery, Standing
from muxd.usb.hotplug import Location
from muxd.usb.opening import OpenedPhone, OpenToken
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from tests.faults.transfers import BusContext
from tests.usb.transfers import FDReactor

CONFIGURATIONS = (configuration(1, mux(0, Speed.HIGH)),)
"""A phone that has nothing but a muxer, as pyusb takes its time to read descriptors."""


LOOK_INTERVAL = 2.0


class Source(Protocol):
    """
    Something that happens in steps.
    """

    def isReady(self) -> bool:
        """
        Whether there is a next step.
        """

    def step(self) -> None:
        """
        Make it.
        """


class Threads:
    """
    What threads want the reactor to call.
    """

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()

    def isReady(self) -> bool:
        """
        Whether there is such a call.
        """
        return bool(self.calls)

    def step(self) -> None:
        """
        Make one.
        """
        self.calls.popleft()()


class SteppedThread:
    """
    A thread that has a phone to itself, and what it does there is one step.
    """

    def __init__(
        self,
        threads: Threads,
        context: BusContext,
        target: Callable[..., object],
        arguments: tuple[object, ...],
    ) -> None:
        self._threads = threads
        self._context = context
        self._run = partial(target, *arguments)

    def start(self) -> None:
        """
        Begin.
        """
        self._context.isTaken = True
        self._threads.calls.append(self._run)

    def join(self) -> None:
        """
        Give the phone back.
        """
        self._context.isTaken = False


class DueCalls:
    """
    The reactor's own calls.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def isReady(self) -> bool:
        """
        Whether one is due.
        """
        calls = self._clock.calls
        return bool(calls) and calls[0].getTime() <= self._clock.rightNow

    def step(self) -> None:
        """
        Make one, and leave others that are due for later.
        """
        due = self._clock.calls.pop(0)
        due.called = 1
        due.func(*due.args, **due.kw)


class Events:
    """
    The ends of one link's transfers.
    """

    def __init__(self, world: World, context: BusContext) -> None:
        self.context = context
        self._world = world

    def isReady(self) -> bool:
        """
        Whether a transfer has ended.
        """
        return self.context.hasEvents()

    def step(self) -> None:
        """
        Have the link see it.
        """
        self._world.handle(self.context)


class World(FDReactor):
    """
    The reactor, and everything that lives on it.

    @ivar phones: On the bus or not.
    @ivar taps: What captures are begun with.
    @ivar contexts: Of all links that there were.
    """

    def __init__(
        self,
        random: Random,
        limits: Limits,
        memoryTrouble: float,
    ) -> None:
        super().__init__()
        self.random = random
        self.limits = limits
        self.bus = SimulatedBus()
        self.phones: list[Phone] = []
        self.contexts: list[BusContext] = []
        self.registry = DeviceRegistry()
        self.taps = CaptureTaps(self, self.registry, lambda isCapturing: None)
        self.factory = ControlFactory(self, self.registry, ImmediateRecords(), limits)
        self.memoryTrouble = memoryTrouble
        self.source = USBSource(
            self,
            self.taps,
            "an exploration's bus",
            loadBackend=lambda: self.bus,
            settings=USBSettings(),
            limits=limits,
            makeDiscovery=self._makeDiscovery,
            makeLink=self._makeLink,
        )
        self.discovery: SteppedDiscovery
        self._threads = Threads()
        self._clock = DueCalls(self)
        self._nextLook = 0.0
        self._open: list[Events] = []
        self.source.startService()

    def addPhone(self, udid: str, plan: FaultPlan, **options: Any) -> Phone:
        """
        Make a phone, and plug it in.
        """
        phone = Phone(
            self,
            udid=udid,
            named={},
            faultPlan=plan,
            configurations=CONFIGURATIONS,
            **options,
        )
        self.phones.append(phone)
        phone.plug(self.bus)
        return phone

    # The reactor.

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        """
        Call it in a later step.
        """
        self._threads.calls.append(lambda: call(*arguments))

    def sources(self) -> list[Source]:
        """
        Where something may be about to happen.
        """
        return [self._threads, self._clock, *self._open]

    def look(self) -> bool:
        """
        Have the bus looked at, if there is anything new to see and the time has come.
        """
        if not self.discovery.isWanted(self.bus) or self.seconds() < self._nextLook:
            return False
        self._nextLook = self.seconds() + LOOK_INTERVAL
        self.discovery.pollOnce()
        return True

    def nextTime(self) -> float | None:
        """
        When there will be something to do.
        """
        times = [call.getTime() for call in self.calls[:1]]
        if self.discovery.isWanted(self.bus):
            times.append(self._nextLook)
        return min(times, default=None)

    def isAwaited(self, location: Location) -> bool:
        """
        Whether the source will try the phone there (again), or does so now.
        """
        return (
            self.source._retries.isWaiting(location)
            or any(each.location == location for each in self.source._phones)
            or self.discovery.isWanted(self.bus)
        )

    def handle(self, context: BusContext) -> None:
        """
        The reactor finds the descriptor of a context ready; or that it has hung up, as
        happens when a phone is unplugged.
        """
        for writer in self.writers:
            if writer.fileno() == context.fd:
                break
        else:
            # It has hung up: the link looks by itself, by the clock.
            assert self.calls, "nobody will ever see that a transfer has ended"
            self.advance(max(0.0, self.calls[0].getTime() - self.rightNow))
            return
        if context.attachment.gone and self.random.random() < 0.3:
            self.removeWriter(writer)
            writer.connectionLost(Failure(ConnectionLost()))
        else:
            writer.doWrite()

    # What the source makes.

    def _makeDiscovery(self, *arguments: Any, **keywords: Any) -> Discovery:
        self.discovery = SteppedDiscovery(*arguments, seconds=self.seconds, **keywords)
        return self.discovery

    def _makeLink(self, reactor: Any, phone: OpenedPhone, limits: Limits) -> Any:
        def makeThread(**keywords: Any) -> Any:
            return SteppedThread(self._threads, opened[0], keywords["target"], keywords["args"])

        def openContext(device: Any) -> Any:
            context = BusContext(device, self.random, len(self.contexts), self.memoryTrouble)
            opened.append(context)
            self.contexts.append(context)
            self._open = [each for each in self._open if not each.context.isReleased]
            self._open.append(Events(self, context))
            return context

        opened: list[BusContext] = []
        return AsynchronousLink(reactor, phone, limits, openContext, makeThread)


class SteppedDiscovery(Discovery):
    """
    The search for phones, without its thread.
    """

    _seen: tuple[object, ...] = ()
    _isReleased = False

    def isWanted(self, bus: SimulatedBus) -> bool:
        """
        Whether there is anything for it to do.
        """
        present = bus.attachments
        found = sum(known.standing is Standing.FOUND for known in self._known.values())
        return self._isReleased or present != self._seen or found < len(present)

    def release(self, opening: OpenToken) -> None:
        """
        Remember that there is something to do.
        """
        self._isReleased = True
        super().release(opening)

    def pollOnce(self) -> None:
        """
        Do it.
        """
        self._isReleased = False
        self._seen = self._loadBackend().attachments
        super().pollOnce()

    def start(self) -> None:
        """
        Look when told to.
        """

    def stop(self) -> Deferred[None]:
        """
        Look no more.
        """
        return succeed(None)
