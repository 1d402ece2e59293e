"""
Whatever a host sends, every service goes on or ends: tests of
L{muxd.phone.services.standard.standardServices}.
"""

from __future__ import annotations

import plistlib
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.iphone import Phone
from tests.running.properties import examples

NAMES = st.sampled_from(
    [
        *("Request", "Command", "command", "MessageType", "MessageName", "CommandKey"),
        *("Browse", "Lookup", "Install", "Uninstall", "VendContainer", "VendDocuments"),
        *("ReceiveBytes", "MountImage", "LookupImage", "UnmountImage", "CopyDevices", "Hangup"),
        *("IORegistry", "MobileGestalt", "Restart", "Goodbye", "StartActivity", "PidList"),
        *("getIconState", "setIconState", "getIconPNGData", "CopyAll", "Remove", "Identifier"),
        *("Backup", "Restore", "Hello", "Info", "SourceIdentifier", "ImageSize", "PackagePath"),
        *("ClientOptions", "ApplicationIdentifier", "BundleIDs", "ReturnAttributes", "Options"),
        *("DLMessageVersionExchange", "DLVersionsOk", "DLMessageProcessMessage"),
        *("DLMessageStatusResponse", "ScreenShotRequest", "WIRFinalMessageKey", "__selector"),
        *("MobileGestaltKeys", "iconState", "bundleId", "Profile", "ProfileID", "Pid", "Polo"),
        *("RequestType", "GetProfileList", "InstallProfile", "RemoveProfile", "Payload"),
        *("InstallTransferredDirectory", "PayloadIdentifier", "ProfileIdentifier"),
        *("com.apple.camera", "..", "/", ""),
    ]
)
VALUES = st.recursive(
    NAMES | st.integers(-(1 << 40), 1 << 40) | st.binary(max_size=20) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
READY = ["DLMessageVersionExchange", "DLVersionsOk", 300]


def framed(values: Any) -> bytes:
    """
    A message.
    """
    data = plistlib.dumps(values, fmt=plistlib.FMT_BINARY)
    return struct.pack(">I", len(data)) + data


PIECES = st.lists(
    st.dictionaries(NAMES, VALUES, max_size=4).map(framed)
    | st.lists(VALUES, max_size=3).map(framed)
    | st.just(framed(READY))
    | st.binary(max_size=30),
    max_size=6,
)


class EveryServiceTests(SynchronousTestCase):
    """
    Every service of a phone.
    """

    @settings(deadline=None, max_examples=examples(60))
    @given(PIECES, st.booleans())
    def test_whatever(self, pieces: list[bytes], isDeviceLink: bool) -> None:
        """
        Whatever a host sends, nothing is raised, and nothing is left running when it has gone.
        """
        clock = Clock()
        phone = Phone(clock)
        try:
            for name, service in phone.ports._services.items():
                factory: Any = service.factory
                protocol = factory.buildProtocol(None)
                transport = StringTransport()
                protocol.makeConnection(transport)
                for piece in [framed(READY), *pieces] if isDeviceLink else pieces:
                    if not transport.disconnecting:
                        protocol.dataReceived(piece)
                protocol.connectionLost(connectionDone)
                self.assertEqual(self.flushLoggedErrors(), [], name)
        finally:
            phone.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
