"""
A bus with a phone for tests, as programs reach it by pyusb.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import usb.core
import usb.util
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import MUX_IN
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget

DEADLINE = 10.0


class Blocked:
    """
    A call that waits in a thread.

    @ivar error: What it raised.
    @ivar result: What it returned.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.error: BaseException | None = None
        self.result: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except usb.core.USBError as error:
            self.error = error

    def join(self) -> Blocked:
        """
        Wait for it to end.
        """
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "still blocked"
        return self


class Slow(Gadget):
    """
    A device that takes nothing by itself, and tells when something is there.
    """

    outDepth = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.submitted = threading.Event()
        self.roomAgain = 0

    def outReady(self, attachment: object, endpoint: int) -> None:
        """
        Remember it.
        """
        self.submitted.set()

    def inReady(self, attachment: object, endpoint: int) -> None:
        """
        Count it.
        """
        self.roomAgain += 1


class BusTestCase(SynchronousTestCase):
    """
    A bus with one phone, and what pyusb makes of it.
    """

    def setUp(self) -> None:
        """
        Plug a phone in that is in configuration 4, with tethering's driver out
        of the way.
        """
        self.bus = SimulatedBus()
        self.gadget = RecordingGadget(iPhone(initialConfiguration=4))
        self.attachment = self.bus.plug(self.gadget)
        self.device = usb.core.find(backend=self.bus, idVendor=0x05AC)

    def assertErrno(self, number: int, call: Callable[..., object], *arguments: object) -> None:
        """
        A call fails with this errno.
        """
        error = self.assertRaises(usb.core.USBError, call, *arguments)
        self.assertEqual(error.errno, number)

    def reader(self, timeout: int = 0) -> Blocked:
        """
        A read in a thread; it has been submitted when this returns.
        """
        blocked = Blocked(lambda: self.device.read(MUX_IN, 16384, timeout))
        deadline = threading.Event()
        while not self.attachment.waiting(MUX_IN):
            deadline.wait(0.001)
        return blocked
