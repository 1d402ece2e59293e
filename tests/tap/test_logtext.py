# -*- test-case-name: tests.tap.test_logtext -*-
"""
Tests of L{muxd.tap.logtext}.
"""

from __future__ import annotations

import io
from typing import Any, cast

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import (
    ILogObserver,
    LegacyLogObserverWrapper,
    LimitedHistoryLogObserver,
    Logger,
    LogLevel,
    LogPublisher,
    formatEvent,
    formatEventAsClassicLogText,
    textFileLogObserver,
)
from twisted.logger._flatten import flattenEvent
from twisted.python.failure import Failure
from twisted.python.log import textFromEventDict
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.tap.logtext import (
    PrintableObserver,
    eventText,
    keepPrintable,
    lineText,
    textObserver,
)

HOSTILE = "a\x1b]0;x\x07\r\nb\u202ec\x9b"


class PrintableObserverTests(SynchronousTestCase):
    """
    Tests of L{PrintableObserver} and L{keepPrintable}.
    """

    def setUp(self) -> None:
        """
        Have observers, and a log.
        """
        self.events = EventLoggingObserver()
        self.file = io.StringIO()
        self.publisher = LogPublisher(self.events, textFileLogObserver(self.file))
        keepPrintable(self.publisher)
        self.log = Logger("x", observer=self.publisher)

    def test_interface(self) -> None:
        """
        It observes.
        """
        verifyObject(ILogObserver, PrintableObserver(self.events))

    def test_beforeLogging(self) -> None:
        """
        What keeps events until logging begins can publish them afterwards; observers that have
        come by then are looked after the next time, and others not twice.
        """
        kept = LimitedHistoryLogObserver()
        temporary = LogPublisher(kept)
        self.publisher.addObserver(temporary)
        before = len(self.publisher._observers)
        keepPrintable(self.publisher)
        self.log.info("early")
        self.publisher.removeObserver(temporary)
        late = EventLoggingObserver()
        self.publisher.addObserver(late)
        keepPrintable(self.publisher)
        kept.replayTo(self.publisher)
        self.assertEqual(len(self.publisher._observers), before)
        self.log.info("{text}", text=HOSTILE)
        self.assertEqual([event["log_format"] for event in late][1:], ["{log_text}"])

    def test_ordinary(self) -> None:
        """
        Ordinary events are passed on as they are, in any script.
        """
        self.log.info("{name} is {state}", name="Grüße 中文", state="here")
        (event,) = self.events
        self.assertEqual(event["log_format"], "{name} is {state}")
        self.assertTrue(self.file.getvalue().endswith(" Grüße 中文 is here\n"))

    def test_hostile(self) -> None:
        """
        What could command a terminal, or look like a line of its own, cannot, wherever in
        the event it is; the event's fields are there still.
        """
        self.log.warn("{error}: {text}", error=ValueError(HOSTILE), text=HOSTILE)
        (line,) = self.file.getvalue().splitlines()
        self.assertTrue(line.endswith("a?]0;x???b?c?: a?]0;x???b?c?"), line)
        self.assertTrue(line.isprintable())
        (event,) = self.events
        self.assertEqual(event["text"], HOSTILE)

    def test_braces(self) -> None:
        """
        A text with braces is a text, and no format.
        """
        self.log.info("{text}", text="\x07{log_level.__class__}")
        self.assertIn("?{log_level.__class__}", self.file.getvalue())

    def test_older(self) -> None:
        """
        An observer of the older kind sees the same.
        """
        texts: list[str | None] = []

        def older(event: dict[str, Any]) -> None:
            texts.append(textFromEventDict(event))

        publisher = LogPublisher(LegacyLogObserverWrapper(cast(Any, older)))
        keepPrintable(publisher)
        Logger("x", observer=publisher).info("{text}", text=HOSTILE)
        self.assertEqual(texts, ["a?]0;x???b?c?"])


class EventTextTests(SynchronousTestCase):
    """
    Tests of L{eventText} and L{lineText}.
    """

    FORMATS: tuple[Any, ...] = (
        "{a} and {b!r:>20} and {c:.3f} and {{a}}",
        "no field",
        "",
        None,
        b"{a}",
        7,
        "{a.__class__} {b.real}",
        "{a[0]}",
        "{call()}",
        "{missing}",
        "{}",
        "{0}",
        "{c:{a}}",
        "{a",
        "{b:d}",
        "two\nlines",
    )

    def event(self, text: object, **fields: object) -> dict[str, Any]:
        """
        An event with this format.
        """
        given = {"a": "A", "b": "B", "c": 1.0, "call": lambda: "called"}
        return {
            "log_format": text,
            "log_time": 1_600_000_000.75,
            "log_namespace": "muxd",
            "log_level": LogLevel.info,
            **given,
            **fields,
        }

    def test_likeTwisted(self) -> None:
        """
        Whatever the format is, the text is Twisted's, and so is the line.
        """
        for text in self.FORMATS:
            event = self.event(text)
            self.assertEqual(eventText(event), formatEvent(event))
            self.assertEqual(lineText(event), formatEventAsClassicLogText(event))

    def test_flattened(self) -> None:
        """
        An event whose fields have been kept as texts has these.
        """
        event = self.event("{a}")
        flattenEvent(event)
        event["a"] = "changed"
        self.assertEqual(eventText(event), "A")
        self.assertEqual(lineText(event), formatEventAsClassicLogText(event))

    def test_failure(self) -> None:
        """
        A failure is in the lines.
        """
        event = self.event("{a}", log_failure=Failure(ValueError("{b}")))
        self.assertEqual(lineText(event), formatEventAsClassicLogText(event))

    def test_less(self) -> None:
        """
        An event may lack what most have, or say where it is from by itself.
        """
        for lacking in ("log_namespace", "log_level", "log_time", "log_format"):
            event = self.event("two\nlines of {a}")
            del event[lacking]
            self.assertEqual(lineText(event), formatEventAsClassicLogText(event))
        event = self.event("{a}", log_system="x")
        self.assertEqual(lineText(event), formatEventAsClassicLogText(event))

    def test_times(self) -> None:
        """
        Each event has its own time, or none.
        """
        for when in (1_600_000_000.75, 1_600_000_001.0, None, -1.5):
            event = self.event("{a}", log_time=when)
            self.assertEqual(lineText(event), formatEventAsClassicLogText(event))

    def test_observer(self) -> None:
        """
        A file gets the lines.
        """
        file = io.StringIO()
        event = self.event("{a}")
        textObserver(file)(event)
        self.assertEqual(file.getvalue(), formatEventAsClassicLogText(event))
