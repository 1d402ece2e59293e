# -*- test-case-name: tests.tap.test_logtext -*-
"""
Lines of the log, whatever is in them.

What phones, clients and files say is made harmless where it comes in.  This is the last
door before a terminal or a file that a person looks at with one: an escape sequence, a
further line or a change of direction that has slipped through goes no further.
"""

from __future__ import annotations

from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogPublisher,
    formatEvent,
)
from zope.interface import implementer

from muxd.wire.text import printable

_OLDER_TEXTS = ("message", "format")
"""Where the observers of Twisted's older log look for the text."""


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
        text = formatEvent(event)
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
