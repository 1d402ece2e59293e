# -*- test-case-name: tests.phone.test_bus -*-
"""
One device's stay on a bus, from plug to unplug.

Its lock guards everything of it.  Nothing is called back with the lock held,
and whoever waits, waits for a transfer's event and not for the lock.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

from muxd.phone.claims import Claims
from muxd.phone.control import DIRECTION_IN, ControlRequest, Stalled, standardAnswer
from muxd.phone.descriptors import ConfigurationDescriptor, InterfaceDescriptor
from muxd.phone.faultmachine import FaultMachine
from muxd.phone.faultplan import NO_FAULTS, Direction
from muxd.phone.gadget import IGadget
from muxd.phone.handle import Handle
from muxd.phone.pipes import InPipe, OutPipe, Pipe, Transfer

ROOM = 65536
"""Bytes waiting for the host at which an IN endpoint has no more room."""


FAULTLESS = FaultMachine(NO_FAULTS)


class Attachment:
    """
    A device on a bus.

    Methods that the host calls raise C{OSError} with libusb's errno.

    @ivar gadget: The device.
    @ivar descriptor: What the device said of itself when it was plugged in.
    @ivar address: Its address on the bus.
    @ivar port: The port of the root hub.
    @ivar configuration: The value that is set, 0 for unconfigured.
    """

    def __init__(
        self,
        gadget: IGadget,
        bus: int,
        address: int,
        port: int,
        *,
        faults: FaultMachine = FAULTLESS,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        """
        @param faults: What goes wrong with its transfers.
        @param leave: Takes it off the bus, if that is what goes wrong.
        """
        self._faults = faults
        self._leave = leave
        self.gadget = gadget
        self.descriptor = gadget.descriptor
        self.bus = bus
        self.address = address
        self.port = port
        self.configuration = self.descriptor.initialConfiguration
        self._lock = threading.Lock()
        self._gone = False
        self._held = False
        self._claims = Claims()
        self._ins: dict[int, InPipe] = {}
        self._outs: dict[int, OutPipe] = {}
        self._interfaceOf: dict[int, int] = {}
        self._reset()

    # What the device does.

    @property
    def gone(self) -> bool:
        """
        Whether it has been unplugged.
        """
        return self._gone

    def send(self, endpoint: int, data: bytes, end: bool = True) -> None:
        """
        Queue a message for the host, ended by a short or empty packet; without
        C{end} it goes on with the next call.  Lost if the device is gone or its
        configuration has no such endpoint.
        """
        with self._lock:
            pipe = self._ins.get(endpoint)
            if pipe is None or self._gone:
                return
            pipe.put(data, end)
        self._checkDeparted(pipe)

    def hasRoom(self, endpoint: int) -> bool:
        """
        Whether a device that has manners may queue more for the host; if not,
        C{inReady} will tell.
        """
        with self._lock:
            pipe = self._ins.get(endpoint)
            if pipe is None:
                return True
            pipe.roomWanted = pipe.queued >= ROOM
            return not pipe.roomWanted

    def take(self, endpoint: int) -> bytes | None:
        """
        The next message of the host, which is glued to its successors if it was
        not ended; None while there is none.
        """
        with self._lock:
            pipe = self._outs.get(endpoint)
            data = None if pipe is None else pipe.take()
        if pipe is not None:
            self._checkDeparted(pipe)
        return data

    def openBytes(self, endpoint: int) -> int:
        """
        How much has come of a message that has not ended.
        """
        with self._lock:
            pipe = self._outs.get(endpoint)
            return 0 if pipe is None else pipe.openBytes

    def unread(self, endpoint: int) -> int:
        """
        How many bytes the host has not read.
        """
        with self._lock:
            pipe = self._ins.get(endpoint)
            return 0 if pipe is None else pipe.queued

    def waiting(self, endpoint: int) -> int:
        """
        How many transfers of the host wait.
        """
        with self._lock:
            return len(self._pipe(endpoint).transfers)

    def hold(self) -> None:
        """
        Answer NAK to everything until L{release}.
        """
        self._setHeld(True)

    def release(self) -> None:
        """
        Go on after L{hold}.
        """
        self._setHeld(False)
        self._outReady(*self._outs)

    def stall(self, endpoint: int) -> None:
        """
        Stall an endpoint until the host clears it.
        """
        with self._lock:
            self._pipe(endpoint).halt()

    # What the bus does.

    def unplug(self, error: int = 0) -> None:
        """
        End the stay.

        @param error: What transfers under way fail with if not ENODEV: a real
            controller says EIO before it notices.
        """
        with self._lock:
            if self._gone:
                return
            self._gone = True
            self._claims.clear()
            self._failAll(error or errno.ENODEV)

    # What programs on the host do.

    def open(self) -> Handle:
        """
        Open the device.
        """
        with self._lock:
            self._checkPresent()
        return Handle(self)

    def close(self, handle: Handle) -> None:
        """
        Forget a handle, with its claims and transfers.
        """
        with self._lock:
            self._failAll(errno.ENODEV, handle)
            self._claims.releaseAll(handle)

    def getConfiguration(self) -> int:
        """
        The value that is set.
        """
        with self._lock:
            self._checkPresent()
            return self.configuration

    def setConfiguration(self, value: int) -> None:
        """
        Set a configuration, or the same one again.
        """
        with self._lock:
            self._checkPresent()
            if self._claims.areAny():
                raise OSError(errno.EBUSY, "an interface is in use")
            if value and self.descriptor.configuration(value) is None:
                raise OSError(errno.ENOENT, f"no configuration {value}")
            self.configuration = value
            self._reset()
        self.gadget.configured(self, value)

    def reset(self) -> None:
        """
        Reset the port: the device starts anew, in the same configuration.
        """
        with self._lock:
            self._checkPresent()
            self._reset()
        self.gadget.configured(self, self.configuration)

    def claim(self, handle: Handle, number: int) -> None:
        """
        Claim an interface for one handle.
        """
        with self._lock:
            self._checkPresent()
            self._claims.claim(handle, number)

    def unclaim(self, handle: Handle, number: int) -> None:
        """
        Give an interface back; whoever still waits for one of its endpoints is
        told that the device is gone.
        """
        with self._lock:
            self._checkPresent()
            self._claims.release(handle, number)
            self._failAll(errno.ENODEV, handle, number)

    def driverActive(self, number: int) -> bool:
        """
        Whether a kernel driver is bound to an interface.
        """
        with self._lock:
            self._checkPresent()
            return self._claims.hasDriver(number)

    def setDriver(self, number: int, attached: bool) -> None:
        """
        Detach or attach a kernel driver.
        """
        with self._lock:
            self._checkPresent()
            self._claims.setDriver(number, attached)

    def clearHalt(self, endpoint: int) -> None:
        """
        End a stall.
        """
        with self._lock:
            self._checkPresent()
            self._pipe(endpoint).clearHalt()

    def read(self, handle: Handle, endpoint: int, buffer: memoryview, timeout: float) -> int:
        """
        Read one transfer.

        @param timeout: Seconds; 0 is for ever.
        """
        return self._wait(self.submit(handle, endpoint, buffer), endpoint, timeout)

    def write(self, handle: Handle, endpoint: int, data: memoryview, timeout: float) -> int:
        """
        Write one transfer.

        @param timeout: Seconds; 0 is for ever.
        """
        return self._wait(self.submit(handle, endpoint, data), endpoint, timeout)

    def submit(self, handle: Handle, endpoint: int, buffer: memoryview) -> Transfer:
        """
        Begin a transfer either way; it may be done already, or else sometime later.
        """
        with self._lock:
            self._checkPresent()
            pipe = self._pipe(endpoint)
            number = self._interfaceOf[endpoint]
            self._claims.claim(handle, number)
            transfer = Transfer(buffer, handle, number)
            pipe.submit(transfer)
            tell = True
            if isinstance(pipe, InPipe):
                tell = pipe.roomWanted and pipe.queued < ROOM
                pipe.roomWanted = pipe.roomWanted and not tell
        if not endpoint & DIRECTION_IN:
            self.gadget.outReady(self, endpoint)
        elif tell:
            self.gadget.inReady(self, endpoint)
        self._checkDeparted(pipe)
        return transfer

    def withdraw(self, transfer: Transfer, endpoint: int) -> None:
        """
        Take a transfer back that has not been completed; harmless if it has.
        """
        with self._lock:
            if not transfer.done.is_set():
                self._pipe(endpoint).withdraw(transfer)

    def control(self, request: ControlRequest) -> bytes:
        """
        A control transfer: the answer to an IN request.
        """
        with self._lock:
            self._checkPresent()
        try:
            if request.isStandard:
                answer = standardAnswer(self.descriptor, self.configuration, request)
            else:
                answer = self.gadget.control(self, request)
        except Stalled:
            raise OSError(errno.EPIPE, "the device has no such request") from None
        with self._lock:
            # Changing its mode, it may have left the bus.
            self._checkPresent()
        return answer[: request.length]

    def _wait(self, transfer: Transfer, endpoint: int, timeout: float) -> int:
        if not transfer.done.wait(timeout or None):
            # Completed or failed a moment ago is as good as in time.
            self.withdraw(transfer, endpoint)
        if transfer.error:
            raise OSError(transfer.error, "transfer failed")
        return transfer.count

    def _checkDeparted(self, pipe: Pipe) -> None:
        """
        Leave the bus if a fault has said so.
        """
        if pipe.departed and not self._gone:
            self._leave()

    # Called with the lock held.

    def _checkPresent(self) -> None:
        if self._gone:
            raise OSError(errno.ENODEV, "unplugged")

    def _pipe(self, endpoint: int) -> Pipe:
        pipe: Pipe | None = self._ins.get(endpoint) or self._outs.get(endpoint)
        if pipe is None:
            raise OSError(errno.ENOENT, f"no endpoint {endpoint:#x}")
        return pipe

    def _active(self) -> ConfigurationDescriptor | None:
        return self.descriptor.configuration(self.configuration)

    def _interfaces(self) -> dict[int, InterfaceDescriptor]:
        """
        Alternate setting 0 of each interface of the present configuration.
        """
        active = self._active()
        if active is None:
            return {}
        return {settings[0].bInterfaceNumber: settings[0] for settings in active.interfaces}

    def _failAll(self, error: int, owner: Handle | None = None, number: int | None = None) -> None:
        for pipe in self._pipes():
            pipe.fail(error, owner, number)

    def _reset(self) -> None:
        """
        Empty endpoints, as the present configuration has them.
        """
        self._failAll(errno.ENODEV)
        self._ins.clear()
        self._outs.clear()
        self._interfaceOf.clear()
        interfaces = self._interfaces()
        self._claims.configured(interfaces)
        for number, interface in interfaces.items():
            for endpoint in interface.endpoints:
                address, size = endpoint.bEndpointAddress, endpoint.wMaxPacketSize
                self._interfaceOf[address] = number
                if address & DIRECTION_IN:
                    self._ins[address] = InPipe(size, self._faults.line(Direction.IN, size))
                else:
                    line = self._faults.line(Direction.OUT, size)
                    self._outs[address] = OutPipe(size, self.gadget.outDepth, line)
        for pipe in self._pipes():
            pipe.hold(self._held)

    def _pipes(self) -> tuple[Pipe, ...]:
        return (*self._ins.values(), *self._outs.values())

    def _setHeld(self, held: bool) -> None:
        with self._lock:
            self._held = held
            for pipe in self._pipes():
                pipe.hold(held)

    def _outReady(self, *endpoints: int) -> None:
        for endpoint in endpoints:
            self.gadget.outReady(self, endpoint)
