# -*- test-case-name: tests.bench.test_soakmemory -*-
"""
Tests of L{bench.soak.memory}.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.soak.memory import mallocBytes
from tests.running.processes import startsProcesses

GROWTH = """
import sys
import bench.soak.probe
from bench.soak.memory import growInternedStrings, mallocBytes
{first}
before = mallocBytes()
most = 0
for number in range(40000):
    sys.intern("one of many: %d" % number)
    most = max(most, mallocBytes()) if number % 100 == 0 else most
print(most - before)
"""


@startsProcesses
class InternedTests(SynchronousTestCase):
    """
    The table of interned strings.
    """

    def growth(self, first: str) -> int:
        """
        By how many bytes a process like the daemon grows while 40,000 strings come
        and go.
        """
        program = GROWTH.format(first=first)
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return int(ran.stdout)

    def test_grownBefore(self) -> None:
        """
        Once it has been grown it does not grow, as it does without that.
        """
        if not mallocBytes():
            raise SkipTest("this C library does not say what it has given out")
        if sys.version_info[:2] == (3, 12):
            raise SkipTest("Python 3.12 never gives interned strings back")
        if sys.version_info[:2] == (3, 11):  # Others keep them otherwise.
            self.assertGreater(self.growth(""), 500_000)
        self.assertLess(self.growth("growInternedStrings()"), 200_000)
