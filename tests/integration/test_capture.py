# -*- test-case-name: tests.integration.test_capture -*-
"""
What a daemon captures, as Wireshark sees it: C{tshark} reads the files.
"""

from __future__ import annotations

import random
import stat
import subprocess
from pathlib import Path

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
        self.echo(daemon, data)
        self.output(daemon, "idevice_id", "-l")
        [udid, *_] = sorted(daemon.devices(2))
        self.output(daemon, "ideviceinfo", "-u", udid)
        deviceIDs = daemon.devices(2).values()
        with daemon.conversation() as refused:
            refused.connect(min(deviceIDs), NOBODY)
        self.stop(daemon)
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(self.tshark(file, "-Y", WRONG), "")
        [echo] = self.numbers(file, ECHO)
        self.assertEqual(self.followed(file, echo), (data, data))
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
