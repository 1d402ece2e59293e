# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
What clients ask for, more or less well.
"""

from __future__ import annotations

import plistlib
from typing import Any

from muxd.wire.messages import Message
from tests.fuzz.script import Script
from tests.fuzz.wire import CHARGEN, DAYTIME, DISCARD, ECHO

REQUESTS = (
    "ListDevices",
    "Listen",
    "Connect",
    "ReadPairRecord",
    "SavePairRecord",
    "DeletePairRecord",
    "ReadBUID",
    "ListListeners",
    "Nonsense",
)
NAMES = (
    "00008030-0000000000000001",
    "x",
    "../outside",
    "SystemConfiguration",
    "",
    ".SystemBUID",
    "..",
    "/etc/passwd",
    "x\0y",
    "a" * 65,
)
PORTS = (ECHO, DISCARD, DAYTIME, CHARGEN, 1, 62078)


def anyRequest(script: Script) -> Message | None:
    """
    A property list that is a request, as far as it goes; None if it cannot be written.
    """
    name, shape = script.choose(REQUESTS), script.byte()
    values: dict[str, Any] = {"MessageType": name}
    if name == "Connect":
        values["DeviceID"] = script.near()
        values["PortNumber"] = int.from_bytes(script.choose(PORTS).to_bytes(2, "little"), "big")
    elif name == "Listen":
        values["kLibUSBMuxVersion"] = script.near()
        values["ProgName"] = script.piece().decode("latin-1")
    elif "Record" in name:
        own = script.choose((*NAMES, None))
        values["PairRecordID"] = script.piece().decode("latin-1") if own is None else own
        if name == "SavePairRecord":
            values["PairRecordData"] = _recordData(script)
            values["DeviceID"] = script.near()
    form = plistlib.FMT_BINARY if shape & 1 else plistlib.FMT_XML
    try:
        return Message(1, 8, shape, plistlib.dumps(values, fmt=form))
    except ValueError:
        return None


def _recordData(script: Script) -> Any:
    """
    What somebody wants to have saved.
    """
    kind = script.byte() % 3
    if kind == 0:
        return plistlib.dumps({"HostID": "H", "Data": script.piece()})
    return script.piece() if kind == 1 else script.near()
