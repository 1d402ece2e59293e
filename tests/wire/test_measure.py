"""
Tests for L{muxd.wire.measure}.
"""

from __future__ import annotations

import plistlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.measure import DEEPEST, GROWTH, measure
from tests.running.unit import takesSeconds

scalars = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.booleans(),
    st.floats(),
    st.text(alphabet="abcé 中", max_size=20),
    st.binary(max_size=20),
)
trees = st.dictionaries(
    st.text(alphabet="abc", max_size=5),
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.just("key"), inner)),
)


def nested(levels: int) -> dict[str, Any]:
    """
    A dictionary with so many levels.
    """
    value: Any = 1
    for _ in range(levels - 2):
        value = [value]
    return {"a": value}


class MeasureTests(SynchronousTestCase):
    """
    What passes, and what does not.
    """

    def refused(self, values: Any, size: int) -> str:
        """
        Why not.
        """
        return str(self.assertRaises(ValueError, measure, values, size))

    @takesSeconds
    @given(trees, st.sampled_from((plistlib.FMT_XML, plistlib.FMT_BINARY)))
    def test_honest(self, values: dict[str, Any], form: Any) -> None:
        """
        Whatever shares nothing passes, in either form.
        """
        measure(values, len(plistlib.dumps(values, fmt=form)))

    def test_manyPhones(self) -> None:
        """
        So do the keys and values that a long list of phones has in common, said
        once in a binary property list.
        """
        properties = {"ConnectionType": "USB", "ConnectionSpeed": 480000000, "ProductID": 4776}
        phones = [{"DeviceID": at, "Properties": dict(properties)} for at in range(1000)]
        values = {"DeviceList": phones}
        measure(values, len(plistlib.dumps(values, fmt=plistlib.FMT_BINARY)))

    def test_laughs(self) -> None:
        """
        What contains itself again and again does not.
        """
        value: Any = "lol"
        for _ in range(9):
            value = [value] * 10
        self.assertIn("far more", self.refused({"a": value}, 300))
        wide = [["lol"] * 10000] * 10000
        self.assertIn("far more", self.refused({"a": wide}, 60000))
        self.assertIn("far more", self.refused({"a": {"b": wide}}, 60000))

    def test_longTexts(self) -> None:
        """
        Nor does what repeats a long text, a long key or much data.
        """
        for long in ("x" * 30000, b"x" * 30000):
            self.assertIn("far more", self.refused({"a": [long] * 10000}, 60000))
        self.assertIn("far more", self.refused({"a": [{"x" * 30000: 1}] * 10000}, 60000))

    def test_loop(self) -> None:
        """
        Nor what contains itself.
        """
        value: list[Any] = []
        value.append(value)
        self.assertIn("levels", self.refused({"a": value}, 1000))
        value.append(value)
        self.refused({"a": value}, 1000000)

    def test_depth(self) -> None:
        """
        Nor what is so deep that others fall.
        """
        measure(nested(DEEPEST), 1000)
        self.assertIn("64 levels", self.refused(nested(DEEPEST + 1), 1000))

    def test_integers(self) -> None:
        """
        Nor an integer that nobody can write down.
        """
        for good in (-(1 << 63), (1 << 64) - 1):
            measure({"a": good}, 20)
        for bad in (-(1 << 63) - 1, 1 << 64, 1 << 262144):
            self.assertIn("64 bits", self.refused({"a": bad}, 40000))

    def test_exactly(self) -> None:
        """
        As many values as there are bytes, and as many characters as these may have, are
        looked at to the last; one more is too many.
        """
        key = "a" * GROWTH
        for fitting, more in (({"a": 1 << 64}, {"a": 0, "b": 0}), ({key: 1 << 64}, {key + "a": 0})):
            self.assertIn("64 bits", self.refused(fitting, 1))
            self.assertIn("far more", self.refused(more, 1))
