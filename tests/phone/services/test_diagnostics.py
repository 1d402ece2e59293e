"""
Tests of L{muxd.phone.services.diagnostics}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.dumps import modelDump
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.diagnostics import DOMAIN, DiagnosticsRelay
from tests.phone.services.hosts import PlistHost


class DiagnosticsTests(SynchronousTestCase):
    """
    Tests of L{DiagnosticsRelay}.
    """

    def setUp(self) -> None:
        """
        Connect to the usual phone.
        """
        self.done: list[str] = []
        self.connect()

    def connect(self, version: str = "15.4.1", **given: Any) -> None:
        """
        Connect to a phone that says this.
        """
        dump = {**modelDump("iphone-ios15"), DOMAIN: given}
        values = PhoneValues(Clock(), "U", "x", dump, {"ProductVersion": version})
        self.values = values
        self.host = PlistHost(
            DiagnosticsRelay(
                values,
                lambda: self.done.append("restart"),
                lambda: self.done.append("shut down"),
                lambda: self.done.append("sleep"),
            )
        )

    def told(self, **request: Any) -> dict[str, Any]:
        """
        What is told.
        """
        answer = self.host.ask(**request)
        self.assertEqual(answer["Status"], "Success")
        diagnostics: dict[str, Any] = answer["Diagnostics"]
        return diagnostics

    def test_told(self) -> None:
        """
        Of the battery, the memory and the radio there is something to tell, alone and together.
        """
        self.assertEqual(self.told(Request="GasGauge")["GasGauge"]["CycleCount"], 100)
        self.assertEqual(set(self.told(Request="All")), {"GasGauge", "NAND", "WiFi"})
        for name in ("WiFi", "NAND"):
            self.assertEqual(set(self.told(Request=name)), {name})

    def test_registry(self) -> None:
        """
        The registry is asked for by class, by name or by plane.
        """
        for request in (
            {"EntryClass": "IOPMPowerSource"},
            {"EntryName": "AppleSmartBattery", "EntryClass": ""},
        ):
            answer = self.told(Request="IORegistry", **request)
            self.assertEqual(answer["IORegistry"]["Voltage"], 4100)
        self.assertIn("name", self.told(Request="IORegistry", CurrentPlane="IOPower")["IORegistry"])
        self.assertIn("children", self.told(Request="IORegistry")["IORegistry"])
        answer = self.host.ask(Request="IORegistry", EntryName="none")
        self.assertEqual(answer, {"Status": "Success"})

    def test_gestalt(self) -> None:
        """
        What lockdownd knows, MobileGestalt knows; not any more on a new system.
        """
        keys = ["ProductType", "None", 7]
        self.assertEqual(
            self.told(Request="MobileGestalt", MobileGestaltKeys=keys)["MobileGestalt"],
            {"Status": "Success", "ProductType": "iPhone14,5"},
        )
        for version, status in (("17.3", "Success"), ("17.4.1", "MobileGestaltDeprecated")):
            self.connect(version)
            answer = self.told(Request="MobileGestalt")["MobileGestalt"]
            self.assertEqual(answer["Status"], status)

    def test_given(self) -> None:
        """
        A dump may say what is told, which no host sees as values.
        """
        self.connect(GasGauge={"CycleCount": 7}, MobileGestalt={"Colour": "red"})
        self.assertEqual(self.told(Request="GasGauge"), {"GasGauge": {"CycleCount": 7}})
        answer = self.told(Request="MobileGestalt", MobileGestaltKeys=["Colour"])
        self.assertEqual(answer["MobileGestalt"]["Colour"], "red")
        self.assertEqual(self.values.domain(DOMAIN, isTrusted=True), {})

    def test_actions(self) -> None:
        """
        The phone does what it is asked for, at once or when the host has gone.
        """
        for name in ("Restart", "Shutdown", "Sleep"):
            self.assertEqual(self.host.ask(Request=name), {"Status": "Success"})
        self.assertEqual(self.done, ["restart", "shut down", "sleep"])
        self.host.ask(Request="Restart", WaitForDisconnect=True)
        self.assertEqual(len(self.done), 3)
        self.host.service.connectionLost(connectionDone)
        self.assertEqual(self.done[3:], ["restart"])

    def test_end(self) -> None:
        """
        It knows a farewell, and says what it does not know.
        """
        self.assertEqual(self.host.ask(Request="Dance"), {"Status": "UnknownRequest"})
        self.assertEqual(self.host.ask(Request="Goodbye"), {"Status": "Success"})
        self.assertTrue(self.host.transport.disconnecting)
