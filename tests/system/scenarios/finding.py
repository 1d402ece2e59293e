"""
How a phone that is plugged in is found.
"""

from __future__ import annotations

import grp
import shutil

from muxd.usb.identification import locationID
from tests.system.contenders import Contender
from tests.system.guest.clients import Attached
from tests.system.guest.daemons import PROJECT
from tests.system.guest.phones import Phone
from tests.system.guest.processes import User
from tests.system.guest.stage import Stage
from tests.system.guest.udevices import RULES
from tests.system.guest.waiting import waitFor
from tests.system.scenario import Catalogue, Udev

SCENARIOS = Catalogue()

NOBODY = 65534

CONFIGURATION = 4
"""The one that has everything, of a phone in its initial mode."""


def use(stage: Stage, phone: Phone, attached: Attached) -> None:
    """
    A phone that was announced is the right one and works.
    """
    device = stage.device(phone)
    properties = attached.properties
    stage.expect("ConnectionType", "USB", properties["ConnectionType"])
    stage.expect("ProductID", int(device.read("idProduct"), 16), properties["ProductID"])
    ports = device.ports if stage.daemon.contender.isMuxd else ()
    location = locationID(device.bus, device.address, ports)
    stage.expect("LocationID", location, properties["LocationID"])
    stage.expect("bConfigurationValue", CONFIGURATION, device.configuration)
    stage.expect("the devices", {phone.udid: attached.deviceID}, stage.daemon.devices())
    stage.echo(attached)


@SCENARIOS.scenario("enumeration")
def enumeration(stage: Stage) -> None:
    """
    A phone that is plugged in is listed with what the kernel says of it, is used by
    Debian's tools, and is gone when it is pulled out.

    This one runs C{twistd} as a user does, all others fork what is loaded.
    """
    phone = stage.phone()
    stage.daemon.start(loaded=False)
    listener = stage.listener()
    attached = stage.attach(phone, listener)
    use(stage, phone, attached)
    stage.expect("idevice_id -l", phone.udid, stage.tool("idevice_id", "-l"))
    information = stage.tool("ideviceinfo", "-s")
    stage.expect("ideviceinfo", True, "ProductType: iPhone14,5" in information)
    phone.unplug()
    listener.detached(phone.udid)
    stage.expect("the devices", {}, stage.daemon.devices())


@SCENARIOS.scenario("already-there")
def alreadyThere(stage: Stage) -> None:
    """
    A phone that was there before the daemon is found.
    """
    phone = stage.phone()
    phone.plug()
    stage.device(phone)
    stage.daemon.start()
    use(stage, phone, stage.listener().attached(phone.udid))


@SCENARIOS.scenario("no-udevd", udev=Udev.NOBODY)
def withoutUdevd(stage: Stage) -> None:
    """
    Without udevd, as in a container, phones are found and lost as well, though the
    system's libusb is told of nothing.
    """
    phone = stage.phone()
    stage.daemon.start()
    listener = stage.listener()
    for _ in range(2):
        phone.plug()
        use(stage, phone, listener.attached(phone.udid, stage.patience))
        phone.unplug()
        listener.detached(phone.udid)


@SCENARIOS.scenario("debian-rule", udev=Udev.DAEMON)
def debianRule(stage: Stage) -> None:
    """
    Under the real udevd with the rule of Debian's usbmuxd, which takes a phone's
    configuration away as it arrives, the daemon gives it one.
    """
    phone = stage.phone()
    stage.daemon.start()
    listener = stage.listener()
    for _ in range(3):
        use(stage, phone, stage.attach(phone, listener))
        phone.unplug()
        listener.detached(phone.udid)


@SCENARIOS.scenario("unconfigured")
def unconfigured(stage: Stage) -> None:
    """
    A phone that has no configuration when the daemon starts is given one.
    """
    phone = stage.phone()
    phone.plug()
    device = stage.device(phone)
    waitFor("the kernel to configure it", lambda: device.configuration)
    device.write("bConfigurationValue", 0)
    stage.expect("bConfigurationValue", 0, device.configuration)
    stage.daemon.start()
    use(stage, phone, stage.listener().attached(phone.udid))


@SCENARIOS.scenario(
    "muxd-rule", udev=Udev.DAEMON, exempt={Contender.C: "it is about the rule that comes with muxd"}
)
def ownRule(stage: Stage) -> None:
    """
    With udev/39-muxd.rules in place of Debian's, a daemon that is neither root nor has
    any privilege but the group plugdev may use a phone.
    """
    group = grp.getgrnam("plugdev").gr_gid
    RULES.mkdir(parents=True)
    (RULES / "39-usbmuxd.rules").symlink_to("/dev/null")
    shutil.copy(PROJECT / "udev/39-muxd.rules", RULES)
    phone = stage.phone()
    stage.daemon.start(user=User(NOBODY, NOBODY, (group,)))
    attached = stage.attach(phone, stage.listener())
    use(stage, phone, attached)
    status = stage.device(phone).node.stat()
    stage.expect(
        "the node's group and mode", (group, 0o660), (status.st_gid, status.st_mode & 0o777)
    )
