# -*- test-case-name: tests.phone.bus.test_simulated,tests.phone.bus.test_transfers -*-
"""
A device on a bus of this process, as its kernel would give it to programs: they
open it, claim interfaces, detach drivers, and wait for their transfers.
"""

from __future__ import annotations

import errno

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.interfaces import IGadget
from muxd.phone.bus.pipes import Transfer


class Handle:
    """
    What a program on the host has opened.
    """

    __slots__ = ("attachment",)

    def __init__(self, attachment: OpenableAttachment) -> None:
        self.attachment = attachment


class OpenableAttachment(Attachment):
    """
    A device that programs can open.

    The host's kernel has set the configuration by the time they see it, and has
    bound its drivers.
    """

    def __init__(self, gadget: IGadget, bus: int, address: int, port: int) -> None:
        self._claims: dict[int, Handle] = {}
        self._detachedDrivers: set[int] = set()
        super().__init__(gadget, bus, address, port, gadget.descriptor.initialConfiguration)

    def unplug(self, error: int = 0) -> None:
        """
        End the stay, and the claims.
        """
        super().unplug(error)
        with self._lock:
            self._claims.clear()

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
            for number in [n for n, owner in self._claims.items() if owner is handle]:
                del self._claims[number]

    def claim(self, handle: Handle, number: int) -> None:
        """
        Claim an interface for one handle.
        """
        with self._lock:
            self._claim(handle, number)

    def unclaim(self, handle: Handle, number: int) -> None:
        """
        Give an interface back; a thread that still waits for one of its endpoints is
        told that the device is gone.
        """
        with self._lock:
            self._checkPresent()
            if self._claims.get(number) is not handle:
                raise OSError(errno.ENOENT, f"interface {number} is not claimed")
            del self._claims[number]
            self._failAll(errno.ENODEV, handle, number)

    def driverActive(self, number: int) -> bool:
        """
        Whether a kernel driver is bound to an interface.
        """
        with self._lock:
            self._checkPresent()
            return self._driver(number)

    def setDriver(self, number: int, attached: bool) -> None:
        """
        Detach or attach a kernel driver.
        """
        with self._lock:
            self._checkPresent()
            if self._driver(number) is attached:
                raise OSError(errno.EBUSY if attached else errno.ENOENT, "nothing to do")
            if attached:
                self._detachedDrivers.discard(number)
            else:
                self._detachedDrivers.add(number)

    def read(self, handle: Handle, endpoint: int, buffer: memoryview, timeout: float) -> int:
        """
        Read one transfer.

        @param timeout: Seconds; 0 is forever.
        """
        return self._transfer(Transfer(buffer, handle), endpoint, timeout)

    def write(self, handle: Handle, endpoint: int, data: memoryview, timeout: float) -> int:
        """
        Write one transfer.

        @param timeout: Seconds; 0 is forever.
        """
        return self._transfer(Transfer(data, handle), endpoint, timeout)

    def _transfer(self, transfer: Transfer, endpoint: int, timeout: float) -> int:
        self.submit(endpoint, transfer)
        if not transfer.done.wait(timeout or None):
            # Completed or failed a moment ago is as good as in time.
            self.withdraw(endpoint, transfer)
        if transfer.error:
            raise OSError(transfer.error, "transfer failed")
        return transfer.count

    # Called with the lock held.

    def _checkUnused(self) -> None:
        if self._claims or any(self._driver(number) for number in self._interfaces()):
            raise OSError(errno.EBUSY, "an interface is in use")

    def _admit(self, transfer: Transfer) -> None:
        assert isinstance(transfer.owner, Handle)
        self._claim(transfer.owner, transfer.interface)

    def _driver(self, number: int) -> bool:
        interface = self._interfaces().get(number)
        return bool(interface and interface.driver and number not in self._detachedDrivers)

    def _claim(self, handle: Handle, number: int) -> None:
        self._checkPresent()
        if number not in self._interfaces():
            raise OSError(errno.ENOENT, f"no interface {number}")
        if self._claims.get(number) is handle:
            return
        if number in self._claims or self._driver(number):
            raise OSError(errno.EBUSY, f"interface {number} is in use")
        self._claims[number] = handle

    def _reset(self) -> None:
        super()._reset()
        self._detachedDrivers.clear()
