# -*- test-case-name: tests.client.test_lookup -*-
"""
Which of the phones that are there is meant.
"""

from __future__ import annotations

from collections.abc import Iterable

from muxd.client.answers import Device
from muxd.client.socketerrors import NoPhone, SeveralPhones

WAYS = {None: "", True: " on the network", False: " on USB"}


def chooseDevice(
    devices: Iterable[Device], udid: str | None = None, network: bool | None = None
) -> Device:
    """
    The one device that is meant.

    A cable wins over the network, as in all clients (protocol 4.12).  Of two
    entries for one phone the later counts: the other is about to go.

    @param udid: With or without its dash; None for the only phone.
    @param network: True for phones on the network only, False for those on USB
        only, None for either.
    @raise NoPhone: None fits; the text says what there is instead.
    @raise SeveralPhones: More than one, and no UDID was given.
    """
    present = list(devices)
    fitting = [device for device in present if fits(device, udid, network)]
    cabled = [device for device in fitting if not onNetwork(device)]
    candidates = cabled or fitting
    if not candidates:
        raise NoPhone(_absence(present, udid, network))
    udids = sorted({device.udid for device in candidates})
    if len(udids) > 1:
        raise SeveralPhones(
            f"{len(udids)} phones are there, say which by its UDID: {', '.join(udids)}", udids
        )
    return candidates[-1]


def fits(device: Device, udid: str | None, network: bool | None) -> bool:
    """
    Whether this device could be the one that is meant.
    """
    if network is not None and onNetwork(device) is not network:
        return False
    return udid is None or device.matches(udid)


def onNetwork(device: Device) -> bool:
    """
    Whether it is reached without a cable.
    """
    return device.connectionType == "Network"


def _absence(present: list[Device], udid: str | None, network: bool | None) -> str:
    wanted = "no phone is attached" if udid is None else f"no phone {udid} is attached"
    others = ", ".join(f"{device.udid} ({device.connectionType})" for device in present)
    return wanted + WAYS[network] + (f"; there is {others}" if others else "")
