"""
Tests for L{bench.soak.samples}: that each thing that is wrong fails a run.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench.processes import Process
from bench.soak.samples import (
    BLOCKS,
    LONGEST_STALL,
    MALLOC,
    OBJECTS_OF_A_TYPE,
    RESIDENT,
    Sample,
    SoakResult,
    failures,
    grown,
    mallocBytes,
)
from bench.soak.stalls import EDGES

NONE = [0] * (len(EDGES) + 1)
ABOUT = {
    "bus": "rig",
    "phones": 8,
    "clients": 48,
    "seed": 1,
    "rounds": 1,
    "seconds": 60.0,
    "date": "2026-01-01",
    "processor": "fast",
    "cores": 2,
    "kernel": "6",
    "python": "3.11",
    "twisted": "26",
    "revision": "abc",
    "load": 0.1,
}


def sample(minutes: float = 1.0, **inside: Any) -> Sample:
    """
    A daemon at rest.
    """
    return Sample(
        minutes=minutes,
        process=Process(resident=60 << 20, peak=70 << 20, threads=2, descriptors=78, cpu=10.0),
        inside={
            "objects": {"muxd.device.session.Session": 10, "builtins.dict": 100_000},
            "blocks": 200_000,
            "malloc": 10 << 20,
            "devices": 8,
            "phones": 8,
            "clients": 1,
            "sessions": 0,
            "ports in use": 0,
            "timers": 3,
            **inside,
        },
        openAtPhones=0,
    )


def result(*samples: Sample, **changed: Any) -> SoakResult:
    """
    What a good run has seen, unless something is changed.
    """
    values: dict[str, Any] = {
        "about": ABOUT,
        "samples": list(samples) or [sample(), sample(2)],
        "stalls": {"late": NONE, "own": NONE, "long": []},
        "traffic": {
            "up": 1,
            "down": 2,
            "done": {"echo": 5},
            "cut": {"echo": 1},
            "killed": {"listener": 3},
            "minutes": 2.0,
            "cpu": 10.0,
        },
        "faults": {"clients killed": 3},
        "exitStatus": 0,
        **changed,
    }
    return SoakResult(**values)


class VerdictTests(SynchronousTestCase):
    """
    Tests of L{failures}.
    """

    def assertFails(self, found: SoakResult, *words: str) -> None:
        """
        Fail unless there is one reason, with these words in it.
        """
        [reason] = failures(found)
        for word in words:
            self.assertIn(word, reason)

    def end(self, **process: int) -> SoakResult:
        """
        A run whose daemon has changed meanwhile.
        """
        last = sample(2)
        return result(sample(), replace(last, process=replace(last.process, **process)))

    def test_good(self) -> None:
        """
        A run in which nothing is wrong has passed.
        """
        self.assertEqual(failures(result()), [])

    def test_troubles(self) -> None:
        """
        A wrong byte, a violation and a line in the log are reasons.
        """
        self.assertFails(result(troubles=["echo: byte 5 is wrong"]), "byte 5")
        self.assertFails(result(violations=["window: 3"]), "objects", "window: 3")
        self.assertFails(result(log=["Traceback"]), "in the log", "Traceback")

    def test_exit(self) -> None:
        """
        So is a daemon that ends with another status, or not at all.
        """
        self.assertFails(result(exitStatus=1), "status 1")
        self.assertFails(result(exitStatus=None), "None")

    def test_growth(self) -> None:
        """
        So is each thing of which there is more in the end.
        """
        self.assertFails(self.end(descriptors=79), "78 descriptors", "79")
        self.assertFails(self.end(threads=3), "threads")
        self.assertFails(self.end(resident=(60 << 20) + RESIDENT + 1), "resident")
        self.assertFails(result(sample(), sample(2, blocks=200_000 + BLOCKS + 1)), "blocks")
        self.assertFails(result(sample(), sample(2, malloc=(10 << 20) + MALLOC + 1)), "library")

    def test_buffers(self) -> None:
        """
        Buffers that are kept to be used again do not count as what the C library
        has given out.
        """
        objects = {
            "muxd.usb.asynchronous.transfers.Transfer_65536": 32,
            "builtins.dict": 100_000,
        }
        last = sample(2, malloc=(10 << 20) + (2 << 20), objects=objects)
        self.assertEqual(mallocBytes(last), 10 << 20)
        self.assertEqual(failures(result(sample(), last)), [])

    def test_less(self) -> None:
        """
        Less is no reason, nor is the little that is allowed.
        """
        self.assertEqual(failures(self.end(descriptors=70, threads=1, resident=1)), [])
        self.assertEqual(failures(result(sample(), sample(2, blocks=200_000 + BLOCKS))), [])

    def test_objects(self) -> None:
        """
        So is a type of which there are more, if it is not by a few of many.
        """
        more = {
            "muxd.device.session.Session": 10 + OBJECTS_OF_A_TYPE + 1,
            "builtins.dict": 100_900,
            "new.Type": 5,
        }
        last = sample(2, objects=more)
        self.assertEqual(
            grown(sample(), last), [("muxd.device.session.Session", 10, OBJECTS_OF_A_TYPE + 11)]
        )
        self.assertFails(result(sample(), last), "10 objects", "Session")

    def test_leftovers(self) -> None:
        """
        So is whatever is there at rest that should not be, in any sample.
        """
        for inside in ({"clients": 2}, {"sessions": 1}, {"devices": 7}, {"ports in use": 1}):
            self.assertFails(result(sample(), sample(2, **inside), sample(3)), *inside)
        left = replace(sample(2), openAtPhones=4)
        self.assertFails(result(sample(), left, sample(3)), "4 sessions")

    def test_stall(self) -> None:
        """
        So is a reactor that was kept from its work by the daemon; one that had no
        processor is not.
        """
        stall = {"late": 9.0, "own": LONGEST_STALL, "waited": 8.0, "blocked": 0.9, "stack": ["f"]}
        stalls = {"late": NONE, "own": NONE, "long": [stall]}
        self.assertEqual(failures(result(stalls=stalls)), [])
        stall["own"] = LONGEST_STALL + 0.001
        self.assertFails(result(stalls=stalls), "stood still")

    def test_cutShort(self) -> None:
        """
        A run that has not come to its second sample proves nothing.
        """
        self.assertFails(result(sample()), "two samples")


class SoakResultTests(SynchronousTestCase):
    """
    Tests of L{SoakResult} and L{Process}.
    """

    def test_json(self) -> None:
        """
        It can be written and read again.
        """
        before = result(troubles=["x"])
        self.assertEqual(SoakResult.fromJSON(before.toJSON()), before)

    def test_look(self) -> None:
        """
        What the kernel says of a process is that.
        """
        if not os.path.exists("/proc/self/status"):
            self.skipTest("there is no /proc")
        process = Process.look(os.getpid())
        self.assertGreater(process.resident, 1 << 20)
        self.assertGreaterEqual(process.peak, process.resident)
        self.assertGreaterEqual(process.threads, 1)
        self.assertGreater(process.descriptors, 2)
        self.assertGreater(process.cpu, 0)
