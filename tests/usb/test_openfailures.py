"""
Tests for L{muxd.usb.openfailures}.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.openfailures import LONGEST_DELAY, OpenFailures, explain, holders, isGone

HERE = (1, 2)
THERE = (1, 3)


class TroublesTests(SynchronousTestCase):
    """
    Tests for L{OpenFailures}.
    """

    def setUp(self) -> None:
        """
        No troubles yet.
        """
        self.clock = Clock()
        self.troubles = OpenFailures(self.clock.seconds)

    def test_reportedOnce(self) -> None:
        """
        The same trouble is reported once, another one again.
        """
        texts = ["busy", "busy", "denied", "denied", "busy"]
        found = [self.troubles.failed(HERE, text) for text in texts]
        self.assertEqual([True, False, True, False, True], found)

    def test_patience(self) -> None:
        """
        What may pass by itself is reported if it does not.
        """
        found = [self.troubles.failed(HERE, "gone", patient=True) for _ in range(3)]
        self.assertEqual([False, True, False], found)

    def test_backOff(self) -> None:
        """
        It is tried again after one second, then two, four, up to a minute, and
        stays there for ever.
        """
        delays = []
        self.assertTrue(self.troubles.isDue(HERE))
        for _ in range(100):
            self.troubles.failed(HERE, "busy")
            delay = 0
            while not self.troubles.isDue(HERE):
                self.clock.advance(1)
                delay += 1
            delays.append(delay)
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60], delays[:8])
        self.assertEqual(LONGEST_DELAY, delays[-1])

    def test_eachPhoneItsOwn(self) -> None:
        """
        The trouble of one phone is not that of another.
        """
        self.troubles.failed(HERE, "busy")
        self.assertFalse(self.troubles.isDue(HERE))
        self.assertTrue(self.troubles.isDue(THERE))
        self.assertTrue(self.troubles.failed(THERE, "busy"))

    def test_forget(self) -> None:
        """
        A phone that has been opened starts anew; whether its trouble was told
        is told.
        """
        self.assertFalse(self.troubles.forget(HERE))
        self.troubles.failed(HERE, "gone", patient=True)
        self.assertFalse(self.troubles.forget(HERE))
        self.troubles.failed(HERE, "busy")
        self.assertTrue(self.troubles.forget(HERE))
        self.assertTrue(self.troubles.isDue(HERE))
        self.assertTrue(self.troubles.failed(HERE, "busy"))

    def test_keepOnly(self) -> None:
        """
        Phones that are not there any more have no troubles.
        """
        self.troubles.failed(HERE, "busy")
        self.troubles.failed(THERE, "busy")
        self.troubles.keepOnly(frozenset((THERE,)))
        self.assertTrue(self.troubles.isDue(HERE))
        self.assertFalse(self.troubles.isDue(THERE))


class ExplainTests(SynchronousTestCase):
    """
    Tests for L{explain} and L{holders}.
    """

    def setUp(self) -> None:
        """
        Device nodes and processes of a test's own.
        """
        root = Path(self.mktemp()).resolve()
        self.nodes = root / "usb"
        self.node = self.nodes / "001" / "002"
        self.node.parent.mkdir(parents=True)
        self.node.touch()
        self.processes = root / "proc"
        self.processes.mkdir()

    def process(self, pid: int, name: str | None, *files: Path) -> None:
        """
        A process that has files open.
        """
        descriptors = self.processes / str(pid) / "fd"
        descriptors.mkdir(parents=True)
        for number, path in enumerate(files):
            (descriptors / str(number)).symlink_to(path)
        if name is not None:
            (self.processes / str(pid) / "comm").write_text(f"{name}\n")

    def explain(self, number: int) -> str:
        """
        The words for an errno.
        """
        error = OSError(number, os.strerror(number))
        return explain(error, HERE, self.nodes, self.processes)

    def test_permission(self) -> None:
        """
        No permission: the udev rule, where to install it, or root.
        """
        text = self.explain(errno.EACCES)
        for part in (str(self.node), "udev/39-muxd.rules", "/etc/udev/rules.d/", "as root"):
            self.assertIn(part, text)
        self.assertNotIn("\n", text)

    def test_busy(self) -> None:
        """
        Busy: who has the phone, but for ourselves (edge 13).
        """
        self.process(17, "usbmuxd", Path("/dev/null"), self.node)
        self.process(18, "innocent", Path("/dev/null"))
        self.process(19, None, self.node)
        self.process(os.getpid(), "muxd", self.node)
        (self.processes / "20").mkdir()
        self.assertEqual(
            ["usbmuxd (pid 17)", "a program (pid 19)"], holders(self.node, self.processes)
        )
        self.assertIn("in use by usbmuxd (pid 17), a program", self.explain(errno.EBUSY))

    def test_busyBySomebody(self) -> None:
        """
        If we may not know who, who it usually is.
        """
        self.assertIn("another program (a usbmuxd, a virtual", self.explain(errno.EBUSY))

    def test_noNode(self) -> None:
        """
        A phone that is there and has no node is what a container sees.
        """
        self.node.unlink()
        self.assertIn("if this is a container", self.explain(errno.ENODEV))
        self.assertIn("if this is a container", self.explain(errno.ENOENT))

    def test_forbidden(self) -> None:
        """
        A device that a control group withholds is an input error of libusb; the kernel says
        which it is.
        """

        def forbid(path: Path, flags: int) -> int:
            asked.append((path, flags & os.O_ACCMODE))
            raise OSError(errno.EPERM, "Operation not permitted")

        asked: list[tuple[Path, int]] = []
        error = OSError(errno.EIO, "Input/Output Error")
        text = explain(error, HERE, self.nodes, self.processes, forbid)
        self.assertIn("is forbidden to this process", text)
        self.assertIn("DeviceAllow=char-usb_device rw", text)
        self.assertEqual(asked, [(self.node, os.O_RDWR)])

    def test_others(self) -> None:
        """
        Other errors speak for themselves.
        """
        self.assertIn("No such device", self.explain(errno.ENODEV))
        self.assertIn("Input/output error", self.explain(errno.EIO))

    def test_isGone(self) -> None:
        """
        Errors that may be an unplug, and others.
        """
        for number in (errno.ENODEV, errno.ENOENT, errno.EIO):
            self.assertTrue(isGone(OSError(number, "")))
        for number in (errno.EACCES, errno.EBUSY):
            self.assertFalse(isGone(OSError(number, "")))

    def test_elsewhere(self) -> None:
        """
        A system without such nodes is not told of containers.
        """
        self.node.unlink()
        self.processes.rmdir()
        self.assertNotIn("container", self.explain(errno.ENODEV))
