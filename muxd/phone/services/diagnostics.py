# -*- test-case-name: tests.phone.services.test_diagnostics -*-
"""
C{com.apple.mobile.diagnostics_relay}: the battery, the registry of hardware, answers of
MobileGestalt; restart, shutdown and sleep.

What is told stands in the dump of the phone's values under the name L{DOMAIN}, which no host sees:
keys C{GasGauge}, C{WiFi}, C{NAND}, C{IORegistry} (by class, name or plane) and C{MobileGestalt};
where it does not, in L{USUAL}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import Message
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.requests import RequestService

DOMAIN = "muxd.diagnostics"

BATTERY: Mapping[str, Any] = {
    "AbsoluteCapacity": 2480,
    "AdapterDetails": {"Description": "usb host", "Voltage": 5000, "Watts": 2},
    "AppleRawCurrentCapacity": 2480,
    "AppleRawMaxCapacity": 3100,
    "AtCriticalLevel": False,
    "BatteryInstalled": True,
    "BootVoltage": 4050,
    "CurrentCapacity": 80,
    "CycleCount": 100,
    "DesignCapacity": 3240,
    "ExternalChargeCapable": True,
    "ExternalConnected": True,
    "FullyCharged": False,
    "InstantAmperage": 450,
    "IsCharging": True,
    "MaxCapacity": 100,
    "NominalChargeCapacity": 3110,
    "Serial": "SIMULATED",
    "Temperature": 2950,
    "TimeRemaining": 60,
    "UpdateTime": 0,
    "Voltage": 4100,
}

USUAL: Mapping[str, Mapping[str, Any]] = {
    "GasGauge": {
        "CycleCount": 100,
        "DesignCapacity": 3240,
        "FullChargeCapacity": 3100,
        "Status": 0,
    },
    "WiFi": {"Active": "true", "Status": "Success"},
    "NAND": {"Status": "Success"},
    "IORegistry": {
        "IOPMPowerSource": BATTERY,
        "AppleSmartBattery": BATTERY,
        "IOService": {"name": "Root", "class": "IORegistryEntry", "children": []},
        "IODeviceTree": {"name": "Root", "class": "IORegistryEntry", "children": []},
        "IOPower": {"name": "Root", "class": "IORegistryEntry", "children": []},
    },
    "MobileGestalt": {},
}

DEPRECATED = (17, 4)
"""The system that answers nothing of MobileGestalt any more, and those after it."""


class DiagnosticsRelay(RequestService):
    """
    One host.
    """

    def __init__(
        self,
        values: PhoneValues,
        restart: Callable[[], object],
        shutDown: Callable[[], object],
        sleep: Callable[[], object],
    ) -> None:
        """
        @param restart: Restarts the phone.
        @param shutDown: Has it leave the bus and not come back.
        @param sleep: Darkens its screen.
        """
        self._values = values
        self._actions = {"Restart": restart, "Shutdown": shutDown, "Sleep": sleep}
        self._later: Callable[[], object] | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone: it may have wanted something for now.
        """
        later, self._later = self._later, None
        if later is not None:
            later()

    def ask_Goodbye(self, request: Message) -> None:
        """
        The host leaves.
        """
        self.sendValues({"Status": "Success"})
        self.close()

    def ask_All(self, request: Message) -> Message:
        """
        Everything but the registry.
        """
        return self._told("GasGauge", "NAND", "WiFi")

    def ask_GasGauge(self, request: Message) -> Message:
        """
        The battery.
        """
        return self._told("GasGauge")

    def ask_WiFi(self, request: Message) -> Message:
        """
        The radio.
        """
        return self._told("WiFi")

    def ask_NAND(self, request: Message) -> Message:
        """
        The memory.
        """
        return self._told("NAND")

    def ask_IORegistry(self, request: Message) -> Message:
        """
        An entry of the registry: by class, by name, or a plane of it.
        """
        registry = self._found("IORegistry")
        for key in ("EntryClass", "EntryName", "CurrentPlane"):
            name = request.get(key)
            if isinstance(name, str) and name:
                if name not in registry:
                    # No error, and nothing else.
                    return {"Status": "Success"}
                return self._success({"IORegistry": registry[name]})
        return self._success({"IORegistry": registry.get("IOService", {})})

    def ask_MobileGestalt(self, request: Message) -> Message:
        """
        Answers by their names.
        """
        if _version(self._values.get("ProductVersion")) >= DEPRECATED:
            return self._success({"MobileGestalt": {"Status": "MobileGestaltDeprecated"}})
        answers: dict[str, Any] = {"Status": "Success"}
        given = self._found("MobileGestalt")
        keys = request.get("MobileGestaltKeys")
        for key in keys if isinstance(keys, list) else ():
            value = given.get(key) if isinstance(key, str) else None
            if value is None and isinstance(key, str):
                value = self._values.get(key)
            if value is not None:
                answers[key] = value
        return self._success({"MobileGestalt": answers})

    def ask_Restart(self, request: Message) -> Message:
        """
        Restart.
        """
        return self._act(request)

    ask_Shutdown = ask_Sleep = ask_Restart

    def unknown(self, message: Message) -> Message:
        """
        What is not done here.
        """
        return {"Status": "UnknownRequest"}

    def _act(self, request: Message) -> Message:
        action = self._actions[request["Request"]]
        if request.get("WaitForDisconnect") is True:
            self._later = action
        else:
            action()
        return {"Status": "Success"}

    def _told(self, *names: str) -> Message:
        return self._success({name: dict(self._found(name)) for name in names})

    def _success(self, diagnostics: dict[str, Any]) -> Message:
        return {"Status": "Success", "Diagnostics": diagnostics}

    def _found(self, name: str) -> Mapping[str, Any]:
        given = self._values.hidden(DOMAIN).get(name)
        return given if isinstance(given, dict) else USUAL[name]


def _version(text: object) -> tuple[int, ...]:
    parts = str(text).split(".")
    return tuple(int(part) for part in parts if part.isascii() and part.isdecimal())
