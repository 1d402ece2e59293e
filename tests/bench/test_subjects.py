# -*- test-case-name: tests.bench.test_subjects -*-
"""
Tests of L{bench.subjects}.
"""

from __future__ import annotations

import shutil

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.subjects import Build, Command, Subject, SubjectError, builds, named
from tests.running.processes import startsProcesses

PLACES = {"socket": "/s", "directory": "/d", "source": "usb", "port": 27015}


class CommandTests(SynchronousTestCase):
    """
    Tests of L{Command}.
    """

    def test_places(self) -> None:
        """
        A command is taken apart as a shell would, and then its places are filled in.
        """
        command = Command("daemon -l 'unix:{socket}' 'two words' {directory}/records")
        words, environment = command.filled({"socket": "/a b/socket", "directory": "/d"})
        self.assertEqual(words, ["daemon", "-l", "unix:/a b/socket", "two words", "/d/records"])
        self.assertEqual(environment, {})

    def test_environment(self) -> None:
        """
        Assignments before the first word are its environment; behind it they are words.
        """
        words, environment = Command("A=1 B_2='x {socket}' daemon C=3").filled(PLACES)
        self.assertEqual(words, ["daemon", "C=3"])
        self.assertEqual(environment, {"A": "1", "B_2": "x /s"})

    def test_nothing(self) -> None:
        """
        A command without a word, or with an open quote, is refused.
        """
        for text in ("", "A=1", "daemon 'x"):
            error = self.assertRaises(SubjectError, Command(text).filled, PLACES)
            self.assertIn(repr(text), str(error))

    def test_has(self) -> None:
        """
        A command has the places that are written in it.
        """
        command = Command("daemon {socket}")
        self.assertEqual((command.has("socket"), command.has("port")), (True, False))


class NamedTests(SynchronousTestCase):
    """
    Tests of L{named}.
    """

    def filled(self, subject: Subject) -> list[str]:
        """
        Return the words that start a subject's daemon.
        """
        return subject.daemon.filled(PLACES)[0]

    def test_muxd(self) -> None:
        """
        Both builds are muxd on the USB alone, with pair records of their own.
        """
        for name in ("compiled", "pure"):
            words = self.filled(named(name))
            for option, value in (
                ("--listen", "unix:/s"),
                ("--source", "usb"),
                ("--config-dir", "/d/lockdown"),
            ):
                self.assertEqual(words[words.index(option) + 1], value)

    def test_pure(self) -> None:
        """
        The pure build is chosen in the environment of daemon and relay; that is all that the
        builds differ in.
        """
        pure, compiled = named("pure"), named("compiled")
        for command, other in (
            (pure.daemon, compiled.daemon),
            (pure.overTCP, compiled.overTCP),
            (pure.relay, compiled.relay),
        ):
            assert command is not None
            assert other is not None
            self.assertEqual(command.filled({})[0], other.filled({})[0])
            self.assertEqual(command.filled({})[1], {"MUXD_PURE": "1"})
            self.assertEqual(other.filled({})[1], {})
        self.assertEqual((pure.build, compiled.build), (Build.PURE, Build.COMPILED))

    def test_whichever(self) -> None:
        """
        Whichever build there is can be asked for; it is no build with goals.
        """
        subject = named("muxd")
        self.assertEqual(subject.daemon, named("compiled").daemon)
        self.assertIsNone(subject.build)

    def test_unobserved(self) -> None:
        """
        What may be seen of a daemon has a price only where operators can look: without a
        status socket there is nothing else that differs.
        """
        words = self.filled(named("unobserved"))
        self.assertEqual(words[-2:], ["--status", "none"])
        self.assertEqual(words[:-2], self.filled(named("muxd")))

    def test_overTCP(self) -> None:
        """
        Over TCP muxd listens on the same socket, and on a port of this machine alone.
        """
        command = named("pure").overTCP
        assert command is not None
        words, _ = command.filled(PLACES)
        self.assertEqual(words[:-2], self.filled(named("pure")))
        self.assertEqual(words[-2:], ["--listen", "tcp:27015:interface=127.0.0.1"])

    def test_c(self) -> None:
        """
        The C daemon is the installed one, without goals.
        """
        if shutil.which("usbmuxd", path="/usr/sbin:/usr/bin") is None:
            raise SkipTest("usbmuxd is not installed")
        self.assertIn("--no-preflight", self.filled(named("c")))
        self.assertIsNone(named("c").build)

    def test_custom(self) -> None:
        """
        Any command can be a subject; it has a TCP listener if it has a place for its port.
        """
        subject = named("mine=A=1 daemon -x={socket}")
        self.assertEqual((subject.key, subject.name, subject.build), ("mine", "mine", None))
        self.assertEqual(subject.daemon.filled(PLACES), (["daemon", "-x=/s"], {"A": "1"}))
        self.assertIsNone(subject.overTCP)
        self.assertIsNotNone(named("mine=daemon {socket} {port}").overTCP)

    def test_unknown(self) -> None:
        """
        What is neither built in nor a command is refused, with what was expected.
        """
        for text in ("nonsense", "=daemon"):
            error = self.assertRaises(SubjectError, named, text)
            self.assertIn("compiled, pure, muxd, unobserved, c", str(error))
        self.assertRaises(SubjectError, named, "mine=")


@startsProcesses
class BuildsTests(SynchronousTestCase):
    """
    Tests of L{builds}.
    """

    def test_pure(self) -> None:
        """
        The pure build is always there, and so is every other daemon.
        """
        other = named("mine=daemon")
        self.assertEqual(builds([named("pure"), other]), ([named("pure"), other], []))

    def test_another(self) -> None:
        """
        A subject that runs as another build than it is called is left out, and it is said why.
        """
        pure = named("pure")
        liar = Subject(key="x", name="X", daemon=pure.daemon, build=Build.COMPILED)
        self.assertEqual(
            builds([liar, pure]), ([pure], ["X is not in the table: what runs here is pure"])
        )
