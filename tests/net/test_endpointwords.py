"""
Tests of L{muxd.net.endpointwords}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.serverstrings import placeFromString
from muxd.net.tlsendpoints import clientAt


class ServerTests(SynchronousTestCase):
    """
    Tests of L{muxd.net.endpointwords.checkServer}, as what a person types gets there.
    """

    def test_wrong(self) -> None:
        """
        What is wrong is said in words that name the argument, before anything is opened.
        """
        for text, reason in (
            ("tcp:abc", "port: expected a number from 0 to 65535, got 'abc'"),
            ("tcp:port=", "there is no port in it; expected tcp:PORT[:interface=ADDRESS]"),
            ("tcp:", "there is no port in it; expected tcp:PORT[:interface=ADDRESS]"),
            ("TCP", "there is no port in it"),
            ("tcp:-1", "port: expected a number from 0 to 65535, got '-1'"),
            ("tcp:65536", "port: expected a number from 0 to 65535, got '65536'"),
            ("tcp:" + "9" * 5000, "port: expected a number from 0 to 65535, got '99"),
            ("tcp:1_0", "port: expected a number from 0 to 65535, got '1_0'"),
            ("tcp:\u0663", "port: expected a number from 0 to 65535, got '\u0663'"),
            ("tcp6:x", "port: expected a number from 0 to 65535, got 'x'"),
            ("tcp:1:backlog=x", "backlog: expected a number from 0 to 2147483647, got 'x'"),
            ("tcp:1:colour=red", "no such argument: 'colour'; expected tcp:PORT"),
            ("tcp:1:127.0.0.1:5:red", "no such argument: 'red'; expected tcp:PORT"),
            ("unix:/x:mode=999", "mode: expected permissions such as 660, got '999'"),
            ("unix:/x:mode=-1", "mode: expected permissions such as 660, got '-1'"),
            ("unix:/x:mode=77777", "mode: expected permissions such as 660, got '77777'"),
            ("unix", "there is no address in it; expected unix:PATH[:mode=660]"),
            ("unix:", "there is no address in it; expected unix:PATH[:mode=660]"),
            ("unix:/x\0y", "address: expected no NUL but as the first character"),
            ("unix:/x:colour=red", "no such argument: 'colour'; expected unix:PATH"),
        ):
            error = self.assertRaises(ValueError, placeFromString, MemoryReactorClock(), text)
            self.assertIn(f": {reason}", str(error))

    def test_right(self) -> None:
        """
        What Twisted can use is left alone.
        """
        for text in (
            "tcp:0",
            "tcp:port=65535:backlog=5",
            "tcp:1:127.0.0.1:5",
            "tcp6:1:5",
            "tcp6:1:5:\\:\\:1",
            "unix:/x:660:5:0",
            "unix:address=/x:mode=0660:lockfile=0",
            "unix:/x:group=0",
            "unix:\0x",
        ):
            placeFromString(MemoryReactorClock(), text)


class ClientTests(SynchronousTestCase):
    """
    Tests of L{muxd.net.endpointwords.checkClient}.
    """

    def test_wrong(self) -> None:
        """
        What is wrong is said in words that name the argument, before it is connected to.
        """
        for text, reason in (
            ("tcp:h:x", "port: expected a number from 1 to 65535, got 'x'"),
            ("tcp:h:0", "port: expected a number from 1 to 65535, got '0'"),
            ("tcp:host=h:port=99999", "port: expected a number from 1 to 65535, got '99999'"),
            ("tcp:h", "there is no port in it; expected tcp:HOST:PORT"),
            ("tcp", "there is no host in it; expected tcp:HOST:PORT"),
            ("tcp::1", "there is no host in it; expected tcp:HOST:PORT"),
            ("tcp:h:1:timeout=soon", "timeout: expected a number from 0 to 2147483647, got 'soon'"),
            ("tcp:h:1:colour=red", "no such argument: 'colour'; expected tcp:HOST:PORT"),
            ("tcp:h:1:2", "no such argument: '2'; expected tcp:HOST:PORT"),
            ("unix:", "there is no path in it; expected unix:PATH"),
            ("unix:/x:mode=600", "no such argument: 'mode'; expected unix:PATH"),
        ):
            error = self.assertRaises(ValueError, clientAt, MemoryReactorClock(), text)
            self.assertTrue(str(error).startswith(reason), str(error))

    def test_right(self) -> None:
        """
        What Twisted can use is left alone.
        """
        for text in (
            "tcp:h:1",
            "tcp:host=h:port=1:timeout=3:bindAddress=127.0.0.1",
            "tcp:1:host=h",
            "tcp:h:port=1",
            "unix:/x",
            "unix:path=/x:timeout=3:lockfile=0",
        ):
            clientAt(MemoryReactorClock(), text)
