# -*- test-case-name: tests.usb.test_openfailures -*-
"""
Phones that cannot be opened: what to tell the operator, how often, and when to
try again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from muxd.usb.hotplug import Location

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0

DEVICE_NODES = Path("/dev/bus/usb")
PROCESSES = Path("/proc")


@dataclass(slots=True)
class _OpenFailure:
    """
    One phone's.
    """

    reported: str = ""
    failures: int = 0
    nextTry: float = 0.0


class OpenFailures:
    """
    The phones that failed to open.  They are tried again after a second, then
    two, four, up to a minute; and reported whenever the reason is another.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._troubles: dict[Location, _OpenFailure] = {}

    def failed(self, location: Location, text: str, patient: bool = False) -> bool:
        """
        Remember a failure.

        @param patient: It may be but a phone that is leaving: do not report the
            first.
        @return: Whether to report it.
        """
        trouble = self._troubles.setdefault(location, _OpenFailure())
        delay = min(FIRST_DELAY * 2**trouble.failures, LONGEST_DELAY)
        # The exponent stays small, however long this goes on.
        trouble.failures = min(trouble.failures + 1, 16)
        trouble.nextTry = self._seconds() + delay
        if trouble.reported == text or (patient and trouble.failures == 1):
            return False
        trouble.reported = text
        return True

    def isDue(self, location: Location) -> bool:
        """
        Whether to try (again) now.
        """
        trouble = self._troubles.get(location)
        return trouble is None or trouble.nextTry <= self._seconds()

    def tries(self) -> Iterator[float]:
        """
        When each is due.
        """
        return (trouble.nextTry for trouble in self._troubles.values())

    def forget(self, location: Location) -> bool:
        """
        It was opened, or it is gone.

        @return: Whether its trouble had been reported.
        """
        trouble = self._troubles.pop(location, None)
        return trouble is not None and bool(trouble.reported)

    def reported(self) -> dict[Location, str]:
        """
        Why those cannot be opened of which it has been said, by where they are.  May be
        called in any thread.
        """
        return {
            location: trouble.reported
            for location, trouble in tuple(self._troubles.items())
            if trouble.reported
        }

    def keepOnly(self, locations: frozenset[Location]) -> None:
        """
        Forget all others.
        """
        for location in self._troubles.keys() - locations:
            del self._troubles[location]


def isGone(error: OSError) -> bool:
    """
    Whether this error is what a phone leaves behind that is just being
    unplugged.
    """
    return error.errno in (errno.ENODEV, errno.ENOENT, errno.EIO)


def explain(
    error: OSError,
    location: Location,
    nodes: Path = DEVICE_NODES,
    processes: Path = PROCESSES,
    openFile: Callable[[Path, int], int] = os.open,
) -> str:
    """
    One line: why a phone cannot be opened, and what to do.
    """
    node = nodes / f"{location[0]:03}" / f"{location[1]:03}"
    if error.errno == errno.EACCES:
        return (
            f"no permission for {node}: copy udev/39-muxd.rules to /etc/udev/rules.d/, run "
            "`udevadm control --reload` and plug the phone in again, or run muxd as root"
        )
    if error.errno == errno.EBUSY:
        who = (
            ", ".join(holders(node, processes)) or "another program (a usbmuxd, a virtual machine?)"
        )
        return f"it is in use by {who}: stop that, or do not let it have the phone"
    if error.errno in (errno.ENODEV, errno.ENOENT) and processes.is_dir() and not node.exists():
        return (
            f"there is no {node}: if this is a container, give it the host's /dev/bus/usb "
            "(docker run -v /dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw')"
        )
    if error.errno == errno.EIO and _isForbidden(node, openFile):
        return (
            f"{node} is forbidden to this process, whatever its permissions: a unit of systemd "
            "needs DeviceAllow=char-usb_device rw, and a container the right to use it "
            "(docker run --device-cgroup-rule='c 189:* rmw')"
        )
    return str(error)


def _isForbidden(node: Path, openFile: Callable[[Path, int], int]) -> bool:
    """
    Whether rules for devices, such as a control group has, keep this process from a device.
    libusb makes an EIO of the EPERM that it gets then.
    """
    try:
        os.close(openFile(node, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def holders(node: Path, processes: Path = PROCESSES) -> list[str]:
    """
    The other programs that have a device node open, as far as we may know.

    @return: Such as C{["usbmuxd (pid 812)"]}.
    """
    found = []
    own = Path("/proc/self").resolve().name
    for process in sorted(processes.glob("[0-9]*")):
        if process.name != own and _holds(process, node):
            found.append(f"{_name(process)} (pid {process.name})")
    return found


def _holds(process: Path, node: Path) -> bool:
    try:
        return any(each.readlink() == node for each in (process / "fd").iterdir())
    except OSError:  # another user's, or it has ended
        return False


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a program"
