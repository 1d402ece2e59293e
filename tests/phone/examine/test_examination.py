"""
Tests of L{muxd.phone.examine.examination} and of its checks: our daemon passes, in memory, and
one that does something wrong is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.examine.checks import Check
from muxd.phone.examine.complaints import NO_COMPLAINT
from muxd.phone.examine.examination import CHECKS, LONG, chosen, examine
from muxd.phone.examine.findings import Finding, Outcome, Violated, require
from muxd.phone.examine.stage import Stage
from muxd.wire.mux import V2_HEADER
from tests.phone.examine.memory import MemoryStage

QUICK = (6, 10, 14, 17, 18, 19, 21, 24, 25, 28, 31, 32, 33, 36, 37, 39, 40, 41, 45, 46, 49, 54, 59)
"""Those of a few milliseconds; F{tests/integration/test_examine.py} has all of them."""


def outcomes(findings: list[Finding]) -> set[Outcome]:
    """
    In which ways they ended.
    """
    return {finding.outcome for finding in findings}


class OursTests(SynchronousTestCase):
    """
    Examinations of our daemon.
    """

    def setUp(self) -> None:
        """
        Have it.
        """
        self.stage = MemoryStage()

    def examine(self, *edges: int, **options: Any) -> list[Finding]:
        """
        Make the checks of some edges.
        """
        return self.stage.run(examine(self.stage, chosen(edges), **options))

    def test_passes(self) -> None:
        """
        It passes, and the phone has nothing to complain of.
        """
        findings = self.examine(*QUICK)
        wrong = [each for each in findings if each.outcome is not Outcome.PASSED]
        self.assertEqual(wrong, [])
        self.assertEqual(findings[-1].title, NO_COMPLAINT)
        self.assertGreater(len(findings), len(QUICK))

    def test_long(self) -> None:
        """
        What takes minutes is not examined unless asked for, and the report says so.
        """
        finding, _ = self.examine(22)
        self.assertEqual((finding.outcome, finding.detail), (Outcome.NOT_EXAMINED, LONG))

    def test_unknown(self) -> None:
        """
        What can only be seen of a process is not examined in memory.
        """
        *findings, _ = self.examine(35, 67, 72)
        self.assertEqual(outcomes(findings), {Outcome.NOT_EXAMINED})

    def test_told(self) -> None:
        """
        Each finding is told as it comes.
        """
        told: list[Finding] = []
        self.assertEqual(self.examine(14, found=told.append), told)

    def test_checks(self) -> None:
        """
        Every check has a title of its own, and says which edges it is about.
        """
        self.assertEqual(len({check.title for check in CHECKS}), len(CHECKS))
        self.assertGreater(len({edge for check in CHECKS for edge in check.edges}), 50)
        self.assertEqual(chosen(), list(CHECKS))


class WrongTests(SynchronousTestCase):
    """
    Examinations of a daemon that does something wrong on the cable.
    """

    def findings(
        self, spoil: Callable[[bytes], list[bytes]], *edges: int
    ) -> dict[tuple[int, ...], Finding]:
        """
        What is found if the host's packets are others than they should be, by edges.
        """
        stage = MemoryStage()
        received = stage.phone.muxer.hostPacket

        def hostPacket(data: bytes) -> None:
            for packet in spoil(data):
                received(packet)

        self.patch(stage.phone.muxer, "hostPacket", hostPacket)
        findings = stage.run(examine(stage, chosen(edges)))
        return {each.edges: each for each in findings if each.outcome is Outcome.VIOLATED}

    def test_glued(self) -> None:
        """
        Packets that are not ended are complained of, with the packets, once.
        """
        held: list[bytes] = []

        def together(data: bytes) -> list[bytes]:
            if len(data) == 512:
                held.append(data)
                return []
            whole = b"".join((*held, data))
            held.clear()
            return [whole]

        found = self.findings(together, 3)
        self.assertIn((3,), found)
        complaint = found[(3,)]
        self.assertTrue(complaint.packets)

    def test_counter(self) -> None:
        """
        A wrong rx_seq is edge 21, told once, however often it happens.
        """

        def spoil(data: bytes) -> list[bytes]:
            if len(data) < 36:
                return [data]
            return [data[: V2_HEADER.size - 2] + b"\x70\0" + data[V2_HEADER.size :]]

        found = self.findings(spoil, 21)
        self.assertEqual(list(found), [(21,)])
        self.assertRegex(found[(21,)].detail, r"rx_seq 28672, expected .* \(\d\d times; the first")

    def test_window(self) -> None:
        """
        What is no sharp edge is found as well.
        """
        sent: list[int] = []

        def spoil(data: bytes) -> list[bytes]:
            if len(data) < 36 or data[29] != 0x10:
                return [data]
            sent.append(1)
            window = 0x100 + len(sent)
            return [data[:30] + window.to_bytes(2, "big") + data[32:]]

        found = self.findings(spoil, 14, 38)
        self.assertIn("window", found[()].detail)


class OutcomeTests(SynchronousTestCase):
    """
    Tests of what becomes of a check.
    """

    def finding(self, run: Callable[[Stage], Any]) -> Finding:
        """
        Make a check.
        """
        stage = MemoryStage()
        finding, _ = stage.run(examine(stage, [Check((1,), "a title", run)]))
        return finding

    def test_violated(self) -> None:
        """
        What a check expects in vain is in the finding, with the last packets.
        """

        async def run(stage: Stage) -> None:
            await stage.devices()
            require(False, "expected tea, got coffee")

        finding = self.finding(run)
        self.assertEqual(
            (finding.edges, finding.title, finding.outcome, finding.detail),
            ((1,), "a title", Outcome.VIOLATED, "expected tea, got coffee"),
        )
        self.assertEqual([packet[:8] for packet in finding.packets], ["client >", "daemon >"])

    def test_notLetIn(self) -> None:
        """
        A daemon that cannot be connected to is found out.
        """

        async def run(stage: Stage) -> None:
            raise ConnectionRefusedError("no")

        self.assertEqual(self.finding(run).detail, "expected to be let in, got no")

    def test_ended(self) -> None:
        """
        A daemon that has ended during a check is told of.
        """

        class Ended(MemoryStage):
            isOver = False

            @property
            def isAlive(self) -> bool:
                return not self.isOver

        async def run(stage: Stage) -> None:
            ended.isOver = True

        async def fails(stage: Stage) -> None:
            ended.isOver = True
            raise Violated("expected tea, got coffee")

        for check, text in (
            (run, "the daemon has ended"),
            (fails, "expected tea, got coffee; the daemon has ended"),
        ):
            ended = Ended()
            finding, _ = ended.run(examine(ended, [Check((), "", check)]))
            self.assertEqual((finding.outcome, finding.detail), (Outcome.VIOLATED, text))

    def test_noPhone(self) -> None:
        """
        If the daemon does not see the phone, nothing is examined.
        """

        class Blind(MemoryStage):
            async def listed(self, seconds: float = 0.0) -> dict[str, Any]:
                raise Violated("expected a phone")

        stage = Blind()
        finding, _ = stage.run(examine(stage, chosen([14])))
        self.assertEqual(
            (finding.outcome, finding.detail),
            (Outcome.NOT_EXAMINED, "the phone cannot be used at all: expected a phone"),
        )
