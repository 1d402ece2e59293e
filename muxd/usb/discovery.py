# -*- test-case-name: tests.usb.test_discovery,tests.usb.test_rarelooks -*-
"""
Phones coming and going.

A thread looks at the bus, opens what is new, and tells the reactor.  It opens a
phone once; from then on the phone is its listener's, until it leaves the bus or
the listener asks for it to be opened again.

So is the libusb context that it was opened in.  A context handles the events of
all its devices in any thread that uses it, and a phone's belong to the reactor:
this thread makes a new one for the next phone, and for its next look.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from threading import Event, Thread
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from usb.core import USBError, find

from muxd.net.shortage import remedy
from muxd.usb.configuration import NoMuxInterface, hasMuxInterface
from muxd.usb.hotplug import DeviceBus, Location
from muxd.usb.identification import NoSerial
from muxd.usb.libraries import LibraryError
from muxd.usb.openfailures import OpenFailures, explain, isGone
from muxd.usb.opening import NotWanted, OpenedPhone, OpenToken, PhoneOpener, SwitchingMode
from muxd.usb.products import Verdict, judge
from muxd.usb.settings import USBSettings
from muxd.wire.text import printable

TOLERATED_FAILURES = 5
"""How many times in a row the bus may be unreadable before a line says so."""

LONGEST_POLL = 30.0

SHORTEST_REOPEN = 1.0
"""The shortest time, in seconds, between two openings of a phone that is lost at once."""

SWITCH_TIMEOUT = 10.0
"""How long a phone may take to leave the bus after it was told to switch."""


class DiscoveryListener(Protocol):
    """
    The listener of a discovery, called in the reactor's thread.
    """

    def phoneFound(self, phone: OpenedPhone) -> None:
        """
        A phone was opened and is the listener's: it must be disposed of.
        """

    def phoneGone(self, location: Location) -> None:
        """
        A phone that was found is not on the bus any more.
        """

    def looked(self) -> None:
        """
        The bus has been looked at for the first time, and all is told that was found.
        """


class Standing(Enum):
    """
    What has become of a phone on the bus.

    @cvar FOUND: It was opened, and is the listener's.
    @cvar RELEASED: The listener has disposed of it: it is to be opened again.
    """

    FOUND = auto()
    RELEASED = auto()
    IGNORED = auto()
    SWITCHING = auto()


@dataclass(frozen=True, slots=True)
class _Known:
    """
    A phone of which something is known.

    @ivar opening: For C{FOUND}: what the listener may let go of.
    @ivar deadline: For C{SWITCHING}: when to open it all the same.
    """

    standing: Standing
    serial: str = ""
    opening: OpenToken | None = None
    deadline: float = 0.0


class Discovery:
    """
    The search for phones.

    @ivar problem: Why USB devices cannot be listed at present, if they cannot.
    @param callFromThread: How to call the listener.
    @param loadBackend: Makes a pyusb backend with a new libusb context.
    @param bus: The bus as the system shows it.
    @param withheld: UDIDs of phones that are left alone; see L{reconsider}.
    @param seconds: The clock of back-offs.
    """

    _log = Logger()

    def __init__(
        self,
        listener: DiscoveryListener,
        callFromThread: Callable[..., object],
        *,
        loadBackend: Callable[[], Any],
        settings: USBSettings,
        bus: DeviceBus,
        withheld: Container[str] = (),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener
        self._callFromThread = callFromThread
        self._loadBackend = loadBackend
        self._settings = settings
        self._bus = bus
        self._seconds = seconds
        self._opener = PhoneOpener(settings, withheld)
        self._troubles = OpenFailures(seconds)
        self._backend: Any = None
        self._known: dict[Location, _Known] = {}
        self._released: deque[OpenToken] = deque()
        self._leftAlone: dict[Location, Verdict] = {}
        self._told: dict[Location, Verdict] = {}
        self._lastOpened = -SHORTEST_REOPEN
        self._failures = 0
        self._failureReported = False
        self.problem = ""
        self._waitReported = False
        self._reconsiders = False
        self._stopping = Event()
        self._thread: Thread | None = None
        self._ended: Deferred[None] | None = None

    # In the reactor's thread.

    def start(self) -> None:
        """
        Begin to look.

        @raise RuntimeError: The system has no thread to give.
        """
        thread = Thread(target=self._run, name="usb-discovery", daemon=True)
        thread.start()
        self._thread = thread
        self._ended = Deferred()

    def stop(self) -> Deferred[None]:
        """
        Look no more.

        @return: fires when the thread has ended and the listener has heard of
            everything it found.
        """
        self._stopping.set()
        self._bus.wake()
        return succeed(None) if self._ended is None else self._ended

    def release(self, opening: OpenToken) -> None:
        """
        The listener has disposed of this phone: open it again, if it is still there.
        """
        self._released.append(opening)
        # If a phone was opened just now, there is a look soon anyway.
        if self._seconds() >= self._lastOpened + SHORTEST_REOPEN:
            self._bus.wake()

    def troubles(self) -> list[str]:
        """
        Why phones that are there cannot be opened, one line each.
        """
        return [
            f"the phone at bus {bus} address {address} cannot be opened: {text}"
            for (bus, address), text in sorted(self._troubles.reported().items())
        ]

    def reconsider(self) -> None:
        """
        Phones that were left alone may be wanted now.
        """
        self._reconsiders = True
        self._bus.wake()

    def pollNow(self) -> None:
        """
        Something may have changed: look at the bus at once.
        """
        self._bus.wake()

    # In the discovery thread.

    @property
    def interval(self) -> float:
        """
        Seconds to the next look: more and more while the bus is unreadable, but no more
        than until a phone is to be tried again.
        """
        poll = self._settings.poll
        longest = min(poll * float(1 << min(self._failures, 10)), max(poll, LONGEST_POLL))
        now = self._seconds()
        reopen = self._lastOpened + SHORTEST_REOPEN
        due = [*self._troubles.tries(), reopen]
        due += [known.deadline for known in self._known.values()]
        if self._released:
            # While the bus was looked at, and no wake-up came for that.
            longest = min(longest, max(0.0, reopen - now))
        return min([longest, *(each - now for each in due if each > now)])

    def pollOnce(self) -> None:
        """
        Look at the bus, and open and tell what is new.
        """
        while self._released:
            self._reopen(self._released.popleft())
        if self._reconsiders:
            self._reconsiders = False
            self._known = {
                location: known
                for location, known in self._known.items()
                if known.standing is not Standing.IGNORED
            }
        try:
            present, devices = self._look()
            self._lookSucceeded()
            self._tellLeftAlone()
            self._forgetAbsent(present)
            self._openWanted(present, devices)
        except (LibraryError, USBError, OSError) as error:
            self._lookFailed(error)

    def _run(self) -> None:
        hasLooked = False
        while not self._stopping.is_set():
            try:
                self.pollOnce()
            except Exception:
                self._report(self._log.failure, "looking for phones failed", failure=Failure())
                self._failures += 1
            if not hasLooked:
                hasLooked = True
                self._callFromThread(self._listener.looked)
            self._wait()
        self._bus.close()
        self._backend = None
        self._callFromThread(self._threadEnded)

    def _wait(self) -> None:
        """
        Wait for the next look, or for a reason to have it sooner.
        """
        seconds = 0 if self._stopping.is_set() else self.interval
        try:
            self._bus.wait(seconds)
        except Exception as error:
            self._waitFailed(error, seconds)
            self._stopping.wait(seconds)
        else:
            if self._waitReported:
                self._waitReported = False
                self._report(self._log.info, "hotplug events are there again")

    def _waitFailed(self, error: Exception, seconds: float) -> None:
        """
        There is nothing to wait with.  That may pass, and is told once.
        """
        if self._waitReported:
            return
        self._waitReported = True
        if not isinstance(error, OSError):
            self._report(self._log.failure, "waiting for phones failed", failure=Failure())
            error = OSError(0, repr(error))
        self._report(
            self._log.warn,
            "no hotplug events; polling every {seconds:g} s: {reason}",
            seconds=seconds,
            reason="; ".join(filter(None, (str(error), remedy(error)))),
        )

    def _threadEnded(self) -> None:
        """
        In the reactor: the thread has nothing left to do but to return.
        """
        assert self._thread is not None and self._ended is not None
        self._thread.join()
        self._ended.callback(None)

    def _look(self) -> tuple[frozenset[Location], dict[Location, Any]]:
        """
        Where phones are, and pyusb's objects for at least those of them that
        are to be opened.
        """
        present = self._bus.phones()
        if present is None:
            devices = self._enumerate()
            return frozenset(devices), devices
        wanted = {location for location in present if self._isWanted(location)}
        if not wanted:
            # What is held must not depend on what became of the last phone.
            self._backend = None
            return present, {}
        devices = self._enumerate()
        if not wanted <= devices.keys():
            # This context was born before the phone came.
            self._backend = None
            devices = self._enumerate()
            for location in wanted - devices.keys():
                self._openFailed(location, USBError("libusb does not see it", errno=19))
        return present, devices

    def _enumerate(self) -> dict[Location, Any]:
        """
        The phones that libusb sees.
        """
        if self._backend is None:
            self._backend = self._loadBackend()
        found = find(
            find_all=True,
            backend=self._backend,
            custom_match=self._isPhone,
        )
        return {(device.bus, device.address): device for device in found}

    def _isPhone(self, device: Any) -> bool:
        """
        @param device: A C{usb.core.Device}.
        """
        verdict = judge(
            device.idVendor,
            device.idProduct,
            partial(hasMuxInterface, device),
            self._settings.products,
        )
        if verdict not in (Verdict.PHONE, Verdict.OTHER):
            self._leftAlone[device.bus, device.address] = verdict
        return verdict is Verdict.PHONE

    def _tellLeftAlone(self) -> None:
        """
        Say once of each device that looks like a phone why it is not taken.
        """
        leftAlone = {**self._leftAlone, **self._bus.leftAlone}
        self._leftAlone.clear()
        for location in sorted(leftAlone.keys() - self._told.keys()):
            bus, address = location
            self._report(
                self._log.info,
                "the Apple device at bus {bus} address {address} is left alone: {reason}",
                bus=bus,
                address=address,
                reason=leftAlone[location].value,
            )
        self._told = leftAlone

    def _isWanted(self, location: Location) -> bool:
        """
        Whether a phone that is there is to be opened now.
        """
        known = self._known.get(location)
        if known is not None:
            isSwitching = known.standing is Standing.SWITCHING and known.deadline > self._seconds()
            if isSwitching or known.standing in (Standing.FOUND, Standing.IGNORED):
                return False
        return self._troubles.isDue(location)

    def _reopen(self, opening: OpenToken) -> None:
        """
        Have a phone opened again.  It is not forgotten: the listener is still to be
        told when it leaves.  There may be another in its place by now.
        """
        known = self._known.get(opening.location)
        if known is not None and known.opening == opening:
            self._known[opening.location] = _Known(Standing.RELEASED, known.serial)

    def _forgetAbsent(self, present: frozenset[Location]) -> None:
        self._troubles.keepOnly(present)
        for location in sorted(self._known.keys() - present):
            known = self._known.pop(location)
            if known.standing in (Standing.FOUND, Standing.RELEASED):
                self._opener.forget(known.serial)
                self._callFromThread(self._listener.phoneGone, location)

    def _openWanted(self, present: frozenset[Location], devices: dict[Location, Any]) -> None:
        for location in sorted(devices.keys() & present):
            if self._stopping.is_set():
                return
            if not self._isWanted(location):
                continue
            if self._backend is None:
                # These devices are of a context that is a phone's now.
                devices.clear()
                devices.update(self._enumerate())
            device = devices.pop(location, None)
            if device is not None:
                self._open(location, device)

    def _open(self, location: Location, device: Any) -> None:
        """
        Open one phone, whatever comes of it.
        """
        try:
            phone = self._opener.open(device)
        except NotWanted:
            self._known[location] = _Known(Standing.IGNORED)
        except SwitchingMode:
            deadline = self._seconds() + SWITCH_TIMEOUT
            self._known[location] = _Known(Standing.SWITCHING, deadline=deadline)
        except (NoMuxInterface, NoSerial) as error:
            self._openFailed(location, OSError(0, str(error)), text=str(error))
        except (USBError, NotImplementedError) as error:
            self._openFailed(
                location, error if isinstance(error, OSError) else OSError(0, repr(error))
            )
        except Exception as error:
            # Whatever is wrong with this one, the others are not to wait for it.
            text = f"something unexpected is wrong with it: {printable(repr(error))}"
            if self._openFailed(location, OSError(0, text), text=text):
                self._report(self._log.failure, "opening a phone failed", failure=Failure())
        else:
            self._found(location, phone)

    def _found(self, location: Location, phone: OpenedPhone) -> None:
        self._lastOpened = self._seconds()
        if self._troubles.forget(location):
            self._report(self._log.info, "{udid} can be opened now", udid=phone.identity.udid)
        self._known[location] = _Known(Standing.FOUND, phone.identity.serial, phone.opening)
        self._backend = None
        self._callFromThread(self._listener.phoneFound, phone)

    def _openFailed(self, location: Location, error: OSError, text: str = "") -> bool:
        """
        @return: Whether that was worth telling.
        """
        text = text or explain(error, location)
        isNews = self._troubles.failed(location, text, patient=isGone(error))
        if isNews:
            self._report(
                self._log.warn,
                "the phone at bus {bus} address {address} cannot be opened: {reason}",
                bus=location[0],
                address=location[1],
                reason=text,
            )
        return isNews

    def _lookFailed(self, error: Exception) -> None:
        """
        The bus is unreadable.  That may pass; a missing library is told at once.
        """
        self._backend = None
        self._failures += 1
        patient = not isinstance(error, LibraryError) and self._failures <= TOLERATED_FAILURES
        if not patient:
            self.problem = str(error)
        if not patient and not self._failureReported:
            self._failureReported = True
            self._report(
                self._log.error,
                "cannot list USB devices, will keep trying: {reason}",
                reason=str(error),
            )

    def _lookSucceeded(self) -> None:
        if self._failureReported:
            self._report(self._log.info, "USB devices can be listed again")
        self._failures = 0
        self._failureReported = False
        self.problem = ""

    def _report(self, log: Callable[..., object], text: str, **fields: object) -> None:
        """
        Log in the reactor's thread, in order with what the listener is told.
        """
        self._callFromThread(lambda: log(text, **fields))
