"""
Tests of L{muxd.phone.services.standard}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.iphone import Phone
from muxd.phone.services.standard import FOLDERS, Storage
from muxd.phone.services.trees import makeDirectories, removeTree
from tests.phone.services.test_trees import DEEP


class StorageTests(SynchronousTestCase):
    """
    Where a phone's files are.
    """

    def test_own(self) -> None:
        """
        A phone has a directory of its own, which goes away with it.
        """
        storage = Storage(None)
        path = storage.directory().path
        self.assertEqual(storage.directory().path, path)
        self.assertEqual(sorted(os.listdir(path)), sorted({name.split("/")[0] for name in FOLDERS}))
        self.assertIn("Books", FOLDERS)
        storage.remove()
        storage.remove()
        self.assertFalse(os.path.exists(path))

    def test_deep(self) -> None:
        """
        Neither does it keep directories that are very deep.
        """
        storage = Storage(None)
        path = storage.directory().path
        makeDirectories(path + DEEP)
        storage.remove()
        self.assertFalse(os.path.exists(path))

    def test_cannotRemove(self) -> None:
        """
        What cannot be removed is said, and where it is.
        """
        storage = Storage(None)
        path = storage.directory().path
        os.rename(path, path + ".moved")
        with capturedLogs() as events:
            storage.remove()
        removeTree(path + ".moved")
        (event,) = events
        self.assertEqual((event["log_level"], event["path"]), (LogLevel.warn, path))
        self.assertIn("No such file", formatEvent(event))

    def test_given(self) -> None:
        """
        A directory that was given stays.
        """
        path = self.mktemp()
        os.makedirs(path)
        storage = Storage(path)
        self.assertEqual(storage.directory().path, os.path.abspath(path))
        storage.remove()
        self.assertTrue(os.path.exists(path))


class StandardServicesTests(SynchronousTestCase):
    """
    What every phone has.
    """

    def test_others(self) -> None:
        """
        A phone may have others.
        """
        phone = Phone(Clock(), named={})
        self.addCleanup(phone.stop)
        self.assertIsNone(phone.ports.find("com.apple.afc"))

    def test_services(self) -> None:
        """
        Each of them can be connected to; one needs no pairing.
        """
        phone = Phone(Clock())
        self.addCleanup(phone.stop)
        services = phone.ports._services
        for service in services.values():
            factory: Any = service.factory
            self.assertIsNotNone(factory.buildProtocol(None))
        self.assertEqual(
            [name for name, service in services.items() if not service.secure],
            ["com.apple.mobile.insecure_notification_proxy"],
        )
