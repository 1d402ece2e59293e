# -*- test-case-name: tests.client.test_selection -*-
"""
Which of the devices that a daemon knows is meant.

One rule for programs with a reactor and for those without: phones on the network
count only for callers that ask for them, and a cable wins unless the network is
preferred.  No Twisted in here.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from muxd.client.answers import Device
from muxd.client.problems import Errors


class Network(Enum):
    """
    What to think of phones that are reached without a cable (protocol 4.12).
    """

    NO = "no"
    """They do not count, as with libusbmuxd."""

    YES = "yes"
    """They do, but a cable wins."""

    PREFER = "prefer"
    """They win over a cable."""

    @classmethod
    def fromWord(cls, word: str) -> Network:
        """
        Understand what a person typed.

        @raise ValueError: It is none of the three; the text says so.
        """
        try:
            return cls(word)
        except ValueError:
            expected = ", ".join(choice.value for choice in cls)
            raise ValueError(f"expected network to be one of {expected}, got {word!r}") from None


def chooseDevice(
    devices: Iterable[Device], udid: str | None, network: Network, where: str, errors: Errors
) -> Device:
    """
    The one that is meant.

    Of two entries for one phone, both reached in the same way, the later
    counts: the other is about to go.  A daemon may know better: one that it marks as
    doubtful does not count beside one that it does not, and where all are, none is meant.

    @param udid: With or without its dash; None for the only one.
    @param where: The daemon's address, for the errors.
    @param errors: Of which kind they are to be: C{NoPhone} if there is no phone,
        C{UnknownUDID} if there is not the one asked for, C{SeveralPhones} if
        nothing says which, or which of them is the phone.
    """
    present = list(devices)
    fitting = [device for device in present if fits(device, udid, network)]
    preferred = [d for d in fitting if onNetwork(d) is (network is Network.PREFER)]
    reached = preferred or fitting
    candidates = {device.udid: device for device in sorted(reached, key=_isSure)}
    if not candidates:
        kind = "phone on USB" if network is Network.NO else "phone"
        if udid is None:
            raise errors.NoPhone(where, kind, present)
        raise errors.UnknownUDID(where, udid, kind, present)
    if len(candidates) > 1:
        raise errors.SeveralPhones(where, list(candidates.values()))
    chosen = candidates.popitem()[1]
    if chosen.isDoubtful:
        raise errors.SeveralPhones(where, [chosen])
    return chosen


def _isSure(device: Device) -> bool:
    return not device.isDoubtful


def fits(device: Device, udid: str | None, network: Network) -> bool:
    """
    Whether this device could be the one that is meant.
    """
    if network is Network.NO and onNetwork(device):
        return False
    return udid is None or device.matches(udid)


def onNetwork(device: Device) -> bool:
    """
    Whether it is reached without a cable.
    """
    return device.connectionType == "Network"
