"""
Tests for L{muxd.net.acceptthrottle}.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import replace
from errno import EMFILE

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.net.acceptthrottle import AcceptThrottle, filesAllowed, lowestFree
from muxd.testing import BudgetTransport
from tests.server.records import failing
from tests.server.serving import TINY, Client, ServingTestCase, observeLog


class AcceptingPort:
    """
    A port that notes what is done to it.
    """

    def __init__(self) -> None:
        self.deeds: list[str] = []

    def acceptOneAtATime(self) -> None:
        """
        Note it.
        """
        self.deeds.append("one")

    def pause(self) -> None:
        """
        Note it.
        """
        self.deeds.append("pause")

    def resume(self) -> None:
        """
        Note it.
        """
        self.deeds.append("resume")


class Transport:
    """
    Has a descriptor, and no more than that is looked at.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self._number


class AcceptThrottleTests(SynchronousTestCase):
    """
    Tests of L{AcceptThrottle}: 100 files, of which 10 are kept back.
    """

    def setUp(self) -> None:
        """
        Two open ports.
        """
        self.clock = Clock()
        self.logged = observeLog(self)
        limits = replace(LIMITS, descriptorReserve=10, admissionRetry=1.0)
        self.free = 0
        self.throttle = AcceptThrottle(self.clock, limits, lambda: self.free)
        self.ports = [AcceptingPort(), AcceptingPort()]
        self.throttle.ports = self.ports
        self.throttle.begin(100)

    def assertDeeds(self, *deeds: str) -> None:
        """
        Fail unless this, and only this, was done to both ports.
        """
        self.assertEqual([port.deeds for port in self.ports], [list(deeds)] * 2)

    def warnings(self) -> list[str]:
        """
        What the operator was told.
        """
        return [one["log_format"] for one in self.logged if one["log_level"].name == "warn"]

    def test_room(self) -> None:
        """
        As long as there are descriptors, ports stay open and there is no timer.
        """
        for number in (3, 44):
            self.throttle.clientConnected(Transport(number))
            self.throttle.clientGone()
        self.assertDeeds()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slowly(self) -> None:
        """
        When half of those that clients may have are taken, they come one by one.
        """
        for number in range(45, 50):
            self.throttle.clientConnected(Transport(number))
        self.assertDeeds()
        self.clock.advance(0)
        self.assertDeeds("one")
        self.throttle.clientConnected(Transport(89))
        self.throttle.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self) -> None:
        """
        The client that has one of the last closes the ports behind it, once.
        """
        self.throttle.clientConnected(Transport(90))
        self.throttle.clientConnected(Transport(91))
        self.assertDeeds("pause")
        self.assertTrue(self.throttle.isClosed)
        self.assertEqual(len(self.warnings()), 1)

    def test_openedByWhoLeaves(self) -> None:
        """
        When a client goes, another one may come, unless somebody else has taken the
        descriptor.
        """
        self.throttle.clientConnected(Transport(90))
        self.free = 90
        self.throttle.clientGone()
        self.assertDeeds("pause")
        self.free = 89
        self.throttle.clientGone()
        self.assertDeeds("pause", "resume")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openedAfterAWhile(self) -> None:
        """
        Descriptors that were no clients' come free unseen: it is tried again.
        """
        self.throttle.clientConnected(Transport(90))
        self.clock.advance(0.9)
        self.assertDeeds("pause")
        self.clock.advance(0.1)
        self.assertDeeds("pause", "resume")
        self.free = 90
        self.throttle.clientConnected(Transport(5))
        self.assertDeeds("pause", "resume", "pause")

    def test_reserveIsKept(self) -> None:
        """
        As long as there are none free but those that are kept back, nobody is let
        in, however long that takes.
        """
        self.throttle.clientConnected(Transport(90))
        self.free = 91
        self.clock.pump([1.0] * 1000)
        self.assertDeeds("pause")
        self.free = 5
        self.clock.advance(1)
        self.assertDeeds("pause", "resume")
        self.assertEqual(len(self.clock.getDelayedCalls()), 0)

    def test_oneForOne(self) -> None:
        """
        Who comes for somebody who has gone gets a low number, and the ports close
        all the same; they come one by one from then on.
        """
        self.throttle.clientConnected(Transport(90))
        self.free = 20
        self.throttle.clientGone()
        self.free = 91
        self.throttle.clientConnected(Transport(20))
        self.assertDeeds("pause", "resume", "pause")
        self.free = 5
        self.throttle.clientGone()
        self.throttle.clientConnected(Transport(5))
        self.clock.advance(0)
        self.assertDeeds("pause", "resume", "pause", "resume", "one")
        self.free = 91
        self.throttle.clientConnected(Transport(6))
        self.assertDeeds("pause", "resume", "pause", "resume", "one", "pause")

    def test_told(self) -> None:
        """
        A thousand times in a minute are one line, and one that says how many more
        there were.
        """
        for _ in range(1000):
            self.free = 95
            self.throttle.clientConnected(Transport(95))
            self.free = 50
            self.throttle.clientGone()
        self.assertEqual(len(self.warnings()), 1)
        self.assertEqual(self.throttle.pauses, 1000)
        self.clock.advance(60)
        summaries = [one for one in self.logged if "more" in one["log_format"]]
        self.assertEqual([one["count"] for one in summaries], [999])

    def test_fewFiles(self) -> None:
        """
        Where there are few, no more than a quarter is kept back.
        """
        self.throttle.begin(20)
        self.throttle.clientConnected(Transport(14))
        self.assertDeeds()
        self.throttle.clientConnected(Transport(15))
        self.assertDeeds("pause")

    def test_nobodyCounts(self) -> None:
        """
        Without a limit, and with transports that have no descriptor, there is
        always room.
        """
        self.throttle.clientConnected(object())
        self.throttle.begin(None)
        self.throttle.clientConnected(Transport(1 << 20))
        self.assertDeeds()

    def test_stop(self) -> None:
        """
        Afterwards no port is touched, and no timer left.
        """
        self.throttle.clientConnected(Transport(90))
        self.throttle.stop()
        self.throttle.clientGone()
        self.throttle.clientConnected(Transport(90))
        self.assertDeeds("pause")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lowestFree(self) -> None:
        """
        It is the number that the next file gets; it is too high where there is none.
        """
        self.assertEqual(lowestFree(), lowestFree())
        with open(os.devnull):
            with open(os.devnull) as another:
                expected = another.fileno()
            self.assertEqual(lowestFree(), expected)
        self.patch(os, "open", failing(EMFILE))
        self.assertEqual(lowestFree(), sys.maxsize)

    def test_filesAllowed(self) -> None:
        """
        It is the soft limit that counts; no limit, and a system without, are C{None}.
        """
        self.assertEqual(filesAllowed(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.patch(resource, "getrlimit", lambda which: unlimited)
        self.assertIsNone(filesAllowed())
        self.patch(sys, "modules", {**sys.modules, "resource": None})
        self.assertIsNone(filesAllowed())


class NumberedTransport(BudgetTransport):
    """
    A client's transport that has a descriptor.
    """

    number = 0

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self.number


class FactoryTests(ServingTestCase):
    """
    How a factory asks for throttle.
    """

    def setUp(self) -> None:
        """
        One port, and a quarter of the descriptors kept back.
        """
        super().setUp()
        self.port = AcceptingPort()
        self.last = 3 * TINY.descriptorReserve
        self.factory.throttle.ports = [self.port]
        self.factory.throttle.begin(4 * TINY.descriptorReserve)

    def arrive(self, number: int) -> Client:
        """
        A client with this descriptor.
        """
        self.patch(NumberedTransport, "number", number)
        return Client(NumberedTransport.connect(self.clock, self.factory))

    def test_comesAndGoes(self) -> None:
        """
        A client that takes one of the last descriptors closes the port, and opens
        it when it goes.
        """
        self.arrive(5)
        self.assertEqual(self.port.deeds, [])
        last = self.arrive(self.last)
        self.assertEqual(self.port.deeds, ["pause"])
        last.transport.lose()
        self.settle()
        self.assertEqual(self.port.deeds, ["pause", "resume"])

    def test_stopped(self) -> None:
        """
        When nobody listens any more, there is no timer left.
        """
        self.factory.doStart()
        self.arrive(self.last)
        self.factory.doStop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
