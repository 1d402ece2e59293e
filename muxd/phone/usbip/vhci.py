# -*- test-case-name: tests.phone.usbip.test_vhci -*-
"""
This machine's own USB stack as the host: Linux' C{vhci_hcd} is a host controller
whose devices are sockets that speak USB/IP.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muxd.limits import LIMITS, Limits
from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import CannotPlug, IGadget
from muxd.phone.usbip.exports import USB_SPEED, Export, Exports, IRemoteBus
from muxd.phone.usbip.server import UsbipConnection, UsbipFactory
from muxd.phone.usbip.urbs import TransferCounters

CONTROLLER = "/sys/devices/platform/vhci_hcd.0"

FREE = 4
"""The state of a port that nothing is attached to."""

SOCKET_BUFFER = 1 << 20


class _OneProtocol(Factory):
    """
    Gives an adopted socket its protocol.
    """

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """
        That one.
        """
        return self._protocol


class _Taken(Exception):
    """
    Another program has been faster.
    """


@implementer(IRemoteBus)
class VirtualController:
    """
    The ports of C{vhci_hcd}.
    """

    def __init__(
        self, reactor: Any, *, directory: str = CONTROLLER, limits: Limits = LIMITS
    ) -> None:
        """
        @param reactor: Provides C{IReactorTime} and C{IReactorSocket}.
        @param directory: The controller's, in sysfs.
        """
        self._reactor = reactor
        self._directory = FilePath(directory)
        self._exports = Exports()
        self._kernel = UsbipFactory(
            reactor, self._exports, limits, givenBack=lambda export: self.unplug(export.gadget)
        )
        self._ports: dict[IGadget, int] = {}

    def plug(self, gadget: IGadget) -> int:
        """
        Attach a device to a port that is free.

        @return: The port's number.
        """
        self._exports.plug(gadget)
        try:
            port = self._attach(gadget)
        except BaseException:
            self._exports.unplug(gadget)
            raise
        self._ports[gadget] = port
        return port

    def unplug(self, gadget: IGadget, error: int = 0) -> None:
        """
        Close a device's socket, at which the kernel takes it off the bus.
        """
        self._ports.pop(gadget, None)
        self._exports.unplug(gadget, error)

    def detach(self, gadget: IGadget) -> None:
        """
        Have the kernel let go of a device, which is what C{usbip detach} does.

        @raise CannotPlug: It does not.
        """
        export = self.export(gadget)
        if export is None:
            raise CannotPlug("it is not plugged in")
        self._write("detach", str(self._ports[gadget]))

    def export(self, gadget: IGadget) -> Export | None:
        """
        Where a device is.
        """
        return self._exports.export(gadget)

    def counters(self, gadget: IGadget) -> TransferCounters:
        """
        What the kernel has done with a device.
        """
        return self._exports.counters(gadget)

    def stop(self) -> Deferred[None]:
        """
        Take everything off the bus.

        @return: fires when the kernel has let go.
        """
        return self._kernel.stop()

    def _attach(self, gadget: IGadget) -> int:
        """
        Give the kernel one end of a pair of sockets.
        """
        export = self.export(gadget)
        assert export is not None
        speed = gadget.descriptor.deviceSpeed
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            port = self._give(theirs.fileno(), export.describe().deviceID, speed)
            ours.setblocking(False)
            connection = UsbipConnection(self._kernel, f"vhci port {port}", export)
            self._reactor.adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, _OneProtocol(connection)
            )
        return port

    def _give(self, descriptor: int, deviceID: int, speed: Speed) -> int:
        """
        Attach the socket to the first port that can be had: another program may be
        faster than we are.
        """
        for port in self._freePorts(speed):
            try:
                self._write("attach", f"{port} {descriptor} {deviceID} {USB_SPEED[speed]}")
            except _Taken:
                continue
            return port
        raise CannotPlug(
            f"vhci_hcd has no free port for {speed.name.lower()} speed; "
            f"detach something, see {self._directory.path}/status"
        )

    def _freePorts(self, speed: Speed) -> Iterator[int]:
        """
        Those of the root hub that has this speed.

        The file has a line for each port: its hub, its number, its state, and
        more that does not matter.
        """
        hub = "ss" if speed >= Speed.SUPER else "hs"
        try:
            lines = self._directory.child("status").getContent().decode("ascii").splitlines()
        except FileNotFoundError:
            raise CannotPlug(
                f"there is no {self._directory.path}; load the kernel's module: modprobe vhci-hcd"
            ) from None
        except OSError as error:
            raise self._problem("status", error) from error
        for line in lines:
            words = line.split()
            if len(words) > 2 and words[0] == hub and words[2].isdigit() and int(words[2]) == FREE:
                yield int(words[1])

    def _write(self, name: str, text: str) -> None:
        """
        @raise _Taken: Another program has that port.
        @raise CannotPlug: That is not possible.
        """
        try:
            # Opened as it is: nothing may be created, and one write is one order.
            descriptor = os.open(self._directory.child(name).path, os.O_WRONLY)
            try:
                os.write(descriptor, text.encode("ascii"))
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise _Taken from error
            raise self._problem(name, error) from error

    def _problem(self, name: str, error: OSError) -> CannotPlug:
        path = self._directory.child(name).path
        if error.errno in (errno.EACCES, errno.EPERM):
            return CannotPlug(f"{path}: only root may attach devices to vhci_hcd; start as root")
        return CannotPlug(f"{path}: {error.strerror}")
