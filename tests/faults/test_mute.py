# -*- test-case-name: tests.faults.test_mute -*-
"""
A phone that does not answer for some time, on the asynchronous engine;
L{tests.usb.test_source} has the same with threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.phone.bus.faultplan import NO_FAULTS
from muxd.phone.parser import serials
from tests.faults.world import LOOK_INTERVAL, World

LIMITS = Limits()


class MuteTests(SynchronousTestCase):
    """
    Tests of the daemon with such a phone.
    """

    def setUp(self) -> None:
        """
        A daemon whose only phone does not answer VERSION.
        """
        self.world = World(Random(1), LIMITS, 0.0)
        (udid,) = serials(1)
        self.phone = self.world.addPhone(udid, NO_FAULTS, services={})
        self.phone.faults.silent = True
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        End the daemon, and see that nothing is left.
        """
        ended = [self.world.factory.stop(), self.world.source.stopService()]
        self.letPass(lambda: all(each.called for each in ended))
        self.world.factory.doStop()
        self.phone.stop()
        self.assertHoldsNothing()
        while self.step():
            pass
        self.assertEqual(self.world.getDelayedCalls(), [])

    def step(self) -> bool:
        """
        Do all that can be done now.

        @return: Whether there was anything.
        """
        ready = [source for source in self.world.sources() if source.isReady()]
        for source in ready[:1]:
            source.step()
        return bool(ready) or self.world.look()

    def letPass(self, until: Callable[[], object]) -> None:
        """
        Let time pass until a condition holds.
        """
        while not until():
            if self.step():
                continue
            time = self.world.nextTime()
            assert time is not None, "nothing will ever happen"
            self.world.rightNow = max(time, self.world.rightNow)

    def isAttached(self) -> bool:
        """
        Whether clients see the phone.
        """
        return self.world.registry.findByUDID(self.phone.udid) is not None

    def isOpened(self, times: int) -> bool:
        """
        Whether the phone was opened so many times.
        """
        return len(self.world.contexts) == times

    def assertHoldsNothing(self) -> None:
        """
        Nothing of the phone is open.
        """
        self.assertEqual(self.world.removeAll(), [])
        for context in self.world.contexts:
            self.assertTrue(context.isReleased)
            self.assertFalse(context.inFlight)

    def test_answersInTheEnd(self) -> None:
        """
        It is opened again after 5, 10, 20 ... 60 seconds, each time with a context of its
        own, of which nothing is left until then; and attached when it answers.
        """
        delays = []
        for opened in range(1, 9):
            self.letPass(partial(self.isOpened, opened))
            begun = self.world.seconds()
            self.assertFalse(self.isAttached())
            self.letPass(lambda: not self.world.source._phones)
            self.assertHoldsNothing()
            self.letPass(partial(self.isOpened, opened + 1))
            delays.append(self.world.seconds() - begun - LIMITS.handshakeTimeout)
        for expected, delay in zip([0, 5, 10, 20, 40, 60, 60, 60], delays, strict=True):
            # The bus is looked at now and then.
            self.assertTrue(expected <= delay < expected + LOOK_INTERVAL + 0.5, delays)
        self.phone.faults.silent = False
        self.letPass(self.isAttached)
        self.assertEqual(len(self.world.contexts), 9)

    def test_unplugged(self) -> None:
        """
        When it is unplugged while it waits, it is not waited for.
        """
        self.letPass(partial(self.isOpened, 3))
        self.letPass(lambda: not self.world.source._phones)
        [timer] = self.world.getDelayedCalls()
        self.phone.unplug()
        self.letPass(lambda: not self.world.getDelayedCalls())
        self.assertLess(self.world.seconds(), timer.getTime())

    def test_stopped(self) -> None:
        """
        When the daemon stops while it waits, nothing is left (C{stop}).
        """
        self.letPass(partial(self.isOpened, 3))
        self.letPass(lambda: not self.world.source._phones)
        self.assertEqual(len(self.world.getDelayedCalls()), 1)
