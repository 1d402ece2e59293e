"""
Tests of L{muxd.tap.script}.
"""

from __future__ import annotations

import os
import pwd
import sys

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

import muxd
from muxd.tap.script import ScriptOptions
from muxd.tap.usbmuxd import Options
from tests.running.processes import startsProcesses
from tests.tap.test_runners import run


class ScriptOptionsTests(SynchronousTestCase):
    """
    Tests of L{ScriptOptions}.
    """

    def arguments(self, *words: str) -> list[str]:
        """
        What twistd is started with for a command line.
        """
        options = ScriptOptions()
        options.parseOptions(list(words))
        return options.forTwistd()

    def test_plain(self) -> None:
        """
        Without options it is the daemon in the foreground, without a pid file.
        """
        for words in ((), ("-f",), ("--systemd",), ("-s",), ("-n", "-z", "-u")):
            self.assertEqual(self.arguments(*words), ["--nodaemon", "--pidfile=", "usbmuxd"])

    def test_files(self) -> None:
        """
        Places are named as the C daemon has them named.
        """
        self.assertEqual(
            self.arguments("-S", "/run/x", "-S", "127.0.0.1:27015", "-C", "/c", "-P", "/p.pid"),
            [
                "--nodaemon",
                "--pidfile=/p.pid",
                "usbmuxd",
                "--listen",
                "unix:/run/x:mode=666",
                "--listen",
                "tcp:27015:interface=127.0.0.1",
                "--config-dir",
                "/c",
            ],
        )
        self.assertEqual(
            self.arguments(
                *("-l", "/var/log/x", "-v", "-v", "-p"),
                *("--source", "simulated:2", "--grace", "0", "--capture", "x"),
            ),
            [
                "--nodaemon",
                "--pidfile=",
                "--logfile",
                "/var/log/x",
                "usbmuxd",
                "--verbose",
                "--verbose",
                "--no-preflight",
                "--source",
                "simulated:2",
                "--grace",
                "0",
                "--capture",
                "x",
            ],
        )

    def test_everyOptionOfTheDaemon(self) -> None:
        """
        What C{twistd usbmuxd} can be told, this command can be told as well: a package's
        C{MUXD_OPTIONS} have no other.
        """
        ours = {name.rstrip("=") for name in ScriptOptions().longOpt}
        self.assertEqual({name.rstrip("=") for name in Options().longOpt} - ours, set())

    def test_fleet(self) -> None:
        """
        A host of a fleet is told so as C{twistd usbmuxd} is.
        """
        words = (
            *("--hub", "tcp:127.0.0.1:7300", "--door", "tcp:7401"),
            *("--door-address", "rack1:7401", "--fleet-name", "rack1"),
        )
        self.assertEqual(self.arguments(*words)[3:], list(words))

    def test_logFile(self) -> None:
        """
        C{-l} is the C daemon's, a log file: a place to listen is not taken for one, and a
        directory that is missing is told.
        """
        for place in ("unix:/run/x", "tcp:27015", "mutualtls:27016:files=/etc/muxd/tls"):
            error = self.assertRaises(usage.UsageError, self.arguments, "-l", place)
            self.assertEqual(
                str(error),
                f"-l {place}: -l is --logfile here, as with the C daemon; clients connect at "
                "--listen",
            )
        error = self.assertRaises(usage.UsageError, self.arguments, "-l", "/no/such/place/log")
        self.assertEqual(
            str(error),
            "--logfile /no/such/place/log: there is no directory /no/such/place; make it, or "
            "choose another place",
        )
        error = self.assertRaises(usage.UsageError, self.arguments, "-l", "/")
        self.assertEqual(str(error), "--logfile /: it is a directory; name a file in it")

    def test_pidFile(self) -> None:
        """
        A pid file that cannot be written is told before C{twistd} tries; C{NONE} is none, as with
        the C daemon.
        """
        self.assertEqual(self.arguments("-P", "NONE"), ["--nodaemon", "--pidfile=", "usbmuxd"])
        error = self.assertRaises(usage.UsageError, self.arguments, "-P", "/no/such/place/pid")
        self.assertEqual(
            str(error),
            "--pidfile /no/such/place/pid: there is no directory /no/such/place; make it, or "
            "choose another place",
        )
        self.patch(os, "access", lambda path, mode: False)
        error = self.assertRaises(usage.UsageError, self.arguments, "-P", "/pid")
        self.assertEqual(
            str(error), "--pidfile /pid: this user may not write there; choose another place"
        )

    def test_source(self) -> None:
        """
        C{-s} is the C daemon's, too: a source behind it is answered with the option for one.
        """
        error = self.assertRaises(usage.UsageError, self.arguments, "-s", "simulated")
        self.assertEqual(
            str(error),
            "unexpected argument 'simulated': -s is --systemd here, as with the C daemon; "
            "phones come from --source",
        )

    def test_user(self) -> None:
        """
        A user is named by its name, and brings its group along.
        """
        user = pwd.getpwuid(os.getuid())
        self.assertEqual(
            self.arguments("-U", user.pw_name)[2:6],
            ["--uid", str(user.pw_uid), "--gid", str(user.pw_gid)],
        )
        error = self.assertRaises(usage.UsageError, self.arguments, "-U", "no-such-user-here")
        self.assertIn("no-such-user-here: there is no such user", str(error))

    def test_daemonize(self) -> None:
        """
        It goes into the background if it is asked to.
        """
        self.assertEqual(self.arguments("--daemonize"), ["--pidfile=", "usbmuxd"])

    def test_daemonizeUnlogged(self) -> None:
        """
        Where C{twistd} could not write its own log, one has to be named.
        """
        self.patch(os, "access", lambda path, mode: path == "/")
        error = self.assertRaises(usage.UsageError, self.arguments, "--daemonize")
        self.assertEqual(
            str(error),
            "--daemonize: say with --logfile where the log is to be (--logfile twistd.log: this"
            " user may not write there; choose another place)",
        )
        self.assertIn("/muxd.log", self.arguments("--daemonize", "--logfile", "/muxd.log"))

    def test_exit(self) -> None:
        """
        What another instance is asked for has a remedy.
        """
        for option in ("-x", "-X", "--exit", "--force-exit"):
            error = self.assertRaises(usage.UsageError, self.arguments, option)
            self.assertIn("send SIGTERM", str(error))


@startsProcesses
class CommandTests(SynchronousTestCase):
    """
    The command itself.
    """

    def test_version(self) -> None:
        """
        It says whose it is.
        """
        for option in ("-V", "--version"):
            process = run("-m", "muxd.tap.script", option)
            self.assertEqual(process.stdout, f"usbmuxd (muxd) {muxd.__version__}\n")

    def test_mistakes(self) -> None:
        """
        A wrong option is answered by one line.
        """
        for words, text in (
            (("--colour",), "usbmuxd: option --colour not recognized"),
            (("now",), "usbmuxd: unexpected argument 'now'"),
            (("--source", "cupboard"), "usbmuxd: unknown source 'cupboard'"),
            (("-S", "::1:x"), "usbmuxd: -S '::1:x': write an IPv6 address"),
        ):
            process = run("-m", "muxd.tap.script", *words)
            self.assertEqual(process.returncode, 1)
            self.assertEqual(process.stdout, "")
            self.assertEqual(process.stderr.count("\n"), 1, process.stderr)
            self.assertIn(text, process.stderr)

    def test_help(self) -> None:
        """
        Help names every option of the C daemon.
        """
        process = run("-m", "muxd.tap.script", "--help")
        for letter in "hnzpusCUfvVlxXSP":
            self.assertIn(f"-{letter}", process.stdout)
        self.assertEqual(process.returncode, 0, sys.executable)
