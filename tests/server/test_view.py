"""
Tests of L{muxd.server.view}.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from errno import ENOPROTOOPT, EOPNOTSUPP
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.identity import Selection
from muxd.net.credentials import SO_PEERPIDFD, executableOf
from muxd.server.view import EVERYTHING, Peers, View
from tests.running.processes import startsProcesses
from tests.server.viewing import identity, only, udid, view

CLIENT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
sys.stdin.read()
"""


class ViewTests(SynchronousTestCase):
    """
    Tests of L{View}.
    """

    def test_everything(self) -> None:
        """
        A view of which nothing is said keeps nothing from its clients.
        """
        self.assertTrue(EVERYTHING.isEverything)
        self.assertTrue(EVERYTHING.shows(identity(1)))
        self.assertTrue(EVERYTHING.names(udid(1)))
        self.assertTrue(EVERYTHING.permitsCommand("Connect"))
        self.assertTrue(EVERYTHING.permitsPort(0) and EVERYTHING.permitsPort(65535))
        self.assertFalse(only(1).isEverything)

    def test_local(self) -> None:
        """
        Users, groups and programs are what the kernel tells; names in certificates are not.
        """
        one = frozenset((1,))
        for peers in (Peers(uids=one), Peers(gids=one), Peers(programs=frozenset("a"))):
            self.assertTrue(peers.isLocal, peers)
        for peers in (Peers(), Peers(certificates=frozenset("a"))):
            self.assertFalse(peers.isLocal, peers)

    def test_shows(self) -> None:
        """
        Phones are in it by UDID, by port, by hub or by the type of their connection; one that
        is denied is not.
        """
        for shown, hidden, options in (
            (identity(1), identity(2), {"only": udid(1)}),
            (identity(1), identity(2), {"only": udid(1).replace("-", "").lower()}),
            (identity(1, "1-1.2"), identity(2, "1-1.3"), {"only": "1-1.2"}),
            (identity(1, "1-1.2"), identity(2, "1-1"), {"only": "1-1.*"}),
            (identity(1, "1-1.2.4"), identity(2, "1-12"), {"only": "port:1-1.*"}),
            (identity(1, "", "Network"), identity(2, "1-1"), {"only": "network"}),
            (identity(1, "1-1"), identity(2, "", "Network"), {"only": "usb"}),
            (identity(1), identity(2), {"deny": udid(2)}),
            (identity(1, "1-1"), identity(1, "1-2"), {"only": udid(1), "deny": "1-2"}),
        ):
            parsed = view(**options)
            self.assertEqual((parsed.shows(shown), parsed.shows(hidden)), (True, False), options)

    def test_otherHosts(self) -> None:
        """
        A port is one of this machine, whatever another one calls its own.
        """
        elsewhere = replace(identity(1, "1-1"), host="farm2")
        self.assertFalse(view(only="1-1").shows(elsewhere))
        self.assertFalse(view(only="1-1.*").shows(replace(elsewhere, portPath="1-1.2")))
        self.assertTrue(view(only=udid(1)).shows(elsewhere))

    def test_names(self) -> None:
        """
        What can be told of a phone that is not here from its UDID alone.
        """
        for options, expected in (
            ({"only": udid(1)}, (True, False)),
            ({"only": f"{udid(1)},1-1"}, (True, None)),
            ({"only": "1-1.*"}, (None, None)),
            ({"only": "network", "deny": udid(2)}, (None, False)),
            ({"deny": udid(2)}, (True, False)),
            ({"deny": "1-1"}, (True, True)),
        ):
            parsed = view(**options)
            self.assertEqual((parsed.names(udid(1)), parsed.names(udid(2))), expected, options)

    def test_ports(self) -> None:
        """
        Ports are permitted one by one and as ranges, with their ends.
        """
        parsed = view(ports="22,1000-2000")
        permitted = [
            port for port in (21, 22, 23, 999, 1000, 2000, 2001) if parsed.permitsPort(port)
        ]
        self.assertEqual(permitted, [22, 1000, 2000])

    def test_union(self) -> None:
        """
        Selections are joined field by field.
        """
        joined = Selection.fromWords(["1-1"]) | Selection.fromWords([udid(1), "network", "2-1.*"])
        self.assertEqual(joined, Selection.fromWords(["1-1", udid(1), "network", "2-1.*"]))


@dataclass
class Connection:
    """
    One whose socket is known.
    """

    socket: Any


@dataclass
class Name:
    """
    A certificate's subject that cannot be reached.
    """

    socket: Any = None

    def getPeerCertificate(self) -> None:
        """
        The peer has shown none.
        """


@skipUnless(hasattr(socket, "SO_PEERCRED"), "this system does not tell of peers")
class PeersTests(SynchronousTestCase):
    """
    Tests of L{Peers}, with this process as the client.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        self.connection = Connection(ours)

    def admits(self, **options: str) -> bool:
        """
        Whether this process is one of them.
        """
        return view(**options).peers.admit(self.connection)

    def test_user(self) -> None:
        """
        By user.
        """
        self.assertTrue(self.admits(uid=str(os.getuid())))
        self.assertFalse(self.admits(uid=str(os.getuid() + 1)))

    def test_groups(self) -> None:
        """
        By each group that it has.
        """
        for group in (os.getgid(), *os.getgroups()):
            self.assertTrue(self.admits(gid=f"{group},4000000"), group)
        self.assertFalse(self.admits(gid="4000000"))

    def test_program(self) -> None:
        """
        By program, also when that is named by a link.
        """
        program = os.path.realpath("/proc/self/exe")
        link = os.path.join(self.mktemp(), "python")
        os.makedirs(os.path.dirname(link))
        os.symlink(program, link)
        self.assertTrue(self.admits(program=program))
        self.assertTrue(self.admits(program=os.path.abspath(link)))
        self.assertFalse(self.admits(program="/bin/false"))

    def test_each(self) -> None:
        """
        Each kind that is named has to match.
        """
        user, other = str(os.getuid()), "4000000"
        self.assertTrue(self.admits(uid=user, gid=str(os.getgid())))
        self.assertFalse(self.admits(uid=user, gid=other))
        self.assertFalse(self.admits(uid=other, gid=str(os.getgid())))

    def test_unknown(self) -> None:
        """
        A client of which nothing is known is none of them.
        """
        for peers in (
            Peers(uids=frozenset((0,))),
            Peers(gids=frozenset((0,))),
            Peers(programs=frozenset(("/bin/sh",))),
            Peers(certificates=frozenset(("ci",))),
        ):
            for connection in (None, Connection(None), Name()):
                self.assertFalse(peers.admit(connection), (peers, connection))
        self.assertTrue(Peers().admit(None))

    @startsProcesses
    def test_gone(self) -> None:
        """
        A program that has ended is not taken for another one that has its number by now.
        """
        path = self.mktemp()
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        listening.listen()
        client = subprocess.Popen([sys.executable, "-c", CLIENT, path], stdin=subprocess.PIPE)
        self.addCleanup(client.wait)
        connected, _ = listening.accept()
        self.addCleanup(connected.close)
        self.assertEqual(executableOf(connected, client.pid), os.readlink("/proc/self/exe"))
        client.communicate()
        self.assertEqual(executableOf(connected, client.pid), "")
        try:
            os.close(connected.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
        except OSError as error:
            if error.errno in (ENOPROTOOPT, EOPNOTSUPP):
                raise SkipTest("this kernel does not tell whether a peer has ended") from None
        self.assertEqual(executableOf(connected, os.getpid()), "")


class DefaultTests(SynchronousTestCase):
    """
    Tests of what a view is without arguments.
    """

    def test_equal(self) -> None:
        """
        Views are values.
        """
        self.assertEqual(View(), EVERYTHING)
        self.assertEqual(hash(only(1)), hash(only(1)))
        self.assertNotEqual(only(1), only(2))
