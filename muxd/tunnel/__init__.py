# -*- test-case-name: tests.importing.test_faces -*-
"""
Tunnels to phones with iOS 17.4 and later: streams of IPv6 packets within a service that lockdownd
starts, a TCP of our own on top of them, and the services that a phone offers there.

Names are imported when they are first used: they need the extra C{tunnel}.
"""

from typing import TYPE_CHECKING

from muxd.importing.faces import lazyFace

if TYPE_CHECKING:
    from muxd.tunnel.checkin import CheckInFailed
    from muxd.tunnel.host import NoService, Tunnel, connectTunnel
    from muxd.tunnel.opening import openTunnel
    from muxd.tunnel.rsd import RemoteService

__all__ = [
    "CheckInFailed",
    "NoService",
    "RemoteService",
    "Tunnel",
    "connectTunnel",
    "openTunnel",
]

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.tunnel.checkin": ("CheckInFailed",),
        "muxd.tunnel.host": ("NoService", "Tunnel", "connectTunnel"),
        "muxd.tunnel.opening": ("openTunnel",),
        "muxd.tunnel.rsd": ("RemoteService",),
    },
)
