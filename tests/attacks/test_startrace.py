"""
Two daemons that start where a third has left its socket: the second removed the socket that
the first had just made, and when the first ended it removed the second's.
"""

from __future__ import annotations

import os
import socket
from unittest import skipIf
from unittest.mock import patch

from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from muxd.net import socketfile
from muxd.net.socketfile import CannotListen, SocketFile, removeStaleSocket, startingAlone


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class StartRaceTests(SynchronousTestCase):
    """
    Another daemon binds at the worst moment.
    """

    def setUp(self) -> None:
        """
        Have a stale socket, in a directory with a short path.
        """
        directory = os.path.realpath(self.mktemp())
        os.makedirs(directory)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        self.path = "s"
        self.bind().close()
        # File systems give a removed file's inode to the next one, if not its age.
        os.utime(self.path, (1, 1))
        os.symlink("999999", "s.lock")

    def bind(self) -> socket.socket:
        """
        Listen there.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(self.path)
        listening.listen(1)
        return listening

    def takePlace(self) -> None:
        """
        What the other daemon does.
        """
        os.unlink(self.path)
        os.unlink("s.lock")
        self.bind()
        os.symlink("12345", "s.lock")

    def assertOthers(self) -> None:
        """
        The other daemon can be reached, and nothing else is there.
        """
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
        self.assertEqual(sorted(os.listdir(".")), ["s", "s.lock"])
        self.assertEqual(os.readlink("s.lock"), "12345")

    def test_betweenLookingAndRemoving(self) -> None:
        """
        It binds after the stale socket has been tried: its own stays, and it is named.
        """
        look = socketfile._refuseIfAlive
        looks: list[str] = []

        def lookLong(path: str) -> None:
            look(path)
            looks.append(path)
            if len(looks) == 1:
                self.takePlace()

        with patch.object(socketfile, "_refuseIfAlive", lookLong):
            problem = self.assertRaises(CannotListen, removeStaleSocket, self.path)
        self.assertIn("another daemon is listening there", str(problem))
        self.assertOthers()

    def test_whileRemoving(self) -> None:
        """
        It binds even after the last look: its socket is put back.
        """
        file = SocketFile.at(self.path, isOpen=False)
        rename = os.rename

        def renameLate(source: str, to: str) -> None:
            self.takePlace()
            rename(source, to)

        with patch.object(os, "rename", renameLate):
            self.assertFalse(file.remove())
        self.assertOthers()

    def test_whileRemovingWithoutLinks(self) -> None:
        """
        The same where sockets cannot have two names.
        """
        file = SocketFile.at(self.path, isOpen=False)
        rename = os.rename
        renamed: list[str] = []

        def renameLate(source: str, to: str) -> None:
            if not renamed:
                self.takePlace()
            renamed.append(source)
            rename(source, to)

        with (
            patch.object(os, "rename", renameLate),
            patch.object(os, "link", side_effect=PermissionError(1, "no")),
        ):
            self.assertFalse(file.remove())
        self.assertOthers()

    def test_third(self) -> None:
        """
        What has taken the place in the moment in which it was free keeps it.
        """
        file = SocketFile.at(self.path, isOpen=False)
        rename = os.rename

        def renameLate(source: str, to: str) -> None:
            os.unlink(self.path)
            with open(source, "w"):
                pass
            rename(source, to)
            os.unlink("s.lock")
            self.bind()
            os.symlink("12345", "s.lock")

        with patch.object(os, "rename", renameLate):
            self.assertFalse(file.remove())
        self.assertOthers()

    def test_oneAfterTheOther(self) -> None:
        """
        While one looks, removes and binds, others of our kind wait.
        """
        with startingAlone(self.path) as first, startingAlone(self.path, 0) as second:
            self.assertEqual((first, second), (True, False))
