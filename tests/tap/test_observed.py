# -*- test-case-name: tests.tap.test_observed -*-
"""
Tests of L{muxd.tap.observed}, and of the option C{--status}.
"""

from __future__ import annotations

import os

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher

from muxd.tap.observed import StatusPlace
from muxd.tap.process import StartFailure
from tests.tap.options import UsbmuxdTestCase


class PlaceTests(UsbmuxdTestCase):
    """
    Where the status socket is.
    """

    def test_default(self) -> None:
        """
        It is beside the first place where clients connect, if that is a file.
        """
        for places, expected in (
            (["unix:/run/x:mode=666", "unix:/run/y"], "unix:/run/x.status"),
            (["unix:address=/run/x"], "unix:/run/x.status"),
            (["unix:/run/a\\:b"], "unix:/run/a\\:b.status"),
            (["tcp:1", "unix:/run/x"], None),
            (["systemd:domain=UNIX:index=0"], None),
            (["unix:\0abstract"], None),
            ([], None),
        ):
            place = StatusPlace.chosen(None, places)
            self.assertEqual(None if place is None else place.description, expected)

    def test_chosen(self) -> None:
        """
        It is where it is said to be, or nowhere.
        """
        self.assertEqual(StatusPlace.chosen("tcp:1", ["unix:/x"]), StatusPlace("tcp:1", True))
        self.assertIsNone(StatusPlace.chosen("none", ["unix:/x"]))


class ObservedTests(UsbmuxdTestCase):
    """
    The daemon with its status socket.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        super().setUp()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "mux")

    def start(self, *words: str) -> None:
        """
        Start a daemon with these options.
        """
        self.options.parseOptions(["-C", self.directory, "-s", "simulated", *words])
        self.options.service.privilegedStartService()

    def opened(self) -> list[tuple[str, int]]:
        """
        The UNIX sockets that are open, and their modes.
        """
        return [(os.path.basename(path), mode) for path, _, _, mode, _ in self.reactor.unixServers]

    def test_beside(self) -> None:
        """
        The daemon has one beside its socket, for its owner.
        """
        self.start("-l", f"unix:{self.path}")
        self.assertEqual(sorted(self.opened()), [("mux", 0o666), ("mux.status", 0o600)])

    def test_none(self) -> None:
        """
        It has none if it is told so, or if clients connect by TCP.
        """
        self.start("-l", f"unix:{self.path}", "--status", "none")
        self.assertEqual(self.opened(), [("mux", 0o666)])

    def test_tcp(self) -> None:
        """
        It has one at a TCP port if it is told so.
        """
        self.start("-l", "tcp:27015", "--status", "tcp:27016")
        self.assertEqual([port for port, *_ in self.reactor.tcpServers], [27015, 27016])

    def test_wrong(self) -> None:
        """
        A place that makes no sense is a usage error.
        """
        self.assertIn("--status", self.refused("--status", "nonsense"))

    def test_inTheWay(self) -> None:
        """
        What is in the way of a socket that was not asked for costs a warning; of one that was,
        the start.
        """
        with open(f"{self.path}.status", "w"):
            pass
        self.start("-l", f"unix:{self.path}")
        self.assertEqual(self.opened(), [("mux", 0o666)])
        self.assertTrue([event for event in self.log if "without a status" in event["log_format"]])

    def test_inTheWayOfChosen(self) -> None:
        """
        What is in the way of the one that was asked for is a reason not to start.
        """
        chosen = f"{self.path}.chosen"
        with open(chosen, "w"):
            pass
        self.assertRaises(
            StartFailure, self.start, "-l", f"unix:{self.path}", "--status", f"unix:{chosen}"
        )
        (critical,) = [event for event in self.log if event["log_level"] is LogLevel.critical]
        self.assertIn("not a socket", str(critical["problem"]))
