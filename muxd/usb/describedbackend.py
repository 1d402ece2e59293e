# -*- test-case-name: tests.phone.bus.test_simulated,tests.usbip.test_source -*-
"""
What pyusb asks backends for whose devices have their descriptors at hand.
"""

from __future__ import annotations

import array
from abc import abstractmethod
from typing import Any

import usb.backend


class DescribedBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no annotations
    """
    A backend that knows a device's descriptors as sequences in sequences.
    """

    @abstractmethod
    def _configurations(self, dev: Any) -> Any:
        """
        The descriptors of a device's configurations: their C{interfaces} are sequences of
        alternate settings, with C{endpoints}.
        """

    def get_configuration_descriptor(self, dev: Any, config: int) -> Any:
        """
        By index, not by value.

        @raise IndexError: There is none, which ends pyusb's loops.
        """
        return self._configurations(dev)[config]

    def get_interface_descriptor(self, dev: Any, intf: int, alt: int, config: int) -> Any:
        """
        By indices.
        """
        return self._configurations(dev)[config].interfaces[intf][alt]

    def get_endpoint_descriptor(self, dev: Any, ep: int, intf: int, alt: int, config: int) -> Any:
        """
        By indices.
        """
        return self.get_interface_descriptor(dev, intf, alt, config).endpoints[ep]


def placeAnswer(data: array.array[int], answer: bytes) -> int:
    """
    Put what has come of a control transfer where pyusb wants it.

    @return: How much that is.
    """
    with memoryview(data).cast("B") as view:
        view[: len(answer)] = answer
    return len(answer)
