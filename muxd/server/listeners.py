# -*- test-case-name: tests.server.test_listeners -*-
"""
The event feed: every client in Listen mode, and what all of them are told.

What is here when a client begins to listen may be much: of twenty thousand phones, sixteen
megabytes.  So it is told as the client takes it, a block of L{muxd.server.devicelist} at a time,
which is there once for all clients.  Of what happens meanwhile a client hears only where it has
been told of the device: where it has not, it will be told of it as it is then.
"""

from __future__ import annotations

from typing import Protocol as TypingProtocol

from twisted.logger import Logger
from zope.interface import implementer

from muxd.interfaces import AttachedDevice, IDeviceListener
from muxd.server.clients import ClientDetails
from muxd.server.descriptions import DeviceDescription, encodeDetached, encodePaired
from muxd.server.devicelist import DeviceList, Place
from muxd.server.replies import listEntry
from muxd.server.telling import Addressees, Teller
from muxd.wire.messages import BINARY_VERSION, writePlist

_BEFORE, _AFTER = writePlist({"ListenerList": [""]}).split(b"\n\t\t<string></string>")
"""The list of listeners, but for them."""


class Listener(TypingProtocol):
    """
    What the feed needs of a client.

    @ivar number: The client's own number.
    @ivar version: The format it wants events in.
    """

    number: int
    version: int

    @property
    def details(self) -> ClientDetails:
        """
        What it has told us about itself.
        """

    @property
    def hasTaken(self) -> bool:
        """
        Whether it has taken all that was sent to it.  When it has, where it had not, it calls
        L{EventBroadcaster.goOn}.
        """

    def sendEvent(self, event: bytes) -> None:
        """
        Queue a whole event, or several; never blocks and never raises.
        """


class ListedDevices(TypingProtocol):
    """
    The devices that listeners are told of: those of a registry.
    """

    @property
    def proofs(self) -> int:
        """
        Counts up whenever L{isDoubtful} may answer differently.
        """

    def attached(self) -> list[AttachedDevice]:
        """
        The visible devices, in the order of their numbers.
        """

    def isDoubtful(self, deviceID: int) -> bool:
        """
        Whether a device only claims to be the phone whose UDID it shows.
        """

    def subscribe(self, listener: IDeviceListener) -> None:
        """
        Tell a listener of what happens from now on.
        """

    def unsubscribe(self, listener: IDeviceListener) -> None:
        """
        Tell it no more.
        """


@implementer(IDeviceListener)
class EventBroadcaster:
    """
    Turns the registry's events into bytes, once per format, and hands them to
    every listener.

    What is listed is kept here rather than asked of the registry, so that a
    client's list is always the sum of the events so far.
    """

    _log = Logger()

    def __init__(self, registry: ListedDevices, teller: Teller) -> None:
        self._registry = registry
        self._teller = teller
        self._listeners: dict[Listener, bytes | None] = {}
        # Their numbers, in the order in which they have come.
        self._numbers: dict[Listener, int] = {}
        self._came = 0
        self._present: Addressees[Listener] | None = None
        # Those that have not been told of all that is here, and how far they have been.
        self._greeted: dict[Listener, Place | None] = {}
        self._devices = DeviceList()
        for attached in registry.attached():
            self._devices.add(DeviceDescription(attached))
        self._proofs = -1
        self._listenerList: bytes | None = None
        registry.subscribe(self)

    def stop(self) -> None:
        """
        Hear no more of the registry.
        """
        self._registry.unsubscribe(self)

    def add(self, listener: Listener) -> bool:
        """
        Tell a listener of everything that is here, as far as it takes it, and then of every
        change.

        @return: As L{goOn}.
        """
        self._listeners[listener] = None
        self._came += 1
        self._numbers[listener] = self._came
        self._listenerList = self._present = None
        self._greeted[listener] = None
        # Of a few devices a listener is told whether it takes that or not.
        self._tellMore(listener)
        return self.goOn(listener)

    def goOn(self, listener: Listener) -> bool:
        """
        A listener takes more: tell it of what is here, if it has not been told of all.

        @return: whether there is more, for when it has taken that.
        """
        while listener in self._greeted and listener.hasTaken:
            # In the order in which it happened: a phone that came again went before.
            self._teller.tellAhead(listener, self._numbers[listener])
            if listener in self._greeted and listener.hasTaken:
                self._tellMore(listener)
        return listener in self._greeted

    def _tellMore(self, listener: Listener) -> None:
        """
        Tell it of the next block.
        """
        told = self._devices.eventsAfter(self._greeted[listener], listener.version)
        place, events = told or (None, b"")
        if place is None or self._devices.isLast(place):
            del self._greeted[listener]
        else:
            self._greeted[listener] = place
        if events:
            listener.sendEvent(events)

    def remove(self, listener: Listener) -> None:
        """
        Tell it no more.  Harmless for a client that is no listener.
        """
        if listener in self._listeners:
            del self._listeners[listener], self._numbers[listener]
            self._greeted.pop(listener, None)
            self._listenerList = self._present = None

    def listeners(self) -> list[Listener]:
        """
        All of them, the one that has listened for the longest first.
        """
        return list(self._listeners)

    def deviceListBody(self) -> tuple[bytes, ...]:
        """
        The body of the answer to C{ListDevices}, in parts.

        A device that only claims to be the phone whose UDID it shows is marked, for clients
        that choose by UDID.
        """
        if self._proofs != self._registry.proofs:
            self._proofs = self._registry.proofs
            self._devices.doubt(self._registry.isDoubtful)
        return self._devices.listed()

    def listenerListBody(self) -> bytes:
        """
        The body of the answer to C{ListListeners}, made once per change: which clients listen
        says no more about itself.  So what the list says of each is made once, too: there may
        be thousands, and another one each time that the list is asked for.
        """
        if self._listenerList is None:
            for listener, entry in self._listeners.items():
                if entry is None:
                    values = listener.details.listenerValues(listener.number)
                    self._listeners[listener] = listEntry(values)
            entries = [entry for entry in self._listeners.values() if entry is not None]
            self._listenerList = b"".join((_BEFORE, *entries, _AFTER))
        return self._listenerList

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        A device has become visible.
        """
        if attached.deviceID in self._devices:
            return
        description = DeviceDescription(attached)
        self._devices.add(description)
        listeners = self._knowing(self._devices.placeOf(attached.deviceID))
        self._teller.tell(listeners, self._listeners, description.attachedEvent)

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        A visible device is gone.
        """
        place = self._devices.placeOf(attached.deviceID)
        if not self._devices.remove(attached.deviceID):
            return
        self._teller.tell(
            self._knowing(place),
            self._listeners,
            lambda version: encodeDetached(attached.deviceID, version),
        )

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        A device has been paired.

        Only listeners that speak in property lists and have told the version of
        their library: old clients do not know the event and die of it (protocol
        9, edge 56).
        """
        place = self._devices.placeOf(attached.deviceID)
        modern = [
            one
            for one in self._knowing(place).listeners
            if one.version != BINARY_VERSION and one.details.libraryVersion
        ]
        self._teller.tell(
            Addressees(modern, self._numbers),
            self._listeners,
            lambda version: encodePaired(attached.deviceID, version),
        )

    def _knowing(self, place: Place | None) -> Addressees[Listener]:
        """
        Those that have been told of the devices at a place.
        """
        if not self._greeted or place is None:
            return self._all()
        untold = {one for one, at in self._greeted.items() if at is None or at < place}
        told = [one for one in self._all().listeners if one not in untold]
        return Addressees(told, self._numbers)

    def _all(self) -> Addressees[Listener]:
        """
        All listeners of this moment, of which there is one list as long as they are the same.
        """
        if self._present is None:
            self._present = Addressees(tuple(self._listeners), self._numbers)
        return self._present
