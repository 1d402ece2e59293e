# -*- test-case-name: tests.integration.test_capture -*-
"""
What a daemon captures, as Wireshark sees it: C{tshark} reads the files.
"""

from __future__ import annotations

import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import Daemon, DaemonTestCase

ECHO, NOBODY, LOCKDOWN = 7, 4, 62078
SIZE = 1_000_000

WRONG = (
    "_ws.malformed || tcp.analysis.retransmission || tcp.analysis.fast_retransmission"
    " || tcp.analysis.out_of_order || tcp.analysis.lost_segment"
    " || tcp.analysis.ack_lost_segment || tcp.analysis.duplicate_ack"
)
"""What is not to be found in a capture: fields that Wireshark adds to packets."""


class CaptureTests(DaemonTestCase):
    """
    C{--capture FILE}.
    """

    def tshark(self, file: Path, *words: str) -> str:
        """
        What C{tshark} says of a file.
        """
        done = subprocess.run(
            [self.tool("tshark"), "-n", "-r", str(file), *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def followed(self, file: Path, stream: str) -> tuple[bytes, bytes]:
        """
        What "follow stream" shows: what the host has sent, and the phone.
        """
        said = [bytearray(), bytearray()]
        for line in self.tshark(file, "-q", "-z", f"follow,tcp,raw,{stream}").splitlines():
            digits = line.strip()
            if digits and not set(digits) - set("0123456789abcdef"):
                said[line.startswith("\t")] += bytes.fromhex(digits)
        return bytes(said[0]), bytes(said[1])

    def numbers(self, file: Path, port: int) -> list[str]:
        """
        Wireshark's numbers of the streams to a phone's port.
        """
        lines = self.tshark(
            file,
            "-Y",
            f"tcp.dstport == {port} && tcp.flags == 2",
            "-T",
            "fields",
            "-e",
            "tcp.stream",
        )
        return lines.split()

    def echo(self, daemon: Daemon, data: bytes) -> None:
        """
        Have a phone say what it is told.
        """
        with daemon.connect(ECHO) as stream:
            heard = bytearray()
            for start in range(0, len(data), 50_000):
                part = data[start : start + 50_000]
                stream.socket.sendall(part)
                end = len(heard) + len(part)
                while len(heard) < end:
                    heard += stream.socket.recv(1 << 16)
            self.assertEqual(bytes(heard), data)

    def test_wireshark(self) -> None:
        """
        Streams of clients are followed to the byte, each is one from its SYN on, says which
        client it is of, and has nothing that Wireshark takes for an error; the file is its
        owner's alone.
        """
        self.tool("tshark")
        daemon = self.makeDaemon()
        file = self.makeDirectory() / "all.pcapng"
        self.restart(daemon, "--capture", str(file), phones=2)
        data = random.Random(3).randbytes(SIZE)
        before = time.time()
        self.echo(daemon, data)
        self.output(daemon, "idevice_id", "-l")
        [udid, *_] = sorted(daemon.devices(2))
        self.waitFor(daemon, f"{udid} trusts this computer")
        self.output(daemon, "ideviceinfo", "-u", udid)
        deviceIDs = daemon.devices(2).values()
        with daemon.conversation() as refused:
            refused.connect(min(deviceIDs), NOBODY)
        self.stop(daemon)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(self.tshark(file, "-Y", WRONG), "")
        [echo] = self.numbers(file, ECHO)
        self.assertEqual(self.followed(file, echo), (data, data))
        fields = ("-T", "fields", "-e", "frame.time_epoch")
        first = f"tcp.stream == {echo} && tcp.flags == 2"
        [began] = self.tshark(file, "-Y", first, *fields).split()
        self.assertTrue(before - 1 < float(began) < time.time(), began)
        comments = self.tshark(file, "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment")
        self.assertRegex(comments, r"client: pid \d+ \(ideviceinfo\), uid \d+")
        [refusal] = self.numbers(file, NOBODY)
        seen = self.tshark(file, "-Y", f"tcp.stream == {refusal} && tcp.flags.reset == 1")
        self.assertEqual(len(seen.splitlines()), 1)
        names = self.tshark(file, "-T", "fields", "-e", "frame.interface_name").split()
        self.assertEqual(len(set(names)), 2)
        self.assertIn(udid, names)
        sent, received = self.followed(file, self.numbers(file, LOCKDOWN)[-1])
        self.assertIn(b"QueryType", sent)
        self.assertIn(b"com.apple.mobile.lockdown", received)

    def test_live(self) -> None:
        """
        C{muxctl capture} is read by Wireshark's way of reading pipes while things are said,
        phones that come meanwhile included; one to a file is whole when it is interrupted.
        """
        daemon = self.startDaemon(phones=2)
        [udid, other] = sorted(daemon.devices(2))
        file = daemon.directory / "echo.pcapng"
        to = self.muxctl(daemon, "capture", "-u", udid, "-p", str(ECHO), "-w", str(file))
        assert to.stderr is not None
        self.assertIn(b"capturing to", to.stderr.readline())
        live = self.muxctl(daemon, "capture")
        fields = ("-e", "frame.interface_name", "-e", "tcp.dstport", "-e", "frame.comment")
        reader = subprocess.Popen(
            [self.tool("tshark"), "-n", "-l", "-i", "-", "-T", "fields", *fields],
            stdin=live.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.addCleanup(self.finish, reader)
        # Its child reads the pipe until that ends.
        self.addCleanup(self.finish, live)
        assert reader.stdout is not None
        self.waitFor(daemon, "captures what each phone says")
        data = random.Random(4).randbytes(SIZE)
        self.echo(daemon, data)
        self.waitFor(daemon, f"{other} trusts this computer")
        self.output(daemon, "ideviceinfo", "-u", other)
        seen = []
        for line in reader.stdout:
            seen.append(line.rstrip("\n").split("\t"))
            if seen[-1][0] == other and "ideviceinfo" in seen[-1][2]:
                break
        self.assertIn(udid, [name for name, *_ in seen])
        self.assertIn(str(ECHO), [port for _, port, _ in seen])
        to.send_signal(signal.SIGINT)
        self.assertEqual(to.wait(PATIENCE), 0)
        [echo] = self.numbers(file, ECHO)
        self.assertEqual(self.followed(file, echo), (data, data))
        self.assertEqual(self.tshark(file, "-Y", f"!(tcp.port == {ECHO})"), "")
        file.unlink()

    def muxctl(self, daemon: Daemon, *words: str) -> subprocess.Popen[bytes]:
        """
        Start C{muxctl}; it is ended after the test.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "muxd.muxctl", *words],
            env=daemon.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell has those that it runs in the background ignore it, and so whatever these
            # start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process: subprocess.Popen[Any]) -> None:
        """
        End a process, and close what leads to it.
        """
        process.kill()
        process.communicate(timeout=PATIENCE)
