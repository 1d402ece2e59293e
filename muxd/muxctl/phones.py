# -*- test-case-name: tests.muxctl.test_phones -*-
"""
C{muxctl list}, C{watch}, C{listeners} and C{buid}: what a daemon knows.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, astuple

from muxd.client import blocking
from muxd.client.blocking import Attached, Detached, Device, Event
from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.errors import NOT_THERE
from muxd.muxctl.reader import endWithReader
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable


def listPhones(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl list}.

    @return: 1 if a phone was named that is not there.
    """
    devices = [
        device
        for device in blocking.devices(options.timeout or blocking.ANSWER, address=terminal.address)
        if isMeant(device, options.udid)
    ]
    if options.long:
        showDetails(devices, options, terminal)
    else:
        showDevices(devices, terminal)
    if not devices:
        named = "" if options.udid is None else f" {options.udid}"
        terminal.remark(f"no phone{named} is attached")
        return NOT_THERE if named else 0
    return 0


def showDevices(devices: Sequence[Device], terminal: Terminal) -> None:
    """
    Print what the daemon says of phones.
    """
    if terminal.json:
        terminal.show(jsonLine(asdict(device)) for device in devices)
    else:
        heading = ("UDID", "CONNECTION", "PRODUCT", "ID", "LOCATION")
        terminal.show(table(heading, [_row(device) for device in devices]))


def showDetails(devices: Sequence[Device], options: Namespace, terminal: Terminal) -> None:
    """
    Print what the phones say of themselves as well.
    """
    # Only this needs threads, and what speaks to phones.
    from muxd.muxctl.details import detailsOf

    found = detailsOf(devices, options.timeout or blocking.ANSWER, terminal.address)
    both = list(zip(devices, found, strict=True))
    if terminal.json:
        terminal.show(jsonLine(asdict(device) | asdict(details)) for device, details in both)
        return
    heading = ("UDID", "CONNECTION", "NAME", "MODEL", "IOS", "TRUST")
    rows = [
        (device.udid, device.connectionType, *(part or "-" for part in astuple(details)))
        for device, details in both
    ]
    terminal.show(table(heading, rows))


def watchPhones(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl watch}: until interrupted, or as long as C{--timeout} says.
    """
    endWithReader(terminal.stdout)
    events = blocking.watch(
        options.timeout,
        reconnect=True,
        lost=lambda error: terminal.remark(f"{error}; waiting for it"),
        address=terminal.address,
    )
    with closing(events):
        for event in events:
            if isMeant(event.device, options.udid):
                terminal.show([(_json if terminal.json else _sentence)(event)])
    return 0


def listListeners(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl listeners}.
    """
    listeners = blocking.listeners(options.timeout or blocking.ANSWER, address=terminal.address)
    if terminal.json:
        terminal.show(jsonLine(asdict(listener)) for listener in listeners)
        return 0
    heading = ("ID", "PROGRAM", "BUNDLE", "VERSION")
    rows = [
        (listener.listenerID, listener.program, listener.bundleID, str(listener.version))
        for listener in listeners
    ]
    terminal.show(table(heading, rows))
    return 0


def showBUID(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl buid}.
    """
    buid = blocking.buid(options.timeout or blocking.ANSWER, address=terminal.address)
    terminal.show([jsonLine({"buid": buid}) if terminal.json else printable(buid, None)])
    return 0


def isMeant(device: Device, udid: str | None) -> bool:
    """
    Whether this is the phone that was named, if one was.
    """
    return udid is None or device.matches(udid)


def _row(device: Device) -> tuple[str, ...]:
    product = f"0x{device.productID:04x}" if device.productID else "-"
    location = device.portPath or (f"0x{device.locationID:08x}" if device.locationID else "-")
    return (device.udid, device.connectionType, product, str(device.deviceID), location)


def _kind(event: Event) -> str:
    match event:
        case Attached():
            return "attached"
        case Detached():
            return "detached"
        case _:
            return "paired"


def _json(event: Event) -> str:
    return jsonLine({"event": _kind(event), **asdict(event.device)})


def _sentence(event: Event) -> str:
    device = event.device
    text = f"{_kind(event):8}  {device.udid}  {device.connectionType}  id {device.deviceID}"
    return printable(text, None)
