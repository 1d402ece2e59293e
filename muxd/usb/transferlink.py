# -*- test-case-name: tests.usbip.test_link,tests.phone.bus.test_link -*-
"""
What links have in common whose transfers end in the reactor's thread: their life, from the first
read to the phone's being given back, and how much may be on its way.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from usb.core import USBError

from muxd.interfaces import IPacketReceiver
from muxd.limits import LIMITS, Limits
from muxd.usb.engines import LinkState, mayFollow
from muxd.usb.identification import HIGH_SPEED
from muxd.usb.opening import OpenedPhone
from muxd.wire.mux import BULK_PAYLOAD

T = TypeVar("T")


class TransferLink(Generic[T]):
    """
    A link that keeps its transfers, which are C{T}, in two sets.

    @ivar state: Where it is in its life.
    """

    def __init__(self, reactor: Any, phone: OpenedPhone, limits: Limits = LIMITS) -> None:
        self.maxPacketSize = phone.interface.maxPacketSize
        self.isFast = phone.identity.speed > HIGH_SPEED
        self.bulkPayload = BULK_PAYLOAD
        self.state = LinkState.IDLE
        self._reactor = reactor
        self._phone = phone
        self._limits = limits
        self._receiver: IPacketReceiver | None = None
        self._isCleared = False
        self._reads: set[T] = set()
        self._writes: set[T] = set()
        self._bulk = 0
        self._closed: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None

    # What differs.

    @abstractmethod
    def _readOn(self) -> None:
        """
        Have as many reads under way as there should be.
        """

    @abstractmethod
    def _takeBack(self, transfer: T) -> None:
        """
        Take a transfer back that may have ended meanwhile.
        """

    # IPacketLink

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Begin to read.
        """
        if self.state is not LinkState.IDLE:
            raise RuntimeError(f"a link is started once, and this one is {self.state.name}")
        self.state = LinkState.RUNNING
        self._receiver = receiver
        self._readOn()

    def hasRoom(self, size: int) -> bool:
        """
        Whether few enough packets are on their way.
        """
        return mayFollow(size, len(self._writes), self._bulk, self._limits)

    def close(self) -> Deferred[None]:
        """
        Finish writing, stop reading, give the phone back.
        """
        done: Deferred[None] = Deferred()
        self._closed.append(done)
        if self.state is LinkState.CLOSED:
            self._fireClosed()
        elif self.state is not LinkState.CLOSING:
            self.state = LinkState.CLOSING
            self._receiver = None
            self._withdraw(self._reads)
            if self._writes:
                timeout = self._limits.linkFlushTimeout
                self._deadline = self._reactor.callLater(timeout, self._release)
            else:
                self._release()
        return done

    # IUSBLink

    def lose(self, reason: Failure) -> None:
        """
        End now.
        """
        if self.state is not LinkState.RUNNING:
            return
        self.state = LinkState.LOST
        self._withdraw(self._reads)
        self._withdraw(self._writes)
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        receiver.linkLost(reason)

    # The end.

    def _withdraw(self, transfers: set[T]) -> None:
        """
        Take back what has not ended, and forget all of them.
        """
        forgotten = tuple(transfers)
        transfers.clear()
        for transfer in forgotten:
            self._takeBack(transfer)

    def _release(self) -> None:
        """
        Written or not, that was it.
        """
        if self.state is LinkState.CLOSED:
            return
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._withdraw(self._writes)
        with suppress(USBError):  # it is gone, and its claim with it
            self._phone.dispose()
        self.state = LinkState.CLOSED
        self._fireClosed()

    def _fireClosed(self) -> None:
        waiting, self._closed = self._closed, []
        for each in waiting:
            each.callback(None)
