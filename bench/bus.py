# -*- test-case-name: tests.bench.test_workloads -*-
"""
The buses that phones are measured on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bus:
    """
    A bus with phones on it.

    @ivar key: What rows on this bus begin with.
    @ivar title: For people.
    @ivar speed: C{high} (wMaxPacketSize 512, half duplex) or C{super} (1024,
        full duplex).
    @ivar megabytes: MB/s that the bus carries, each way if it is full duplex;
        0 is as fast as the machine goes.
    @ivar latency: Microseconds that every transfer takes besides.
    @ivar inDaemon: Whether it is no bus of the rig's, but muxd's own simulated one.
    """

    key: str
    title: str
    speed: str = "high"
    megabytes: float = 0
    latency: int = 0
    inDaemon: bool = False

    def source(self, phones: int) -> str:
        """
        Return what the daemon is told of where its phones are.
        """
        return f"simulated:count={phones}" if self.inDaemon else "usb"

    def environment(self) -> dict[str, str]:
        """
        Return what describes the bus to the stand-in library (bench/rig/README.md).
        """
        return {
            "FAKEUSB_SPEED": self.speed,
            "FAKEUSB_MBPS": f"{self.megabytes:g}",
            "FAKEUSB_LAT_US": str(self.latency),
        }


UNPACED = Bus("unpaced", "unpaced bus")
USB2 = Bus("usb2", "USB 2: 53 MB/s, 100 us", megabytes=53, latency=100)
SUPER = Bus("super", "SuperSpeed: 400 MB/s each way, 30 us", "super", 400, 30)
SIMULATED = Bus("simulated", "simulated phones", inDaemon=True)
