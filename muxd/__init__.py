# -*- test-case-name: tests.importing.test_faces -*-
"""
usbmuxd as a Twisted service.

C{twistd -n usbmuxd} is the daemon; L{MuxService} is the same thing for an application
that wants phones of its own::

    from muxd import MuxService

    service = MuxService(reactor, sources=["usb"])

What is in C{__all__} here, in L{muxd.client}, L{muxd.phone} and L{muxd.testing}, and in
the modules that C{docs/api.md} names beside them, is public.  Everything else may change
with any version.
"""

from typing import TYPE_CHECKING

from muxd.build import choose as _choose
from muxd.importing.faces import lazyFace

if TYPE_CHECKING:
    from muxd.identity import DeviceIdentity
    from muxd.interfaces import (
        AttachedDevice,
        IDevice,
        IDeviceListener,
        IDeviceReceiver,
        IDeviceSource,
        IDeviceSourceParser,
        IForeignDevice,
        IWirelessDevice,
    )
    from muxd.limits import Limits
    from muxd.net.socketfile import CannotListen
    from muxd.relay import RelayService, Route
    from muxd.server.lookup import NoSuchDevice
    from muxd.server.registry import DeviceRegistry
    from muxd.service import MuxService

__version__ = "0.2.0"

__all__ = [
    "AttachedDevice",
    "CannotListen",
    "DeviceIdentity",
    "DeviceRegistry",
    "IDevice",
    "IDeviceListener",
    "IDeviceReceiver",
    "IDeviceSource",
    "IDeviceSourceParser",
    "IForeignDevice",
    "IWirelessDevice",
    "Limits",
    "MuxService",
    "NoSuchDevice",
    "RelayService",
    "Route",
    "__version__",
]

# Before anything of ours is imported that there are two of.
_choose()

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.identity": ("DeviceIdentity",),
        "muxd.interfaces": (
            "AttachedDevice",
            "IDevice",
            "IDeviceListener",
            "IDeviceReceiver",
            "IDeviceSource",
            "IDeviceSourceParser",
            "IForeignDevice",
            "IWirelessDevice",
        ),
        "muxd.limits": ("Limits",),
        "muxd.relay": ("RelayService", "Route"),
        "muxd.server.registry": ("DeviceRegistry",),
        "muxd.server.lookup": ("NoSuchDevice",),
        "muxd.service": ("MuxService",),
        "muxd.net.socketfile": ("CannotListen",),
    },
)
