# -*- test-case-name: tests.usb.test_mode -*-
"""
A phone's USB mode: which set of configurations it offers (protocol 1.3).

Switching is off unless asked for: phones differ in what they make of it, and a
switch by one daemon has ended the tethering set up by another.  A mode that is
asked for is for every phone that knows of modes, as with the C daemon's
USBMUXD_DEFAULT_DEVICE_MODE.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.logger import Logger
from usb.core import USBError

from muxd.usb.configuration import hasMuxInterface
from muxd.usb.products import MUX_TRIPLE

VENDOR_IN = 0xC0
GET_MODE = 0x45
SET_MODE = 0x52

CONTROL_TIMEOUT = 1000
"""Milliseconds (protocol 1.1)."""

CLASSIC_CONFIGURATIONS = 4
"""A phone with no more than these is in its initial mode, or old."""

UNKNOWN, INITIAL, VALERIA, TETHERING, ETHERNET_TETHERING, DIRECT_TETHERING = range(6)

_VALERIA_TRIPLE = (255, 42, 255)
_NCM_CLASS = (2, 0x0D)

_log = Logger()


def queryMode(device: Any) -> bytes | None:
    """
    Ask for the mode: four bytes without a known meaning, for the log.  Phones
    before iOS 9 or so refuse; that is no error.
    """
    try:
        return bytes(device.ctrl_transfer(VENDOR_IN, GET_MODE, 0, 0, 4, CONTROL_TIMEOUT))
    except USBError as error:
        _log.debug("mode query refused: {error}", error=error)
        return None


def guessMode(device: Any) -> int:
    """
    The mode, from the configurations that the phone offers; L{UNKNOWN} if they
    match none.
    """
    count = device.bNumConfigurations
    if count == 1 and not hasMuxInterface(device):
        return DIRECT_TETHERING
    if count <= CLASSIC_CONFIGURATIONS:
        return INITIAL
    if count == 6:
        return ETHERNET_TETHERING
    return _guessFromFifth(device) if count == 5 else UNKNOWN


def _guessFromFifth(device: Any) -> int:
    """
    What the fifth configuration of five says.
    """
    try:
        triples = {
            (each.bInterfaceClass, each.bInterfaceSubClass, each.bInterfaceProtocol)
            for configuration in device
            if configuration.bConfigurationValue == 5
            for each in configuration
        }
    except USBError:
        return UNKNOWN
    if MUX_TRIPLE not in triples:
        return UNKNOWN
    if _VALERIA_TRIPLE in triples:
        return VALERIA
    if _NCM_CLASS in {triple[:2] for triple in triples}:
        return TETHERING
    return UNKNOWN


class ModeVerdict(Enum):
    """
    What is to be done about a phone for which a mode was asked for.

    @cvar RIGHT: Nothing: it is in that mode.
    @cvar SWITCH: It is to be told.
    @cvar UNAWARE: Nothing can be done: it knows of no modes.
    """

    RIGHT = "right"
    SWITCH = "switch"
    UNAWARE = "unaware"


def judgeMode(device: Any, wanted: int, answer: bytes | None) -> ModeVerdict:
    """
    Whether a phone has to be told its mode.

    @param answer: To L{queryMode}.
    """
    if guessMode(device) == wanted:
        return ModeVerdict.RIGHT
    return ModeVerdict.UNAWARE if answer is None else ModeVerdict.SWITCH


def switchMode(device: Any, mode: int) -> bool:
    """
    Ask a phone to change its mode.

    @return: Whether it does: it is about to leave the bus then, and comes back
        with another address.
    """
    try:
        answer = device.ctrl_transfer(VENDOR_IN, SET_MODE, 0, mode, 1, CONTROL_TIMEOUT)
    except USBError as error:
        _log.debug("mode {mode} refused: {error}", mode=mode, error=error)
        return False
    return len(answer) == 1 and answer[0] == 0
