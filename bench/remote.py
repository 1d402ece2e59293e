# -*- test-case-name: tests.bench.test_remote -*-
"""
How fast a phone of another host is, by each way to that host::

    python -m bench.remote [--seconds SECONDS] [--rounds N] [--markdown FILE]

Two daemons on this machine, of which one has the phone, a simulated one on the rig's bus; the
other has it by C{remote:}.  What is measured is a download of the phone's chargen by one client.
The ways are measured in turn, round after round, and a row is the median.  It needs C{sshd} and
C{socat}; a way whose program is not installed is left out, and named.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twisted.python import usage

from bench.bus import UNPACED
from bench.daemons import freePort
from bench.rig import Phones, build, stop
from muxd.client import blocking
from muxd.client.address import Address, UnixAddress, parseAddress
from muxd.muxctl.authority import CertificateAuthority, Purpose

CHARGEN = 19
PATIENCE = 20.0
CHUNK = 1 << 20

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


class Options(usage.Options):
    """
    How long, and where to.
    """

    longdesc = "How fast a phone of another host is, by each way to that host."
    optParameters = [
        ["seconds", "s", 2.0, "How long each download is.", float],
        ["rounds", "r", 3, "How often each way is measured; the median counts.", int],
        ["markdown", "m", None, "Write the table into this file as well."],
    ]


@dataclass(frozen=True, slots=True)
class Way:
    """
    A way to the phone.

    @ivar name: For the table.
    @ivar source: That of the daemon here; empty if the client goes there by itself.
    @ivar address: Where the client goes then.
    """

    name: str
    source: str = ""
    address: Address | None = None


def table(rates: Mapping[str, Sequence[float]]) -> str:
    """
    The rows, in megabytes a second, and what each is of the first.

    @param rates: Of each way, in the order of the rows.
    """
    lines = ["| Way | MB/s | of the first |", "|---|---:|---:|"]
    medians = {name: statistics.median(found) for name, found in rates.items()}
    first = next(iter(medians.values()))
    for name, rate in medians.items():
        lines.append(f"| {name} | {rate / 1e6:.0f} | {rate / first:.0%} |")
    return "\n".join(lines) + "\n"


@contextmanager
def running(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """
    Have a program run.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=environment)
    try:
        yield
    finally:
        stop(process)


def phoneAt(address: Address) -> str:
    """
    The UDID of the phone there, as soon as it is.

    @raise TimeoutError: There is none.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            for device in blocking.devices(address=address):
                return device.udid
        except OSError:
            # It is not there yet.
            pass
        time.sleep(0.1)
    raise TimeoutError(f"no phone at {address}")


def download(address: Address, udid: str, seconds: float) -> float:
    """
    Bytes a second that come.
    """
    memory = bytearray(CHUNK)
    with blocking.connect(CHARGEN, udid, address=address) as stream:
        stream.settimeout(PATIENCE)
        # What is slow at first is none of what is measured.
        begun = time.monotonic() + seconds / 4
        while time.monotonic() < begun:
            stream.recv_into(memory)
        begun, size = time.monotonic(), 0
        while (now := time.monotonic()) < begun + seconds:
            size += stream.recv_into(memory)
        return size / (now - begun)


def usbmuxd(path: str, directory: Path, *words: str) -> list[str]:
    """
    The command of a daemon.
    """
    return [
        *(*TWISTD, "--nodaemon", "--pidfile=", "usbmuxd", "--no-preflight", "--status", "none"),
        *("--listen", f"unix:{path}", "--config-dir", str(directory / "lockdown"), *words),
    ]


def certify(directory: Path) -> None:
    """
    Make an authority, and certify a host and a client.
    """
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(directory / "ca", "bench", now)
    authority.issue(["127.0.0.1"], Purpose.HOST, 1, now, directory / "host")
    authority.issue(["bench"], Purpose.CLIENT, 1, now, directory / "client")


@contextmanager
def forwarded(directory: Path, far: str) -> Iterator[str]:
    """
    A socket that C{ssh -L} forwards, by a C{sshd} of our own.
    """
    port, path = freePort(), str(directory / "forwarded")
    for name in ("host", "user"):
        key = str(directory / f"ssh-{name}")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    os.makedirs("/run/sshd", exist_ok=True)
    settings = directory / "sshd_config"
    settings.write_text(
        f"HostKey {directory}/ssh-host\nAuthorizedKeysFile {directory}/ssh-user.pub\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n"
        f"ListenAddress 127.0.0.1:{port}\n"
    )
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    assert sshd is not None
    ssh = [
        *("ssh", "-N", "-F", "none", "-p", str(port), "-i", f"{directory}/ssh-user"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-L", f"{path}:{far}", "127.0.0.1"),
    ]
    with (
        running([sshd, "-D", "-e", "-f", str(settings)], directory / "sshd.log", os.environ),
        _afterPort(port),
        running(ssh, directory / "ssh.log", os.environ),
    ):
        yield path


@contextmanager
def _afterPort(port: int) -> Iterator[None]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield


def measure(seconds: float, rounds: int) -> tuple[dict[str, list[float]], list[str]]:
    """
    Measure all ways.

    @return: their rates, and what was left out.
    """
    build()
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="muxd-remote") as name, ExitStack() as stack:
        directory = Path(name)
        certify(directory)
        tls, plain = freePort(), freePort()
        far = str(directory / "far")
        phones = stack.enter_context(Phones(directory / "rig", UNPACED, 1))
        words = usbmuxd(far, directory / "farther", "--source", "usb")
        words += ["--listen", f"mutualtls:{tls}:files={directory}/host"]
        stack.enter_context(running(words, directory / "far.log", phones.environment()))
        udid = phoneAt(UnixAddress(far))
        target = f"mutualtls:127.0.0.1:{tls}:files={directory}/client"
        ways = [
            Way("the phone's own host", address=UnixAddress(far)),
            Way("remote:, a UNIX socket", source=f"unix:path={far}"),
            Way("remote:mutualtls:", source=target),
        ]
        if shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
            path = stack.enter_context(forwarded(directory, far))
            ways.append(Way("remote: through ssh -L", source=f"unix:path={path}"))
        else:
            notes.append("ssh -L: there is no sshd")
        if socat := shutil.which("socat"):
            listen = f"tcp-listen:{plain},bind=127.0.0.1,fork"
            command = [socat, listen, f"unix-connect:{far}"]
            stack.enter_context(running(command, directory / "socat.log", os.environ))
            ways.append(Way("remote: through socat, plain text", source=f"tcp:127.0.0.1:{plain}"))
        else:
            notes.append("socat is not installed")
        ways.append(Way("no daemon here, mutualtls: by the client", address=parseAddress(target)))
        addresses: dict[str, Address] = {}
        for number, way in enumerate(ways):
            if way.address is not None:
                addresses[way.name] = way.address
                continue
            near = str(directory / f"near{number}")
            words = usbmuxd(near, directory / f"nearer{number}", "--source", f"remote:{way.source}")
            stack.enter_context(running(words, directory / f"near{number}.log", os.environ))
            addresses[way.name] = UnixAddress(near)
            try:
                phoneAt(UnixAddress(near))
            except TimeoutError as error:
                log = (directory / f"near{number}.log").read_text()
                raise TimeoutError(f"{error}; its log:\n{log}") from error
        rates: dict[str, list[float]] = {way.name: [] for way in ways}
        for _ in range(rounds):
            for title, address in addresses.items():
                rates[title].append(download(address, udid, seconds))
    return rates, notes


def main(words: Sequence[str] | None = None) -> int:
    """
    Measure, and print.
    """
    options = Options()
    try:
        options.parseOptions(list(sys.argv[1:] if words is None else words))
    except usage.UsageError as error:
        print(f"bench.remote: {error}", file=sys.stderr)
        return 2
    rates, notes = measure(options["seconds"], options["rounds"])
    text = table(rates)
    print(text + "".join(f"left out: {note}\n" for note in notes), end="")
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f}: compare the rows, not with another machine")
    for name, found in rates.items():
        spread = ", ".join(f"{rate / 1e6:.0f}" for rate in found)
        print(f"  {name}: {spread} MB/s")
    if options["markdown"]:
        Path(options["markdown"]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
