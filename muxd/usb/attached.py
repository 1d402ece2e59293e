# -*- test-case-name: tests.usb.test_source -*-
"""
One opened phone, from its handshake to the end of its link.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from muxd.device.device import MuxedDevice
from muxd.device.muxer import Muxer
from muxd.identity import DeviceIdentity
from muxd.interfaces import IDeviceReceiver
from muxd.limits import Limits
from muxd.usb.engines import IUSBLink
from muxd.usb.hotplug import Location
from muxd.usb.opening import OpenedPhone, OpenToken


class AttachedState(Enum):
    """
    Where a phone is in its life; it goes on only downwards.
    """

    IDLE = auto()
    HANDSHAKING = auto()
    READY = auto()
    ENDING = auto()
    ENDED = auto()


class AttachedOwner(Protocol):
    """
    The owner of an attached phone: it is told what becomes of the phone.
    """

    def phoneReady(self, attached: AttachedPhone) -> None:
        """
        The handshake was good, and the device was attached.
        """

    def phoneFailed(self, attached: AttachedPhone, reason: Failure) -> None:
        """
        The handshake failed.  The phone ends by itself.
        """

    def phoneLost(self, attached: AttachedPhone, reason: Failure) -> None:
        """
        A phone that was ready is lost.  It ends by itself.
        """

    def phoneEnded(self, attached: AttachedPhone) -> None:
        """
        Nothing of it is left: no thread, no claimed interface.
        """


class AttachedPhone:
    """
    The link, the muxer and the device of one phone.

    @ivar location: Where it is on the bus.
    @ivar opening: What its listener lets go of when it ends.
    @ivar identity: The phone's identity.
    @ivar state: Where it is in its life.
    """

    def __init__(
        self,
        reactor: Any,
        phone: OpenedPhone,
        link: IUSBLink,
        receiver: IDeviceReceiver,
        owner: AttachedOwner,
        limits: Limits,
    ) -> None:
        self.location: Location = phone.location
        self.opening: OpenToken = phone.opening
        self.identity: DeviceIdentity = phone.identity
        self.state = AttachedState.IDLE
        self._receiver = receiver
        self._owner = owner
        self._link = link
        self._muxer = Muxer(reactor, phone.identity.udid, limits)
        self._device = MuxedDevice(phone.identity, self._muxer)

    @property
    def isHandshaking(self) -> bool:
        """
        Whether it is not known yet if the phone answers.
        """
        return self.state is AttachedState.HANDSHAKING

    def start(self) -> None:
        """
        Begin the handshake.
        """
        self.state = AttachedState.HANDSHAKING
        self._muxer.handshake(self._link).addCallbacks(self._agreed, self._failed)

    def gone(self) -> None:
        """
        The phone has left the bus.
        """
        self._link.lose(Failure(ConnectionLost("the phone was unplugged")))

    def stop(self) -> None:
        """
        Say good-bye to the phone, and end.
        """
        self._end()

    def _agreed(self, _: None) -> None:
        self.state = AttachedState.READY
        self._receiver.deviceAttached(self._device)
        self._muxer.whenLost().addErrback(self._lost)
        self._owner.phoneReady(self)

    def _failed(self, reason: Failure) -> None:
        if self.state is AttachedState.HANDSHAKING:
            self._owner.phoneFailed(self, reason)
            self._end()

    def _lost(self, reason: Failure) -> None:
        if self.state is AttachedState.READY:
            self._owner.phoneLost(self, reason)
            self._end()

    def _end(self) -> None:
        """
        RSTs first, so that they are among what the link still sends.
        """
        if self.state in (AttachedState.ENDING, AttachedState.ENDED):
            return
        attached = self.state is AttachedState.READY
        self.state = AttachedState.ENDING
        self._muxer.stop()
        if attached:
            self._receiver.deviceDetached(self._device)
        closed: Deferred[None] = self._link.close()
        closed.addCallback(self._closed)

    def _closed(self, _: None) -> None:
        self.state = AttachedState.ENDED
        self._owner.phoneEnded(self)
