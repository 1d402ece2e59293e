# -*- test-case-name: tests.phone.bus.test_simulated,tests.phone.usbip.test_endpointzero -*-
"""
One device's stay on a bus, from plug to unplug.

Its lock guards everything of it.  Nothing is called back with the lock held but
L{Transfer.finish}, and a thread that waits, waits for a transfer's event and not for the
lock.
"""

from __future__ import annotations

import errno
import threading

from zope.interface import implementer

from muxd.phone.bus.control import DIRECTION_IN, ControlRequest, Stalled, standardAnswer
from muxd.phone.bus.descriptors import ConfigurationDescriptor, InterfaceDescriptor
from muxd.phone.bus.faultplan import Direction
from muxd.phone.bus.interfaces import IAttachment, IGadget
from muxd.phone.bus.pipes import InPipe, OutPipe, Pipe, Transfer

ROOM = 65536
"""Bytes waiting for the host at which an IN endpoint has no more room."""

CROWDED = 2 * ROOM
"""
And at which its device should not listen to the host either.  More than the room and a
packet: a host that reads data slowly has to be heard.
"""


@implementer(IAttachment)
class Attachment:
    """
    A device on a bus.

    Methods that the host calls raise C{OSError} with libusb's errno.

    @ivar gadget: The device.
    @ivar descriptor: What the device said of itself when it was plugged in.
    @ivar bus: The bus's number.
    @ivar address: Its address on the bus.
    @ivar port: The port of the root hub.
    @ivar configuration: The value that is set, 0 for unconfigured.
    """

    def __init__(
        self, gadget: IGadget, bus: int, address: int, port: int, configuration: int = 0
    ) -> None:
        self.gadget = gadget
        self.descriptor = gadget.descriptor
        self.bus = bus
        self.address = address
        self.port = port
        self.configuration = configuration
        self._lock = threading.Lock()
        self._gone = False
        self._held = False
        self._ins: dict[int, InPipe] = {}
        self._outs: dict[int, OutPipe] = {}
        self._interfaceOf: dict[int, int] = {}
        self._alternates: dict[int, int] = {}
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
            pipe.roomWanted = pipe.load >= ROOM
            return not pipe.roomWanted

    def isCrowded(self, endpoint: int) -> bool:
        """
        Whether a device should rather not take what the host has sent, which it would have
        to answer; if so, C{inReady} will tell when it may again.
        """
        with self._lock:
            pipe = self._ins.get(endpoint)
            if pipe is None or pipe.load < CROWDED:
                return False
            pipe.roomWanted = True
            return True

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
        with self._lock:
            self._setHeld(True)

    def release(self) -> None:
        """
        Go on after L{hold}.
        """
        with self._lock:
            self._setHeld(False)
            roomy = [endpoint for endpoint in self._ins if self._hasRoomAgain(endpoint)]
        for endpoint in tuple(self._outs):
            self.gadget.outReady(self, endpoint)
        for endpoint in roomy:
            self.gadget.inReady(self, endpoint)

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
            self._failAll(error or errno.ENODEV)

    # What the host does.

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
            self._checkUnused()
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

    def getAlternate(self, number: int) -> int:
        """
        The alternate setting of an interface.
        """
        with self._lock:
            self._checkPresent()
            return self._interface(number).bAlternateSetting

    def setAlternate(self, number: int, alternate: int) -> None:
        """
        Choose an alternate setting of an interface: its endpoints are empty.
        """
        with self._lock:
            self._checkPresent()
            self._interface(number)
            if all(each.bAlternateSetting != alternate for each in self._settings()[number]):
                raise OSError(errno.ENOENT, f"interface {number} has no setting {alternate}")
            for endpoint in [e for e, owner in self._interfaceOf.items() if owner == number]:
                self._pipe(endpoint).fail(errno.ENODEV)
                self._ins.pop(endpoint, None)
                self._outs.pop(endpoint, None)
                del self._interfaceOf[endpoint]
            self._alternates[number] = alternate
            self._openEndpoints(self._interface(number))

    def halted(self, endpoint: int) -> bool:
        """
        Whether an endpoint is stalled.
        """
        with self._lock:
            self._checkPresent()
            return self._pipe(endpoint).halted

    def clearHalt(self, endpoint: int) -> None:
        """
        End a stall.
        """
        with self._lock:
            self._checkPresent()
            self._pipe(endpoint).clearHalt()
            hasRoom = self._hasRoomAgain(endpoint)
        if hasRoom:
            self.gadget.inReady(self, endpoint)

    def submit(self, endpoint: int, transfer: Transfer) -> None:
        """
        Submit a transfer, which may finish at once.
        """
        with self._lock:
            self._checkPresent()
            pipe = self._pipe(endpoint)
            transfer.interface = self._interfaceOf[endpoint]
            self._admit(transfer)
            pipe.submit(transfer)
            hasRoom = self._hasRoomAgain(endpoint)
        if hasRoom:
            self.gadget.inReady(self, endpoint)
        if not endpoint & DIRECTION_IN:
            self.gadget.outReady(self, endpoint)
        self._checkDeparted(pipe)

    def withdraw(self, endpoint: int, transfer: Transfer) -> bool:
        """
        Take a transfer back.

        @return: False if it has finished meanwhile.
        """
        with self._lock:
            # One that is done may be of a configuration that is no more.
            return not transfer.done.is_set() and self._pipe(endpoint).withdraw(transfer)

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

    def _hasRoomAgain(self, endpoint: int) -> bool:
        """
        The host may have read: whether to tell a device that waits for it.  Asked while
        no other thread can ask for room.
        """
        pipe = self._ins.get(endpoint)
        if pipe is None or not pipe.roomWanted or pipe.load >= ROOM:
            return False
        pipe.roomWanted = False
        return True

    def _checkDeparted(self, pipe: Pipe) -> None:
        if pipe.departed and not self._gone:
            self.gadget.thrownOff()

    # Called with the lock held.

    def _checkUnused(self) -> None:
        """
        @raise OSError: A program uses the present configuration.
        """

    def _admit(self, transfer: Transfer) -> None:
        """
        @raise OSError: This one may not use the interface.
        """

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

    def _settings(self) -> dict[int, tuple[InterfaceDescriptor, ...]]:
        """
        The alternate settings of each interface of the present configuration.
        """
        active = self._active()
        if active is None:
            return {}
        return {settings[0].bInterfaceNumber: settings for settings in active.interfaces}

    def _interfaces(self) -> dict[int, InterfaceDescriptor]:
        """
        The present setting of each interface of the present configuration.
        """
        return {number: self._interface(number) for number in self._settings()}

    def _interface(self, number: int) -> InterfaceDescriptor:
        alternate = self._alternates.get(number, 0)
        for each in self._settings().get(number, ()):
            if each.bAlternateSetting == alternate:
                return each
        raise OSError(errno.ENOENT, f"no interface {number}")

    def _failAll(self, error: int, owner: object = None, number: int | None = None) -> None:
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
        self._alternates.clear()
        for interface in self._interfaces().values():
            self._openEndpoints(interface)

    def _openEndpoints(self, interface: InterfaceDescriptor) -> None:
        faults = self.gadget.faultMachine
        for endpoint in interface.endpoints:
            address, size = endpoint.bEndpointAddress, endpoint.wMaxPacketSize
            self._interfaceOf[address] = interface.bInterfaceNumber
            if address & DIRECTION_IN:
                self._ins[address] = InPipe(size, faults.line(Direction.IN, size))
            else:
                line = faults.line(Direction.OUT, size)
                self._outs[address] = OutPipe(size, self.gadget.outDepth, line)
            self._pipe(address).hold(self._held)

    def _pipes(self) -> tuple[Pipe, ...]:
        return (*self._ins.values(), *self._outs.values())

    def _setHeld(self, held: bool) -> None:
        self._held = held
        for pipe in self._pipes():
            pipe.hold(held)
