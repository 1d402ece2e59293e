# -*- test-case-name: tests.status.test_overview -*-
"""
What a daemon is and does, as values for JSON.

Everything is read from plain integers and from what is there when it is asked for: that
costs nothing while there is no question.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from muxd import __version__
from muxd.build import description as buildDescription
from muxd.device.device import MuxedDevice
from muxd.interfaces import AttachedDevice
from muxd.service import MuxService


class Overview:
    """
    The state of one service.
    """

    def __init__(self, service: MuxService, clock: Callable[[], float]) -> None:
        """
        @param clock: Seconds since 1970.
        """
        self._service = service
        self._clock = clock

    def values(self) -> dict[str, Any]:
        """
        All of it.
        """
        service = self._service
        return {
            "version": __version__,
            "build": buildDescription(),
            "pid": os.getpid(),
            "time": round(self._clock(), 3),
            "sources": [
                {"description": source.description, "running": bool(source.running)}
                for source in service.sources
            ],
            "phones": [_phone(attached) for attached in service.registry.everything()],
            "listeners": [{"place": place.description} for place in service.listening],
            "counters": self._counters(),
        }

    def _counters(self) -> dict[str, Any]:
        counters = asdict(self._service.server.counters)
        counters["commands"] = dict(counters["commands"])
        return counters


def _phone(attached: AttachedDevice) -> dict[str, Any]:
    identity = attached.device.identity
    values = {
        "id": attached.deviceID,
        "udid": identity.udid,
        "name": identity.name,
        "product": identity.productID,
        "portPath": identity.portPath,
        "connection": identity.connectionType,
        "simulated": identity.isSimulated,
    }
    if isinstance(attached.device, MuxedDevice):
        values["counters"] = asdict(attached.device.muxer.counters)
    return values
