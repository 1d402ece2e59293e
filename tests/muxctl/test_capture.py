# -*- test-case-name: tests.muxctl.test_capture -*-
"""
Tests of L{muxd.muxctl.capture}.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.capture.blocks import interfaceDescription, sectionHeader
from muxd.muxctl.capture import Blocks
from muxd.muxctl.commandline import main
from tests.muxctl.console import muxctl, written
from tests.muxctl.fakestatus import FakeStatus, answered

FILE = sectionHeader("a", "b", "c") + interfaceDescription("d", "e", bytes(16))
HEADERS = b"HTTP/1.1 200 OK\r\n\r\n"


class CommandTests(SynchronousTestCase):
    """
    The command.
    """

    def serve(self, data: bytes) -> FakeStatus:
        """
        A status socket with this capture.
        """
        return FakeStatus(self, HEADERS + data)

    def captured(self, fake: FakeStatus, *words: str) -> tuple[int, bytes, str]:
        """
        Its status, and what it has written.
        """
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        environ = {"USBMUXD_SOCKET_ADDRESS": str(fake.daemon)}
        status = main(("capture", *words), None, out, err, environ)
        return status, written(out), written(err).decode()

    def test_pipe(self) -> None:
        """
        Without a file it goes to standard output.
        """
        for words in ((), ("-w", "-")):
            self.assertEqual(self.captured(self.serve(FILE), *words), (0, FILE, ""))

    def test_file(self) -> None:
        """
        A file is its owner's alone, also if it was there before.
        """
        path = Path(self.mktemp())
        path.write_bytes(bytes(10_000))
        path.chmod(0o644)
        status, out, err = self.captured(self.serve(FILE), "-w", str(path))
        self.assertEqual((status, out, path.read_bytes()), (0, b"", FILE))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIn(f"capturing to {path}", err)

    def test_wanted(self) -> None:
        """
        The daemon is told which phone and which port.
        """
        fake = self.serve(FILE)
        self.captured(fake, "-u", "A B", "-p", "7")
        self.assertIn(b"GET /api/capture?udid=A+B&port=7 HTTP", fake.asked)
        fake = self.serve(FILE)
        self.captured(fake)
        self.assertIn(b"GET /api/capture HTTP", fake.asked)

    def test_cut(self) -> None:
        """
        What is not whole when it ends is not written.
        """
        status, out, _ = self.captured(self.serve(FILE[:-5]))
        self.assertEqual((status, out), (0, sectionHeader("a", "b", "c")))

    def test_daemonEnded(self) -> None:
        """
        A daemon that ends without an end of the capture is said to have ended.
        """
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        whole = b"%x\r\n%s\r\n" % (len(FILE), FILE)
        fake = FakeStatus(self, chunked + whole)
        status, out, err = self.captured(fake)
        self.assertEqual((status, out), (5, FILE))
        self.assertEqual(
            err,
            f"muxctl: lost the status socket at {fake.address} (the daemon has ended): look into"
            " the daemon's log\n",
        )

    def test_nonsense(self) -> None:
        """
        What is no capture is said to be none.
        """
        status, out, err = self.captured(self.serve(b"x" * 100))
        self.assertEqual((status, out), (5, b""))
        self.assertIn("what came is no capture", err)

    def test_refused(self) -> None:
        """
        A daemon that gives none says why.
        """
        fake = FakeStatus(self, answered({"error": "not for you"}, "403 Forbidden"))
        status, _, err = self.captured(fake)
        self.assertEqual((status, err), (1, "muxctl: not for you\n"))

    def test_noFile(self) -> None:
        """
        A file that cannot be made is named.
        """
        status, _, err = self.captured(self.serve(FILE), "-w", "/nowhere/at/all")
        self.assertEqual(status, 5)
        self.assertIn("/nowhere/at/all", err)

    def test_terminal(self) -> None:
        """
        A terminal is not what a capture is for.
        """

        class Screen(io.TextIOWrapper):
            def isatty(self) -> bool:
                return True

        err = io.StringIO()
        status = main(("capture",), None, Screen(io.BytesIO(), "utf-8"), err, {})
        self.assertEqual(status, 5)
        self.assertIn("not for a terminal", err.getvalue())

    def test_port(self) -> None:
        """
        A port that is none is wrong usage.
        """
        outcome = muxctl("capture", "-p", "0")
        self.assertEqual(outcome.status, 2)
        self.assertIn("expected a port", outcome.err)


class BlocksTests(SynchronousTestCase):
    """
    Tests of L{Blocks}.
    """

    def test_bytewise(self) -> None:
        """
        However the bytes come, blocks come out whole.
        """
        blocks = Blocks()
        found = [blocks.add(FILE[at : at + 1]) for at in range(len(FILE))]
        self.assertEqual(
            [each for each in found if each],
            [sectionHeader("a", "b", "c"), FILE[len(sectionHeader("a", "b", "c")) :]],
        )

    def test_otherOrder(self) -> None:
        """
        A daemon on another kind of machine has its numbers the other way round.
        """
        for order, length in ((b"\x1a\x2b\x3c\x4d", "big"), (b"\x4d\x3c\x2b\x1a", "little")):
            size = (28).to_bytes(4, length)  # type: ignore[arg-type]  # one of two words
            block = b"\n\r\r\n" + size + order + bytes(12) + size
            self.assertEqual(Blocks().add(block), block)

    def test_wrong(self) -> None:
        """
        Other bytes are no blocks, and no length makes it wait forever.
        """
        self.assertRaises(ValueError, Blocks().add, os.urandom(4) + bytes(100))
        head = sectionHeader("a", "b", "c")
        for length in (0, 11, 1 << 31):
            wrong = b"\6\0\0\0" + length.to_bytes(4, "little")
            self.assertRaises(ValueError, Blocks().add, head + wrong)
