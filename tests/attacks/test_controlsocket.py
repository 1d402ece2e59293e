"""
The control socket of simulated phones: every user of the machine could say C{quit}.
"""

from __future__ import annotations

import os
import stat
from unittest import skipIf

from twisted.internet import reactor
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.net.serverstrings import forOwnerAlone
from muxd.phone.service import PhoneService


class DescriptionTests(SynchronousTestCase):
    """
    Tests of L{forOwnerAlone}.
    """

    def test_added(self) -> None:
        """
        A UNIX socket without a mode gets one.
        """
        self.assertEqual(forOwnerAlone("unix:/s"), "unix:/s:mode=600")
        self.assertEqual(forOwnerAlone("unix:address=/s"), "unix:address=/s:mode=600")

    def test_given(self) -> None:
        """
        What says its mode keeps it, and what is no UNIX socket has none.
        """
        for place in ("unix:/s:mode=660", "unix:/s:660", "tcp:7", "systemd:domain=UNIX:index=0"):
            self.assertEqual(forOwnerAlone(place), place)


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class ModeTests(TestCase):
    """
    The socket in the file system.
    """

    def modeOf(self, more: str) -> int:
        """
        The mode of a control socket.
        """
        directory = os.path.relpath(self.mktemp())
        os.makedirs(directory)
        path = os.path.join(directory, "s")
        service = PhoneService(reactor, [], control=[f"unix:{path}{more}"])
        service.startService()
        self.addCleanup(service.stopService)
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_owner(self) -> None:
        """
        It is its owner's alone unless it says otherwise.
        """
        self.assertEqual((self.modeOf(""), self.modeOf(":mode=660")), (0o600, 0o660))
