"""
Tests for L{muxd.muxctl.commandline}.
"""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from muxd import __version__
from muxd.client import blocking
from muxd.client.problems import Stage
from muxd.client.socketerrors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoDaemon,
    NoPairRecord,
    NoPhone,
    NotSupported,
    PairRecordError,
    PhoneGone,
    PortRefused,
    SeveralPhones,
    TimedOut,
    UsbmuxError,
)
from muxd.muxctl.commandline import main
from tests.client.fakedaemon import PATIENCE, FakeDaemon, answering, deviceEntry, listOf
from tests.muxctl.console import muxctl
from tests.running.processes import startsProcesses


class StatusTests(SynchronousTestCase):
    """
    What C{muxctl} exits with, and what it says.
    """

    def outcomeOf(self, error: BaseException) -> tuple[int, str]:
        """
        Status and complaint if that happens.
        """

        def fail(*_: object, **__: object) -> None:
            raise error

        self.patch(blocking, "buid", fail)
        outcome = muxctl("buid")
        self.assertEqual(outcome.out, "")
        return outcome.status, outcome.err

    def test_errors(self) -> None:
        """
        Every error is one line and has its status.
        """
        for error, status in (
            (NoPhone("here"), 1),
            (SeveralPhones("here", []), 1),
            (PortRefused("U", 22), 1),
            (PhoneGone("U", 22, "why"), 1),
            (NoPairRecord("here", "ReadPairRecord", "U", 2), 1),
            (PairRecordError("here", "SavePairRecord", "U", 22), 1),
            (DaemonRefused("here", "Listen", 22), 1),
            (NoDaemon("here", "why"), 3),
            (DaemonLost("here", "events"), 5),
            (DaemonNonsense("here", "events", "why"), 5),
            (NotSupported("here", "ReadBUID"), 5),
            (UsbmuxError("x"), 5),
        ):
            self.assertEqual(self.outcomeOf(error), (status, f"muxctl: {error}\n"), repr(error))
            self.assertEqual(str(error), error.args[0])

    def test_timeout(self) -> None:
        """
        A time-out has a status of its own.
        """
        self.assertEqual(
            self.outcomeOf(TimedOut(Stage.ANSWER, 5, "ReadBUID")),
            (4, "muxctl: time-out after 5 s while waiting for the daemon's answer (ReadBUID)\n"),
        )

    def test_system(self) -> None:
        """
        Errors of the system are told with the file, and without their number.
        """
        for file, said in ((), ""), (("/x/y",), "/x/y: "):
            error = OSError(errno.ENOSPC, "No space left on device", *file)
            status, text = self.outcomeOf(error)
            self.assertEqual((status, text), (5, f"muxctl: {said}No space left on device\n"))

    def test_interrupted(self) -> None:
        """
        An interrupt is silent.
        """
        self.assertEqual(self.outcomeOf(KeyboardInterrupt()), (130, ""))

    def test_nobodyReads(self) -> None:
        """
        So is an output that nobody reads.
        """
        self.assertEqual(self.outcomeOf(BrokenPipeError()), (141, ""))

    def test_numbers(self) -> None:
        """
        Programs can go by C{errno}, and texts are without it.
        """
        for error, number in (
            (NoPhone("here"), errno.ENODEV),
            (NoPairRecord("here", "ReadPairRecord", "U", 2), errno.ENOENT),
            (PortRefused("U", 22), errno.ECONNREFUSED),
            (TimedOut(Stage.EVENT, 5, "x"), errno.ETIMEDOUT),
            (DaemonLost("here", "events"), errno.ECONNRESET),
        ):
            self.assertEqual(error.errno, number)
            self.assertNotIn("Errno", str(error))


class MainTests(SynchronousTestCase):
    """
    L{main} from one end to the other.
    """

    def test_usage(self) -> None:
        """
        A wrong command line is explained on stderr.
        """
        outcome = muxctl("dance")
        self.assertEqual((outcome.status, outcome.out), (2, ""))
        self.assertIn("invalid choice: 'dance'", outcome.err)

    def test_questions(self) -> None:
        """
        Help and version go to stdout.
        """
        outcome = muxctl("--version")
        self.assertEqual(
            (outcome.status, outcome.out, outcome.err), (0, f"muxctl {__version__}\n", "")
        )
        self.assertIn("exit status:", muxctl("--help").out)

    def test_badEnvironment(self) -> None:
        """
        An address in the environment that is none is wrong usage, and not
        ignored.
        """
        self.patch(os, "environ", {"USBMUXD_SOCKET_ADDRESS": "nonsense"})
        self.patch(sys, "argv", ["muxctl", "list"])
        stderr = io.StringIO()
        self.assertEqual(main(stderr=stderr), 2)
        self.assertIn("USBMUXD_SOCKET_ADDRESS: 'nonsense' is no address", stderr.getvalue())

    def test_noDaemon(self) -> None:
        """
        Without a daemon the person is told where it was looked for.
        """
        outcome = muxctl("list")
        self.assertEqual((outcome.status, outcome.out), (3, ""))
        self.assertTrue(outcome.err.startswith("muxctl: no usbmuxd at /nonexistent/usbmuxd ("))

    def test_json(self) -> None:
        """
        With C{--json}, anywhere, programs can read what is wrong as well, of every
        command.
        """
        for words in (
            ("--json", "list"),
            ("listeners", "--json"),
            ("buid", "--json"),
            ("--json", "record", "show", "U"),
            ("connect", "--json", "7"),
        ):
            outcome = muxctl(*words)
            self.assertEqual((outcome.status, outcome.out), (3, ""))
            error = json.loads(outcome.err)
            self.assertEqual(("NoDaemon", 3), (error["error"], error["status"]))
            self.assertIn("no usbmuxd at /nonexistent/usbmuxd (", error["text"])
        fake = FakeDaemon(self, answering(listOf()))
        outcome = muxctl("--json", "list", address=fake.address)
        self.assertEqual({"remark": "no phone is attached"}, json.loads(outcome.err))

    def test_jsonUsage(self) -> None:
        """
        With C{--json}, anywhere, programs can read what is wrong with their command line, too.
        """
        for words, said in (
            (("--json",), "expected a COMMAND (see muxctl --help)"),
            (("--json", "dance"), "argument COMMAND: invalid choice: 'dance'"),
            (("--json", "--sessions", "status"), "--sessions before the command is unknown"),
            (("list", "--json", "--count"), "muxctl list: not understood: --count"),
            (("--json", "fleet", "drain"), "muxctl fleet drain: expected a HOST"),
            (("--json", "reserve", "true"), "muxctl reserve: expected -- before the command"),
            (("relay", "99999", "--json"), "muxctl relay: expected REMOTE[:LOCAL]"),
            (("--json", "-s", "x", "list"), "argument -s/--socket: 'x' is no address"),
            (("cert", "host", "--json"), "the following arguments are required: NAME"),
        ):
            outcome = muxctl(*words)
            self.assertEqual((outcome.status, outcome.out), (2, ""), words)
            error = json.loads(outcome.err)
            self.assertEqual((error["error"], error["status"]), ("Usage", 2))
            self.assertIn(said, error["text"])
            self.assertTrue(error["text"].isprintable(), error["text"])
            self.assertFalse(error["text"].startswith("muxctl: "), error["text"])

    def test_jsonOfOthers(self) -> None:
        """
        The C{--json} of a command that is to be run is that command's.
        """
        outcome = muxctl("reserve", "--term", "x", "--", "true", "--json")
        self.assertEqual(outcome.status, 2)
        self.assertTrue(outcome.err.startswith("muxctl reserve: argument --term"), outcome.err)


@startsProcesses
class ProcessTests(SynchronousTestCase):
    """
    The console script.
    """

    def run_(self, stdout: int) -> subprocess.CompletedProcess[bytes]:
        """
        List a phone.
        """
        fake = FakeDaemon(self, answering(listOf(deviceEntry())))
        environ = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        command = [sys.executable, "-m", "muxd.muxctl", "-s", fake.address.path, "list"]
        return subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=environ,
            timeout=PATIENCE,
        )

    def test_works(self) -> None:
        """
        C{python -m muxd.muxctl} does what C{muxctl} does.
        """
        done = self.run_(subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"0x12a8", done.stdout)

    def test_nobodyReads(self) -> None:
        """
        An output that nobody reads leaves no traceback behind.
        """
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        done = self.run_(writing)
        self.assertEqual((done.returncode, done.stderr), (141, b""))
