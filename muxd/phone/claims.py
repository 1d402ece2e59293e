# -*- test-case-name: tests.phone.test_bus -*-
"""
Who has which interface of a device: a program that has claimed it, or a driver of the kernel.
"""

from __future__ import annotations

import errno

from muxd.phone.descriptors import InterfaceDescriptor


class Claims:
    """
    Those of one device.

    @ivar interfaces: Alternate setting 0 of each interface of its configuration, by number.
    """

    def __init__(self) -> None:
        self.interfaces: dict[int, InterfaceDescriptor] = {}
        self._owners: dict[int, object] = {}
        self._detached: set[int] = set()

    def configured(self, interfaces: dict[int, InterfaceDescriptor]) -> None:
        """
        There are these interfaces now, or the same ones anew: drivers are back.
        """
        self.interfaces = interfaces
        self._detached.clear()

    def areAny(self) -> bool:
        """
        Whether anybody has anything.
        """
        return bool(self._owners) or any(self.hasDriver(number) for number in self.interfaces)

    def claim(self, owner: object, number: int) -> None:
        """
        Give an interface to a program, which may have it already.

        @raise OSError: There is none, or somebody else has it.
        """
        if number not in self.interfaces:
            raise OSError(errno.ENOENT, f"no interface {number}")
        if self._owners.get(number) is owner:
            return
        if number in self._owners or self.hasDriver(number):
            raise OSError(errno.EBUSY, f"interface {number} is in use")
        self._owners[number] = owner

    def release(self, owner: object, number: int) -> None:
        """
        Take it back.

        @raise OSError: It was not the program's.
        """
        if self._owners.get(number) is not owner:
            raise OSError(errno.ENOENT, f"interface {number} is not claimed")
        del self._owners[number]

    def releaseAll(self, owner: object) -> None:
        """
        Take everything back from a program.
        """
        for number in [n for n, each in self._owners.items() if each is owner]:
            del self._owners[number]

    def clear(self) -> None:
        """
        Take everything back from everybody.
        """
        self._owners.clear()

    def hasDriver(self, number: int) -> bool:
        """
        Whether a driver has an interface.
        """
        interface = self.interfaces.get(number)
        return bool(interface and interface.driver and number not in self._detached)

    def setDriver(self, number: int, attached: bool) -> None:
        """
        Detach or attach the driver.

        @raise OSError: It is so already.
        """
        if self.hasDriver(number) is attached:
            raise OSError(errno.EBUSY if attached else errno.ENOENT, "nothing to do")
        if attached:
            self._detached.discard(number)
        else:
            self._detached.add(number)
