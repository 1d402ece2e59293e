"""
Tests of L{muxd.phone.services.apps}.
"""

from __future__ import annotations

import os
import plistlib
import zipfile

from twisted.logger import capturedLogs
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.apps import LARGEST_LIST, SYSTEM, Apps, PackageError, readPackage
from tests.phone.services.packages import makePackage


class AppsTests(SynchronousTestCase):
    """
    Tests of L{Apps}.
    """

    def setUp(self) -> None:
        """
        A directory with one app, and a package of another one.
        """
        self.directory: FilePath[str] = FilePath(self.mktemp())
        self.directory.makedirs()
        makePackage(self.directory.child("some name.ipa").path, "com.example.one", Colour="red")
        self.package = self.mktemp()
        makePackage(self.package, "com.example.two", UIFileSharingEnabled=True)
        self.apps = Apps(lambda: self.directory)

    def users(self) -> list[str]:
        """
        The names of those that are not the system's.
        """
        return [app.identifier for app in self.apps if not app.isSystem]

    def test_found(self) -> None:
        """
        What is in the directory is installed; what is no app is told of.
        """
        self.directory.child("broken.ipa").setContent(b"no zip")
        self.directory.child("notes.txt").setContent(b"")
        with capturedLogs() as events:
            self.assertEqual(self.users(), ["com.example.one"])
        self.assertEqual(len(events), 1)
        self.assertEqual(len(list(self.apps)), 1 + len(SYSTEM))

    def test_values(self) -> None:
        """
        An app is told of by what its package says and by what a phone adds.
        """
        app = self.apps.find("com.example.one")
        assert app is not None
        values = app.values()
        self.assertEqual((values["Colour"], values["ApplicationType"]), ("red", "User"))
        self.assertTrue(values["Path"].endswith("/App.app"))
        self.assertGreater(values["StaticDiskUsage"], 0)
        self.assertIsNone(self.apps.find("com.example.none"))
        self.assertIsNone(self.apps.find(7))

    def test_installed(self) -> None:
        """
        An app that is installed is there for good, with a container, until it is removed.
        """
        app = self.apps.install(self.package)
        self.assertTrue(app.sharesFiles)
        self.assertTrue(self.apps.container(app).child("Documents").isdir())
        self.apps.container(app).child("Documents").child("a").setContent(b"1")
        self.apps = Apps(lambda: self.directory)
        self.assertEqual(self.users(), ["com.example.one", "com.example.two"])
        self.assertTrue(self.apps.remove("com.example.two"))
        self.assertFalse(self.apps.remove("com.example.two"))
        self.assertTrue(self.apps.remove("com.example.one"))
        self.assertFalse(self.directory.child("com.example.two").exists())
        self.assertFalse(self.directory.child("com.example.two.ipa").exists())

    def test_directory(self) -> None:
        """
        A directory that was a package is installed as well.
        """
        place: FilePath[str] = FilePath(self.mktemp())
        place.child("Payload").child("A.app").makedirs()
        values = {"CFBundleIdentifier": "com.example.dir"}
        content = plistlib.dumps(values)
        place.child("Payload").child("A.app").child("Info.plist").setContent(content)
        self.apps.install(place.path)
        self.assertIn("com.example.dir", self.users())
        self.assertIn("com.example.dir", [app.identifier for app in Apps(lambda: self.directory)])

    def test_systems(self) -> None:
        """
        Apps of the system can be neither replaced nor removed.
        """
        makePackage(self.package, "com.apple.camera")
        error = self.assertRaises(PackageError, self.apps.install, self.package)
        self.assertEqual(error.name, "ApplicationVerificationFailed")
        error = self.assertRaises(PackageError, self.apps.remove, "com.apple.camera")
        self.assertEqual(error.name, "UninstallProhibited")


class PackageTests(SynchronousTestCase):
    """
    Tests of L{readPackage}.
    """

    def test_bad(self) -> None:
        """
        What is no app says why; a bundle's name that would lead elsewhere is none.
        """
        path = self.mktemp()
        self.assertEqual(self.error(path), "PackageExtractionFailed")
        FilePath(path).setContent(b"no zip")
        self.assertEqual(self.error(path), "PackageExtractionFailed")
        with zipfile.ZipFile(path, "w") as package:
            package.writestr("App.app/Info.plist", b"")
        self.assertEqual(self.error(path), "PackageInspectionFailed")
        for name in ("..", "../a", "/a", "a/b", "", 7, "x" * 200):
            makePackage(path, name)
            self.assertEqual(self.error(path), "PackageInspectionFailed", name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("Payload/A.app/Info.plist", b" " * (LARGEST_LIST + 1))
        self.assertEqual(self.error(path), "PackageInspectionFailed")
        os.unlink(path)
        os.makedirs(path)
        self.assertEqual(self.error(path), "PackageInspectionFailed")

    def error(self, path: str) -> str:
        """
        A phone's word for what is wrong.
        """
        return str(self.assertRaises(PackageError, readPackage, path).name)
