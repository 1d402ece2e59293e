"""
Tests of L{muxd.server.viewgrammar}.
"""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.identity import Selection
from muxd.server.view import EVERYTHING, View
from muxd.server.viewgrammar import OPTIONS, NamedView, describeView, splitView, viewFromWords
from tests.server.viewing import only, udid, view

LABELS = {"rack": Selection.fromWords(["1-1.*", udid(7)])}
VIEWS = {"ci": only(1)}


class SplitTests(SynchronousTestCase):
    """
    Tests of L{splitView}.
    """

    def test_nothing(self) -> None:
        """
        A description that says nothing of a view is left as it is.
        """
        for text in (
            "unix:/run/a.sock:mode=660",
            "tcp:27015",
            r"unix:/a\:b:group=ci",
            "systemd:INET",
        ):
            self.assertEqual(splitView(text), (text, None))

    def test_options(self) -> None:
        """
        All options are taken out, and the rest is the endpoint's.
        """
        plain, named = splitView(
            f"unix:/run/a.sock:mode=660:only={udid(1)},1-1:deny=network:commands=list,connect"
            ":ports=22,80-90:uid=0:gid=0:program=/muxd-x"
        )
        self.assertEqual(plain, "unix:/run/a.sock:mode=660")
        assert named is not None
        self.assertEqual((named.name, named.isOfPlace), ("of unix:/run/a.sock:mode=660", True))
        self.assertEqual(named.view.only, Selection.fromWords([udid(1), "1-1"]))
        self.assertEqual(named.view.deny, Selection.fromWords(["network"]))
        self.assertEqual(named.view.commands, {"ListDevices", "Connect"})
        self.assertEqual(named.view.ports, (range(22, 23), range(80, 91)))
        self.assertEqual((named.view.peers.uids, named.view.peers.gids), ({0}, {0}))
        self.assertEqual(named.view.peers.programs, {"/muxd-x"})

    def test_portsOfTheBus(self) -> None:
        """
        The colon of C{port:1-1} needs no backslash, and does not take the path's place.
        """
        for text in (
            "unix:/run/a.sock:only=port:1-1.4",
            "unix:/run/a.sock:only=1-1.4",
            r"unix:/run/a.sock:only=port\:1-1.4",
            r"unix:address=/run/a.sock:only=port:1-1.4",
            "unix:only=port:1-1.4:/run/a.sock",
        ):
            plain, named = splitView(text)
            self.assertIn(plain, ("unix:/run/a.sock", "unix:address=/run/a.sock"))
            assert named is not None
            self.assertEqual(named.view.only.ports, {"1-1.4"}, text)

    def test_labels(self) -> None:
        """
        A label stands for its phones, with its kind before it or without.
        """
        for word in ("rack", r"label\:rack"):
            _, named = splitView(f"unix:/a:only={word},{udid(2)}", LABELS)
            assert named is not None
            self.assertEqual(named.view.only, LABELS["rack"] | Selection.fromWords([udid(2)]))

    def test_named(self) -> None:
        """
        A view of the file is named.
        """
        self.assertEqual(
            splitView("unix:/a:view=ci", LABELS, VIEWS), ("unix:/a", NamedView(VIEWS["ci"], "ci"))
        )

    def test_mistakes(self) -> None:
        """
        What is wrong is said in words that name it, and what resembles it.
        """
        for text, expected in (
            ("unix:/a:only=", "only: nothing is named; leave only out to restrict nothing"),
            ("unix:/a:only=racks", "only: expected UDIDs or port:BUS-PORT.PORT, usb, network or"),
            ("unix:/a:only=racks", "got 'racks'; did you mean 'rack'?"),
            ("unix:/a:onyl=rack", "there is no 'onyl'; did you mean 'only'?"),
            ("unix:/a:commands=lst", "commands: there is no command 'lst'; did you mean 'list'?"),
            ("unix:/a:commands=x", "there is no command 'x'; known are list, listen, listeners"),
            ("unix:/a:ports=ssh", "ports: expected ports such as 62078"),
            ("unix:/a:ports=9-1", "ports: '9-1' ends before it begins"),
            ("unix:/a:ports=65536", "got '65536'"),
            ("unix:/a:uid=nobody-here", "uid: there is no user 'nobody-here'"),
            ("unix:/a:gid=nobody-here", "gid: there is no group 'nobody-here'"),
            ("unix:/a:program=python", "program: expected the whole path of a program"),
            ("tcp:1:uid=0", "are known on UNIX sockets only; use unix:"),
            ("unix:/a:certificate=ci", "certificate: only clients of mutualtls: and ssl: show"),
            ("unix:/a:view=cii", "there is no view 'cii'; did you mean 'ci'?"),
            ("unix:/a:view=ci:only=rack", "view= names a whole view: put only= there"),
        ):
            error = self.assertRaises(ValueError, splitView, text, LABELS, VIEWS)
            self.assertIn(expected, str(error))
            self.assertTrue(str(error).startswith(f"cannot listen on {text!r}: "), error)

    def test_certificates(self) -> None:
        """
        Names of certificates are for places with TLS.
        """
        _, named = splitView("ssl:1:certificate=ci.example.org,other")
        assert named is not None
        self.assertEqual(named.view.peers.certificates, {"ci.example.org", "other"})

    def test_links(self) -> None:
        """
        A program that is named by a link is the one that the link leads to.
        """
        link = os.path.abspath(self.mktemp())
        os.symlink("/bin/sh", link)
        parsed = view(program=link)
        self.assertEqual(parsed.peers.programs, {os.path.realpath("/bin/sh")})

    @given(st.text(max_size=60))
    def test_anyText(self, text: str) -> None:
        """
        Whatever is typed, it is understood, or refused with one line.
        """
        try:
            plain, named = splitView(text, LABELS, VIEWS)
        except ValueError as error:
            self.assertTrue(str(error))
        else:
            self.assertEqual(plain == text, named is None)

    @given(st.dictionaries(st.sampled_from(OPTIONS), st.text(max_size=20), max_size=4))
    def test_anyWords(self, options: dict[str, str]) -> None:
        """
        The same for each of the options.  One that is understood restricts something.
        """
        try:
            parsed = viewFromWords({key: [value] for key, value in options.items()}, LABELS)
        except ValueError as error:
            self.assertIn(str(error).partition(":")[0], OPTIONS)
        else:
            self.assertIsInstance(parsed, View)
            self.assertEqual(bool(options), parsed != EVERYTHING)


class DescribeTests(SynchronousTestCase):
    """
    Tests of ports, and of what people are told of a view.
    """

    def test_ports(self) -> None:
        """
        Ports are in order, each once, whatever overlaps, touches or lies within another.
        """
        for ports, ranges in (
            ("6-9,1-5,3-4", (range(1, 10),)),
            ("80,22,82-90", (range(22, 23), range(80, 81), range(82, 91))),
            ("1,10-20,15-30", (range(1, 2), range(10, 31))),
            ("10-30,15-20", (range(10, 31),)),
        ):
            self.assertEqual(view(ports=ports).ports, ranges, ports)

    def test_described(self) -> None:
        """
        A view is described in the words of its options; ports in their order as numbers.
        """
        for options, text in (
            ({}, "everything"),
            ({"ports": "100,9,20-30"}, "ports 9, 20-30, 100"),
            ({"uid": "5", "gid": "7,6"}, "uid 5; gid 6, 7"),
            ({"commands": "listen,connect"}, "commands connect, listen"),
            ({"only": "usb,1-1.*", "deny": udid(1)}, f"only port:1-1.*, usb; deny {udid(1)}"),
        ):
            self.assertEqual(describeView(view(**options)), text)
