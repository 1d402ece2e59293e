"""
Tests of L{muxd.lockdown.errors}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.errors import DialogPending, LockdownError, PairingDenied, PhoneLocked, refusal


class RefusalTests(SynchronousTestCase):
    """
    Which exception a word of the phone becomes.
    """

    def test_kinds(self) -> None:
        """
        Those that somebody can do something about have their own; others are told
        as they are.
        """
        for code, kind in (
            ("PairingDialogResponsePending", DialogPending),
            ("UserDeniedPairing", PairingDenied),
            ("PasswordProtected", PhoneLocked),
            ("SomethingElse", LockdownError),
        ):
            error = refusal("Pair", code)
            self.assertIs(type(error), kind)
            self.assertEqual((error.request, error.code), ("Pair", code))
            self.assertEqual(str(error), f"the phone answered {code} to Pair")

    def test_shown(self) -> None:
        """
        What a phone says instead of a word can be shown, and is not long.
        """
        text = str(refusal("Pair", "\x1b[2J\n" * 1000))
        self.assertTrue(text.isprintable())
        self.assertLess(len(text), 400)
