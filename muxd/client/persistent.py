# -*- test-case-name: tests.client.test_persistent -*-
"""
A connection that is made again whenever it is lost, without a word at each attempt.
"""

from __future__ import annotations

from twisted.application.internet import ClientService
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, globalLogPublisher
from zope.interface import provider


@provider(ILogObserver)
def _quietly(event: LogEvent) -> None:
    """
    Have what C{ClientService} says in passing be for those who look for a fault.
    """
    if event["log_level"] is LogLevel.info:
        event["log_level"] = LogLevel.debug
    globalLogPublisher(event)


class PersistentClient(ClientService):
    """
    A C{ClientService} whose news of each attempt are debug messages: a daemon or a hub that is
    away for a day would fill the log, and what is wrong is said once by what knows it.
    """

    _log = Logger(observer=_quietly)
