"""
Trust, with the unmodified tools.
"""

from __future__ import annotations

from tests.system.contenders import Model
from tests.system.guest.clients import runTool
from tests.system.guest.phones import PhoneSettings
from tests.system.guest.stage import Stage
from tests.system.guest.waiting import waitFor
from tests.system.scenario import Catalogue

SCENARIOS = Catalogue()


@SCENARIOS.scenario("pair", models=[Model.MUXD])
def pair(stage: Stage) -> None:
    """
    C{idevicepair pair} pairs with a phone whose owner agrees, and C{ideviceinfo}
    reads over TLS what a phone tells only hosts that it trusts.
    """
    phone = stage.phone(PhoneSettings(trust="accept"))
    stage.daemon.start()
    stage.attach(phone, stage.listener())
    # It is told of the dialog first, and has to ask again when the owner has tapped.
    waitFor(
        "idevicepair pair",
        lambda: runTool(stage.daemon.environment, "idevicepair", "pair").returncode == 0,
    )
    stage.expect(
        "idevicepair validate",
        f"SUCCESS: Validated pairing with device {phone.udid}",
        stage.tool("idevicepair", "validate"),
    )
    information = stage.tool("ideviceinfo")
    stage.expect("SerialNumber in ideviceinfo", True, "SerialNumber: " in information)


@SCENARIOS.scenario("preflight", models=[Model.MUXD])
def preflight(stage: Stage) -> None:
    """
    A daemon that asks phones for their trust itself, lists one whose owner agrees, and has
    the pair record that tools use.
    """
    phone = stage.phone(PhoneSettings(trust="accept"))
    stage.daemon.start(preflight=True)
    stage.attach(phone, stage.listener())
    if stage.isMuxd:
        stage.daemon.logged(r"trusts this computer|paired")
    stage.expect("SerialNumber", True, "SerialNumber: " in stage.tool("ideviceinfo"))
