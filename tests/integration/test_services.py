# -*- test-case-name: tests.integration.test_services -*-
"""
What people do with a service on the phone, by the C{usbmux} endpoint, by
L{muxd.client.blocking}, and by C{muxctl connect}.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from tests.integration.conversation import PATIENCE
from tests.integration.relays import MIB, RelayCase

PAGE = bytes(range(256)) * 4096


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
        daemon = self.share(self.runPhone)
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
