"""
Tests that docs/pairing.md says what happens.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.server.trusttable import published, table


class TrustTableTests(SynchronousTestCase):
    """
    The page and the daemon.
    """

    def test_table(self) -> None:
        """
        The table is what listeners see; python -m tests.server.trusttable renews
        it.
        """
        self.assertEqual(published(), table())
