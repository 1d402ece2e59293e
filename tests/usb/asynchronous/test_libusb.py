"""
Tests for both engines, and for L{muxd.usb.asynchronous.transfers} above all, on C code: the
stand-in for libusb of C{bench/rig}, with a strict phone at its other end.

What is done to them is in L{tests.usb.scenarios}; each is a process of its own.
The phone counts what a host does wrong.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.running.processes import startsProcesses
from tests.usb.rig import Phones, Rig, build


@startsProcesses
class RigTestCase(SynchronousTestCase):
    """
    A phone on a bus of its own, and an engine.
    """

    engine = ""

    def build(self) -> Rig:
        """
        The library and the phone.
        """
        return build()

    def setUp(self) -> None:
        """
        Plug a phone in.
        """
        self.phones = Phones(self.build())
        self.addCleanup(self.phones.stop)

    def perform(self, scenario: str, **environment: str) -> dict[str, Any]:
        """
        Run a scenario in which the host does nothing wrong.
        """
        report = self.phones.run(scenario, self.engine, **environment)
        self.assertEqual(0, report["violations"], self.phones.said())
        return report

    def survives(self, fault: str) -> bool:
        """
        Whether a session goes on, with nothing lost or doubled, though a
        transfer failed.  If not, everything has ended as after an unplug.
        """
        report = self.phones.run("fault", self.engine, FAKEUSB_FAULT=fault)
        self.assertIn(f"fault: {fault.split(',')[0]}", report["stderr"])
        survived: bool = report["result"]
        if survived:
            self.assertEqual(0, report["violations"], self.phones.said())
        return survived


class EngineTests:
    """
    What holds with either engine.
    """

    def test_echo(self: Any) -> None:
        """
        What is sent comes back, and a closed link leaves no file and no thread.
        """
        self.perform("echo")

    def test_download(self: Any) -> None:
        """
        What the phone sends arrives.
        """
        self.perform("download")

    def test_parallel(self: Any) -> None:
        """
        Sessions at the same time do not get in each other's way.
        """
        self.perform("parallel")

    def test_superSpeed(self: Any) -> None:
        """
        The same where USB packets have 1024 bytes.
        """
        self.perform("parallel", FAKEUSB_SPEED="super")

    def test_unplug(self: Any) -> None:
        """
        A phone that is unplugged while transfers fly in both directions is lost
        to all its sessions, and the link can be closed.
        """
        self.perform("unplug")

    def test_littleMemory(self: Any) -> None:
        """
        With little memory for transfers everything arrives all the same.
        """
        self.perform("memory", FAKEUSB_MEMLIMIT_MB="1")

    def test_hang(self: Any) -> None:
        """
        Closing ends in time though the library never gives the transfers back;
        when it does after all, that harms nobody.
        """
        self.perform("hang")

    def test_reopen(self: Any) -> None:
        """
        A link can be closed with transfers in flight, and the phone opened
        again, as often as one likes.
        """
        self.perform("reopen")

    def test_replug(self: Any) -> None:
        """
        A source leaves nothing behind of phones that come and go: in the end
        there is at most one context more than at first, that of discovery, and
        what is just being closed; each of the fifty would have left four files.
        """
        result = self.perform("replug")["result"]
        self.assertLessEqual(result["last"], result["first"] + 10)
        self.assertGreaterEqual(result["contexts"], 52)

    def test_stalledRead(self: Any) -> None:
        """
        A stall of reading is cleared, once.
        """
        self.assertTrue(self.survives("stall@20/in"))
        self.assertFalse(self.survives("stall@20/in,stall@30/in"))

    def test_failedRead(self: Any) -> None:
        """
        A read that fails for another reason is the end.
        """
        self.assertFalse(self.survives("error@20/in"))

    def test_stalledWrite(self: Any) -> None:
        """
        A packet that was stalled cannot be sent again, as a part of it may have
        arrived, or its successors are on their way: that is the end.
        """
        self.assertFalse(self.survives("stall@20/out"))

    def test_failedWrite(self: Any) -> None:
        """
        So is a write.
        """
        self.assertFalse(self.survives("error@20/out"))

    def test_goneWhileReading(self: Any) -> None:
        """
        The phone disappears when a read is submitted.
        """
        self.assertFalse(self.survives("nodev@20/in"))

    def test_goneWhileWriting(self: Any) -> None:
        """
        The phone disappears when a write is submitted.
        """
        self.assertFalse(self.survives("nodev@20/out"))


class AsynchronousTests(EngineTests, RigTestCase):
    """
    The asynchronous engine.
    """

    engine = "async"

    def test_auto(self) -> None:
        """
        It is what C{auto} takes.
        """
        self.engine = "auto"
        self.perform("descriptors")

    def test_buffers(self) -> None:
        """
        A link that is closed takes its buffers along: those of each phone that was
        unplugged would otherwise wait until Python looks through everything, which
        it seldom does.
        """
        before, after = self.perform("buffers")["result"]
        self.assertGreater(before, 3)
        self.assertEqual(after, 0)

    def test_descriptors(self) -> None:
        """
        File descriptors that libusb adds and removes are watched meanwhile.
        """
        self.perform("descriptors")

    def test_noMemoryIsTold(self) -> None:
        """
        There were really fewer reads than wanted, and the log says what to do.
        """
        report = self.perform("memory", FAKEUSB_MEMLIMIT_MB="1")
        [line] = report["result"]
        self.assertIn("raise /sys/module/usbcore/parameters/usbfs_memory_mb", line)

    def test_timeout(self) -> None:
        """
        Its transfers have no time-out: one that times out has failed.
        """
        self.assertFalse(self.survives("timeout@20/in"))
        self.assertFalse(self.survives("timeout@20/out"))


class ThreadsTests(EngineTests, RigTestCase):
    """
    The engine with threads.
    """

    engine = "threads"

    def test_timeout(self) -> None:
        """
        A transfer that times out is continued.
        """
        self.assertTrue(self.survives("timeout@20/in"))
        self.assertTrue(self.survives("timeout@20/out"))

    def test_shortRead(self) -> None:
        """
        A read that ends after a whole USB packet is no end of a transfer.
        """
        self.assertTrue(self.survives("short@20/in"))


class SanitizedTests(RigTestCase):
    """
    The asynchronous engine with a library that notices every access to memory
    that it does not have any more.
    """

    engine = "async"

    def build(self) -> Rig:
        """
        The library with AddressSanitizer.
        """
        return build(withSanitizer=True)

    def test_sessions(self) -> None:
        """
        Ordinary traffic, to the end.
        """
        report = self.perform("parallel")
        self.assertEqual(report["build"], "compiled")

    def test_unplug(self) -> None:
        """
        The phone leaves while transfers fly.
        """
        self.perform("unplug")

    def test_reopen(self) -> None:
        """
        Transfers are cancelled and freed.
        """
        self.perform("reopen")

    def test_hang(self) -> None:
        """
        Transfers that do not come back are not freed.
        """
        self.perform("hang")

    def test_faults(self) -> None:
        """
        Transfers fail.
        """
        self.assertTrue(self.survives("stall@20/in"))
        self.assertFalse(self.survives("error@20/out"))
        self.assertFalse(self.survives("nodev@20/in"))

    def test_replug(self) -> None:
        """
        Contexts come and go.
        """
        self.perform("replug")


class SanitizerTests(RigTestCase):
    """
    The tests above can fail.
    """

    def build(self) -> Rig:
        """
        The library with AddressSanitizer.
        """
        return build(withSanitizer=True)

    def test_freedInFlight(self) -> None:
        """
        A transfer that is freed in flight is noticed.
        """
        error = self.assertRaises(AssertionError, self.phones.run, "freed", "async")
        self.assertIn("AddressSanitizer: heap-use-after-free", str(error))
