"""
Tests of L{muxd.client.rememberedlist}, with a daemon that the test plays on a real socket.
"""

from __future__ import annotations

import os
import sys
from unittest import skipUnless

from twisted.python.failure import Failure

from muxd.client import rememberedlist
from muxd.client.answers import Device
from muxd.client.rememberedlist import PIECES, READ_SIZE, TRUSTED
from muxd.client.requests import Dialect
from muxd.wire.messages import Result
from tests.client.test_shortway import (
    UDID,
    WayCase,
    attachedMessage,
    detachedMessage,
    resultMessage,
)

PHONES = (Device(deviceID=1, udid=UDID),)


class Unwilling:
    """
    A socket that takes nothing.
    """

    closed = False

    def send(self, data: bytes) -> int:
        """
        Take none.
        """
        return 0

    def close(self) -> None:
        """
        Have done.
        """
        self.closed = True


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class RememberedListTests(WayCase):
    """
    Tests of L{RememberedList}.
    """

    def setUp(self) -> None:
        """
        A daemon, and what is remembered of it.
        """
        super().setUp()
        self.list = self.access.rememberedList

    def open(self) -> None:
        """
        Have a listener that is accepted.
        """
        for _ in range(2):
            self.list.asking()
        self.feed = self.asked("Listen")
        self.say(self.feed, resultMessage(0))

    def remember(self) -> None:
        """
        Ask for the list, and get it.
        """
        self.list.answered(self.list.asking(), PHONES)
        self.assertIs(self.list.current(), PHONES)

    def assertNoListener(self) -> None:
        """
        The daemon is not asked to tell anything.
        """
        self.assertEqual(self.loop.owners, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.daemon.setblocking(False)
        self.assertRaises(BlockingIOError, self.daemon.accept)
        self.daemon.settimeout(5)

    def test_nowAndThen(self) -> None:
        """
        There is no listener for a program that asks now and then, and nothing is remembered.
        """
        for _ in range(3):
            self.list.answered(self.list.asking(), PHONES)
            self.assertIs(self.list.current(), None)
            self.clock.advance(TRUSTED)
        self.assertNoListener()

    def test_remembered(self) -> None:
        """
        There is one for a program that asks again, and the next answer is remembered.
        """
        self.open()
        self.assertIs(self.list.current(), None)
        self.remember()

    def test_askedBefore(self) -> None:
        """
        What was asked before the daemon has accepted it does not count: it may be old.
        """
        self.list.asking()
        asked = self.list.asking()
        self.list.answered(asked, PHONES)
        self.say(self.asked("Listen"), resultMessage(0))
        self.list.answered(asked, PHONES)
        self.assertIs(self.list.current(), None)

    def test_early(self) -> None:
        """
        Nor does it when the daemon tells of phones before it accepts, and in pieces.
        """
        for _ in range(2):
            self.list.asking()
        feed = self.asked("Listen")
        for byte in attachedMessage(1) + resultMessage(0)[:-1]:
            self.say(feed, bytes([byte]))
            self.assertEqual(self.list.listener, 0)
        self.say(feed, resultMessage(0)[-1:])
        self.remember()

    def test_newsBetween(self) -> None:
        """
        An answer that is older than the last news does not count.
        """
        self.open()
        asked = self.list.asking()
        self.feed.sendall(attachedMessage(2))
        self.list.answered(asked, PHONES)
        self.assertIs(self.list.current(), None)
        self.remember()

    def test_news(self) -> None:
        """
        Any news make it old, also those that nobody has looked at yet.
        """
        self.open()
        for news in (attachedMessage(2), detachedMessage(2), b"nonsense"):
            self.remember()
            self.feed.sendall(news)
            self.assertIs(self.list.current(), None)
            self.remember()
            self.say(self.feed, news)
            self.assertIs(self.list.current(), None)

    def test_flood(self) -> None:
        """
        Of a daemon that does not stop, no more is heard than in a turn; nothing is known then.
        """
        self.open()
        self.remember()
        listener = self.list.listener
        self.feed.sendall(bytes(READ_SIZE * PIECES + 1))
        self.assertFalse(self.list.isHeard(listener))
        self.assertTrue(self.list.isHeard(listener))
        self.assertIs(self.list.current(), None)

    def test_heard(self) -> None:
        """
        A listener is known to be there still, or not to be.
        """
        self.assertFalse(self.list.isHeard(1))
        self.open()
        listener = self.list.listener
        self.assertTrue(self.list.isHeard(listener))
        self.feed.sendall(attachedMessage(2))
        self.feed.close()
        self.assertFalse(self.list.isHeard(listener))
        self.clock.advance(TRUSTED)
        self.open()
        self.assertFalse(self.list.isHeard(listener))

    def test_lost(self) -> None:
        """
        With the daemon goes what is remembered, and another listener is not looked for before
        there has been time for it.
        """
        self.open()
        self.remember()
        self.feed.close()
        self.assertIs(self.list.current(), None)
        self.list.asking()
        self.assertNoListener()
        self.clock.advance(TRUSTED / 2)
        self.list.asking()
        self.assertNoListener()
        self.clock.advance(TRUSTED / 2)
        self.list.asking()
        self.say(self.asked("Listen"), resultMessage(0))
        self.remember()

    def test_refused(self) -> None:
        """
        Where there can be no listener, everyone asks, and another is tried later.
        """
        for answer in (
            resultMessage(Result.BAD_COMMAND),
            resultMessage(Result.BAD_VERSION),
            b"HTTP/1.0 400 Bad Request\r\n\r\n",
        ):
            for _ in range(2):
                self.list.asking()
            self.say(self.asked("Listen"), answer)
            self.list.answered(self.list.asking(), PHONES)
            self.assertIs(self.list.current(), None)
            self.assertNoListener()
            self.assertIs(self.access.choice.dialect, Dialect.PLIST)
            self.clock.advance(TRUSTED)

    def test_unanswered(self) -> None:
        """
        A listener that is not accepted in time is closed.
        """
        for _ in range(2):
            self.list.asking()
        feed = self.asked("Listen")
        self.clock.advance(TRUSTED)
        self.assertEqual(feed.recv(1), b"")
        self.assertNoListener()

    def test_nobodyThere(self) -> None:
        """
        Nor is there one where no daemon is.
        """
        self.daemon.close()
        os.unlink(self.path)
        for _ in range(2):
            self.list.asking()
        self.daemon = self.listen(self.path)
        self.list.asking()
        self.assertNoListener()

    def test_unwilling(self) -> None:
        """
        Nor one that does not take the question.
        """
        unwilling = Unwilling()
        self.patch(rememberedlist, "openUNIX", lambda path: unwilling)
        for _ in range(2):
            self.list.asking()
        self.assertTrue(unwilling.closed)
        self.assertNoListener()

    def test_old(self) -> None:
        """
        An answer is as old as the question, and asked for again in time.
        """
        self.open()
        asked = self.list.asking()
        self.clock.advance(1)
        self.list.answered(asked, PHONES)
        self.clock.advance(TRUSTED - 1.25)
        self.assertIs(self.list.current(), PHONES)
        self.clock.advance(0.25)
        self.assertIs(self.list.current(), None)
        self.remember()

    def test_unwanted(self) -> None:
        """
        The listener goes when nobody has wanted to know for some time, and not before.
        """
        self.open()
        for _ in range(4):
            self.remember()
            self.clock.advance(TRUSTED / 2)
            self.assertIs(self.list.current(), PHONES)
            self.clock.advance(TRUSTED / 2)
        self.assertEqual(len(self.loop.owners), 1)
        self.clock.advance(TRUSTED)
        self.assertEqual(self.feed.recv(1000), b"")
        self.assertNoListener()

    def test_wrong(self) -> None:
        """
        What has turned out to be wrong is forgotten, and what is being asked for as well.
        """
        self.open()
        self.remember()
        asked = self.list.asking()
        self.list.forget()
        self.assertIs(self.list.current(), None)
        self.list.answered(asked, PHONES)
        self.assertIs(self.list.current(), None)
        self.remember()

    def test_mistake(self) -> None:
        """
        A mistake of ours is an end as well.
        """
        self.open()
        self.list.failed(Failure(ZeroDivisionError()))
        self.assertNoListener()
