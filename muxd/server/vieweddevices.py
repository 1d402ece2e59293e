# -*- test-case-name: tests.server.test_vieweddevices -*-
"""
The devices that a view shows, as those of a registry.

Clients must not be able to tell that there are others.  So devices have numbers of their own
here, from 1: with the registry's, each phone that comes and is not shown would leave a gap.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from muxd.interfaces import AttachedDevice, IDeviceListener
from muxd.server.registry import DeviceRegistry
from muxd.server.view import View


@implementer(IDeviceListener)
class ViewedDevices:
    """
    The part of a registry that a view shows.

    @ivar view: The view; L{changeView} changes it.
    """

    _log = Logger()

    def __init__(self, registry: DeviceRegistry, view: View) -> None:
        self.view = view
        self._registry = registry
        self._lastID = 0
        # By the registry's number, and the registry's devices by ours.
        self._ours: dict[int, AttachedDevice] = {}
        self._theirs: dict[int, AttachedDevice] = {}
        self._visible: dict[int, AttachedDevice] = {}
        self._listeners: list[IDeviceListener] = []
        registry.subscribe(self)
        for attached in registry.attached():
            self.deviceAttached(attached)

    def stop(self) -> None:
        """
        Hear no more of the registry.
        """
        self._registry.unsubscribe(self)

    def changeView(self, view: View) -> None:
        """
        Show what another view shows: what is in it no longer is detached, and then what is
        new in it is attached.
        """
        self.view = view
        for number, attached in list(self._theirs.items()):
            if not view.shows(attached.device.identity):
                self._forget(number)
        for attached in self._registry.attached():
            self.deviceAttached(attached)

    # As a registry

    @property
    def proofs(self) -> int:
        """
        Counts up whenever L{isDoubtful} may answer differently.
        """
        return self._registry.proofs

    def attached(self) -> list[AttachedDevice]:
        """
        The visible devices, in the order of their numbers.
        """
        return list(self._visible.values())

    def find(self, deviceID: int) -> AttachedDevice | None:
        """
        The device with this number, visible or hidden (protocol 4.7).
        """
        attached = self._theirs.get(deviceID)
        if attached is None or self._registry.find(attached.deviceID) is not attached:
            return None
        return self._ours[attached.deviceID]

    def findByUDID(self, udid: str) -> AttachedDevice | None:
        """
        The registry's device with this UDID, for those that may know of it
        (L{permitsReading}).
        """
        return self._registry.findByUDID(udid)

    def isDoubtful(self, deviceID: int) -> bool:
        """
        Whether another one of these devices has a cable and claims this one's UDID, and
        this one has not proved that it is the phone.
        """
        attached = self._theirs.get(deviceID)
        return attached is not None and self._registry.isDoubtfulAmong(
            attached, self._theirs.values()
        )

    def announcePaired(self, attached: AttachedDevice) -> None:
        """
        Tell all listeners, also those of other views, that a device has been paired.
        """
        theirs = self._theirs.get(attached.deviceID)
        if theirs is not None:
            self._registry.announcePaired(theirs)

    def subscribe(self, listener: IDeviceListener) -> None:
        """
        Tell a listener of what happens from now on.
        """
        self._listeners.append(listener)

    def unsubscribe(self, listener: IDeviceListener) -> None:
        """
        Tell it no more.  Harmless for one that is not subscribed.
        """
        if listener in self._listeners:
            self._listeners.remove(listener)

    # Records

    def permitsReading(self, recordID: str) -> bool:
        """
        Whether the pair record of this name is one of a phone that is shown.  It is a key:
        where only its place would make a device one that is shown, it has to have proved
        that it is the phone.
        """
        return self._permitsRecord(recordID, self._registry.isProved)

    def permitsSaving(self, recordID: str) -> bool:
        """
        Whether a pair record of this name may be stored: also that of a device that has
        nothing yet to prove itself by, if no other device claims its UDID.
        """
        rivals = len(self._registry.claimants(recordID)) > 1
        return self._permitsRecord(
            recordID, lambda number: not rivals or self._registry.isProved(number)
        )

    def _permitsRecord(self, recordID: str, isTrusted: Callable[[int], bool]) -> bool:
        claimants = self._registry.claimants(recordID)
        if any(self.view.deny.hasDevice(one.device.identity) for one in claimants):
            return False
        isNamed = self.view.names(recordID)
        if isNamed is not None:
            return isNamed
        return any(
            self.view.shows(one.device.identity) and isTrusted(one.deviceID) for one in claimants
        )

    # IDeviceListener

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        A device has become visible; perhaps here, too.
        """
        if self.view.shows(attached.device.identity):
            ours = self._numbered(attached)
            if ours.deviceID not in self._visible:
                self._visible[ours.deviceID] = ours
                self._announce(lambda listener: listener.deviceAttached(ours))

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        A visible device is gone.
        """
        ours = self._ours.get(attached.deviceID)
        if ours is not None:
            self._forget(ours.deviceID)

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        A device, visible or not, has been paired.
        """
        if self.view.shows(attached.device.identity):
            ours = self._numbered(attached)
            self._announce(lambda listener: listener.devicePaired(ours))

    def _numbered(self, attached: AttachedDevice) -> AttachedDevice:
        """
        A device of the registry under the number that it has here.
        """
        ours = self._ours.get(attached.deviceID)
        if ours is None:
            self._forgetGone()
            self._lastID += 1
            ours = AttachedDevice(self._lastID, attached.device)
            self._ours[attached.deviceID] = ours
            self._theirs[ours.deviceID] = attached
        return ours

    def _forgetGone(self) -> None:
        """
        Forget those that go without a word: they were never visible.
        """
        for number, attached in list(self._theirs.items()):
            isHere = self._registry.find(attached.deviceID) is attached
            if not isHere and number not in self._visible:
                self._forget(number)

    def _forget(self, number: int) -> None:
        del self._ours[self._theirs.pop(number).deviceID]
        ours = self._visible.pop(number, None)
        if ours is not None:
            self._announce(lambda listener: listener.deviceDetached(ours))

    def _announce(self, event: Callable[[IDeviceListener], None]) -> None:
        for listener in tuple(self._listeners):
            try:
                event(listener)
            except Exception:
                self._log.failure("a device listener failed: {it!r}", it=listener)
