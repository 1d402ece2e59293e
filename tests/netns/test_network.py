# -*- test-case-name: tests.netns.test_network -*-
"""
Tests of L{tests.netns.network}: packets are lost where they should be, and nowhere else.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.netns.network import PATIENCE, Network
from tests.running.processes import startsProcesses

HEAR = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
    heard.bind(("", 5000))
    print("ready", flush=True)
    while (said := heard.recv(100)) != b"end":
        print(said.decode(), flush=True)
"""

SAY = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as saying:
    saying.sendto(sys.argv[2].encode(), (sys.argv[1], 5000))
"""


@startsProcesses
class NetworkTests(SynchronousTestCase):
    """
    Tests of L{Network}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.network = Network(["a", "b", "c"])
        self.addCleanup(self.network.close)

    def say(self, place: str, other: str, text: str) -> None:
        """
        Send a packet.
        """
        words = [sys.executable, "-S", "-c", SAY, self.network.address(other), text]
        subprocess.run(self.network.command(place, words), check=True, timeout=PATIENCE)

    def test_lost(self) -> None:
        """
        What goes from one place to another is lost, one way, until that is over.  What is to
        arrive has done so before anything is changed: a place's first packet waits for an address.
        """
        hearing = subprocess.Popen(
            self.network.command("b", [sys.executable, "-S", "-c", HEAR]),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(hearing.communicate, timeout=PATIENCE)
        self.addCleanup(hearing.kill)
        assert hearing.stdout is not None
        self.assertEqual(hearing.stdout.readline(), "ready\n")
        heard = hearing.stdout.readline
        self.say("a", "b", "first")
        self.assertEqual(heard(), "first\n")
        self.network.lose(("a", "b"))
        self.say("a", "b", "lost")
        self.say("c", "b", "other")
        self.assertEqual(heard(), "other\n")
        self.network.heal()
        self.network.lose(("b", "a"))
        self.say("a", "b", "back")
        self.assertEqual(heard(), "back\n")
        self.network.heal()
        self.network.split(("b", "a"))
        self.say("a", "b", "lost")
        self.say("c", "b", "end")
        self.assertEqual(hearing.stdout.read(), "")
