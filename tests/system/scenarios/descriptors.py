"""
Phones that say different things of themselves.
"""

from __future__ import annotations

from tests.system.contenders import Model
from tests.system.guest.phones import OLD_SERIAL, PhoneSettings
from tests.system.guest.stage import Stage
from tests.system.scenario import Catalogue

SCENARIOS = Catalogue()

MODES = range(1, 5)

MODE_WITHOUT_MUX = 5
"""Direct tethering: one configuration, with Ethernet in it and nothing else."""


@SCENARIOS.scenario("old-serial")
def oldSerial(stage: Stage) -> None:
    """
    A serial number of 40 characters is the UDID as it is; one of 24 has a dash
    in its UDID, as all other scenarios show.
    """
    phone = stage.phone(PhoneSettings(serial=OLD_SERIAL))
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    stage.expect("SerialNumber", OLD_SERIAL, attached.properties["SerialNumber"])
    stage.expect("idevice_id -l", OLD_SERIAL, stage.tool("idevice_id", "-l"))
    stage.echo(attached)


@SCENARIOS.scenario("mux-v1")
def firstVersion(stage: Stage) -> None:
    """
    A phone that speaks the first version of the mux protocol, with its shorter header.
    """
    phone = stage.phone(PhoneSettings(mux=1))
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    stage.echo(attached, 1 << 19)


@SCENARIOS.scenario("modes", models=[Model.MUXD])
def modes(stage: Stage) -> None:
    """
    In each of the modes 1 to 4, which differ in configurations, the mux interface is
    found, and the mode is left as it is; mode 5 has none, which is said in the log.
    """
    stage.daemon.start()
    listener = stage.listener()
    for mode in MODES:
        phone = stage.phone(PhoneSettings(mode=mode))
        stage.echo(stage.attach(phone, listener))
        stage.expect("the mode", mode, phone.tell("stats")["mode"])
        phone.unplug()
        listener.detached(phone.udid)
    phone = stage.phone(PhoneSettings(mode=MODE_WITHOUT_MUX))
    phone.plug()
    stage.device(phone)
    if stage.isMuxd:
        stage.daemon.logged("none of its 1 configurations has an interface 255/254/2")
    stage.expect("the devices", {}, stage.daemon.devices())


@SCENARIOS.scenario("super-speed", models=[Model.MUXD])
def superSpeed(stage: Stage) -> None:
    """
    A phone on a SuperSpeed bus, whose USB packets have 1024 bytes.
    """
    phone = stage.phone(PhoneSettings(speed="super"))
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    stage.expect("ConnectionSpeed", 5_000_000_000, attached.properties["ConnectionSpeed"])
    stage.echo(attached, 1 << 20)
