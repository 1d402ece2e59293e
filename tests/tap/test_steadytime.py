# -*- test-case-name: tests.tap.test_steadytime -*-
"""
Tests of when a program first asks what time it is.

A program's timers go by another clock from when its service starts
(L{muxd.tap.process.useSteadyTime}), so that what a service has read before is a time of
another scale: years before or after all that comes.
"""

from __future__ import annotations

from typing import NoReturn

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap import iphone, muxhub, tcprelay, usbmuxd

Programs = usbmuxd.Options | muxhub.Options | tcprelay.Options | iphone.Options


class UntimelyReactor(MemoryReactorClock):
    """
    A reactor that is not to be asked for the time yet.
    """

    def seconds(self) -> NoReturn:
        """
        @raise AssertionError: Always.
        """
        raise AssertionError("the time is asked for before the service starts")


class MakingTests(SynchronousTestCase):
    """
    No service asks for the time when it is made.
    """

    def make(self, options: Programs, *words: str) -> None:
        """
        Make the service that is described.
        """
        options.reactor = UntimelyReactor()
        options.parseOptions([*words])
        self.assertIsNotNone(options.service)

    def test_usbmuxd(self) -> None:
        """
        The daemon does not, with all the sources and all else that it may have.
        """
        sources = (
            *("usb", "usb:engine=threads", "simulated:2", "usbip:127.0.0.1"),
            *("remote:/tmp/other", "remote:tcp:127.0.0.1:5000:grace=3", "wifi:127.0.0.1"),
        )
        for source in sources:
            self.make(usbmuxd.Options(), "-s", source)
        words = [word for source in sources for word in ("-s", source)]
        self.make(
            usbmuxd.Options(),
            *words,
            *("-l", f"unix:{self.mktemp()}:only=usb", "-l", "tcp:0:interface=127.0.0.1"),
            *("--status", f"unix:{self.mktemp()}", "--hub", "unix:/tmp/hub"),
            *("--door", "tcp:0:interface=127.0.0.1", "-v"),
        )

    def test_muxhub(self) -> None:
        """
        A hub does not, whichever registry it has.
        """
        for words in ((), ("--registry", "etcd:127.0.0.1:2379")):
            self.make(muxhub.Options(), "--state", self.mktemp(), *words)

    def test_tcprelay(self) -> None:
        """
        A relay does not.
        """
        self.make(tcprelay.Options(), "--from", "tcp:0", "--to", "usbmux:port=62078")

    def test_iphone(self) -> None:
        """
        Simulated phones do not.
        """
        for words in (("--usbip", "tcp:0"), ("--wifi", "127.0.0.1")):
            self.make(iphone.Options(), *words)
