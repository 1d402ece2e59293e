# -*- test-case-name: tests.netns.test_embedded -*-
"""
What a fleet survives that has one hub, with its registry in itself.
"""

from __future__ import annotations

import subprocess
import sys

from tests.netns.case import FaultCase
from tests.netns.members import Member

SHOWN = """
import ssl, sys
print(ssl.get_server_certificate((sys.argv[1], int(sys.argv[2])), timeout=30))
"""
"""What prints the certificate of a server."""


class EmbeddedTests(FaultCase):
    """
    One hub, two hosts with a phone each, and jobs.
    """

    def test_hostKilled(self) -> None:
        """
        A host is killed: it is off the list, and what its phone was reserved for is over by
        itself; when it is back, the job that waited is served.
        """
        self.killHost()

    def test_hostFrozen(self) -> None:
        """
        A host is frozen for longer than its lease.
        """
        self.freezeHost()

    def test_hostFromHub(self) -> None:
        """
        A host does not reach the hub, but the job.
        """
        self.splitHostFromHubs()

    def test_jobFromHub(self) -> None:
        """
        A job does not reach the hub, but the host.
        """
        self.splitJobFromHubs()

    def test_clockSet(self) -> None:
        """
        The time of day is set, to and fro.
        """
        self.setClocks()

    def test_hubKilled(self) -> None:
        """
        The hub is killed and started again: a job keeps its phone and its streams, and one that
        waited asks again, and goes on waiting.
        """
        fleet = self.fleet
        holder, waiter = fleet.holder(0, "--term", "60"), fleet.waiter()
        fleet.hubs[0].kill()
        self.assertGoesOn(holder)
        fleet.hubs[0].start()
        self.measure("the job that waited does so again", lambda: fleet.isWaiting(0, waiter))
        self.measure("listed again", self.everything)
        fleet.until(lambda: fleet.holders() == {holder.name}, "the job has no phone any more")
        self.assertGoesOn(holder)
        self.assertFalse(waiter.hasBegun)
        self.assertEqual(holder.end(), 0)
        self.assertServed(waiter)


class CertificateTests(FaultCase):
    """
    A fleet whose certificates are renewed while it runs.
    """

    isSecure = True

    def test_renewed(self) -> None:
        """
        A hub and hosts show their new certificates at once, without being started again; a job
        keeps its phone, and the next one is served; connections that were lost meanwhile are
        there again.
        """
        fleet = self.fleet
        hub, host = fleet.hubs[0], fleet.hosts[0]
        holder = fleet.holder(0, "--term", "30")
        before = [self.shown(hub, 7300), self.shown(host, 7400)]
        for member in fleet.members:
            fleet.certifyMember(member)
        after = [self.shown(hub, 7300), self.shown(host, 7400)]
        self.assertEqual(after, [self.has(hub), self.has(host)])
        self.assertEqual(set(before) & set(after), set())
        self.assertGoesOn(holder)
        fleet.network.split((str(host), str(hub)))
        self.measure("off the list", lambda: self.isListed(self.others(host)))
        fleet.network.heal()
        self.measure("listed again", self.everything)
        self.assertGoesOn(holder)
        waiter = fleet.waiter()
        self.assertEqual(holder.end(), 0)
        self.assertServed(waiter)

    def shown(self, member: Member, port: int) -> str:
        """
        The certificate that a member shows to what connects.
        """
        fleet = self.fleet
        address = fleet.network.address(member.place)
        words = [sys.executable, "-S", "-c", SHOWN, address, str(port)]
        command: list[str] = fleet.network.command("job", words)
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def has(self, member: Member) -> str:
        """
        The certificate in a member's file.
        """
        pem = (self.fleet.directory / str(member) / "cert.pem").read_text()
        return first(pem)


def first(pem: str) -> str:
    """
    The first certificate of several.
    """
    end = "-----END CERTIFICATE-----"
    return pem.partition(end)[0] + end
