# -*- test-case-name: tests.server.test_registry -*-
"""
The devices that are here, and the numbers that clients know them by.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from twisted.logger import Logger
from zope.interface import implementer

from muxd.identity import sameUDID
from muxd.interfaces import AttachedDevice, IDevice, IDeviceListener, IDeviceReceiver

LAST_ID = (1 << 31) - 1
"""Some clients keep device ids in a signed 32-bit integer (protocol 3.3)."""


@implementer(IDeviceReceiver)
class DeviceRegistry:
    """
    Numbers devices as sources attach them, and tells listeners.

    A device may be attached hidden: it can be found and connected to, but is
    neither listed nor announced until L{show}; its end is then not announced
    either (protocol 4.9).

    A device may be attached as one that has yet to L{prove} that it is the phone whose UDID
    it shows: any device can show any.  A name that several devices claim is that of the one
    that has proved it, or of none.

    Listeners hear of changes in the order in which they happened, also when one
    of them causes the next change from within its method.

    @ivar proofs: Counts up whenever L{isDoubtful} may answer differently.
    """

    _log = Logger()

    def __init__(self, firstID: int = 1, now: Callable[[], float] = time.time) -> None:
        """
        @param now: Seconds since 1970.
        """
        self._now = now
        self._since: dict[int, float] = {}
        self.proofs = 0
        self._nextID = firstID
        self._attached: dict[int, AttachedDevice] = {}
        self._byDevice: dict[int, AttachedDevice] = {}
        self._hidden: set[int] = set()
        self._unproved: set[int] = set()
        self._listeners: list[IDeviceListener] = []
        self._events: deque[Callable[[IDeviceListener], None]] = deque()
        self._announcing = False

    def deviceAttached(self, device: IDevice) -> None:
        """
        Attach a device, visible to all clients.
        """
        self.attach(device)

    def deviceDetached(self, device: IDevice) -> None:
        """
        Forget a device; harmless if it is not here.
        """
        attached = self._byDevice.pop(id(device), None)
        if attached is None:
            return
        del self._attached[attached.deviceID]
        del self._since[attached.deviceID]
        wasHidden = attached.deviceID in self._hidden
        self._hidden.discard(attached.deviceID)
        self._unproved.discard(attached.deviceID)
        self.proofs += 1
        self._log.info(
            "{udid} detached, device {deviceID}",
            udid=device.identity.udid,
            deviceID=attached.deviceID,
        )
        if not wasHidden:
            self._announce(lambda listener: listener.deviceDetached(attached))

    def devicePaired(self, device: IDevice) -> None:
        """
        A device has been paired with the host that pairs with it; harmless if it is not here.
        """
        attached = self._byDevice.get(id(device))
        if attached is not None:
            self.announcePaired(attached)

    def attach(
        self, device: IDevice, visible: bool = True, proved: bool = True
    ) -> AttachedDevice | None:
        """
        Give a device its number.  One that is attached already keeps it.

        @param visible: Whether to list and announce it now; otherwise L{show}
            will.
        @param proved: Whether there is nothing to prove; otherwise L{prove} will say so.
        @return: None when it was not taken: it has no serial number, which would
            break every client's whole device list (protocol 9, edge 52), or
            there are no numbers left.
        """
        known = self._byDevice.get(id(device))
        if known is not None:
            return known
        identity = device.identity
        if not identity.serial or not identity.udid:
            self._log.warn(
                "ignoring a device without a serial number: {name} at location {location:#x};"
                " unplug it and plug it in again",
                name=identity.name,
                location=identity.locationID,
            )
            return None
        if self._nextID > LAST_ID:
            self._log.error(
                "ignoring {udid}: all device numbers up to {last} have been used;"
                " restart the daemon",
                udid=identity.udid,
                last=LAST_ID,
            )
            return None
        attached = AttachedDevice(self._nextID, device)
        self._nextID += 1
        self._attached[attached.deviceID] = attached
        self._since[attached.deviceID] = self._now()
        self._byDevice[id(device)] = attached
        self.proofs += 1
        if not proved:
            self._unproved.add(attached.deviceID)
        self._log.info(
            "{udid} attached as device {deviceID}: {kind}{place}{simulated}",
            udid=identity.udid,
            deviceID=attached.deviceID,
            kind=identity.name or f"{identity.connectionType} product {identity.productID:04x}",
            place=f" at {identity.portPath}" if identity.portPath else "",
            simulated=", simulated" if identity.isSimulated else "",
        )
        if visible:
            self._announce(lambda listener: listener.deviceAttached(attached))
        else:
            self._hidden.add(attached.deviceID)
        return attached

    def show(self, device: IDevice) -> None:
        """
        List and announce a device that was attached hidden.  Harmless for one
        that is visible or gone.
        """
        attached = self._byDevice.get(id(device))
        if attached is not None and attached.deviceID in self._hidden:
            self._hidden.discard(attached.deviceID)
            self._announce(lambda listener: listener.deviceAttached(attached))

    def prove(self, device: IDevice) -> None:
        """
        A device is the phone whose UDID it shows.  Harmless for one that is gone.
        """
        attached = self._byDevice.get(id(device))
        if attached is not None:
            self._unproved.discard(attached.deviceID)
            self.proofs += 1

    def announcePaired(self, attached: AttachedDevice) -> None:
        """
        Tell listeners that a device, visible or not, has been paired.
        """
        self._announce(lambda listener: listener.devicePaired(attached))

    def attached(self) -> list[AttachedDevice]:
        """
        The visible devices, in the order of their numbers.
        """
        return [one for one in self._attached.values() if one.deviceID not in self._hidden]

    def everything(self) -> list[AttachedDevice]:
        """
        All devices, visible or hidden, in the order of their numbers.
        """
        return list(self._attached.values())

    def since(self, deviceID: int) -> float:
        """
        When a device that is here was attached, in seconds since 1970.
        """
        return self._since[deviceID]

    def isHidden(self, deviceID: int) -> bool:
        """
        Whether a device is attached and not listed yet.
        """
        return deviceID in self._hidden

    @property
    def hasHidden(self) -> bool:
        """
        Whether a device is attached and not listed yet.
        """
        return bool(self._hidden)

    def find(self, deviceID: int) -> AttachedDevice | None:
        """
        The device with this number, visible or hidden (protocol 4.7).
        """
        return self._attached.get(deviceID)

    def findByUDID(self, udid: str) -> AttachedDevice | None:
        """
        The device with this UDID, visible or hidden, with or without its dash, in
        either case.

        One phone may be here more than once: a cable wins over the network,
        then one that has proved that it is the phone, then the one that came last.

        @return: None if there is none, or if several have cables and none has proved it.
        """
        matching = self.claimants(udid)
        cables = [one for one in matching if one.device.identity.connectionType == "USB"]
        proved = [one for one in cables if one.deviceID not in self._unproved]
        if len(cables) > 1 and not proved:
            return None
        return max(proved or cables or matching, key=lambda one: one.deviceID, default=None)

    def claimants(self, udid: str) -> list[AttachedDevice]:
        """
        The devices, visible or hidden, that say that they have this UDID.
        """
        return [one for one in self._attached.values() if sameUDID(one.device.identity.udid, udid)]

    def isProved(self, deviceID: int) -> bool:
        """
        Whether a device is the phone whose UDID it shows, or has nothing to prove.
        """
        return deviceID not in self._unproved

    def hasRival(self, attached: AttachedDevice) -> bool:
        """
        Whether another device says that it has the same UDID.
        """
        return any(_rivals(attached, self._attached.values()))

    def isDoubtful(self, deviceID: int) -> bool:
        """
        Whether another device has a cable and claims this one's UDID, and this one has not
        proved that it is the phone.
        """
        attached = self._attached.get(deviceID)
        return attached is not None and self.isDoubtfulAmong(attached, self._attached.values())

    def isDoubtfulAmong(self, attached: AttachedDevice, devices: Iterable[AttachedDevice]) -> bool:
        """
        The same beside these devices alone, as those that can see no others.
        """
        return attached.deviceID in self._unproved and any(
            one.device.identity.connectionType == "USB" for one in _rivals(attached, devices)
        )

    def subscribe(self, listener: IDeviceListener) -> None:
        """
        Tell a listener of what happens from now on; L{attached} says what is.
        """
        self._listeners.append(listener)

    def unsubscribe(self, listener: IDeviceListener) -> None:
        """
        Tell it no more.  Harmless for one that is not subscribed.
        """
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _announce(self, event: Callable[[IDeviceListener], None]) -> None:
        """
        Call every listener, now or after the event that is being announced.
        """
        self._events.append(event)
        if self._announcing:
            return
        self._announcing = True
        try:
            while self._events:
                event = self._events.popleft()
                for listener in tuple(self._listeners):
                    try:
                        event(listener)
                    except Exception:
                        self._log.failure("a device listener failed: {it!r}", it=listener)
        finally:
            self._announcing = False


def _rivals(
    attached: AttachedDevice, devices: Iterable[AttachedDevice]
) -> Iterator[AttachedDevice]:
    """
    Those of some devices that say that they have the UDID of another one.
    """
    udid = attached.device.identity.udid
    return (
        one for one in devices if one is not attached and sameUDID(one.device.identity.udid, udid)
    )
