"""
Bytes, in all sizes that have ever been somebody's edge.
"""

from __future__ import annotations

from tests.system.contenders import Model
from tests.system.guest.clients import exchange, randomBytes
from tests.system.guest.phones import ECHO, SEND, PhoneSettings
from tests.system.guest.stage import Stage
from tests.system.guest.usbmon import Capture, outgoing, zeroLengthFaults
from tests.system.scenario import Catalogue, Failed

SCENARIOS = Catalogue()

HEADERS = 36
"""Of the mux protocol and of the pseudo-TCP in it, in front of each payload."""

USB_PACKET = 512
TRANSFER = 16384
LARGEST = 49152
MEGABYTE = 1 << 20


def around(*edges: int) -> list[int]:
    """
    Sizes one below, at, and one above each edge: of payloads, and of packets with
    their headers.
    """
    return sorted(
        {
            size
            for edge in edges
            for base in (edge, edge - HEADERS)
            for size in (base - 1, base, base + 1)
            if size > 0
        }
    )


@SCENARIOS.scenario("sizes-512")
def sizesOfPackets(stage: Stage) -> None:
    """
    Messages of sizes around each multiple of 512 up to 49152, with and without their
    headers, come back as they were.  By usbmon, each transfer to the phone of
    whole USB packets is followed by an empty one, and no other is.
    """
    _lockstep(stage, around(*range(USB_PACKET, LARGEST + 1, USB_PACKET)))


@SCENARIOS.scenario("sizes-16384")
def sizesOfTransfers(stage: Stage) -> None:
    """
    The same around the multiples of 16384, and so of 49152, up to 147456, which is
    more than a window: such messages are cut into packets.
    """
    _lockstep(stage, around(*range(TRANSFER, 3 * LARGEST + 1, TRANSFER)))


def _lockstep(stage: Stage, sizes: list[int]) -> None:
    """
    One message after the other has come back, so that packets are as long as messages
    as far as the daemon likes.
    """
    phone = stage.phone()
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    device = stage.device(phone)
    capture = Capture(device.bus)
    with stage.daemon.stream(attached.deviceID, ECHO) as stream:
        for size in sizes:
            exchange({stream: randomBytes(size)}, capture.drain)
    sent = outgoing(capture.finish(), device.address)
    whole = [size for size in sent if size and size % USB_PACKET == 0]
    stage.remark(
        f"{len(sizes)} messages, {len(sent)} transfers, {len(whole)} of whole USB packets, "
        f"{sent.count(0)} empty"
    )
    if not whole:
        raise Failed("no transfer was of whole USB packets, so nothing was shown")
    faults = zeroLengthFaults(sent, USB_PACKET)
    if faults:
        raise Failed(f"{len(faults)} faults on the wire, the first: {faults[0]}")


@SCENARIOS.scenario("echo-8M")
def echoMegabytes(stage: Stage) -> None:
    """
    Streams of 1 to 8 MiB, and of one byte less and more, come back with the same hash.
    """
    phone = stage.phone()
    stage.daemon.start()
    attached = stage.attach(phone, stage.listener())
    for size in (
        MEGABYTE - 1,
        MEGABYTE,
        MEGABYTE + 1,
        2 * MEGABYTE,
        4 * MEGABYTE + 1,
        8 * MEGABYTE,
    ):
        stage.echo(attached, size)


@SCENARIOS.scenario("phone-sizes", models=[Model.STANDALONE])
def sizesFromPhone(stage: Stage) -> None:
    """
    What a phone sends in packets that end on and around the edges of a USB packet and of
    a transfer, and then closes, arrives as it was, to the last byte.
    """
    pattern = bytes(range(32, 127))
    stage.daemon.start()
    listener = stage.listener()
    for packet in (USB_PACKET * 4, TRANSFER, TRANSFER + USB_PACKET, LARGEST, 65536):
        phone = stage.phone(PhoneSettings(mtu=packet - HEADERS))
        attached = stage.attach(phone, listener)
        whole = 3 * (packet - HEADERS)
        for size in (whole, whole - 1, whole + 1, *around(USB_PACKET, packet)):
            with stage.daemon.stream(attached.deviceID, SEND) as stream:
                stream.send(b"%d\n" % size)
                expected = (pattern * (size // len(pattern) + 1))[:size]
                if stream.untilClosed() != expected:
                    raise Failed(f"{size} bytes in packets of {packet} came back changed")
        phone.unplug()
        listener.detached(phone.udid)
