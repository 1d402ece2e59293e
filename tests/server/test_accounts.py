# -*- test-case-name: tests.server.test_accounts -*-
"""
Tests of L{muxd.server.accounts}.
"""

from __future__ import annotations

from itertools import pairwise

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.server.accounts import USES, Account, Accounts
from muxd.server.states import TRANSITIONS, State

FEW = Limits(connectionsPerUser=3, streamsPerUser=100, listenersPerUser=100)


class Silent:
    """
    A client that says nothing.
    """

    isDropped = False

    def dropSilent(self) -> None:
        """
        Remember.
        """
        self.isDropped = True


class AccountsTests(SynchronousTestCase):
    """
    L{Accounts}.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.clock = Clock()
        self.accounts = Accounts(self.clock, FEW)

    def enter(self, owner: str) -> tuple[Account, Silent]:
        """
        A client comes, and says nothing.
        """
        account = self.accounts.enter(owner)
        assert account is not None
        client = Silent()
        account.silent(client, self.clock.seconds())
        return account, client

    def test_connections(self) -> None:
        """
        Each user may have so many; others are counted by themselves, and of a user without any
        nothing is kept.
        """
        accounts = [self.enter("a")[0] for _ in range(3)]
        self.assertIsNone(self.accounts.enter("a"))
        self.enter("b")
        self.assertEqual(self.accounts.sizes(), {"a": (3, 0, 0), "b": (1, 0, 0)})
        self.accounts.leave(accounts[0])
        self.enter("a")
        for account in accounts:
            self.accounts.leave(account)
        self.assertEqual(len(self.accounts), 1)

    def test_heldExactly(self) -> None:
        """
        Each user may have so much that is not done yet, and so may all together; a byte more
        is too much.
        """
        limits = Limits(heldPerUser=60, heldBytes=100)
        accounts = Accounts(self.clock, limits)
        one, other = accounts.enter("a"), accounts.enter("b")
        assert one is not None
        assert other is not None
        accounts.hold(one, 60)
        self.assertFalse(accounts.holdsTooMuch(one))
        accounts.hold(one, 1)
        self.assertTrue(accounts.holdsTooMuch(one))
        accounts.hold(one, -1)
        accounts.hold(other, 40)
        self.assertFalse(accounts.holdsTooMuch(one))
        accounts.hold(other, 1)
        self.assertTrue(accounts.holdsTooMuch(one))

    def test_largest(self) -> None:
        """
        What the user with the most has is known, of each kind for itself.
        """
        self.assertEqual(self.accounts.largest(), (0, 0, 0))
        for owner, streams, listeners in (("a", 5, 1), ("a", 5, 1), ("b", 2, 7)):
            account, _ = self.enter(owner)
            account.streams, account.listeners = streams, listeners
        self.assertEqual(self.accounts.largest(), (2, 5, 7))

    def test_share(self) -> None:
        """
        Of few descriptors one user may have seven eighths in ways that cannot be taken back.
        """
        self.accounts.share(80)
        self.assertEqual((self.accounts.mostStreams, self.accounts.mostListeners), (50, 20))
        self.accounts.share(1)
        self.assertEqual((self.accounts.mostStreams, self.accounts.mostListeners), (1, 1))
        for many in (1 << 20, None):
            self.accounts.share(many)
            self.assertEqual((self.accounts.mostStreams, self.accounts.mostListeners), (100, 100))

    def test_uses(self) -> None:
        """
        In whatever way a client goes through its states, nothing is left of it at the end.
        """
        walks = [[State.COMMAND]]
        ended = 0
        while walks:
            walk = walks.pop()
            if walk[-1] is State.CLOSED:
                account, client = self.enter("a")
                for before, after in pairwise(walk):
                    account.uses(client, before, after, 0.0)
                    streams = after in (State.CONNECTING, State.CONNECTED)
                    listeners = after is State.LISTENING
                    self.assertEqual((account.streams, account.listeners), (streams, listeners))
                self.assertIsNone(account.longestSilent(1.0))
                self.accounts.leave(account)
                ended += 1
                continue
            walks += [[*walk, after] for after in TRANSITIONS[walk[-1]] if walk.count(after) < 2]
        self.assertGreater(ended, 20)
        self.assertEqual(set(USES), set(State))

    def test_longestSilent(self) -> None:
        """
        Of the user with the most clients the one goes that has been silent for the longest.
        """
        _, alone = self.enter("b")
        account, first = self.enter("a")
        _, second = self.enter("a")
        self.assertFalse(self.accounts.dropSilent())
        self.clock.advance(FEW.leastSilence)
        account.silent(first, self.clock.seconds())
        self.assertTrue(self.accounts.dropSilent())
        self.assertEqual((first.isDropped, second.isDropped), (False, True))
        self.assertFalse(self.accounts.dropSilent())
        self.clock.advance(FEW.leastSilence)
        self.assertTrue(self.accounts.dropSilent())
        self.assertEqual((first.isDropped, alone.isDropped), (True, False))

    def test_nobody(self) -> None:
        """
        Without clients there is none to go.
        """
        self.assertFalse(self.accounts.dropSilent())
