"""
Tests for L{bench.processes}, on the process that runs them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from twisted.trial.unittest import SynchronousTestCase

from bench.processes import (
    Process,
    openFiles,
    peakMemory,
    processorTime,
    residentMemory,
    threadTimes,
)
from tests.running.processes import startsProcesses

NO_PROCESS = 1 << 30
"""The number of no process: there are at most 2 ** 22."""


class ProcessTests(SynchronousTestCase):
    """
    Tests of what is read.
    """

    if not os.path.exists("/proc/self/status"):
        skip = "there is no /proc"

    def setUp(self) -> None:
        """
        This process.
        """
        self.pid = os.getpid()

    def test_memory(self) -> None:
        """
        The memory is in bytes, and has never been less than now.
        """
        self.assertGreater(residentMemory(self.pid), 1 << 20)
        self.assertLess(residentMemory(self.pid), 1 << 40)
        self.assertGreater(peakMemory(self.pid), 1 << 20)

    def test_files(self) -> None:
        """
        A file that is opened is one more.
        """
        before = openFiles(self.pid)
        ends = os.pipe()
        self.assertEqual(openFiles(self.pid), before + 2)
        for end in ends:
            os.close(end)
        self.assertEqual(openFiles(self.pid), before)

    def test_time(self) -> None:
        """
        The processor's time is what the process itself knows, but for the clock's ticks.
        """
        before = time.process_time()
        seen = processorTime(self.pid)
        tick = 1 / os.sysconf("SC_CLK_TCK")
        self.assertGreater(seen, before - 3 * tick)
        self.assertLess(seen, time.process_time() + 3 * tick)

    def test_threads(self) -> None:
        """
        Each thread has its own time.
        """
        if not os.path.exists("/proc/self/schedstat"):
            self.skipTest("this kernel does not tell what its scheduler does")
        before = len(threadTimes(self.pid))
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        times = threadTimes(self.pid)
        end.set()
        thread.join()
        self.assertEqual(len(times), before + 1)
        self.assertGreater(max(times), 0)

    def test_noProcess(self) -> None:
        """
        Of a process that does not exist nothing can be told.
        """
        for ask in (residentMemory, openFiles, processorTime, threadTimes, Process.look):
            self.assertRaises(OSError, ask, NO_PROCESS)


@startsProcesses
class EndedTests(SynchronousTestCase):
    """
    A process that has ended.
    """

    if not os.path.exists("/proc/self/status"):
        skip = "there is no /proc"

    def test_ended(self) -> None:
        """
        A process that has ended has no memory until it is waited for, and is none then.
        """
        with subprocess.Popen([sys.executable, "-S", "-c", ""]) as child:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            self.assertEqual((residentMemory(child.pid), peakMemory(child.pid)), (0, 0))
        self.assertRaises(OSError, residentMemory, child.pid)
