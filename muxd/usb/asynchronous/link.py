# -*- test-case-name: tests.usb.asynchronous.test_link,tests.usb.asynchronous.test_memory -*-
"""
The fast engine: libusb's asynchronous transfers, driven by the reactor.

There is no thread, but for stalls: the reactor watches libusb's file descriptors
as it watches sockets, or its event loop does (L{muxd.net.eventloop}), and a phone's
packets are handled in the wake-up that they come in.

B{Reading.}  A few large transfers are always with the kernel, so that the bus
has somewhere to put what comes while we look at what came.  A transfer's memory
is used by the packets that were found in it until the receiver returns, and
submitted again after that.

B{Writing.}  Two bulk transfers are enough to keep the bus busy, and every
further one is a further wait for whatever comes later, so that is where
C{hasRoom} says no.  Small packets are let past, up to a cap.  The memory of transfers
is lent to what sends, which puts a packet together there.  Transfers are made when
needed and used again.

B{usbfs memory.}  Linux lends 16 MB to all transfers of a machine together
(C{usbcore.usbfs_memory_mb}).  When there is no more, reading goes on with as many
transfers as were accepted, and the others try again when one comes back; a
packet waits until memory comes back, for which a read is given up
(L{muxd.usb.asynchronous.reads}).

B{Endings.}  A transfer that fails means that the phone is gone, but for a
stall, which is cleared once for each endpoint (L{muxd.usb.asynchronous.stalls}).  Whatever
happens, no transfer is forgotten: a link is closed when all have come back (see
L{muxd.usb.asynchronous.context}).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet
from twisted.logger import Logger
from twisted.python.failure import Failure
from usb.core import USBError
from zope.interface import classImplements

from muxd.device.lending import Lender
from muxd.interfaces import (
    Buffer,
    ILendingLink,
    IPacketReceiver,
    IPlacedPacketReceiver,
    PlacedPacket,
)
from muxd.limits import LIMITS, Limits
from muxd.net.eventloop import loopOf
from muxd.usb.asynchronous.context import TransferContext, TransferStatus, Unwatchable
from muxd.usb.asynchronous.pacing import BusPace
from muxd.usb.asynchronous.pollfds import LibusbDescriptors
from muxd.usb.asynchronous.reads import Reads
from muxd.usb.asynchronous.stalls import Stalls
from muxd.usb.asynchronous.transfers import BusMemory
from muxd.usb.asynchronous.writes import Writes
from muxd.usb.engines import EngineError, IUSBLink, LinkState, assemblerFor
from muxd.usb.identification import HIGH_SPEED
from muxd.usb.opening import OpenedPhone

COMPLETED = int(TransferStatus.COMPLETED)
CANCELLED = int(TransferStatus.CANCELLED)
STALL = int(TransferStatus.STALL)

# Python looks a member of an enumeration up in a quarter of a microsecond, and these are
# asked for several times with each packet.
IDLE = LinkState.IDLE
RUNNING = LinkState.RUNNING
LOST = LinkState.LOST
CLOSING = LinkState.CLOSING
CLOSED = LinkState.CLOSED


class AsynchronousLink:
    """
    A link to one phone.

    @ivar state: Where it is in its life.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        phone: OpenedPhone,
        limits: Limits = LIMITS,
        openContext: Callable[[Any], TransferContext] = TransferContext,
        makeThread: Callable[..., Any] = Thread,
    ) -> None:
        """
        @param openContext: Takes over the libusb context of an open device.
        @param makeThread: Makes the thread that clears a stall.
        @raise EngineError: This library or this reactor cannot do it.
        """
        self.maxPacketSize = phone.interface.maxPacketSize
        self.isFast = phone.identity.speed > HIGH_SPEED
        self.state = IDLE
        self._reactor = reactor
        self._phone = phone
        self._limits = limits
        self._receiver: IPacketReceiver | None = None
        self._showPlaced: Callable[[Sequence[PlacedPacket]], None] | None = None
        self._handling = False
        self._cancelling = False
        self._memoryReported = False
        self._closed: list[Deferred[None]] = []
        self._deadline: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        if not IReactorFDSet.providedBy(reactor):
            raise EngineError("the reactor cannot watch file descriptors")
        self._descriptors = LibusbDescriptors(
            reactor,
            happened=self.handleEvents,
            lost=self._descriptorLost,
            loop=loopOf(reactor),
        )
        try:
            self._context = openContext(phone.device)
            self._watchable = self._context.descriptors(self._descriptors.change)
        except (TypeError, AttributeError, Unwatchable) as error:
            raise EngineError(f"libusb has no asynchronous transfers here: {error}") from error
        self._pace = BusPace(self._reactor.seconds, limits)
        self._writes = Writes(
            self._context,
            phone.interface,
            limits,
            self._pace,
            noMemory=self._noMemoryToWrite,
            failed=self._failLater,
        )
        self._stalls = Stalls(
            reactor,
            phone,
            self._descriptors,
            self._writes,
            cleared=self._stallsCleared,
            makeThread=makeThread,
        )
        self._reads = Reads(
            self._context,
            phone.interface,
            assemblerFor(phone.identity.udid, self._log),
            noMemory=self._noMemoryToRead,
            failed=self._fail,
        )
        self.lender: Lender = self._writes

    # IPacketLink

    @property
    def bulkPayload(self) -> int:
        """
        As large as goes with the speed that was measured.
        """
        return self._writes.payload

    def hasRoom(self, size: int) -> bool:
        """
        Whether few enough packets are on their way.
        """
        return self._writes.hasRoom(size)

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Watch libusb's descriptors and begin to read.
        """
        if self.state is not IDLE:
            raise RuntimeError(f"a link is started once, and this one is {self.state.name}")
        self.state = RUNNING
        self._writes.isOpen = True
        self._receiver = receiver
        if IPlacedPacketReceiver.providedBy(receiver):
            self._showPlaced = receiver.placedPacketsReceived
        for fd, isReadable in self._watchable.items():
            self._descriptors.change(fd, isReadable)
        limits = self._limits
        self._reads.prepare(limits.fastReadsInFlight if self.isFast else limits.readsInFlight)
        # If that fails, the receiver is told, which it must not be in here.
        self._retry = self._reactor.callLater(0, self._goOn)

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Submit one packet.
        """
        if self.state is RUNNING:
            self._writes.send(parts)

    def close(self) -> Deferred[None]:
        """
        Finish writing, stop reading, release the interface.
        """
        done: Deferred[None] = Deferred()
        self._closed.append(done)
        if self.state is CLOSED:
            self._becomeClosed()
        elif self.state is not CLOSING:
            isRunning = self.state is RUNNING
            self.state = CLOSING
            self._receiver = self._showPlaced = None
            self._writes.isOpen = False
            if self._stalls.isClearing:
                # The phone would stay claimed if it was left behind.
                patience = self._stalls.longest + self._limits.linkCloseTimeout
                self._deadline = self._reactor.callLater(patience, self._giveUp)
            elif isRunning:
                self._flush()
            else:
                self._cancelAll()
        return done

    # IUSBLink

    def lose(self, reason: Failure) -> None:
        """
        End now.
        """
        if self.state is not RUNNING:
            return
        self.state = LOST
        self._writes.clear()
        receiver, self._receiver = self._receiver, None
        self._showPlaced = None
        self._writes.isOpen = False
        assert receiver is not None
        receiver.linkLost(reason)

    # Events

    def handleEvents(self) -> None:
        """
        See what libusb has for us.
        """
        if self._handling or self._stalls.isClearing or self.state is CLOSED:
            return
        self._handling = True
        try:
            ended = self._context.handleEvents()
            if ended:
                self._transfersEnded(ended)
        finally:
            self._handling = False
        if self.state is CLOSING and not self._stalls.isClearing:
            self._goOnClosing()

    def _descriptorLost(self) -> None:
        """
        The reactor has stopped to watch a descriptor: most likely the phone was
        unplugged, which libusb has to see.  If it was something else, this link
        would be mute from now on.
        """
        self.handleEvents()
        self.lose(Failure(ConnectionLost("libusb's file descriptor has hung up")))

    def _transfersEnded(self, ended: Sequence[BusMemory]) -> None:
        """
        Packets go up in one batch, then their memory is submitted again, and
        then there is room for more packets down.
        """
        packets: list[PlacedPacket] = []
        failed = COMPLETED
        wrote = False
        reads, writes = self._reads, self._writes
        for transfer in ended:
            isIn = transfer.isIn
            if isIn:
                status = transfer.status
            else:
                wrote = True
                status = writes.ended(transfer)
            if status != COMPLETED and not self._recovered(transfer, status):
                failed = failed or status
            if isIn:
                reads.ended(transfer, status, packets)
        if writes.endedBytes:
            writes.measure()
        # What packets make us send must not wait for the phone.
        if self._stalls.isWaiting and not self._stalls.clear():
            failed = failed or STALL
        if packets:
            if self._showPlaced is not None:
                self._showPlaced(packets)
            else:
                self._deliver(packets)
        if failed != COMPLETED:
            self._fail(TransferStatus(failed).name.replace("_", " "))
        # Those that wait for memory come before the reads that would take it again.
        if writes.backlog and (self.state is RUNNING or self.state is CLOSING):
            writes.resume()
        if reads.unread is not None:
            self._read()
        if wrote and self._receiver is not None:
            self._receiver.roomAvailable()

    def _deliver(self, packets: list[PlacedPacket]) -> None:
        """
        Show what has come to a receiver that does not take it where it is.
        """
        receiver = self._receiver
        if receiver is not None:
            receiver.packetsReceived(
                [memory.view[start : start + size] for memory, start, size in packets]
            )

    def _recovered(self, transfer: BusMemory, status: int) -> bool:
        """
        A stall may be cleared, once for each endpoint; what was not read is
        read then, unless a part of it was.  A packet that was stalled is lost,
        and cannot be repeated behind its successors: that ends the link, and the
        next one finds its endpoint cleared.  And a read may have been taken back
        by us.
        """
        if self._reads.isSurplus(transfer):
            return status == CANCELLED
        if status != STALL or self.state is not RUNNING:
            return False
        isFirst = self._stalls.isFirst(transfer)
        return isFirst and transfer.isIn and not transfer.actualLength

    def _stallsCleared(self, problem: str | None) -> None:
        """
        The phone may be used again.
        """
        if self.state is CLOSED:  # it was given up
            return
        self._descriptors.resume()
        self._writes.release()
        if self.state is CLOSING:
            self._flush()
        else:
            if problem is not None:
                self._fail(f"a stall that cannot be cleared: {problem}")
            self._read()
            if self._receiver is not None:
                self._receiver.roomAvailable()

    def _failLater(self, reason: str) -> None:
        """
        A packet could not be submitted.  The session that is sending it has not finished
        with it, and must not be told in the midst of that.
        """
        self._reactor.callLater(0, self._fail, reason)

    def _fail(self, reason: str) -> None:
        self.lose(Failure(ConnectionLost(f"a transfer failed: {reason.lower()}")))

    # Memory

    def _noMemoryToRead(self, isDeaf: bool) -> None:
        self._reportMemory()
        if isDeaf:
            self._tryAgainSoon()

    def _noMemoryToWrite(self) -> None:
        self._reportMemory()
        self._reads.giveWay()
        self._tryAgainSoon()

    def _tryAgainSoon(self) -> None:
        """
        Nothing of ours is under way whose end would make us try again.
        """
        if self._retry is None or not self._retry.active():
            self._retry = self._reactor.callLater(self._limits.memoryRetry, self._tryAgain)

    def _tryAgain(self) -> None:
        self._goOn()
        if self._receiver is not None:
            self._receiver.roomAvailable()

    def _goOn(self) -> None:
        """
        Submit what waits.
        """
        if self.state is RUNNING:
            self._writes.resume()
        # It may have been lost, and closed, by that.
        self._read()

    def _read(self) -> None:
        """
        Submit the reads that are not submitted.
        """
        if self.state is RUNNING and not self._stalls.isClearing:
            self._reads.submit()

    def _reportMemory(self) -> None:
        if not self._memoryReported:
            self._memoryReported = True
            self._log.warn(
                "no memory for USB transfers with {udid}: raise "
                "/sys/module/usbcore/parameters/usbfs_memory_mb (16 by default)",
                udid=self._phone.identity.udid,
            )

    # Closing

    def _flush(self) -> None:
        """
        Cancel what there is when all is written, or after a short time.
        """
        self._stopTimers()
        if self._writes.isIdle():
            self._cancelAll()
        else:
            later = self._reactor.callLater
            self._deadline = later(self._limits.linkFlushTimeout, self._cancelAll)

    def _goOnClosing(self) -> None:
        """
        Something has come back while we are closing.
        """
        if not self._context.inFlight:
            self._release()
        elif not self._cancelling and self._writes.isIdle():
            self._cancelAll()

    def _cancelAll(self) -> None:
        """
        Written or not, that was it.
        """
        self._stopTimers()
        self._cancelling = True
        self._writes.clear()
        for transfer in self._context.inFlight:
            transfer.cancel()
        if self._context.inFlight:
            self._deadline = self._reactor.callLater(self._limits.linkCloseTimeout, self._giveUp)
            self._retry = self._reactor.callLater(self._limits.memoryRetry, self._lookAgain)
        else:
            self._release()

    def _lookAgain(self) -> None:
        """
        Nothing tells of what comes back when the descriptor has hung up.
        """
        self._retry = self._reactor.callLater(self._limits.memoryRetry, self._lookAgain)
        self.handleEvents()

    def _giveUp(self) -> None:
        self._log.error(
            "{count} transfers of {udid} do not come back from libusb, left behind",
            count=len(self._context.inFlight),
            udid=self._phone.identity.udid,
        )
        self._context.leak()
        self._forgetDescriptors()
        self._becomeClosed()

    def _release(self) -> None:
        """
        Everything has come back.
        """
        self._reads.free()
        self._writes.free()
        self._forgetDescriptors()
        try:
            self._phone.dispose()
        except USBError:  # it is gone, and its claim with it
            pass
        self._context.release()
        self._becomeClosed()

    def _forgetDescriptors(self) -> None:
        self._context.forgetDescriptors()
        self._descriptors.forget()

    def _becomeClosed(self) -> None:
        self.state = CLOSED
        self._stopTimers()
        waiting, self._closed = self._closed, []
        for each in waiting:
            each.callback(None)

    def _stopTimers(self) -> None:
        for timer in (self._deadline, self._retry):
            if timer is not None and timer.active():
                timer.cancel()
        self._deadline = None


# A compiled class takes no decorator.
classImplements(AsynchronousLink, IUSBLink, ILendingLink)
