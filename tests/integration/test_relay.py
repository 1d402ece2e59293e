# -*- test-case-name: tests.integration.test_relay -*-
"""
C{twistd tcprelay}, C{muxctl} and the C{usbmux} endpoint with daemons in processes
of their own.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from unittest import SkipTest

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, TWISTD, Daemon, DaemonTestCase

ECHO, SSH, HTTP = 7, 22, 80
MIB = 1 << 20
BULK = 256 * MIB
CROWD = 500
PAGE = bytes(range(256)) * 4096
MUXCTL = (sys.executable, "-m", "muxd.muxctl")


class RelayCase(DaemonTestCase):
    """
    What tests of relays need.
    """

    def startRelay(self, daemon: Daemon, *words: str) -> int:
        """
        Start C{twistd tcprelay} for a daemon.

        @return: the port of this machine that it listens on.
        """
        relay = self.makeDaemon()
        self.relay = relay
        relay.run("tcprelay", "--socket", daemon.socket, *words)
        return int(self.waitFor(relay, r"listening on 127\.0\.0\.1:(\d+)")[1])

    def waitFor(self, process: Daemon, pattern: str) -> re.Match[str]:
        """
        The first match in the log, once it is there.
        """
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, process.log())) is None:
            assert process.process is not None
            if process.process.poll() is not None or time.monotonic() > end:
                self.fail(f"no {pattern!r} in the log")
            time.sleep(0.02)
        return found

    def startPhone(self, **settings: str) -> Daemon:
        """
        A daemon whose phone has more services, see F{phone.tac}.
        """
        daemon = self.makeDaemon()
        settings = {
            "MUXD_LISTEN": f"unix:{daemon.socket}",
            "MUXD_RECORDS": str(daemon.records),
            **settings,
        }
        self.patch(os, "environ", {**os.environ, **settings})
        daemon.run("--python", str(PROJECT / "tests" / "integration" / "phone.tac"))
        daemon.devices()
        return daemon

    def stop(self, daemon: Daemon, number: signal.Signals = signal.SIGTERM) -> None:
        """
        Stop it.  C{twistd} ends itself by the signal that it has got, if nobody
        prevents that.
        """
        assert daemon.process is not None
        daemon.process.send_signal(number)
        self.assertIn(daemon.wait(), (0, -number))
        self.assertLeftNothing(daemon)

    def dial(self, port: int) -> socket.socket:
        """
        A connection to a port of this machine.
        """
        stream = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.addCleanup(stream.close)
        return stream

    def assertEchoes(self, stream: socket.socket, text: bytes = b"hello") -> None:
        """
        The phone answers with the same.
        """
        stream.sendall(text)
        received = b""
        while len(received) < len(text):
            chunk = stream.recv(len(text) - len(received))
            if not chunk:
                break
            received += chunk
        self.assertEqual(received, text)

    def assertBulk(self, stream: socket.socket, size: int = BULK) -> None:
        """
        So many bytes come back as they were, while they are still being sent.
        """
        sent, received, count = hashlib.sha256(), hashlib.sha256(), 0

        def send() -> None:
            noise = random.Random(7)
            for _ in range(size // MIB):
                block = noise.randbytes(MIB)
                sent.update(block)
                stream.sendall(block)

        sender = threading.Thread(target=send, name="sender")
        sender.start()
        while count < size:
            chunk = stream.recv(MIB)
            if not chunk:
                break
            received.update(chunk)
            count += len(chunk)
        sender.join(PATIENCE)
        self.assertEqual((count, received.hexdigest()), (size, sent.hexdigest()))

    def eventually(self, attempt: Callable[[], bool]) -> None:
        """
        Try until it works.
        """
        end = time.monotonic() + PATIENCE
        while not attempt():
            if time.monotonic() > end:
                self.fail("it never worked")
            time.sleep(0.05)

    def answers(self, port: int) -> bool:
        """
        Whether the phone answers there now.
        """
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stream:
            try:
                stream.sendall(b"x")
                return stream.recv(1) == b"x"
            except ConnectionError:
                return False


class TransferTests(RelayCase):
    """
    What goes through a relay.
    """

    def test_bulk(self) -> None:
        """
        256 MiB come back as they were; the log has one line about it.
        """
        port = self.startRelay(self.startDaemon(), f"{ECHO}:0")
        with self.dial(port) as stream:
            self.assertBulk(stream)
        line = self.waitFor(
            self.relay, r"sent (\d+) bytes to port 7 of the only phone and got (\d+)"
        )
        self.assertEqual((int(line[1]), int(line[2])), (BULK, BULK))

    def test_halfClose(self) -> None:
        """
        Who has finished sending still gets all of the answer.
        """
        port = self.startRelay(self.startDaemon(), "-b", "64", f"{ECHO}:0")
        stream = self.dial(port)
        stream.sendall(bytes(MIB))
        stream.shutdown(socket.SHUT_WR)
        count = 0
        while count < MIB and (chunk := stream.recv(MIB)):
            count += len(chunk)
        self.assertEqual(count, MIB)

    def test_crowd(self) -> None:
        """
        500 connections at once are 500 echoes.
        """
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < 4 * CROWD:
            raise SkipTest(f"only {hard} open files are allowed here")
        port = self.startRelay(self.startDaemon(), f"{ECHO}:0")
        selector = selectors.DefaultSelector()
        self.addCleanup(selector.close)
        waiting = {}
        for number in range(CROWD):
            stream = self.dial(port)
            text = f"connection {number}".encode()
            stream.sendall(text)
            waiting[stream] = text
            selector.register(stream, selectors.EVENT_READ)
        end = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < end:
            for key, _ in selector.select(1.0):
                stream = cast(socket.socket, key.fileobj)
                data = stream.recv(1024)
                self.assertTrue(waiting[stream].startswith(data) and data)
                waiting[stream] = waiting[stream][len(data) :]
                if not waiting[stream]:
                    del waiting[stream]
                    selector.unregister(stream)
        self.assertEqual(waiting, {})

    def test_pairs(self) -> None:
        """
        Any listening endpoint leads to any client endpoint, and C{muxctl relay}
        is the same program.
        """
        daemon = self.startDaemon()
        path = f"{daemon.directory}/relay"
        process = subprocess.Popen(
            [*MUXCTL, "relay", "--from", f"unix:{path}", "--to", f"usbmux:port={ECHO}"],
            env=daemon.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if "listening on" in line:
                break
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(PATIENCE)
            stream.connect(path)
            self.assertEchoes(stream)
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_taken(self) -> None:
        """
        A port that is taken is one line and exit status 1, under either name.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            word = f"{ECHO}:{taken.getsockname()[1]}"
            for command in ((sys.executable, *TWISTD, "tcprelay"), (*MUXCTL, "relay")):
                done = subprocess.run(
                    [*command, word],
                    env={**os.environ, "PYTHONPATH": str(PROJECT)},
                    cwd=self.makeDirectory(),
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                output = done.stdout + done.stderr
                self.assertEqual(done.returncode, 1, output)
                self.assertEqual(output.count("Address already in use"), 1)
                self.assertNotIn("Traceback", output)


class ChangeTests(RelayCase):
    """
    A relay outlives phones and daemons.
    """

    def test_replugged(self) -> None:
        """
        When the phone is pulled out its connections end; when it is plugged in
        again, the next ones work.
        """
        daemon = self.startPhone()
        assert daemon.process is not None
        port = self.startRelay(daemon, f"{ECHO}:0")
        stream = self.dial(port)
        self.assertEchoes(stream)
        daemon.process.send_signal(signal.SIGUSR2)
        self.assertEqual(stream.recv(1), b"")
        self.eventually(lambda: not self.answers(port))
        daemon.process.send_signal(signal.SIGUSR2)
        self.eventually(lambda: self.answers(port))
        self.waitFor(self.relay, "was not connected to port 7 of the only phone: .* knows no phone")

    def test_daemonKilled(self) -> None:
        """
        When the daemon is killed the connections end; when there is another, the
        next ones work.
        """
        daemon = self.startDaemon()
        port = self.startRelay(daemon, f"{ECHO}:0")
        stream = self.dial(port)
        self.assertEchoes(stream)
        daemon.kill()
        self.assertEqual(stream.recv(1), b"")
        self.assertFalse(self.answers(port))
        self.restart(daemon)
        self.assertTrue(self.answers(port))
        self.waitFor(self.relay, "was not connected to port 7 of the only phone: no usbmuxd at ")


class ServiceTests(RelayCase):
    """
    A web server on the phone, fetched from in several ways.
    """

    def test_blocking(self) -> None:
        """
        By a plain script, without Twisted.
        """
        self.assertFetches(
            """
            import http.client, sys
            from muxd.client import blocking

            connection = http.client.HTTPConnection("phone")
            connection.sock = blocking.connect(80)
            connection.request("GET", "/page")
            body = connection.getresponse().read()
            assert not any(name.startswith("twisted") for name in sys.modules)
            """
        )

    def test_endpoint(self) -> None:
        """
        By Twisted's HTTP client over the C{usbmux} endpoint.
        """
        self.assertFetches(
            """
            import warnings
            from twisted.internet.endpoints import clientFromString
            from twisted.internet.task import react
            from twisted.web.client import Agent, readBody
            from twisted.web.iweb import IAgentEndpointFactory
            from zope.interface import implementer

            @implementer(IAgentEndpointFactory)
            class Phones:
                def __init__(self, reactor):
                    self.reactor = reactor

                def endpointForURI(self, uri):
                    return clientFromString(self.reactor, f"usbmux:port={uri.port}")

            async def fetch(reactor):
                global body
                agent = Agent.usingEndpointFactory(reactor, Phones(reactor))
                body = await readBody(await agent.request(b"GET", b"http://phone:80/page"))

            # Twisted's own, for any long answer of any server.
            warnings.filterwarnings("ignore", "Using readBody")
            try:
                react(fetch)
            except SystemExit as end:
                assert not end.code
            """
        )

    def test_asyncio(self) -> None:
        """
        By asyncio, without Twisted.
        """
        self.assertFetches(
            """
            import asyncio
            from muxd.client import blocking

            async def fetch():
                phone = await asyncio.to_thread(blocking.connect, 80)
                reader, writer = await asyncio.open_connection(sock=phone)
                writer.write(b"GET /page HTTP/1.0\\r\\n\\r\\n")
                answer = await reader.read()
                writer.close()
                return answer.partition(b"\\r\\n\\r\\n")[2]

            body = asyncio.run(fetch())
            """
        )

    def assertFetches(self, program: str) -> None:
        """
        This program has the page in C{body}.
        """
        daemon = self.startPhone()
        lines = [line.removeprefix("            ") for line in program.splitlines()]
        lines.append("import hashlib; print(hashlib.sha256(body).hexdigest())")
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.strip(), hashlib.sha256(PAGE).hexdigest())


class ShellTests(RelayCase):
    """
    OpenSSH to the phone.
    """

    def test_proxyCommand(self) -> None:
        """
        C{ssh} logs in by C{muxctl connect 22} as its C{ProxyCommand}, and large
        output arrives whole.
        """
        sshd, ssh, keygen = (self.program(name) for name in ("sshd", "ssh", "ssh-keygen"))
        directory = self.makeDirectory()
        for name in ("host", "user"):
            subprocess.run(
                [keygen, "-q", "-t", "ed25519", "-N", "", "-f", directory / name],
                check=True,
                timeout=PATIENCE,
            )
        (directory / "authorized").write_bytes((directory / "user.pub").read_bytes())
        daemon = self.startPhone(MUXD_SSHD=str(self.startServer(sshd, directory)))
        done = subprocess.run(
            [
                *(ssh, "-F", "none", "-T", "-i", directory / "user"),
                *("-o", f"ProxyCommand={sys.executable} -m muxd.muxctl connect 22"),
                *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={directory}/known"),
                *("-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "phone"),
                "head -c 8388608 /dev/zero; echo done",
            ],
            env=daemon.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertTrue(done.stdout == bytes(8 * MIB) + b"done\n", len(done.stdout))

    def program(self, name: str) -> str:
        """
        One of OpenSSH's programs.
        """
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        if found is None:
            package = "openssh-server" if name == "sshd" else "openssh-client"
            self.missing(f"there is no {name}: apt install {package}")
        assert found is not None
        return found

    def startServer(self, sshd: str, directory: Path) -> int:
        """
        Start an sshd for this test.

        @return: its port on the loopback interface.
        """
        if os.geteuid() == 0:
            # What Debian's sshd confines itself to; it does not make it.
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        settings = {
            "Port": port,
            "ListenAddress": "127.0.0.1",
            "HostKey": directory / "host",
            "AuthorizedKeysFile": directory / "authorized",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PermitRootLogin": "yes",
        }
        (directory / "sshd_config").write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items())
        )
        log = (directory / "sshd.log").open("wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", directory / "sshd_config"], stdout=log, stderr=log
        )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.terminate)
        text = directory / "sshd.log"
        self.eventually(lambda: "Server listening" in text.read_text() or bool(process.poll()))
        self.assertIsNone(process.poll(), text.read_text())
        return port


class CDaemonTests(RelayCase):
    """
    The relay with the C daemon.
    """

    def test_bulk(self) -> None:
        """
        The relay works with the C daemon as well.
        """
        unshare = shutil.which("unshare")
        installed = shutil.which("usbmuxd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        for name, found in (("usbmuxd", installed), ("unshare", unshare), ("make", "make")):
            if found is None or shutil.which(found) is None:
                self.missing(f"there is no {name}")
        assert unshare is not None
        directory = self.makeDirectory()
        asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
        words = [unshare, "--net", *asRoot, "--", sys.executable]
        process = subprocess.Popen(
            [*words, "-m", "tests.integration.cdaemon", str(directory)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        self.addCleanup(process.communicate, timeout=PATIENCE)
        if process.stdout.readline() != "ready\n":
            _, errors = process.communicate(timeout=PATIENCE)
            if "Operation not permitted" in errors:
                raise SkipTest("namespaces cannot be made here")
            self.fail(errors)
        daemon = Daemon(directory)
        daemon.socket = str(directory / "run" / "usbmuxd")
        port = self.startRelay(daemon, f"{ECHO}:0")
        with self.dial(port) as stream:
            self.assertBulk(stream, BULK // 8)
