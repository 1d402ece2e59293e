# -*- test-case-name: tests.usb.asynchronous.test_stalls -*-
"""
The stalls of a phone in the asynchronous engine.

It is a request to the phone that clears a stall, and Linux gives the phone five
seconds to answer.  So that is done in a thread.  It is not enough: until then the
kernel makes every caller wait that wants anything of this phone, be it to submit a
transfer or to ask for those that have ended.  So the link does nothing of that as
long as the thread has the phone, and the reactor goes on with everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from usb.core import USBError

from muxd.usb.asynchronous.pollfds import LibusbDescriptors
from muxd.usb.asynchronous.transfers import BusMemory
from muxd.usb.asynchronous.writes import Writes
from muxd.usb.opening import OpenedPhone

CLEARING = 5.0
"""Seconds that Linux gives a phone to answer."""


class Stalls:
    """
    Each endpoint's first stall is cleared.

    @ivar isWaiting: Whether there are stalls to be cleared.
    @ivar isClearing: Whether the phone is the thread's.
    """

    def __init__(
        self,
        reactor: Any,
        phone: OpenedPhone,
        descriptors: LibusbDescriptors,
        submissions: Writes,
        cleared: Callable[[str | None], object],
        makeThread: Callable[..., Any] = Thread,
    ) -> None:
        """
        @param descriptors: Not to be watched while the phone is the thread's.
        @param submissions: To be held as long.
        @param cleared: Called in the reactor's thread when the phone may be used again, with
            why it could not be cleared if that is so.
        @param makeThread: C{threading.Thread}.
        """
        self._reactor = reactor
        self._phone = phone
        self._descriptors = descriptors
        self._writes = submissions
        self._cleared = cleared
        self._makeThread = makeThread
        self._seen: set[int] = set()
        self._waiting: list[int] = []
        self._clearing = 0
        self._thread: Any = None
        self.isWaiting = False
        self.isClearing = False

    @property
    def longest(self) -> float:
        """
        How long the phone may be the thread's, in seconds.
        """
        return CLEARING * self._clearing

    def isFirst(self, transfer: BusMemory) -> bool:
        """
        A transfer was stalled.

        @return: Whether that is to be cleared, as it is its endpoint's first.
        """
        interface = self._phone.interface
        endpoint = interface.input if transfer.isIn else interface.output
        if endpoint in self._seen:
            return False
        self._seen.add(endpoint)
        self._waiting.append(endpoint)
        self.isWaiting = True
        return True

    def clear(self) -> bool:
        """
        Leave the phone to a thread until the stalls that wait are cleared.

        @return: False if the system has no thread to give.
        """
        endpoints, self._waiting = self._waiting, []
        self.isWaiting = False
        name = f"usb-clear-{self._phone.identity.udid}"
        thread = self._makeThread(target=self._run, args=(endpoints,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        self.isClearing = True
        self._clearing = len(endpoints)
        self._descriptors.pause()
        self._writes.hold()
        return True

    def _run(self, endpoints: Sequence[int]) -> None:
        """
        The thread.
        """
        problem: str | None = None
        try:
            for endpoint in endpoints:
                self._phone.device.clear_halt(endpoint)
        except USBError as error:
            problem = str(error)
        except Exception as error:  # must not end silently: the phone would never be used again
            problem = repr(error)
        self._reactor.callFromThread(self._ended, problem)

    def _ended(self, problem: str | None) -> None:
        """
        In the reactor: the thread has nothing left to do but to return.
        """
        self._thread.join()
        self._thread = None
        self.isClearing = False
        self._cleared(problem)
