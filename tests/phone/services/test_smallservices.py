"""
Tests of small services: L{muxd.phone.services.devicelink}, L{muxd.phone.services.springboard},
L{muxd.phone.services.misagent}, L{muxd.phone.services.pictures} and
L{muxd.phone.services.trivial}.
"""

from __future__ import annotations

import plistlib
import struct
import zlib
from unittest.mock import patch

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import misagent
from muxd.phone.services.apps import Apps
from muxd.phone.services.misagent import Misagent, Profiles
from muxd.phone.services.pictures import Screenshotr, plainPNG
from muxd.phone.services.springboard import HomeScreen, SpringBoardServices
from muxd.phone.services.trivial import (
    MOVED,
    AssertionAgent,
    CompanionProxy,
    CrashReportMover,
)
from tests.phone.services.hosts import PlistHost


def profile(name: str) -> bytes:
    """
    A profile as its signature has it inside.
    """
    return b"\x30\x82signature" + plistlib.dumps({"UUID": name}) + b"certificates"


class PictureTests(SynchronousTestCase):
    """
    Tests of L{plainPNG}.
    """

    def test_picture(self) -> None:
        """
        It has its size, as many pixels of its colour, and right checksums.
        """
        data = plainPNG(3, 2, b"abc")
        self.assertEqual(struct.unpack(">II", data[16:24]), (3, 2))
        place, found = 8, {}
        while place < len(data):
            (size,) = struct.unpack(">I", data[place : place + 4])
            body = data[place + 4 : place + 8 + size]
            (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
            self.assertEqual(check, zlib.crc32(body))
            found[body[:4]] = body[4:]
            place += 12 + size
        self.assertEqual(zlib.decompress(found[b"IDAT"]), (b"\0" + b"abc" * 3) * 2)

    def test_bounded(self) -> None:
        """
        A dump does not make it large without end.
        """
        self.assertEqual(struct.unpack(">II", plainPNG(10**9, 0)[16:24]), (5000, 1))


class ScreenshotTests(SynchronousTestCase):
    """
    Tests of L{Screenshotr}, and of the device link that it is spoken in.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.host = PlistHost(Screenshotr(lambda: b"picture"))
        self.assertEqual(self.host.heard(), [["DLMessageVersionExchange", 300, 0]])

    def test_picture(self) -> None:
        """
        When the versions have been agreed on, there is a picture.
        """
        answers = self.host.askAll(["DLMessageVersionExchange", "DLVersionsOk", 300])
        self.assertEqual(answers, [["DLMessageDeviceReady"]])
        request = ["DLMessageProcessMessage", {"MessageType": "ScreenShotRequest"}]
        ((name, reply),) = self.host.askAll(request)
        self.assertEqual(name, "DLMessageProcessMessage")
        self.assertEqual(reply, {"MessageType": "ScreenShotReply", "ScreenShotData": b"picture"})
        self.host.askAll(["DLMessageDisconnect", "x"])
        self.assertTrue(self.host.transport.disconnecting)

    def test_wrong(self) -> None:
        """
        What is said before that, or makes no sense, is the end.
        """
        ready = ["DLMessageVersionExchange", "DLVersionsOk"]
        for first, message in (
            (None, ["DLMessageProcessMessage", {"MessageType": "ScreenShotRequest"}]),
            (None, ["DLMessageVersionExchange", "no"]),
            (None, {"a": 1}),
            (None, []),
            (None, [7]),
            (ready, ["DLMessageProcessMessage", {"MessageType": "Dance"}]),
            (ready, ["DLMessageProcessMessage"]),
            (ready, ["Dance"]),
        ):
            self.setUp()
            if first is not None:
                self.host.askAll(first)
            self.assertEqual(self.host.askAll(message), [])
            self.assertTrue(self.host.transport.disconnecting)
        self.setUp()
        self.host.service.stringReceived(b"nonsense")
        self.assertTrue(self.host.transport.disconnecting)


class SpringBoardTests(SynchronousTestCase):
    """
    Tests of L{SpringBoardServices}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        directory: FilePath[str] = FilePath(self.mktemp())
        directory.makedirs()
        self.screen = HomeScreen(Apps(lambda: directory))
        self.host = PlistHost(SpringBoardServices(self.screen, lambda: b"picture"))

    def test_icons(self) -> None:
        """
        Icons are where they were put.
        """
        dock, page = self.host.ask(command="getIconState", formatVersion="2")
        self.assertEqual((len(dock), len(page)), (4, 1))
        self.assertEqual(self.host.ask(command="setIconState", iconState=[page, dock]), {})
        self.assertEqual(self.host.ask(command="getIconState"), [page, dock])
        self.host.ask(command="setIconState", iconState={})
        self.assertEqual(self.host.ask(command="getIconState"), [page, dock])

    def test_pictures(self) -> None:
        """
        There are pictures of apps and of the wallpaper.
        """
        answer = self.host.ask(command="getIconPNGData", bundleId="com.apple.camera")
        self.assertTrue(answer["pngData"].startswith(b"\x89PNG"))
        self.assertIn("Error", self.host.ask(command="getIconPNGData", bundleId="none"))
        for name in ("getHomeScreenWallpaperPNGData", "getWallpaperPreviewImage"):
            self.assertEqual(self.host.ask(command=name), {"pngData": b"picture"})

    def test_rest(self) -> None:
        """
        The rest is told, and what is not known refused.
        """
        answer = self.host.ask(command="getInterfaceOrientation")
        self.assertEqual(answer, {"interfaceOrientation": 1})
        self.assertIn("homeScreenIconRows", self.host.ask(command="getHomeScreenIconMetrics"))
        self.assertIn("wallpaperName", self.host.ask(command="getWallpaperInfo"))
        self.assertIn("Error", self.host.ask(command="dance"))


class MisagentTests(SynchronousTestCase):
    """
    Tests of L{Misagent}.
    """

    def test_profiles(self) -> None:
        """
        Profiles are installed, told and removed by what is in them.
        """
        host = PlistHost(Misagent(Profiles()))
        one, other = profile("A"), profile("B")
        for each in (one, other):
            answer = host.ask(MessageType="Install", Profile=each, ProfileType="Provisioning")
            self.assertEqual(answer["Status"], 0)
        self.assertEqual(host.ask(MessageType="CopyAll")["Payload"], [one, other])
        self.assertEqual(host.ask(MessageType="Remove", ProfileID="A")["Status"], 0)
        self.assertNotEqual(host.ask(MessageType="Remove", ProfileID="A")["Status"], 0)
        self.assertEqual(host.ask(MessageType="Copy")["Payload"], [other])

    def test_large(self) -> None:
        """
        Profiles have so many bytes together; one that comes again counts once.
        """
        host, one, other = PlistHost(Misagent(Profiles())), profile("A"), profile("B")
        with patch.object(misagent, "MOST_BYTES", len(one + other) - 1):
            found = [
                host.ask(MessageType="Install", Profile=p)["Status"] for p in (one, one, other)
            ]
        self.assertEqual(found, [0, 0, misagent.NOT_VALID])
        self.assertEqual(host.ask(MessageType="CopyAll")["Payload"], [one])

    def test_none(self) -> None:
        """
        What is no profile is not installed.
        """
        host = PlistHost(Misagent(Profiles()))
        for wrong in (b"", b"<?xml</plist>", profile(""), profile("x" * 99), "text", 7):
            self.assertNotEqual(host.ask(MessageType="Install", Profile=wrong)["Status"], 0)
        self.assertEqual(host.ask(MessageType="CopyAll")["Payload"], [])


class SmallestTests(SynchronousTestCase):
    """
    Tests of L{AssertionAgent}, L{CompanionProxy} and L{CrashReportMover}.
    """

    def test_assertion(self) -> None:
        """
        The phone agrees not to sleep.
        """
        host = PlistHost(AssertionAgent())
        request = {"CommandKey": "CommandCreateAssertion", "AssertionTypeKey": "PreventSystemSleep"}
        self.assertEqual(host.ask(**request, AssertionTimeoutKey=5.0), request)
        self.assertIn("ErrorKey", host.ask(CommandKey="Dance"))

    def test_companions(self) -> None:
        """
        There is no watch.
        """
        host = PlistHost(CompanionProxy())
        for command in ("GetDeviceRegistry", "GetValueFromRegistry", "StartForwardingServicePort"):
            self.assertEqual(host.ask(Command=command), {"Error": "NoPairedWatches"})
        self.assertEqual(host.askAll({"Command": "StartListeningForDevices"}), [])

    def test_crashReports(self) -> None:
        """
        They have been moved.
        """
        host = PlistHost(CrashReportMover())
        self.assertEqual(host.transport.value(), MOVED)
