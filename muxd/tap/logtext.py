# -*- test-case-name: tests.tap.test_logtext -*-
"""
Lines of the log, whatever is in them.

What phones, clients and files say is made harmless where it comes in.  This is the last
door before a terminal or a file that a person looks at with one: an escape sequence, a
further line or a change of direction that has slipped through goes no further.

Twisted's formats may call what an event has, and are read anew for each event, by Python,
which takes as long as all else that is done for a short connection.  Ours name fields and
nothing else: C{str.format_map} makes the same text of them.
"""

from __future__ import annotations

from functools import lru_cache
from string import Formatter
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogPublisher,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from zope.interface import implementer

from muxd.wire.text import printable

_OLDER_TEXTS = ("message", "format")
"""Where the observers of Twisted's older log look for the text."""


@lru_cache(maxsize=256)
def _isPlain(text: str) -> bool:
    """
    Whether a format names fields and nothing of them.
    """
    try:
        return all(
            name is None or (name.isidentifier() and "{" not in (spec or ""))
            for _, name, spec, _ in Formatter().parse(text)
        )
    except ValueError:
        return False


def eventText(event: LogEvent) -> str:
    """
    The text of an event: that of C{twisted.logger.formatEvent}.
    """
    text = event.get("log_format")
    if type(text) is str and "log_flattened" not in event and _isPlain(text):
        try:
            return text.format_map(event)
        except Exception:  # Twisted says in a text what it was
            return formatEvent(event)
    return formatEvent(event)


@lru_cache(maxsize=1)
def _secondText(second: int) -> str:
    return formatTime(second)


def _timeText(when: float | None) -> str:
    """
    A time as C{twisted.logger.formatTime} writes it, which is to the second.
    """
    return formatTime(when) if when is None or when < 0 else _secondText(int(when))


def lineText(event: LogEvent) -> str | None:
    """
    The line of an event, with its time: that of Twisted's text files.
    """
    text = eventText(event)
    level = event.get("log_level")
    if text and level is not None and not _MORE & event.keys():
        # Most are no more than this, which Twisted takes three times as long for.
        time = _timeText(event.get("log_time"))
        line = f"{time} [{event.get('log_namespace', '-')}#{level.name}] {text}"
        return line.replace("\n", "\n\t") + "\n"
    text = text.replace("{", "{{").replace("}", "}}")
    event = {**event, "log_format": text}
    event.pop("log_flattened", None)
    return formatEventAsClassicLogText(event, _timeText)


_MORE = frozenset({"log_failure", "log_system"})
"""What makes the line of an event another one than most have."""


def textObserver(file: IO[Any]) -> FileLogObserver:
    """
    What writes events to a file, as C{twisted.logger.textFileLogObserver}.
    """
    return FileLogObserver(file, lineText)


@implementer(ILogObserver)
class PrintableObserver:
    """
    Tells another observer of events whose text is one line that can be shown.

    @ivar observer: The other one.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self.observer = observer

    def __call__(self, event: LogEvent) -> None:
        """
        Pass it on, as it is if nothing is wrong with it.
        """
        text = eventText(event)
        if not text.isprintable():
            event = {key: event[key] for key in event if key not in _OLDER_TEXTS}
            event |= {"log_format": "{log_text}", "log_text": printable(text, None)}
            event.pop("log_flattened", None)
        self.observer(event)


def keepPrintable(publisher: LogPublisher) -> None:
    """
    Have all that observe C{publisher} now see texts that can be shown.

    What keeps events until logging begins, as C{twist} has it when services start, is another
    publisher, and is left alone: Twisted looks through it while it publishes what is there.
    To be called again when the reactor runs; an observer that sees them already stays.

    @param publisher: C{twisted.logger.globalLogPublisher}, but in tests.
    """
    for observer in list(publisher._observers):
        if isinstance(observer, (LogPublisher, PrintableObserver)):
            continue
        publisher.removeObserver(observer)
        publisher.addObserver(PrintableObserver(observer))
