# -*- test-case-name: tests.server.test_devicelist -*-
"""
What is listed, ready to be sent: in blocks, each of which is made once for as long as nothing in it
changes.

A hub has ten thousand phones, which are seven megabytes.  When one of them comes or goes, one
block is made again, and not the list; and what waits for a thousand clients that have asked at
different times is there once, but for the blocks that have changed meanwhile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container

from muxd.server.descriptions import DeviceDescription
from muxd.wire.messages import writePlist

BLOCK = 128
"""Devices of a block, at most: some 90 kB, which a socket takes at once."""

Place = tuple[bool, int]
"""Of a block in their order: whether its devices are on the network, and when they came."""

_EMPTY = writePlist({"DeviceList": []})
_BEFORE, _AFTER = writePlist({"DeviceList": [""]}).split(b"\n\t\t<string></string>")


class _Block:
    """
    Some devices that came one after the other.

    @ivar devices: By their numbers.
    """

    __slots__ = ("_events", "_listed", "devices")

    def __init__(self) -> None:
        self.devices: dict[int, DeviceDescription] = {}
        self._listed: bytes | None = None
        self._events: dict[int, bytes] = {}

    def changed(self) -> None:
        """
        Its devices are others.
        """
        self._listed = None
        self._events.clear()

    def doubted(self) -> None:
        """
        What the list says of them is something else; events say nothing of it.
        """
        self._listed = None

    def listed(self, doubtful: Container[int]) -> bytes:
        """
        What the list says of them.
        """
        if self._listed is None:
            self._listed = b"".join(
                each.doubtfulEntry if each.deviceID in doubtful else each.entry
                for each in self.devices.values()
            )
        return self._listed

    def events(self, version: int) -> bytes:
        """
        The events that say that they are there.
        """
        events = self._events.get(version)
        if events is None:
            events = b"".join(each.attachedEvent(version) for each in self.devices.values())
            self._events[version] = events
        return events


class DeviceList:
    """
    All devices that are listed: in the order in which they came, those on the network last, as
    some programs take the first of a UDID's entries.
    """

    def __init__(self) -> None:
        self._blocks: dict[Place, _Block] = {}
        self._places: dict[int, Place] = {}
        # The keys of the blocks, until there are others.
        self._sorted: list[Place] | None = None
        self._came = 0
        self._doubtful: frozenset[int] = frozenset()

    def __contains__(self, deviceID: int) -> bool:
        return deviceID in self._places

    def add(self, description: DeviceDescription) -> None:
        """
        One more, which is not there yet.
        """
        place = description.isOnNetwork, self._came // BLOCK
        self._came += 1
        block = self._blocks.get(place)
        if block is None:
            block = self._blocks[place] = _Block()
            self._sorted = None
        block.devices[description.deviceID] = description
        block.changed()
        self._places[description.deviceID] = place

    def remove(self, deviceID: int) -> bool:
        """
        One less.

        @return: whether it was there.
        """
        place = self._places.pop(deviceID, None)
        if place is None:
            return False
        block = self._blocks[place]
        del block.devices[deviceID]
        block.changed()
        if not block.devices:
            del self._blocks[place]
            self._sorted = None
        return True

    def doubt(self, isDoubtful: Callable[[int], bool]) -> None:
        """
        Which of them only claim to be the phone whose UDID they show may have changed.
        """
        doubtful = frozenset(filter(isDoubtful, self._places))
        for deviceID in doubtful ^ self._doubtful:
            place = self._places.get(deviceID)
            if place is not None:
                self._blocks[place].doubted()
        self._doubtful = doubtful

    def listed(self) -> tuple[bytes, ...]:
        """
        The body of the answer to C{ListDevices}, in parts.
        """
        if not self._blocks:
            return (_EMPTY,)
        return _BEFORE, *(each.listed(self._doubtful) for each in self._inOrder()), _AFTER

    def placeOf(self, deviceID: int) -> Place | None:
        """
        Where it is, in the order of what a new listener is told; None if it is not there.
        """
        return self._places.get(deviceID)

    def eventsAfter(self, place: Place | None, version: int) -> tuple[Place, bytes] | None:
        """
        What a new listener is told next, in a format: whole events, many at a time.

        @param place: How far it has been told; None if it has been told nothing.
        @return: how far it is told then, and the events; None if that was all.
        """
        order = self._order
        at = 0 if place is None else bisect_right(order, place)
        if at == len(order):
            return None
        return order[at], self._blocks[order[at]].events(version)

    def isLast(self, place: Place) -> bool:
        """
        Whether there is nothing after it.
        """
        return self._order[-1] <= place

    @property
    def _order(self) -> list[Place]:
        if self._sorted is None:
            self._sorted = sorted(self._blocks)
        return self._sorted

    def _inOrder(self) -> list[_Block]:
        return [self._blocks[place] for place in self._order]
