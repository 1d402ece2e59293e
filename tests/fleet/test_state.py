# -*- test-case-name: tests.fleet.test_state -*-
"""
Tests of L{muxd.fleet.state}.
"""

from __future__ import annotations

import os

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.state import BLOCK, CannotRemember, StateDirectory
from muxd.fleet.values import Reservation
from tests.fleet.fleets import udid


def held(token: int, number: int = 1) -> Reservation:
    """
    A reservation.
    """
    return Reservation(
        token=token,
        key="k",
        udid=udid(number),
        host="a",
        user="u",
        reason="",
        term=30.0,
    )


class StateTests(SynchronousTestCase):
    """
    Tests of L{StateDirectory}.
    """

    def setUp(self) -> None:
        """
        A directory.
        """
        self.patch(os, "fsync", lambda descriptor: None)
        self.path = FilePath(self.mktemp())

    def opened(self) -> StateDirectory:
        """
        Open it, as another process does.
        """
        state = StateDirectory(self.path.path)
        state.open()
        self.addCleanup(state.close)
        return state

    def put(self, name: str, content: bytes) -> None:
        """
        Write a file by hand.
        """
        self.path.child(name).setContent(content)

    def test_revisions(self) -> None:
        """
        Each process begins above all that the one before it may have used.
        """
        state = StateDirectory(self.path.path)
        self.assertEqual(state.open(), 0)
        self.assertEqual(state.ceiling, BLOCK)
        state.extend(7)
        state.close()
        self.assertEqual(StateDirectory(self.path.path).open(), BLOCK + 7)

    def test_remembers(self) -> None:
        """
        What is stored is there for the next process, and what is forgotten is not.
        """
        state = self.opened()
        state.save(held(3))
        state.save(held(4, 2))
        state.forget(held(4, 2))
        state.forget(held(4, 2))
        state.saveDraining({"b", "a"})
        state.close()
        again = self.opened()
        self.assertEqual(again.reservations, [held(3)])
        self.assertEqual(again.draining, {"a", "b"})

    def test_newestWins(self) -> None:
        """
        Of two reservations of one phone, of which one was to be forgotten, the later one is in
        force; no revision up to it is used again.
        """
        state = self.opened()
        state.save(held(BLOCK * 3))
        state.save(held(BLOCK * 2))
        state.close()
        again = StateDirectory(self.path.path)
        self.assertEqual(again.open(), BLOCK * 3)
        self.assertEqual(again.reservations, [held(BLOCK * 3)])
        again.close()

    def test_strangeFiles(self) -> None:
        """
        A file that is no reservation is passed over, and said so.
        """
        self.opened().close()
        self.put("reservation-1", b"[")
        self.put("reservation-2", b"[]")
        self.put("reservation-3", b'{"token": "3"}')
        self.put("reservation-4", b"[" * 100000)
        self.assertEqual(self.opened().reservations, [])

    def test_strangeRevision(self) -> None:
        """
        Where it cannot be told which tokens have been used, nothing begins.
        """
        self.opened().close()
        self.put("revision", b'"x"')
        error = self.assertRaises(CannotRemember, StateDirectory(self.path.path).open)
        self.assertIn("expected a number", str(error))

    def test_twoHubs(self) -> None:
        """
        A second process is refused as long as the first is there.
        """
        first = self.opened()
        error = self.assertRaises(CannotRemember, StateDirectory(self.path.path).open)
        self.assertIn("in use by another hub", str(error))
        first.close()
        self.opened()

    def test_othersMayWrite(self) -> None:
        """
        A directory that others may write in is refused.
        """
        self.path.makedirs()
        self.path.chmod(0o777)
        error = self.assertRaises(CannotRemember, StateDirectory(self.path.path).open)
        self.assertIn("chmod go-w", str(error))

    def test_noDirectory(self) -> None:
        """
        One that cannot be made is named.
        """
        self.path.setContent(b"")
        error = self.assertRaises(CannotRemember, StateDirectory(self.path.path + "/x").open)
        self.assertIn(self.path.path, str(error))
