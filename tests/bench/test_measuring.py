# -*- test-case-name: tests.bench.test_measuring -*-
"""
Tests of L{bench.measuring}.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.measuring import Stand, restFigures
from bench.subjects import Command, Subject
from tests.bench.test_results import workload


class CanTests(SynchronousTestCase):
    """
    Tests of L{Stand.can}.
    """

    def can(self, key: str, **more: Command) -> bool:
        """
        Whether a subject can do the workload of a row.
        """
        values = {"daemon": Command("daemon {socket}"), **more}
        subject = Subject(key="x", name="X", **values)  # type: ignore[arg-type]
        return Stand(subject, subject, Path("/nowhere")).can(workload(key))

    def test_socket(self) -> None:
        """
        Every daemon has the rows of its socket.
        """
        self.assertTrue(self.can("unpaced.download-1"))
        self.assertTrue(self.can("farm.cpu"))

    def test_simulated(self) -> None:
        """
        Simulated phones are for a daemon that can be told its source.
        """
        self.assertFalse(self.can("simulated.rest-60"))
        self.assertTrue(self.can("simulated.rest-60", daemon=Command("daemon {source}")))

    def test_tcp(self) -> None:
        """
        Rows over TCP are for a daemon with a listener, or for one with a relay.
        """
        self.assertFalse(self.can("tcp.echo-1"))
        self.assertTrue(self.can("tcp.echo-1", overTCP=Command("daemon {port}")))
        self.assertTrue(self.can("tcp.echo-1", relay=Command("relay")))

    def test_relay(self) -> None:
        """
        Rows of the relay are for a subject that has one.
        """
        self.assertFalse(self.can("relay.echo-1", overTCP=Command("daemon {port}")))
        self.assertTrue(self.can("relay.echo-1", relay=Command("relay")))


class RestTests(SynchronousTestCase):
    """
    Tests of L{restFigures}, on this process.
    """

    def test_threads(self) -> None:
        """
        Threads are counted, and the memory is that of the process.
        """
        if not os.path.exists("/proc/self/schedstat"):
            self.skipTest("this kernel does not tell what its scheduler does")
        before = restFigures(os.getpid(), 0.001)
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(5)]
        for one in threads:
            one.start()
        after = restFigures(os.getpid(), 0.001)
        end.set()
        for one in threads:
            one.join()
        self.assertEqual(after["threads"], before["threads"] + 5)
        self.assertGreater(before["peak_MB"], 1)
        self.assertGreaterEqual(before["cpu_pct"], 0)
