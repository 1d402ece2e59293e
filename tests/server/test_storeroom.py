# -*- test-case-name: tests.server.test_storeroom -*-
"""
Tests of L{muxd.server.storeroom}.
"""

from __future__ import annotations

from errno import EDQUOT

from twisted.trial.unittest import SynchronousTestCase

from muxd.server.storeroom import LOOKED_AGAIN, LOOKED_EVERY, StoreRoom


class StoreRoomTests(SynchronousTestCase):
    """
    L{StoreRoom}.
    """

    def setUp(self) -> None:
        """
        Make one for three files of a hundred bytes.
        """
        self.time = 0.0
        self.there = [10]
        self.looks = 0
        self.room = StoreRoom(3, 100, self.look, lambda: self.time)

    def look(self) -> list[int]:
        """
        What there is.
        """
        self.looks += 1
        return self.there

    def assertFull(self, before: int | None, after: int) -> None:
        """
        This has no room.
        """
        error = self.assertRaises(OSError, self.room.check, before, after)
        self.assertEqual(error.errno, EDQUOT)

    def test_count(self) -> None:
        """
        There may be so many; one may take another's place, or that of one that is removed.
        """
        for _ in range(2):
            self.room.check(None, 10)
            self.room.changed(None, 10)
        self.assertFull(None, 10)
        self.room.check(10, 20)
        self.room.changed(10, None)
        self.room.check(None, 10)
        self.assertEqual(self.looks, 1)

    def test_size(self) -> None:
        """
        They may be so long together; one may take the place of a longer one in any case.
        """
        self.room.check(None, 90)
        self.room.changed(None, 90)
        self.assertEqual((self.room.count, self.room.size), (2, 100))
        self.assertFull(None, 1)
        self.assertFull(10, 11)
        self.room.check(10, 10)
        self.there = [500]
        self.time = LOOKED_EVERY
        self.room.check(500, 400)
        self.room.check(500, 500)
        self.assertFull(500, 501)

    def test_looks(self) -> None:
        """
        It is looked again once an hour, and before something is refused.
        """
        self.room.check(None, 1)
        self.there = [1, 1, 1]
        self.room.check(None, 1)
        self.time = LOOKED_EVERY
        self.assertFull(None, 1)
        self.there = []
        self.assertFull(None, 1)
        self.time += LOOKED_AGAIN
        self.room.check(None, 1)
        self.assertEqual((self.looks, self.room.count, self.room.size), (3, 0, 0))
        # The clock was set back.
        self.time -= 0.5
        self.room.check(None, 1)
        self.assertEqual(self.looks, 4)
