# -*- test-case-name: tests.netns.test_etcd -*-
"""
Three nodes of Debian's etcd, which are asked as an operator would.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

from tests.integration.etcdserver import etcdOrSkip
from tests.netns.members import PATIENCE, Member
from tests.netns.network import Network

ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode())
with urllib.request.urlopen(request, timeout=10) as answer:
    print(answer.read().decode())
"""
"""What asks a node."""


class Cluster:
    """
    The nodes.

    @ivar nodes: Of each, its process.
    """

    def __init__(self, network: Network, directory: Path, count: int) -> None:
        """
        @raise SkipTest: etcd is not installed.
        """
        etcdOrSkip()
        self._network = network
        self._directory = directory
        self._names = [f"node{number}" for number in range(count)]
        self.nodes = [self._node(name) for name in self._names]

    def start(self) -> None:
        """
        Start all, and wait until they have a leader.
        """
        for node in self.nodes:
            node.start()
        self.leader()

    @property
    def registry(self) -> str:
        """
        What a hub says of it.
        """
        places = ":".join(f"{self._network.address(name)}:2379" for name in self._names)
        return f"etcd:{places}:insecure=yes"

    def leader(self) -> int:
        """
        Which of them leads, by what they say themselves.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for number in range(len(self.nodes)):
                said = self.ask(number, "/v3/maintenance/status", {})
                leader = said.get("leader", "0")
                if leader not in ("0", 0) and leader == said["header"]["member_id"]:
                    return number
            time.sleep(0.05)
        raise AssertionError("etcd has no leader")

    def compact(self) -> None:
        """
        Have it forget all that is not so any more.
        """
        revision = self.ask(0, "/v3/kv/range", {"key": b64encode(b"x").decode()})
        at = revision["header"]["revision"]
        self.ask(0, "/v3/kv/compaction", {"revision": at, "physical": True})

    def ask(self, number: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """
        Ask a node; nothing if it does not answer.
        """
        url = f"http://{self._network.address(self._names[number])}:2379{path}"
        words = [sys.executable, "-S", "-c", ASK, url, json.dumps(body)]
        done = subprocess.run(
            self._network.command("job", words),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        said: dict[str, Any] = json.loads(done.stdout or "{}")
        return said

    def _node(self, name: str) -> Member:
        def words() -> list[str]:
            address = self._network.address(name)
            client, peers = f"http://{address}:2379", f"http://{address}:2380"
            whole = ",".join(
                f"{each}=http://{self._network.address(each)}:2380" for each in self._names
            )
            return [
                *(etcdOrSkip(), "--name", name, "--data-dir", str(self._directory / name)),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
                *("--initial-cluster", whole, "--logger", "zap"),
            ]

        return Member(self._network, name, self._directory / f"{name}.log", words)
