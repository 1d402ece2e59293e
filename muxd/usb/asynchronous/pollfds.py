# -*- test-case-name: tests.usb.asynchronous.test_link -*-
"""
libusb's file descriptors, watched by the reactor or by an event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from muxd.net.eventloop import GONE, READABLE, WRITABLE, EventLoop, Watched, WatchedLast


class LibusbDescriptor(Watched):
    """
    One descriptor, as the reactor knows it.

    @ivar isReadable: Whether it is watched for being readable, or else writable.
    """

    def __init__(self, fd: int, isReadable: bool, owner: LibusbDescriptors) -> None:
        self.isReadable = isReadable
        self._fd = fd
        self._owner = owner

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self._fd

    def doRead(self) -> None:
        """
        Something has happened.
        """
        self._owner.happened()

    doWrite = doRead

    def happened(self, events: int) -> None:
        """
        The same, from an event loop.
        """
        if events & GONE and not events & READABLE:
            self._owner.hungUp(self._fd)
        else:
            # See to it when clients have had their turn.  What they say may be a keystroke,
            # and what the phone has taken lets bulk data go before it.
            owner = self._owner
            assert owner.loop is not None
            owner.loop.afterwards(owner)

    def failed(self, failure: Failure) -> None:
        """
        That has raised: the phone cannot be used any more.
        """
        self._owner.hungUp(self._fd)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor lets go of it: when it stops, and when the descriptor has
        hung up, which is how the kernel tells of an unplug.
        """
        self._owner.hungUp(self._fd)

    def logPrefix(self) -> str:
        """
        For the log.
        """
        return "libusb"


# A compiled class takes no decorator.
classImplements(LibusbDescriptor, IReadWriteDescriptor)


class LibusbDescriptors(WatchedLast):
    """
    Those of one context.

    @ivar happened: Called when there are events to handle.
    @ivar loop: What watches them; None if it is the reactor.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        happened: Callable[[], None],
        lost: Callable[[], None],
        loop: EventLoop | None = None,
    ) -> None:
        """
        @param reactor: An C{IReactorFDSet}.
        @param loop: What watches them instead.
        @param lost: Called when the reactor has stopped to watch one by itself.
        """
        self.happened = happened
        self._reactor = reactor
        self.loop = loop
        self._lost = lost
        self._watched: dict[int, LibusbDescriptor] = {}
        self._isPaused = False

    def change(self, fd: int, isReadable: bool | None) -> None:
        """
        Watch a descriptor for being readable (True) or writable (False), or not
        any more (None).  Never raises, as libusb calls this.
        """
        try:
            self._unwatch(fd)
            if isReadable is not None:
                self._watch(fd, isReadable)
        except Exception:
            self._log.failure("libusb's file descriptor {fd} cannot be watched", fd=fd)

    def hungUp(self, fd: int) -> None:
        """
        The reactor does not watch this one any more.
        """
        if self._watched.pop(fd, None) is not None:
            if self.loop is not None:
                self.loop.forget(fd)
            self._lost()

    # What an event loop calls.

    def finishTurn(self) -> None:
        """
        Clients have had their turn.
        """
        self.happened()

    def failed(self, failure: Failure) -> None:
        """
        That has raised: the phone cannot be used any more.
        """
        self.forget()
        self._lost()

    def forget(self) -> None:
        """
        Watch nothing.  To be called before libusb closes them: the reactor
        cannot let go of a closed one.
        """
        for fd in list(self._watched):
            self._unwatch(fd)

    def pause(self) -> None:
        """
        Have the reactor watch none for a while.
        """
        self._isPaused = True
        for descriptor in self._watched.values():
            self._remove(descriptor)

    def resume(self) -> None:
        """
        Have it watch them again.
        """
        self._isPaused = False
        for fd, descriptor in list(self._watched.items()):
            self.change(fd, descriptor.isReadable)

    def _watch(self, fd: int, isReadable: bool) -> None:
        descriptor = self._watched[fd] = LibusbDescriptor(fd, isReadable, self)
        if self._isPaused:
            return
        if self.loop is not None:
            self.loop.watch(fd, READABLE if isReadable else WRITABLE, descriptor)
        elif isReadable:
            self._reactor.addReader(descriptor)
        else:
            self._reactor.addWriter(descriptor)

    def _unwatch(self, fd: int) -> None:
        descriptor = self._watched.pop(fd, None)
        if descriptor is not None:
            self._remove(descriptor)

    def _remove(self, descriptor: LibusbDescriptor) -> None:
        if self.loop is not None:
            self.loop.forget(descriptor.fileno())
        else:
            self._reactor.removeReader(descriptor)
            self._reactor.removeWriter(descriptor)
