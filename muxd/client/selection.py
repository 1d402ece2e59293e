# -*- test-case-name: tests.client.test_selection -*-
"""
Which of the devices that a daemon knows is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from muxd.client.answers import Device
from muxd.client.errors import NoPhone, SeveralPhones, UnknownUDID


class Network(Enum):
    """
    What to think of phones that are reached without a cable (protocol 4.12).
    """

    NO = "no"
    """They do not count."""

    YES = "yes"
    """They do, but a cable wins."""

    PREFER = "prefer"
    """They win over a cable."""


def chooseDevice(
    devices: Iterable[Device], udid: str | None, network: Network, where: str
) -> Device:
    """
    The one that is meant.

    Of two entries for one phone, both reached in the same way, the later
    counts: the other is about to go.

    @param udid: With or without its dash; None for the only one.
    @param where: The daemon's address, for the errors.
    @raise NoPhone: There is none; L{UnknownUDID} if one was asked for.
    @raise SeveralPhones: Nothing says which.
    """
    present = list(devices)
    fitting = [device for device in present if _fits(device, udid, network)]
    preferred = [d for d in fitting if _onNetwork(d) is (network is Network.PREFER)]
    candidates = {device.udid: device for device in preferred or fitting}
    if not candidates:
        kind = "phone on USB" if network is Network.NO else "phone"
        raise (NoPhone(where, kind) if udid is None else UnknownUDID(where, udid, kind, present))
    if len(candidates) > 1:
        raise SeveralPhones(where, list(candidates.values()))
    return candidates.popitem()[1]


def _fits(device: Device, udid: str | None, network: Network) -> bool:
    if network is Network.NO and _onNetwork(device):
        return False
    return udid is None or device.matches(udid)


def _onNetwork(device: Device) -> bool:
    return device.connectionType == "Network"
