"""
What the kernel and other programs do to a phone while the daemon wants it.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

from tests.system.guest.clients import exchange, randomBytes
from tests.system.guest.phones import ECHO
from tests.system.guest.processes import User
from tests.system.guest.stage import Stage
from tests.system.guest.waiting import waitFor
from tests.system.scenario import Catalogue, Failed
from tests.system.scenarios.finding import NOBODY, use

SCENARIOS = Catalogue()

_CLAIM = """\
import sys, usb.core, usb.util
configuration, interface = map(int, sys.argv[1:])
device = usb.core.find(idVendor=0x05ac)
if device.get_active_configuration().bConfigurationValue != configuration:
    device.set_configuration(configuration)
usb.util.claim_interface(device, interface)
print("claimed", flush=True)
sys.stdin.read()
"""

_RESET = "import usb.core; usb.core.find(idVendor=0x05ac).reset()"


@SCENARIOS.scenario("stall")
def stall(stage: Stage) -> None:
    """
    A phone that stalls its bulk IN endpoint is used again, whether that takes a cleared
    stall or a new beginning; and so a second and a third time.
    """
    phone = stage.phone()
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    stage.echo(attached)
    for _ in range(3):
        phone.tell("halt")
        _worksAgain(stage, phone.udid)


@SCENARIOS.scenario("held")
def held(stage: Stage) -> None:
    """
    A phone whose mux interface another program holds is reported, with that program's
    name and number, and used as soon as that program lets go.
    """
    _hold(stage, configuration=4, interface=1)


@SCENARIOS.scenario("held-camera")
def heldCamera(stage: Stage) -> None:
    """
    So is one whose camera a program holds in the configuration that a kernel chooses, which
    keeps all programs from choosing the one with a mux interface.
    """
    _hold(stage, configuration=1, interface=0)


def _hold(stage: Stage, configuration: int, interface: int) -> None:
    phone = stage.phone()
    phone.plug()
    device = stage.device(phone)
    waitFor("the kernel to configure it", lambda: device.configuration)
    holder = subprocess.Popen(
        [sys.executable, "-c", _CLAIM, str(configuration), str(interface)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None and holder.stdout is not None
    stage.expect("the holder", b"claimed\n", holder.stdout.readline())
    stage.daemon.start()
    listener = stage.listener()
    if stage.isMuxd:
        name = Path("/proc", str(holder.pid), "comm").read_text().strip()
        stage.daemon.logged(rf"in use by {name} \(pid {holder.pid}\)")
    else:
        time.sleep(1)
    stage.expect("the devices", {}, stage.daemon.devices())
    holder.stdin.close()
    holder.wait()
    use(stage, phone, listener.attached(phone.udid, stage.patience))


@SCENARIOS.scenario("permission")
def permission(stage: Stage) -> None:
    """
    A daemon that may not open the phone says which udev rule is missing, and uses
    the phone as soon as it may.
    """
    phone = stage.phone()
    stage.daemon.start(user=User(NOBODY, NOBODY))
    listener = stage.listener()
    phone.plug()
    node = stage.device(phone).node
    if stage.isMuxd:
        stage.daemon.logged(rf"no permission for {node}: copy udev/39-muxd\.rules")
    else:
        stage.daemon.logged("Could not open device")
    node.chmod(0o666)
    use(stage, phone, listener.attached(phone.udid, stage.patience))


@SCENARIOS.scenario("no-node")
def withoutNode(stage: Stage) -> None:
    """
    Where there is no file for a phone in /dev/bus/usb, as in a container that was not
    given any, that is said, and the phone is used as soon as there is one.
    """
    phone = stage.phone()
    phone.plug()
    node = stage.device(phone).node
    number = node.stat().st_rdev
    node.unlink()
    stage.daemon.start()
    listener = stage.listener()
    if stage.isMuxd:
        stage.daemon.logged(f"there is no {node}: if this is a container")
    else:
        time.sleep(1)
    os.mknod(node, stat.S_IFCHR | 0o664, number)
    use(stage, phone, listener.attached(phone.udid, stage.patience))


@SCENARIOS.scenario("reset")
def reset(stage: Stage) -> None:
    """
    A phone that another program resets, which takes it from the daemon, is
    used again.
    """
    phone = stage.phone()
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    with stage.daemon.stream(attached.deviceID, ECHO) as stream:
        exchange({stream: randomBytes(1000)})
        subprocess.run([sys.executable, "-c", _RESET], check=True)
        _worksAgain(stage, phone.udid)


@SCENARIOS.scenario("deauthorized")
def deauthorized(stage: Stage) -> None:
    """
    A phone that the kernel is told to keep from all programs, which is what remains of it in
    some suspends, is used again when it is allowed.
    """
    phone = stage.phone()
    stage.daemon.start()
    listener = stage.listener()
    attached = stage.attach(phone, listener)
    device = stage.device(phone)
    stage.echo(attached)
    device.write("authorized", 0)
    listener.detached(phone.udid)
    device.write("authorized", 1)
    use(stage, phone, listener.attached(phone.udid, stage.patience))


@SCENARIOS.scenario("suspend")
def suspend(stage: Stage) -> None:
    """
    A phone that the kernel has suspended, as no program had it open, is woken up and
    used, and stays awake; a system that tries to sleep, which freezes the daemon and
    thaws it, does not end a stream.

    vhci_hcd refuses to sleep as long as something is plugged in, so no bus with
    a phone on it is ever suspended here: the kernel gives up in the middle.
    """
    phone = stage.phone()
    phone.plug()
    device = stage.device(phone)
    device.write("power/autosuspend_delay_ms", 0)
    device.write("power/control", "auto")
    waitFor("the phone to sleep", lambda: device.read("power/runtime_status") == "suspended")
    stage.daemon.start()
    attached = stage.listener().attached(phone.udid)
    use(stage, phone, attached)
    with stage.daemon.stream(attached.deviceID, ECHO) as stream:
        time.sleep(2)
        stage.expect("runtime_status", "active", device.read("power/runtime_status"))
        for _ in range(3):
            Path("/sys/power/pm_test").write_text("devices")
            try:
                Path("/sys/power/state").write_text("freeze")
            except OSError as error:
                stage.expect("why the system does not sleep", errno.EBUSY, error.errno)
            exchange({stream: randomBytes(10000)})


def _worksAgain(stage: Stage, udid: str) -> None:
    """
    Sooner or later, by whatever number it has then.
    """
    failures: list[str] = []

    def works() -> bool:
        deviceID = stage.daemon.devices().get(udid)
        if deviceID is None:
            failures.append("it is not listed")
            return False
        try:
            with stage.daemon.stream(deviceID, ECHO) as stream:
                stream.socket.settimeout(30)
                stream.send(b"hello")
                return stream.receive(5) == b"hello"
        except Failed as error:
            failures.append(str(error))
            return False

    try:
        waitFor("the phone to work again", works, stage.patience)
    except Failed as error:
        raise Failed(f"{error}: {failures[-1]}") from None
