"""
A phone on a gadget of Linux, within the virtual machine: its endpoints are files of FunctionFS, and
behind them is the strict muxer.  The kernel's USB device controller is C{dummy_hcd}, as
C{usbip-host} does not export what is on C{vhci_hcd}.
"""

from __future__ import annotations

import os
import queue
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.mux.muxer import PhoneMuxer
from muxd.phone.services.inet import inetServices

DESCRIPTORS, STRINGS = 3, 2
"""The magic numbers of FunctionFS."""

SPEEDS = {1: 64, 2: 512}
"""The flags of full and high speed, and the size of bulk packets."""

SETUP = 4
READ = 65536


def descriptors() -> bytes:
    """
    The mux interface, at each speed.
    """
    bodies = [
        struct.pack("<9B", 9, 4, 0, 0, 2, 255, 254, 2, 1)
        + b"".join(struct.pack("<BBBBHB", 7, 5, each, 2, size, 0) for each in (MUX_OUT, MUX_IN))
        for size in SPEEDS.values()
    ]
    counts = struct.pack(f"<{len(bodies)}I", *([3] * len(bodies)))
    length = 12 + len(counts) + sum(map(len, bodies))
    return struct.pack("<3I", DESCRIPTORS, length, sum(SPEEDS)) + counts + b"".join(bodies)


def strings() -> bytes:
    """
    The interface's name, in English.
    """
    text = struct.pack("<H", 0x409) + b"Apple USB Multiplexor\0"
    return struct.pack("<4I", STRINGS, 16 + len(text), 1, 1) + text


class Gadget:
    """
    The phone.
    """

    def __init__(self, reactor: Any, directory: Path) -> None:
        self._reactor = reactor
        self._packets: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.muxer = PhoneMuxer(reactor, self._packets.put, inetServices())
        self._control = os.open(directory / "ep0", os.O_RDWR)
        os.write(self._control, descriptors())
        os.write(self._control, strings())
        self._out = os.open(directory / "ep1", os.O_RDWR)
        self._in = os.open(directory / "ep2", os.O_RDWR)
        for work in (self._read, self._write, self._answer):
            threading.Thread(target=self._forever, args=[work], daemon=True).start()

    def _forever(self, work: Any) -> None:
        while True:
            try:
                work()
            except OSError:
                # No host has it, or another one does now.
                threading.Event().wait(0.2)

    def _read(self) -> None:
        self._reactor.callFromThread(self.muxer.hostPacket, os.read(self._out, READ))

    def _write(self) -> None:
        packet = self._packets.get()
        os.write(self._in, packet)
        if len(packet) % SPEEDS[2] == 0:
            os.write(self._in, b"")

    def _answer(self) -> None:
        event = os.read(self._control, 12)
        if event[8] == SETUP:
            # There is no such request: to go on in the wrong direction is a stall.
            if event[0] & 0x80:
                os.read(self._control, 0)
            else:
                os.write(self._control, b"")


def main(directory: str, told: str) -> None:
    """
    Be a phone, and write into a file what hosts do wrong, each second.
    """
    reactor: Any = installed
    gadget = Gadget(reactor, Path(directory))

    def tell() -> None:
        text = f"{gadget.muxer.handshakes} handshakes, violations {gadget.muxer.violations}\n"
        Path(told).write_text(text)
        reactor.callLater(1, tell)

    tell()
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
