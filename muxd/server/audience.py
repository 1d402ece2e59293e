# -*- test-case-name: tests.server.test_access -*-
"""
The clients that share a view.
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.server.access import Access
from muxd.server.commands import Commands
from muxd.server.listeners import EventBroadcaster
from muxd.server.registry import DeviceRegistry
from muxd.server.vieweddevices import ViewedDevices


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Audience:
    """
    What there is for clients that share a view.

    @ivar devices: The devices that there are for them.
    @ivar feed: Tells those that listen of devices.
    @ivar commands: Answers their requests.
    @ivar access: What decides about each request; None if nothing is denied.
    """

    devices: DeviceRegistry | ViewedDevices
    feed: EventBroadcaster
    commands: Commands
    access: Access | None = None

    def stop(self) -> None:
        """
        There are no more clients of this kind: hear no more of devices.
        """
        self.feed.stop()
        if isinstance(self.devices, ViewedDevices):
            self.devices.stop()
