"""
Tests of L{muxd.phone.services.installation} and L{muxd.phone.services.housearrest}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.afcfiles import Files
from muxd.phone.services.afcpackets import HEADER, Header, Operation, encode
from muxd.phone.services.apps import SYSTEM, Apps
from muxd.phone.services.housearrest import HouseArrest
from muxd.phone.services.installation import CHUNK, InstallationProxy
from tests.phone.services.hosts import PlistHost, frame
from tests.phone.services.packages import makePackage

APP = "com.example.app"


class AppCase(SynchronousTestCase):
    """
    A phone with files, and a package among them.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.files = self.mktemp()
        os.makedirs(self.files)
        makePackage(os.path.join(self.files, "app.ipa"), APP, UIFileSharingEnabled=True)
        directory: FilePath[str] = FilePath(self.mktemp())
        directory.makedirs()
        self.apps = Apps(lambda: directory)
        self.posted: list[str] = []


class InstallationProxyTests(AppCase):
    """
    Tests of L{InstallationProxy}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        place = Files(FilePath(self.files)).placeOf
        self.host = PlistHost(InstallationProxy(self.apps, place, self.posted.append))

    def lookup(self, **options: Any) -> dict[str, Any]:
        """
        The apps that a host finds.
        """
        answer = self.host.ask(Command="Lookup", ClientOptions=options)
        result: dict[str, Any] = answer["LookupResult"]
        return result

    def test_install(self) -> None:
        """
        Stages are told, then it is complete, the app is there, and observers hear of it.
        """
        answers = self.host.askAll({"Command": "Install", "PackagePath": "app.ipa"})
        percents = [answer["PercentComplete"] for answer in answers[:-1]]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual(answers[-1], {"Status": "Complete"})
        self.assertIn(APP, self.lookup())
        answers = self.host.askAll({"Command": "Uninstall", "ApplicationIdentifier": APP})
        self.assertEqual(answers[-1], {"Status": "Complete"})
        self.assertNotIn(APP, self.lookup())
        self.assertEqual(
            self.posted,
            [f"com.apple.mobile.application_{what}" for what in ("installed", "uninstalled")],
        )

    def test_refusals(self) -> None:
        """
        What cannot be done says why, and no stage after that is told.
        """
        for request, error in (
            ({"Command": "Install", "PackagePath": "none"}, "PackageExtractionFailed"),
            ({"Command": "Install", "PackagePath": "../../etc"}, "PackageExtractionFailed"),
            ({"Command": "Upgrade"}, "MissingPackagePath"),
            ({"Command": "Uninstall"}, "MissingBundleIdentifier"),
            ({"Command": "Uninstall", "ApplicationIdentifier": "none"}, "APIInternalError"),
            (
                {"Command": "Uninstall", "ApplicationIdentifier": "com.apple.camera"},
                "UninstallProhibited",
            ),
            ({"Command": "Dance"}, "UnknownCommand"),
        ):
            self.assertEqual(self.host.askAll(request)[-1].get("Error"), error, request)

    def test_options(self) -> None:
        """
        A host may want some apps, and some of what there is to know.
        """
        self.apps.install(os.path.join(self.files, "app.ipa"))
        self.assertEqual(set(self.lookup(ApplicationType="User")), {APP})
        self.assertEqual(set(self.lookup(ApplicationType="System")), set(SYSTEM))
        self.assertEqual(
            self.lookup(BundleIDs=[APP], ReturnAttributes=["CFBundleExecutable"]),
            {APP: {"CFBundleExecutable": "App"}},
        )
        self.assertIn("LookupResult", self.host.ask(Command="LookupArchives"))
        self.assertIn("LookupResult", self.host.ask(Command="CheckCapabilitiesMatch"))

    def test_browse(self) -> None:
        """
        Many apps are told some at a time.
        """
        for number in range(CHUNK):
            makePackage(os.path.join(self.files, "b.ipa"), f"com.example.{number}")
            self.apps.install(os.path.join(self.files, "b.ipa"))
        *chunks, end = self.host.askAll({"Command": "Browse"})
        self.assertEqual(end, {"Status": "Complete"})
        found = [app["CFBundleIdentifier"] for chunk in chunks for app in chunk["CurrentList"]]
        self.assertEqual(len(set(found)), CHUNK + len(SYSTEM))
        self.assertEqual({chunk["Total"] for chunk in chunks}, {len(found)})


class HouseArrestTests(AppCase):
    """
    Tests of L{HouseArrest}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        self.apps.install(os.path.join(self.files, "app.ipa"))
        self.host = PlistHost(HouseArrest(self.apps))
        self.addCleanup(self.host.service.connectionLost, connectionDone)

    def list(self, path: bytes) -> bytes:
        """
        What AFC says is in a directory, or its status.
        """
        self.host.service.dataReceived(encode(1, Operation.READ_DIR, path + b"\0"))
        data = self.host.transport.value()
        self.host.transport.clear()
        Header.decode(data[: HEADER.size])
        return bytes(data[HEADER.size :])

    def test_container(self) -> None:
        """
        Behind the answer there is AFC of the app's files.
        """
        answer = self.host.ask(Command="VendContainer", Identifier=APP)
        self.assertEqual(answer, {"Status": "Complete"})
        self.assertEqual(self.list(b"/"), b".\0..\0Documents\0Library\0tmp\0")

    def test_documents(self) -> None:
        """
        Of an app that shares its documents, a host sees these and nothing else.
        """
        self.host.ask(Command="VendDocuments", Identifier=APP)
        self.assertEqual(self.list(b"/Documents"), b".\0..\0")
        for path in (b"/", b"/Library", b"/Documents/../Library"):
            self.assertEqual(self.list(path), (10).to_bytes(8, "little"))

    def test_atOnce(self) -> None:
        """
        A host that does not wait for the answer is understood.
        """
        request = frame({"Command": "VendContainer", "Identifier": APP})
        afc = encode(1, Operation.READ_DIR, b"/Documents\0")
        self.host.service.dataReceived(request + afc[:10])
        self.host.transport.clear()
        self.host.service.dataReceived(afc[10:])
        self.assertTrue(self.host.transport.value().endswith(b".\0..\0"))

    def test_refusals(self) -> None:
        """
        Other apps are not shown.
        """
        makePackage(os.path.join(self.files, "b.ipa"), "com.example.private")
        self.apps.install(os.path.join(self.files, "b.ipa"))
        for command, name, error in (
            ("VendContainer", "none", "ApplicationLookupFailed"),
            ("VendContainer", "com.apple.camera", "ApplicationLookupFailed"),
            ("VendDocuments", "none", "ApplicationLookupFailed"),
            ("VendDocuments", "com.example.private", "InstallationLookupFailed"),
            ("Dance", APP, "UnknownCommand"),
        ):
            answer = self.host.ask(Command=command, Identifier=name)
            self.assertEqual(answer, {"Error": error}, (command, name))
