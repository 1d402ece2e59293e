"""
Tests of L{muxd.phone.usbip.vhci}, with a directory that looks like the kernel's.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.protocol import Factory
from twisted.python.filepath import FilePath
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import CannotPlug
from muxd.phone.iphone import Phone
from muxd.phone.usbip.exports import IRemoteBus
from muxd.phone.usbip.vhci import VirtualController
from muxd.testing import BudgetTransport
from tests.phone.usbip.host import ManualUsbipHost
from tests.phone.usbip.onusbip import TurnClock

STATUS = """\
hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000005 1-1
hs  0001 004 000 00000000 000000 0-0
hs  0002 004 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
"""


class SocketReactor(TurnClock):
    """
    A reactor that adopts sockets, and puts a transport of ours in their place.

    @ivar transports: Those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transports: list[BudgetTransport] = []

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Factory) -> None:
        """
        Take the protocol for the socket.
        """
        with socket.fromfd(descriptor, family, socket.SOCK_STREAM) as adopted:
            assert not os.get_blocking(adopted.fileno())
        self.transports.append(BudgetTransport.connect(self, factory))


class VirtualControllerTests(SynchronousTestCase):
    """
    Tests of L{VirtualController}.
    """

    if platform.isWindows():
        skip = "there is no vhci_hcd on Windows"

    def setUp(self) -> None:
        """
        A controller with a port that is used, two that are free, and a fast one.
        """
        self.reactor = SocketReactor()
        self.directory = FilePath(self.mktemp())
        self.directory.makedirs()
        self.directory.child("status").setContent(STATUS.encode())
        for name in ("attach", "detach"):
            self.directory.child(name).setContent(b"")
        self.taken: set[str] = set()
        self.controller = self.makeController()
        self.patch(os, "write", self.write)
        self.written: list[str] = []
        self.phone = self.makePhone()

    def makeController(self) -> VirtualController:
        """
        One that looks there.
        """
        return VirtualController(self.reactor, directory=self.directory.path)

    def makePhone(self, **options: Any) -> Phone:
        """
        A phone.
        """
        phone = Phone(self.reactor, **options)
        self.addCleanup(phone.stop)
        return phone

    def write(self, descriptor: int, data: bytes) -> int:
        """
        What the kernel does with an order: it refuses ports that are taken.
        """
        text = data.decode()
        if text.split()[0] in self.taken:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self.written.append(text)
        return len(data)

    def test_interface(self) -> None:
        """
        It is a bus.
        """
        verifyObject(IRemoteBus, self.controller)

    def test_attach(self) -> None:
        """
        A phone gets the first free port of its speed, and the kernel a socket that
        begins with commands.
        """
        self.assertEqual(self.phone.plug(self.controller), 1)
        port, descriptor, device, speed = map(int, self.written[0].split())
        self.assertEqual((port, device, speed), (1, 0x10002, 3))
        # The kernel has a reference of its own.
        self.assertRaises(OSError, os.fstat, descriptor)
        (transport,) = self.reactor.transports
        host = ManualUsbipHost(transport.deliver, device)
        host.configure(4)
        self.reactor.turn()
        host.dataReceived(transport.value())
        self.assertEqual([reply.status for reply in host.replies], [0])
        attachment = self.phone.attachment
        assert attachment is not None
        self.assertEqual(attachment.configuration, 4)
        self.assertEqual(self.controller.counters(self.phone).control, 1)

    def test_fast(self) -> None:
        """
        A SuperSpeed phone gets a SuperSpeed port.
        """
        self.assertEqual(self.makePhone(speed=Speed.SUPER).plug(self.controller), 8)
        self.assertEqual(self.written[0].split()[3], "5")

    def test_race(self) -> None:
        """
        A port that somebody else takes first is passed over.
        """
        self.taken.add("1")
        self.assertEqual(self.phone.plug(self.controller), 2)

    def test_noPort(self) -> None:
        """
        Without a free port the phone is not plugged in, and can be later.
        """
        self.taken.update("12")
        error = self.assertRaises(CannotPlug, self.phone.plug, self.controller)
        self.assertIn("no free port for high speed", str(error))
        self.assertIdentical(self.controller.export(self.phone), None)
        self.taken.clear()
        self.assertEqual(self.phone.plug(self.controller), 1)

    def test_noModule(self) -> None:
        """
        Without the kernel's module, what to type is said.
        """
        self.directory.remove()
        error = self.assertRaises(CannotPlug, self.phone.plug, self.controller)
        self.assertTrue(str(error).endswith("load the kernel's module: modprobe vhci-hcd"))

    def test_notRoot(self) -> None:
        """
        A user that is not root is told so.
        """

        def refuse(*arguments: Any) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(os, "open", refuse)
        error = self.assertRaises(CannotPlug, self.phone.plug, self.controller)
        self.assertTrue(str(error).endswith("start as root"), str(error))

    def test_otherTrouble(self) -> None:
        """
        Any other error is told with the file that it is about.
        """

        def refuse(descriptor: int, data: bytes) -> int:
            raise OSError(errno.EINVAL, "Invalid argument")

        self.patch(os, "write", refuse)
        error = self.assertRaises(CannotPlug, self.phone.plug, self.controller)
        self.assertTrue(str(error).endswith("attach: Invalid argument"), str(error))
        self.directory.child("status").remove()
        self.directory.child("status").makedirs()
        error = self.assertRaises(CannotPlug, self.phone.plug, self.controller)
        self.assertTrue(str(error).endswith("status: Is a directory"), str(error))

    def test_unplug(self) -> None:
        """
        Pulled out, its socket is closed.
        """
        self.phone.plug(self.controller)
        self.phone.unplug()
        self.reactor.turn()
        self.assertTrue(self.reactor.transports[0].disconnected)
        self.assertIdentical(self.controller.export(self.phone), None)

    def test_letGo(self) -> None:
        """
        A phone that the kernel lets go of is out, and can be plugged in again.
        """
        self.phone.plug(self.controller)
        self.controller.detach(self.phone)
        self.assertEqual(self.written[1:], ["1"])
        self.reactor.transports[0].finish()
        self.reactor.turn()
        self.assertIdentical(self.controller.export(self.phone), None)
        self.assertIdentical(self.phone.attachment, None)
        self.assertRaises(CannotPlug, self.controller.detach, self.phone)
        self.assertEqual(self.phone.plug(self.controller), 1)

    def test_modeWithoutPort(self) -> None:
        """
        A phone that changes its mode and finds no port stays out; that is logged.
        """
        self.phone.plug(self.controller)
        self.reactor.turn()
        self.taken.update("12")
        self.phone.modeRequested(self.phone.attachment, 3)  # type: ignore[arg-type]  # it is plugged in
        self.reactor.turn()
        self.assertIdentical(self.controller.export(self.phone), None)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop(self) -> None:
        """
        Stopping waits until the sockets are closed.
        """
        self.phone.plug(self.controller)
        stopped = self.controller.stop()
        self.assertNoResult(stopped)
        self.reactor.turn()
        self.successResultOf(stopped)
