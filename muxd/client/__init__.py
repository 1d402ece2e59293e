# -*- test-case-name: tests.importing.test_faces -*-
"""
For programs that use a daemon, whichever it is.

With Twisted: L{UsbmuxClient}, L{DeviceWatcher} and L{UsbmuxClientEndpoint}, whose
errors are those of L{muxd.client.errors}.  Without it: L{connect}, L{devices}, L{watch}
and the rest of L{muxd.client.blocking}, whose errors are those of
L{muxd.client.socketerrors}.  The errors here are what both have in common.

Names are imported when they are first used: the endpoint's parser has to be light, and
the blocking client does without Twisted.
"""

from typing import TYPE_CHECKING

from muxd.importing.faces import lazyFace

if TYPE_CHECKING:
    from muxd.client.answers import Attached, Detached, Device, Event, ListenerRecord, Paired
    from muxd.client.blocking import connect, devices, watch
    from muxd.client.client import PhoneAddress, UsbmuxClient
    from muxd.client.endpoint import UsbmuxClientEndpoint
    from muxd.client.problems import (
        DaemonLost,
        DaemonNonsense,
        DaemonRefused,
        NoDaemon,
        NoPairRecord,
        NoPhone,
        NotSupported,
        PairRecordError,
        PhoneGone,
        PortRefused,
        SeveralPhones,
        TimedOut,
        UnknownUDID,
        UsbmuxError,
    )
    from muxd.client.selection import Network
    from muxd.client.watcher import DeviceObserverMixin, DeviceWatcher, IDeviceObserver

__all__ = [
    "Attached",
    "DaemonLost",
    "DaemonNonsense",
    "DaemonRefused",
    "Detached",
    "Device",
    "DeviceObserverMixin",
    "DeviceWatcher",
    "Event",
    "IDeviceObserver",
    "ListenerRecord",
    "Network",
    "NoDaemon",
    "NoPairRecord",
    "NoPhone",
    "NotSupported",
    "PairRecordError",
    "Paired",
    "PhoneAddress",
    "PhoneGone",
    "PortRefused",
    "SeveralPhones",
    "TimedOut",
    "UnknownUDID",
    "UsbmuxClient",
    "UsbmuxClientEndpoint",
    "UsbmuxError",
    "connect",
    "devices",
    "watch",
]

__getattr__, __dir__ = lazyFace(
    __name__,
    {
        "muxd.client.answers": (
            "Attached",
            "Detached",
            "Device",
            "Event",
            "ListenerRecord",
            "Paired",
        ),
        "muxd.client.blocking": ("connect", "devices", "watch"),
        "muxd.client.client": ("PhoneAddress", "UsbmuxClient"),
        "muxd.client.endpoint": ("UsbmuxClientEndpoint",),
        "muxd.client.problems": (
            "DaemonLost",
            "DaemonNonsense",
            "DaemonRefused",
            "NoDaemon",
            "NoPairRecord",
            "NoPhone",
            "NotSupported",
            "PairRecordError",
            "PhoneGone",
            "PortRefused",
            "SeveralPhones",
            "TimedOut",
            "UnknownUDID",
            "UsbmuxError",
        ),
        "muxd.client.selection": ("Network",),
        "muxd.client.watcher": ("DeviceObserverMixin", "DeviceWatcher", "IDeviceObserver"),
    },
)
