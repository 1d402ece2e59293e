# -*- test-case-name: tests.usb.test_opening -*-
"""
One phone opened: identified, configured, its mux interface claimed.

All of this blocks, so it is done in the discovery thread.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from twisted.logger import Logger
from usb.util import dispose_resources

from muxd.identity import DeviceIdentity
from muxd.usb.configuration import MuxInterface, configure
from muxd.usb.hotplug import Location
from muxd.usb.identification import identify
from muxd.usb.mode import ModeVerdict, guessMode, judgeMode, queryMode, switchMode
from muxd.usb.products import isBuiltIn
from muxd.usb.settings import USBSettings

_log = Logger()


class NotWanted(Exception):
    """
    The settings exclude this phone.
    """


class SwitchingMode(Exception):
    """
    The phone was told to change its mode and is about to leave the bus.
    """


@dataclass(frozen=True, slots=True)
class OpenToken:
    """
    One time that a phone was opened.  What is at the same place later may be another one.

    @ivar number: Which one it was, of all.
    """

    location: Location
    number: int


@dataclass(slots=True, kw_only=True)
class OpenedPhone:
    """
    A phone that an engine can move packets to and from.

    @ivar device: The C{usb.core.Device}, open, with the interface claimed; none
        when it has been disposed of.  Any other reference to it keeps a libusb
        context alive.
    @ivar identity: The identity that clients are told of.
    @ivar interface: Where its muxer is.
    @ivar location: Its bus and address.
    @ivar number: Which opening of a phone this is.
    """

    device: Any
    identity: DeviceIdentity
    interface: MuxInterface
    location: Location
    number: int = 0

    @property
    def opening(self) -> OpenToken:
        """
        What it is known by when it has ended.
        """
        return OpenToken(self.location, self.number)

    def dispose(self) -> None:
        """
        Release the interface and close the device.  Blocks.
        """
        device, self.device = self.device, None
        if device is not None:
            dispose_resources(device)


class PhoneOpener:
    """
    Opens phones the way the settings want it.
    """

    def __init__(self, settings: USBSettings, withheld: Container[str] = ()) -> None:
        """
        @param withheld: UDIDs of phones that are not wanted at present.
        """
        self._settings = settings
        self._withheld = withheld
        # Serial numbers of phones that were told to switch: never twice, as
        # one that does not settle would be told forever.
        self._switched: set[str] = set()
        # What has been said of which phone.
        self._told: set[tuple[str, str]] = set()
        self._numbers = count(1)

    def open(self, device: Any) -> OpenedPhone:
        """
        Open a phone; on failure nothing of it is left open.

        @param device: A C{usb.core.Device}.
        @raise NotWanted: It is none of ours.
        @raise SwitchingMode: It comes back by itself.
        @raise usb.core.USBError: It cannot be opened (yet).
        @raise NoSerial: It cannot be told from others.
        @raise NoMuxInterface: It is no phone that we can talk to.
        """
        try:
            return self._open(device)
        except BaseException:
            dispose_resources(device)
            raise

    def forget(self, serial: str) -> None:
        """
        This phone was unplugged: whatever mode it is in next time, it may be
        told again.
        """
        self._switched.discard(serial)
        self._told = {told for told in self._told if told[0] != serial}

    def _open(self, device: Any) -> OpenedPhone:
        identity = identify(device)
        if self._settings.simulated:
            identity = replace(identity, isSimulated=True)
        isWanted = self._settings.wants(identity.udid, identity.portPath)
        if not isWanted or identity.udid in self._withheld:
            raise NotWanted(identity.udid)
        mode = queryMode(device)
        _log.debug("{udid}: mode {mode}", udid=identity.udid, mode=mode and mode.hex(":"))
        self._switch(device, identity, mode)
        return OpenedPhone(
            device=device,
            identity=identity,
            interface=configure(device, mayDetach=self._isOurs(device)),
            location=(device.bus, device.address),
            number=next(self._numbers),
        )

    def _isOurs(self, device: Any) -> bool:
        """
        Whether a device may be changed for our sake: a part of this machine, which other
        drivers use, only if it was named.
        """
        product = device.idProduct
        return not isBuiltIn(product) or any(product in each for each in self._settings.products)

    def _switch(self, device: Any, identity: DeviceIdentity, answer: bytes | None) -> None:
        """
        Tell a phone the mode that was asked for, or say why not.

        @param answer: To the mode query.
        @raise SwitchingMode: It has been told.
        """
        wanted = self._settings.mode
        if wanted is None:
            return
        verdict = judgeMode(device, wanted, answer)
        if verdict is ModeVerdict.RIGHT:
            return
        if not self._isOurs(device):
            reason = "it is a part of this machine, and products= does not name it"
        elif verdict is ModeVerdict.UNAWARE:
            reason = "it does not answer the mode query, and so knows of no modes"
        elif identity.serial in self._switched:
            reason = "it was told so, and did not become it; it is told again when plugged in anew"
        else:
            self._switched.add(identity.serial)
            if switchMode(device, wanted):
                raise SwitchingMode(identity.udid)
            reason = "it refuses"
        if (identity.serial, reason) not in self._told:
            self._told.add((identity.serial, reason))
            _log.info(
                "{udid} stays in USB mode {present}, not {wanted}: {reason}",
                udid=identity.udid,
                present=guessMode(device) or "unknown",
                wanted=wanted,
                reason=reason,
            )
