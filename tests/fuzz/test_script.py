"""
Tests for L{tests.fuzz.script}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.script import Script, piece


class ScriptTests(SynchronousTestCase):
    """
    Reading.
    """

    def test_numbers(self) -> None:
        """
        Numbers of all sizes, the near ones signed.
        """
        script = Script(bytes.fromhex("01 0203 04050607 ff 7f 80 00000100 05"))
        read = [script.byte(), script.word(), script.long(), script.near(), script.near()]
        self.assertEqual(read, [1, 0x0203, 0x04050607, -1, 127])
        self.assertEqual(script.near(), 256)
        self.assertEqual(script.choose("abc"), "c")

    @given(st.lists(st.binary(max_size=600), max_size=4), st.binary())
    def test_pieces(self, pieces: list[bytes], rest: bytes) -> None:
        """
        What L{piece} writes is read back, and so is what follows.
        """
        script = Script(b"".join(map(piece, pieces)) + rest)
        self.assertEqual([script.piece() for _ in pieces], pieces)
        self.assertEqual(bool(script), bool(rest))
        self.assertEqual(script.rest(), rest)

    @given(st.binary(max_size=8))
    def test_end(self, data: bytes) -> None:
        """
        Behind the end everything is zero.
        """
        script = Script(data)
        script.rest()
        self.assertFalse(script)
        read = [script.byte(), script.word(), script.long(), script.near(), script.piece()]
        self.assertEqual(read, [0, 0, 0, 0, b""])
