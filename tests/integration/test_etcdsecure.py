# -*- test-case-name: tests.integration.test_etcdsecure -*-
"""
The registry of a fleet in a real etcd that lets in some users alone, or some certificates.
"""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from muxd.fleet.etcd.place import EtcdPlace
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.values import FleetError, Why
from tests.fleet.fleets import host, phone, wants
from tests.fleet.watching import Watcher
from tests.integration.daemon import PROJECT
from tests.integration.etcdserver import EtcdServer
from tests.integration.test_etcd import EtcdCase
from tests.running.processes import startsProcesses


class StaleWatcher(Watcher):
    """
    Waits until it is told that a registry cannot be relied on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: Deferred[str] = Deferred()

    def stale(self, why: str) -> None:
        """
        It cannot.
        """
        super().stale(why)
        told, self.told = self.told, Deferred()
        told.callback(why)


class SecureCase(EtcdCase):
    """
    A node with a certificate of C{muxctl cert}.
    """

    words = ""
    """What a hub says behind the node."""

    def certificate(self, *words: str) -> str:
        """
        Run C{muxctl cert}.

        @return: The directory that it makes.
        """
        made = str(self.directory / words[1]) if len(words) > 1 else ""
        subprocess.run(
            [
                *(sys.executable, "-m", "muxd.muxctl", "cert", *words),
                *("--ca", str(self.directory / "ca"), *(("-o", made) if made else ())),
            ],
            cwd=PROJECT,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return made

    def makeServer(self) -> EtcdServer:
        """
        The node.
        """
        self.certificate("init")
        node = self.certificate("host", "etcd", "127.0.0.1")
        self.hub = self.certificate("client", "hub")
        files = ("--cert-file", f"{node}/cert.pem", "--key-file", f"{node}/key.pem")
        return EtcdServer(self.directory, *files, *self.options(node), scheme="https")

    def options(self, node: str) -> tuple[str, ...]:
        """
        More options of the node.
        """
        return ()

    def opened(self, words: str) -> EtcdRegistry:
        """
        A hub's registry, with these words behind the node.
        """
        place = EtcdPlace.fromString(f"etcd:127.0.0.1:{self.server.port}:{words}")
        place.check()
        registry = place.registry(reactor)
        registry.start()
        self.addCleanup(registry.stop)
        return registry

    async def isServed(self, registry: EtcdRegistry) -> None:
        """
        A hub can do all that it has to.
        """
        lease = await registry.announce(host("a"), 60)
        assert await registry.tell(lease, [phone(1)], True)
        assert await registry.keepAlive(lease)
        held = await registry.reserve(wants(term=60))
        assert (await registry.renew(held.token, held.key)) == held
        await registry.confirm(held.token)
        waiting = registry.reserve(wants(wait=60))
        await registry.drain("b", True)
        await registry.release(held.token, held.key)
        assert (await waiting).token > held.token
        await registry.leave(lease)

    async def isRefused(self, registry: EtcdRegistry) -> str:
        """
        Why a hub can do nothing.
        """
        watcher = StaleWatcher()
        told = watcher.told
        registry.watch(watcher)
        why = await told
        try:
            await registry.reserve(wants())
        except FleetError as error:
            assert error.why is Why.STALE
            return why
        raise AssertionError("a reservation was given")


@startsProcesses
class CertificateTests(SecureCase):
    """
    A node that lets in those with a certificate.
    """

    def options(self, node: str) -> tuple[str, ...]:
        """
        It wants one.
        """
        return ("--client-cert-auth", "--trusted-ca-file", f"{node}/ca.pem")

    def open(self) -> EtcdRegistry:
        """
        A hub's registry.
        """
        return self.opened(f"files={self.hub}")

    async def test_certificate(self) -> None:
        """
        A hub with one can do all that it has to, and one without can do nothing.
        """
        await self.isServed(self.registry)
        why = await self.isRefused(self.opened(f"ca={self.hub}/ca.pem"))
        self.assertIn("does not answer", why)


@startsProcesses
class UserTests(SecureCase):
    """
    A node that lets in users, each to the keys of its role.
    """

    def open(self) -> EtcdRegistry:
        """
        A hub's registry, from before there are users.
        """
        return self.opened(f"ca={self.hub}/ca.pem")

    async def addUsers(self) -> None:
        """
        As C{etcdctl} does it.
        """
        begin, end = (b64encode(each).decode() for each in (b"/muxd/", b"/muxd0"))
        steps: tuple[tuple[str, dict[str, Any]], ...] = (
            ("user/add", {"name": "root", "password": "root's"}),
            ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("role/add", {"name": "muxhub"}),
            (
                "role/grant",
                {
                    "name": "muxhub",
                    "perm": {"permType": "READWRITE", "key": begin, "range_end": end},
                },
            ),
            ("user/add", {"name": "hub1", "password": "hub's"}),
            ("user/grant", {"user": "hub1", "role": "muxhub"}),
            ("enable", {}),
        )
        gateway = self.registry._gateway
        for path, body in steps:
            await gateway.ask(f"/v3/auth/{path}", body)

    async def test_user(self) -> None:
        """
        A hub with a user can do all that it has to with the keys of its role; with others, with
        another password, or without a user it can do nothing.
        """
        await self.addUsers()
        await self.registry.stop()
        passwords = {name: self.directory / name for name in ("right", "wrong")}
        passwords["right"].write_text("hub's\n")
        passwords["wrong"].write_text("other\n")
        common = f"ca={self.hub}/ca.pem"
        right = f"{common}:user=hub1:passwordfile={passwords['right']}"
        wrong = f"{common}:user=hub1:passwordfile={passwords['wrong']}"
        await self.isServed(self.opened(right))
        self.assertIn("permission denied", await self.isRefused(self.opened(f"{right}:prefix=/x")))
        self.assertIn("authentication failed", await self.isRefused(self.opened(wrong)))
        self.assertIn("user name is empty", await self.isRefused(self.opened(common)))
