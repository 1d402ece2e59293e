"""
Phones that come and go, and daemons that do.
"""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from pathlib import Path

from tests.system.guest.bus import NODES
from tests.system.guest.clients import Attached, Listener, exchange, randomBytes
from tests.system.guest.phones import CHARGEN, DISCARD, ECHO, NEW_SERIAL, Phone, PhoneSettings
from tests.system.guest.processes import Footprint
from tests.system.guest.stage import Stage
from tests.system.guest.waiting import PATIENCE, waitFor
from tests.system.scenario import Catalogue, Failed

SCENARIOS = Catalogue()

REPLUGS = 50
WARM_UP = 5
FLAPS = 40
FLAP = 0.08
"""Seconds."""

SYSTEM = "/sys/"
"""Where the kernel tells of its buses."""

RESTING = 8
"""So many looks at what a daemon holds, more than a second in all, see the same at rest."""


def pull(phone: Phone, way: int) -> None:
    """
    End a phone's stay in one of the ways that there are: the cable is pulled out and
    the controller knows, or transfers fail first, or the kernel lets go.
    """
    if way % 3 == 2:
        phone.tell("detach")
    else:
        phone.unplug(errno.EPROTO if way % 3 else 0)


@SCENARIOS.scenario("replug-50")
def replug(stage: Stage) -> None:
    """
    50 times plugged in, used and pulled out in different ways, and the daemon
    has as many open files and threads as before.
    """
    phone = stage.phone()
    stage.daemon.start()
    listener = stage.listener()

    def once(way: int) -> None:
        stage.echo(stage.attach(phone, listener), 2048)
        pull(phone, way)
        listener.detached(phone.udid)

    for way in range(WARM_UP):
        once(way)
    before = _atRest(stage)
    for way in range(REPLUGS):
        once(way)

    after = _settled(stage, before)
    stage.remark(
        f"{len(after.descriptors)} files, {after.threads} threads, "
        f"{before.resident} kB before and {after.resident} kB after"
    )


@SCENARIOS.scenario("unplug-busy")
def unplugBusy(stage: Stage) -> None:
    """
    A phone that is pulled out in the middle of transfers in both directions ends its
    streams, and no others: another phone's goes on, and it can be plugged in again.
    """
    phone = stage.phone()
    other = stage.phone(PhoneSettings(serial=otherSerial(1)))
    stage.daemon.start()
    listener = stage.listener()
    untouched = stage.attach(other, listener)
    with stage.daemon.stream(untouched.deviceID, ECHO) as survivor:
        for error in (errno.EPROTO, 0, errno.EPROTO):
            attached = stage.attach(phone, listener)
            _pullInTheMiddle(stage, phone, attached, listener, error)
            exchange({survivor: randomBytes(20000)})
        stage.echo(stage.attach(phone, listener))
    stage.expect("events that were not expected", [], listener.pending())


def _pullInTheMiddle(
    stage: Stage, phone: Phone, attached: Attached, listener: Listener, error: int
) -> None:
    connect = stage.daemon.stream
    with connect(attached.deviceID, CHARGEN) as down, connect(attached.deviceID, DISCARD) as up:
        down.receive(100_000)
        up.socket.setblocking(False)
        # The phone takes nothing any more, so there is something in the middle.
        phone.tell("hold")
        try:
            while True:
                up.socket.send(bytes(65536))
        except BlockingIOError:
            pass
        phone.unplug(error)
        listener.detached(phone.udid)
        up.socket.settimeout(PATIENCE)
        for each in (down, up):
            each.untilClosed()


@SCENARIOS.scenario("flapping")
def flapping(stage: Stage) -> None:
    """
    A loose contact: 40 times plugged in and pulled out at any moment of what the daemon
    does with a new phone, and used when it stays in; nothing is held for good.
    """
    phone = stage.phone()
    stage.daemon.start()
    listener = stage.listener()
    before = _unused(stage, phone, listener)
    for number in range(FLAPS):
        phone.plug()
        time.sleep(FLAP * (number % 8))
        pull(phone, number)
    phone.plug()
    waitFor("the phone to work", lambda: _works(stage, phone))
    phone.unplug()
    waitFor("the phone to be gone", lambda: not stage.daemon.devices())
    listener.close()
    _settled(stage, before)


def _unused(stage: Stage, phone: Phone, listener: Listener) -> Footprint:
    """
    What the daemon holds when a phone has been there, without its listener.
    """
    for way in range(3):
        stage.echo(stage.attach(phone, listener), 2048)
        pull(phone, way)
        listener.detached(phone.udid)
    footprint = _atRest(stage)
    descriptors = list(footprint.descriptors)
    descriptors.remove("socket:")
    return replace(footprint, descriptors=tuple(descriptors))


def _atRest(stage: Stage) -> Footprint:
    """
    What the daemon holds when it has given back the last phone, which is some time
    after clients were told that it is gone, and has nothing to do: at several looks the
    same, none of which saw it reading what the kernel knows of a bus.
    """
    looks: list[Footprint] = []

    def atRest() -> Footprint | None:
        footprint = stage.daemon.footprint()
        if looks and not footprint.isLike(looks[-1]):
            looks.clear()
        if any(each.startswith((str(NODES), SYSTEM)) for each in footprint.descriptors):
            return None
        looks.append(footprint)
        return footprint if len(looks) > RESTING else None

    return waitFor("the daemon to let go of the phone and rest", atRest)


def _settled(stage: Stage, before: Footprint) -> Footprint:
    """
    What the daemon holds when it is no more than before.

    @raise Failed: It stays more.
    """

    def settled() -> Footprint | None:
        now = stage.daemon.footprint()
        return now if now.isWithin(before) else None

    try:
        return waitFor("it", settled)
    except Failed:
        raise Failed(f"grown from {before} to {stage.daemon.footprint()}") from None


def _works(stage: Stage, phone: Phone) -> bool:
    """
    Whether it is there and answers; it may be listed by a number that is about to end.
    """
    deviceID = stage.daemon.devices().get(phone.udid)
    if deviceID is None:
        return False
    try:
        with stage.daemon.stream(deviceID, ECHO) as stream:
            exchange({stream: randomBytes(100)})
    except Failed:
        return False
    return True


@SCENARIOS.scenario("four-phones")
def fourPhones(stage: Stage) -> None:
    """
    Four phones at once, each of which gets its own data back while all are busy; one
    that is pulled out is not missed by the others.
    """
    phones = [stage.phone(PhoneSettings(serial=otherSerial(each))) for each in range(4)]
    stage.daemon.start()
    listener = stage.listener()
    for phone in phones:
        phone.plug()
    attached = [listener.attached(phone.udid) for phone in phones]
    stage.expect("different numbers", 4, len({each.deviceID for each in attached}))
    streams = [stage.daemon.stream(each.deviceID, ECHO) for each in attached]
    exchange({stream: randomBytes(1 << 18) for stream in streams})
    phones[1].unplug()
    listener.detached(phones[1].udid)
    rest = [*streams[:1], *streams[2:]]
    exchange({stream: randomBytes(1 << 18) for stream in rest})
    for stream in streams:
        stream.close()
    expected = {phone.udid for phone in [*phones[:1], *phones[2:]]}
    stage.expect("the devices", expected, set(stage.daemon.devices()))


@SCENARIOS.scenario("little-memory")
def littleMemory(stage: Stage) -> None:
    """
    Where usbfs lends a megabyte to all transfers together, which is less than four phones
    want for reading ahead, each of four gets its data back all the same.
    """
    limit = Path("/sys/module/usbcore/parameters/usbfs_memory_mb")
    before = limit.read_text()
    limit.write_text("1")
    try:
        phones = [stage.phone(PhoneSettings(serial=otherSerial(each))) for each in range(4)]
        stage.daemon.start()
        listener = stage.listener()
        attached = [stage.attach(phone, listener) for phone in phones]
        streams = [stage.daemon.stream(each.deviceID, ECHO) for each in attached]
        exchange({stream: randomBytes(1 << 18) for stream in streams})
        for stream in streams:
            stream.close()
    finally:
        limit.write_text(before)


@SCENARIOS.scenario("killed")
def killed(stage: Stage) -> None:
    """
    A daemon that is killed in the middle of a download is started again, with
    its socket and its half read packets lying about, and serves the phone that
    is still plugged in.
    """
    phone = stage.phone()
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    for _ in range(3):
        with stage.daemon.stream(attached.deviceID, CHARGEN) as down:
            down.receive(200_000)
            stage.daemon.kill()
        stage.daemon.start()
        attached = stage.listener().attached(phone.udid)
        stage.echo(attached)


def otherSerial(number: int) -> str:
    """
    A serial number of its own for each phone.
    """
    return f"{int(NEW_SERIAL, 16) + number:024X}"
