"""
Tests of L{muxd.phone.bus.faultplan}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from muxd.description import Description
from muxd.phone.bus.faultplan import Direction, Fault, FaultKind, FaultPlan


class FaultPlanTests(SynchronousTestCase):
    """
    Tests of L{FaultPlan} and L{Fault}.
    """

    def test_read(self) -> None:
        """
        A plan is faults with commas between them, and a seed.
        """
        plan = FaultPlan.fromString("stall@in3,no-device@out~0.25,seed=7")
        self.assertEqual(
            plan,
            FaultPlan(
                (
                    Fault(kind=FaultKind.STALL, direction=Direction.IN, transfer=3),
                    Fault(kind=FaultKind.NO_DEVICE, direction=Direction.OUT, probability=0.25),
                ),
                seed=7,
            ),
        )

    def test_printed(self) -> None:
        """
        What is printed reads as the same plan, and every kind can be written.
        """
        random = Random(1)
        for kind in FaultKind:
            for direction in Direction:
                for fault in (
                    Fault(kind=kind, direction=direction, transfer=random.randrange(1, 10**9)),
                    Fault(kind=kind, direction=direction, probability=1.0),
                    Fault(
                        kind=kind,
                        direction=direction,
                        probability=random.randrange(1, 10**9) / 10**9,
                    ),
                ):
                    plan = FaultPlan((fault, fault), seed=random.randrange(10**18))
                    self.assertEqual(FaultPlan.fromString(str(plan)), plan)

    def test_asAnArgument(self) -> None:
        """
        A plan stands in the description of a source as it is.
        """
        text = "stall@in3,garbage@out~0.000000001,seed=7"
        parsed = Description.fromString(f"simulated:2:faults={text}:mux=1")
        self.assertEqual(parsed.keywords, {"faults": text, "mux": "1"})

    def test_wrong(self) -> None:
        """
        What is no plan is refused in one line that says what was expected.
        """
        form = "expected KIND@in3, KIND@out~0.01 or seed=7 with commas between, got "
        for text, reason in (
            ("", f"{form}''"),
            ("stall", f"{form}'stall'"),
            ("stall@in", f"{form}'stall@in'"),
            ("stall@in0", f"{form}'stall@in0'"),
            ("stall@in3,", f"{form}''"),
            ("stall@in3;eproto@in4", f"{form}'stall@in3;eproto@in4'"),
            ("stall@in1e3", f"{form}'stall@in1e3'"),
            ("stall@in9999999999", f"{form}'stall@in9999999999'"),
            ("stall@in\u0663", f"{form}'stall@in\u0663'"),
            ("stall@in3,seed=x", f"{form}'seed=x'"),
            ("stall@in~1.5", "expected a probability above 0 and up to 1, got 'stall@in~1.5'"),
            ("stall@in~0", "expected a probability above 0 and up to 1, got 'stall@in~0'"),
            ("stall@in3,seed=1,seed=1", "expected one seed, got 'seed=1' as well"),
            ("seed=1", "expected a fault beside the seed, such as stall@in3, got 'seed=1'"),
            (
                "fire@in3",
                "expected one of stall, timeout, short, overflow, eproto, no-device, duplicate, "
                "reorder, truncate, garbage, got 'fire'",
            ),
        ):
            with self.assertRaises(ValueError) as caught:
                FaultPlan.fromString(text)
            self.assertEqual(str(caught.exception), reason)

    def test_made(self) -> None:
        """
        A fault happens at a number or by chance, and not otherwise.
        """
        for transfer, probability in ((0, 0.0), (1, 0.5), (-1, 0.0), (0, 1.5), (0, -0.5)):
            with self.assertRaises(ValueError):
                Fault(
                    kind=FaultKind.STALL,
                    direction=Direction.IN,
                    transfer=transfer,
                    probability=probability,
                )
