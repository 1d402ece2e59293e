# -*- test-case-name: tests.usb.threaded.test_link -*-
"""
The pyusb engine: one thread that reads and one that writes, for each phone.

B{Time-outs.}  No call into libusb may block forever, since nothing portable
wakes it: every read and write ends after a fraction of a second, and then the
thread looks whether it is to stop.

A read that times out has lost nothing: what came is returned, the rest comes
with the next one.  Therefore a chunk shorter than what was asked for is the end
of a transfer for sure only if its last packet was short, that is, if its size
is no multiple of wMaxPacketSize.

How a write that times out goes on is told in L{muxd.usb.threaded.writer}.

B{Endings.}  Any other error means that the phone is gone, except for a stall of
reading, which is cleared once (L{ClearingOnce}).  Threads end within one time-out
of being told, or at once when the bus reports the unplug.

B{No thread.}  A system may have none to give.  A link that gets none to read or to
write in is lost, as if that thread had failed.  One that gets none to be closed in
has its threads looked at from time to time, in the reactor.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from usb.core import USBError, USBTimeoutError
from zope.interface import implementer

from muxd.interfaces import Buffer, IPacketReceiver
from muxd.limits import LIMITS, Limits
from muxd.usb.engines import IUSBLink, LinkState, NoThread, assemblerFor
from muxd.usb.identification import HIGH_SPEED
from muxd.usb.opening import OpenedPhone
from muxd.usb.threaded.mailbox import Mailbox
from muxd.usb.threaded.writer import Mail, Writer, transferFailure
from muxd.wire.mux import BULK_PAYLOAD

READ_SIZE = 65536
READ_TIMEOUT = 200
"""Milliseconds."""


class ClearingOnce:
    """
    A function that reads, and the first time that its endpoint is stalled clears
    that and tries again.

    It is for reading alone.  pyusb does not say how much of a transfer was moved before
    it was stalled, and that would be written twice.  What is read so is lost, of which
    the numbers in the packets tell.
    """

    def __init__(self, device: Any, endpoint: int, transfer: Callable[..., int]) -> None:
        self._device = device
        self._endpoint = endpoint
        self._transfer = transfer
        self._cleared = False

    def __call__(self, *args: object) -> int:
        """
        Read.

        @raise USBError: It failed, also if that was for a second stall.
        """
        try:
            return self._transfer(*args)
        except USBError as error:
            if error.errno != errno.EPIPE or self._cleared:
                raise
            self._cleared = True
            self._device.clear_halt(self._endpoint)
            return self._transfer(*args)


@implementer(IUSBLink)
class ThreadedLink:
    """
    A link to one phone.

    @ivar maxPacketSize: See L{IUSBLink}.
    @ivar state: Where it is in its life.
    """

    _log = Logger()

    def __init__(self, reactor: Any, phone: OpenedPhone, limits: Limits = LIMITS) -> None:
        self.maxPacketSize = phone.interface.maxPacketSize
        self.isFast = phone.identity.speed > HIGH_SPEED
        self.bulkPayload = BULK_PAYLOAD
        self.state = LinkState.IDLE
        self._reactor = reactor
        self._phone = phone
        self._limits = limits
        self._receiver: IPacketReceiver | None = None
        self._assembler = assemblerFor(phone.identity.udid, self._log)
        self._mailbox: Mailbox[Mail] = Mailbox(
            reactor.callFromThread, self._mailReceived, capacity=limits.readBacklog
        )
        self._writer = Writer(phone, self._mailbox)
        self._stopReading = Event()
        self._threads: list[Thread] = []
        self._closed: list[Deferred[None]] = []
        self._deadlines: list[IDelayedCall] = []
        self._nextLook: IDelayedCall | None = None

    # IPacketLink

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Start the threads.
        """
        if self.state is not LinkState.IDLE:
            raise RuntimeError(f"a link is started once, and this one is {self.state.name}")
        self.state = LinkState.RUNNING
        self._receiver = receiver
        try:
            self._startThread("read", self._read)
            self._startThread("write", self._writer.run)
        except RuntimeError as error:
            # The receiver is told as by the thread that there is not: not in here.
            self._mailbox.put(Failure(NoThread(str(error))))

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Queue one packet for the writing thread.
        """
        if self.state is LinkState.RUNNING:
            self._writer.put(b"".join(parts))

    def hasRoom(self, size: int) -> bool:
        """
        Whether few enough packets are on their way.
        """
        limits = self._limits
        if self._writer.hasRoom(size, limits):
            return True
        # The writer looks at this after it has counted, so that the last
        # packet cannot complete unnoticed between the question and this.
        self._writer.isAwaited = True
        return self._writer.hasRoom(size, limits)

    def close(self) -> Deferred[None]:
        """
        Flush, stop, release; a third thread waits for the two and releases the
        interface, so that nothing blocks the reactor.
        """
        done: Deferred[None] = Deferred()
        self._closed.append(done)
        if self.state is LinkState.CLOSED:
            self._fireClosed()
        elif self.state is not LinkState.CLOSING:
            if self.state is LinkState.LOST:
                self._writer.abandon()
            self.state = LinkState.CLOSING
            self._receiver = None
            self._stopReading.set()
            self._writer.finish()
            later = self._reactor.callLater
            self._deadlines = [
                later(self._limits.linkFlushTimeout, self._writer.abandon),
                later(self._limits.linkCloseTimeout, self._closeTimedOut),
            ]
            release = partial(self._release, tuple(self._threads))
            try:
                self._startThread("close", release)
            except RuntimeError:
                self._lookEnded()
        return done

    # IUSBLink

    def lose(self, reason: Failure) -> None:
        """
        End now.
        """
        if self.state is not LinkState.RUNNING:
            return
        self.state = LinkState.LOST
        self._stopReading.set()
        self._writer.abandon()
        receiver, self._receiver = self._receiver, None
        assert receiver is not None
        receiver.linkLost(reason)

    # In the reactor's thread.

    def _startThread(self, what: str, target: Callable[[], None]) -> None:
        """
        @raise RuntimeError: The system has no thread to give.
        """
        name = f"usb-{what}-{self._phone.identity.udid}"
        thread = Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _mailReceived(self, mail: list[Mail]) -> None:
        """
        All that one wake-up brought: packets first, as they were first.
        """
        packets: list[memoryview] = []
        failure: Failure | None = None
        roomAvailable = False
        for item in mail:
            if isinstance(item, bytes):
                partial = len(item) % self._phone.interface.inputPacketSize == 0
                packets += self._assembler.feed(memoryview(item), READ_SIZE, partial)
            elif isinstance(item, Failure):
                failure = failure or item
            else:
                roomAvailable = True
        if packets and self._receiver is not None:
            self._receiver.packetsReceived(packets)
        # Any call may close this link, and a closed one has no receiver.
        if roomAvailable and self._receiver is not None:
            self._receiver.roomAvailable()
        if failure is not None:
            self.lose(failure)

    def _closeTimedOut(self) -> None:
        alive = [thread.name for thread in self._threads if thread.is_alive()]
        self._log.error(
            "libusb does not return from its calls, left behind: {threads}",
            threads=", ".join(alive),
        )
        self._becomeClosed()

    def _lookEnded(self) -> None:
        """
        In place of the closing thread.
        """
        if any(thread.is_alive() for thread in self._threads):
            self._nextLook = self._reactor.callLater(self._limits.memoryRetry, self._lookEnded)
        else:
            self._dispose()
            self._becomeClosed()

    def _released(self) -> None:
        """
        All threads have ended, but for the last, which is about to return.
        """
        if self.state is LinkState.CLOSING:
            for thread in self._threads:
                thread.join()
            self._becomeClosed()

    def _becomeClosed(self) -> None:
        self.state = LinkState.CLOSED
        for timer in (*self._deadlines, self._nextLook):
            if timer is not None and timer.active():
                timer.cancel()
        self._fireClosed()

    def _fireClosed(self) -> None:
        waiting, self._closed = self._closed, []
        for each in waiting:
            each.callback(None)

    # In other threads.

    def _read(self) -> None:
        """
        The reading thread: one buffer for all reads, one copy of what came.
        """
        try:
            self._readUntilStopped()
        except USBError as error:
            self._mailbox.put(transferFailure(error))
        except Exception:  # must not end silently: the phone would seem to be mute
            self._mailbox.put(Failure())

    def _readUntilStopped(self) -> None:
        stopped = self._stopReading.is_set
        endpoint = self._phone.interface.input
        read = ClearingOnce(self._phone.device, endpoint, self._phone.device.read)
        buffer = array("B", bytes(READ_SIZE))
        view = memoryview(buffer)
        mailbox = self._mailbox
        while not stopped():
            if not mailbox.waitForRoom(READ_TIMEOUT / 1000):
                continue
            try:
                count = read(endpoint, buffer, READ_TIMEOUT)
            except USBTimeoutError:
                continue
            mailbox.put(bytes(view[:count]))

    def _release(self, others: Sequence[Thread]) -> None:
        """
        The closing thread.
        """
        for thread in others:
            thread.join()
        self._dispose()
        self._reactor.callFromThread(self._released)

    def _dispose(self) -> None:
        try:
            self._phone.dispose()
        except USBError:  # it is gone, and its claim with it
            pass
