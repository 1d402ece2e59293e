"""
The kernel's view of the phones on its bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.system.guest.waiting import waitFor

SYSFS = Path("/sys/bus/usb/devices")
NODES = Path("/dev/bus/usb")


@dataclass(frozen=True, slots=True)
class KernelDevice:
    """
    A phone on the kernel's bus.

    @ivar directory: In sysfs.
    """

    directory: Path

    def read(self, attribute: str) -> str:
        """
        One of its attributes.
        """
        return (self.directory / attribute).read_text().strip()

    def write(self, attribute: str, value: object) -> None:
        """
        Change one of its attributes.
        """
        (self.directory / attribute).write_text(f"{value}\n")

    @property
    def bus(self) -> int:
        """
        The number of its bus.
        """
        return int(self.read("busnum"))

    @property
    def address(self) -> int:
        """
        Its number on the bus.
        """
        return int(self.read("devnum"))

    @property
    def ports(self) -> tuple[int, ...]:
        """
        The ports on the way to it, from the root hub's on.
        """
        return tuple(map(int, self.read("devpath").split(".")))

    @property
    def configuration(self) -> int:
        """
        The value of its configuration; 0 if it has none.
        """
        return int(self.read("bConfigurationValue") or 0)

    @property
    def node(self) -> Path:
        """
        The file that programs open.
        """
        return NODES / f"{self.bus:03}" / f"{self.address:03}"


def present(serial: str) -> KernelDevice | None:
    """
    The phone with this serial number, if it is there.
    """
    for attribute in SYSFS.glob("*/serial"):
        try:
            if attribute.read_text().strip() == serial:
                return KernelDevice(attribute.parent)
        except OSError:  # it has just gone
            continue
    return None


def kernelDevice(serial: str) -> KernelDevice:
    """
    The phone with this serial number, once it is there.
    """
    return waitFor(f"the kernel to see {serial}", lambda: present(serial))
