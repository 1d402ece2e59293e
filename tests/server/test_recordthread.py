# -*- test-case-name: tests.server.test_recordthread -*-
"""
Tests of L{muxd.server.recordthread}.
"""

from __future__ import annotations

import threading
from errno import ENOENT

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IPairRecords
from muxd.server.recordthread import RecordThread
from muxd.testing import MemoryRecordStore


class RecordThreadTests(TestCase):
    """
    A store that is used in another thread.
    """

    def setUp(self) -> None:
        """
        Make the thread, and see it end.
        """
        self.before = threading.active_count()
        self.store = MemoryRecordStore()
        self.records = RecordThread(reactor, self.store)
        self.addCleanup(self.ended)

    async def ended(self) -> None:
        """
        Nothing is left.
        """
        await self.records.stop()
        self.assertEqual(threading.active_count(), self.before)

    def test_interface(self) -> None:
        """
        They are pair records.
        """
        verifyObject(IPairRecords, self.records)

    async def test_all(self) -> None:
        """
        Everything that a store can do is done, and its errors arrive.
        """
        await self.records.save("a", b"1")
        self.assertEqual(await self.records.read("a"), b"1")
        await self.records.delete("a")
        self.assertEqual(await self.records.readBUID(), self.store.buid)
        with self.assertRaises(OSError) as caught:
            await self.records.read("a")
        self.assertEqual(caught.exception.errno, ENOENT)

    async def test_elsewhere(self) -> None:
        """
        The thread of the caller does not wait, and there is only one other.
        """
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.records.run(hold.wait)
        reading = [self.records.run(threading.current_thread) for _ in range(20)]
        self.assertNoResult(reading[0])
        hold.set()
        [thread] = {await each for each in reading}
        self.assertIsNot(thread, threading.current_thread())

    async def test_inOrder(self) -> None:
        """
        What is asked for first is done first.
        """
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.records.run(hold.wait)
        for number in range(50):
            self.records.save("a", b"%d" % number)
        reading = self.records.read("a")
        self.records.save("a", b"later")
        hold.set()
        self.assertEqual(await reading, b"49")

    async def test_stop(self) -> None:
        """
        What has been asked for is done, then there is no thread any more.
        """
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.records.run(hold.wait)
        self.records.save("a", b"1")
        stopped = [self.records.stop(), self.records.stop()]
        self.assertNoResult(stopped[0])
        hold.set()
        for each in stopped:
            await each
        self.assertEqual(self.store.records, {"a": b"1"})
        self.assertEqual(threading.active_count(), self.before)

    async def test_again(self) -> None:
        """
        The thread stays for the next thing; and there is another one when it has been
        stopped.
        """
        first = await self.records.run(threading.current_thread)
        self.assertIs(await self.records.run(threading.current_thread), first)
        await self.records.stop()
        self.assertIsNot(await self.records.run(threading.current_thread), first)

    async def test_cancelled(self) -> None:
        """
        Who no longer wants the answer does not have it undone, and nobody waits for
        the disk because of that.
        """
        hold = threading.Event()
        self.addCleanup(hold.set)
        self.records.run(hold.wait)
        saving = self.records.save("a", b"1")
        saving.cancel()
        self.failureResultOf(saving, CancelledError)
        self.assertEqual(self.store.records, {})
        hold.set()
        await self.records.stop()
        self.assertEqual(self.store.records, {"a": b"1"})

    async def test_keepsNobodyAlive(self) -> None:
        """
        A process can end while a disk does not answer.
        """
        thread = await self.records.run(threading.current_thread)
        self.assertTrue(thread.daemon)

    async def test_neverUsed(self) -> None:
        """
        Without anything to do there is no thread.
        """
        await self.records.stop()
        self.assertEqual(threading.active_count(), self.before)
