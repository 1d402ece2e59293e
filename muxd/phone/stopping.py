# -*- test-case-name: tests.phone.test_source -*-
"""
The end of several simulated phones.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from muxd.phone.iphone import Phone

_log = Logger()


def stopPhones(phones: Iterable[Phone]) -> None:
    """
    Stop all of them: trouble with one does not keep the others.
    """
    for phone in phones:
        try:
            phone.stop()
        except Exception:
            _log.failure("{udid} could not be stopped in order", udid=phone.udid)
