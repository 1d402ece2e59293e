"""
Some hundred fault plans, the same ones each time; C{python -m tests.faults} runs as many as one
likes.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.device import opening
from muxd.device.session import Session
from muxd.net.pipe import PipeEnd
from muxd.phone.bus.faultplan import NO_FAULTS, FaultKind, FaultPlan
from muxd.usb.retries import Retries
from tests.capture.sink import ListSink
from tests.faults.__main__ import Options, batches
from tests.faults.clients import End
from tests.faults.exploration import Exploration
from tests.faults.findings import explore
from tests.faults.scenarios import phonePorts
from tests.running.properties import examples
from tests.running.unit import takesSeconds

PLANS = 300
CAPTURED = 40


class ExplorationTests(SynchronousTestCase):
    """
    Tests of the daemon by L{tests.faults.exploration}.
    """

    @takesSeconds
    def test_plans(self) -> None:
        """
        Whatever goes wrong on one phone's cable, streams are right as far as they come, end,
        and leave nothing, and nobody else notices.
        """
        findings = explore(range(PLANS))
        self.assertEqual(findings.wrong, [])
        self.assertEqual(findings.scenarios, PLANS)
        # All of it has happened, or the plans are too kind.
        self.assertEqual(set(findings.strikes), {kind.value for kind in FaultKind})
        self.assertEqual(set(findings.ends), {end.value for end in End})

    def test_withoutFaults(self) -> None:
        """
        Without a fault all clients get everything, unless somebody pulls their phone out.
        """
        for seed in range(examples(20)):
            exploration = Exploration(seed, NO_FAULTS)
            outcome = exploration.run()
            self.assertEqual(outcome.wrong, ())
            self.assertEqual(outcome.strikes, ())
            if not exploration.mayUnplug:
                self.assertEqual(set(outcome.ends), {End.COMPLETE}, str(outcome))


class CaptureTests(SynchronousTestCase):
    """
    Fault plans with captures on.
    """

    def test_nothingElseChanges(self) -> None:
        """
        What is captured goes on as it would otherwise, step by step, and leaves as little; also
        if most packets are dropped from the capture.  The files are whole, the streams of a
        phone without faults are as they were sent, and what was dropped is counted.
        """
        dropped = payload = 0
        for seed in range(examples(CAPTURED)):
            expected = Exploration(seed).run()
            exploration = Exploration(seed)
            taps = exploration._world.taps
            healthy, everything = ListSink(), ListSink(space=2000)
            one = taps.begin(healthy, udid=exploration._world.phones[0].udid)
            all_ = taps.begin(everything)
            self.assertEqual(exploration.run(), expected)
            for capture in (one, all_):
                self.successResultOf(taps.end(capture))
            streams = healthy.file.streams()
            payload += sum(len(said) for each in streams.values() for said in each)
            self.assertEqual(one.dropped, 0)
            file = everything.file
            self.assertEqual(len(file.packets), all_.received - all_.dropped)
            dropped += all_.dropped
        self.assertGreater(payload, 0)
        self.assertGreater(dropped, 0)


class RepeatingTests(SynchronousTestCase):
    """
    What fails can be seen again.
    """

    def test_sameSeed(self) -> None:
        """
        A seed does the same each time, step by step.
        """
        for seed in range(8):
            self.assertEqual(Exploration(seed).run(), Exploration(seed).run())

    def test_account(self) -> None:
        """
        A failure says which seed and plan it was, what was wrong, what had happened on the
        cable, and what to type to have it again.
        """
        self.patch(PipeEnd, "dataReceived", lambda self, data: None)
        outcome = Exploration(5, FaultPlan.fromString("stall@in3,seed=9")).run()
        text = str(outcome)
        self.assertIn("seed 5, plan stall@in3,seed=9, after", text)
        self.assertIn(f"\n  {outcome.wrong[0]}", text)
        self.assertIn("fault: stall of in transfer 3, 0000", text)
        self.assertIn("python -m tests.faults --seed 5 --plans 1 --plan stall@in3,seed=9", text)

    def test_options(self) -> None:
        """
        The command takes what is printed, and divides seeds among processes.
        """
        options = Options()
        options.parseOptions(["--seed", "5", "--plans", "300", "--plan", "stall@in3,seed=9"])
        self.assertEqual(options["plan"], FaultPlan.fromString("stall@in3,seed=9"))
        self.assertEqual(
            list(batches(options["seed"], options["plans"])), [range(5, 255), range(255, 305)]
        )


class NoticingTests(SynchronousTestCase):
    """
    The exploration notices what must not be.
    """

    def assertNoticed(self, text: str) -> None:
        """
        Something is wrong, and is said.
        """
        wrong = "\n".join(explore(range(12)).wrong)
        self.assertIn(text, wrong)

    def test_wrongBytes(self) -> None:
        """
        Bytes that are not those that were sent.
        """
        received = PipeEnd.dataReceived
        self.patch(PipeEnd, "dataReceived", lambda end, data: received(end, data[::-1]))
        self.assertNoticed("are not the right ones")

    @takesSeconds
    def test_lostEnd(self) -> None:
        """
        A stream that nobody closes.
        """
        self.patch(PipeEnd, "connectionLost", lambda end, reason: None)
        self.assertNoticed("waits for ever")

    def test_exception(self) -> None:
        """
        Whatever is raised in the reactor.
        """
        self.patch(PipeEnd, "connectionMade", lambda end: 1 / 0)
        self.assertNoticed("ZeroDivisionError")
        self.flushLoggedErrors(ZeroDivisionError)

    def test_givenUp(self) -> None:
        """
        A phone that did not answer and is not tried again.
        """
        plan = FaultPlan.fromString("truncate@out1,truncate@out2")
        self.assertEqual(Exploration(5, plan).run().wrong, ())
        self.patch(Retries, "ended", lambda retries, location: None)
        wrong = "\n".join(Exploration(5, plan).run().wrong)
        self.assertIn("is not tried again", wrong)
        self.assertIn("does not come back", wrong)

    def test_leftBehind(self) -> None:
        """
        Objects that something holds on to.
        """
        held = []

        def made(*arguments: Any) -> Session:
            held.append(Session(*arguments))
            return held[-1]

        self.patch(opening, "Session", made)
        self.assertNoticed("objects are left: {")

    def test_ports(self) -> None:
        """
        The session that a packet belonged to is known by its head.
        """
        strikes = 0
        for seed in range(examples(40)):
            outcome = Exploration(seed).run()
            strikes += len(outcome.strikes)
            for strike in outcome.strikes:
                isSegment = strike.head[:4] == b"\0\0\0\6"
                ports = list(phonePorts(strike))
                self.assertEqual(len(ports), int(isSegment))
                self.assertTrue(all(999 <= port < 1010 for port in ports), strike)
        self.assertGreater(strikes, 0)
