# -*- test-case-name: tests.remote.test_discovered -*-
"""
Tests of L{muxd.remote.discovered}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceSource, ISourceHealth, SourceHealth
from muxd.net.announcing import MARK, processMark
from muxd.net.multicast import Announced
from muxd.remote.discovered import LOOK_AGAIN, MOST_HOSTS, DiscoveredHosts
from muxd.remote.settings import GRACE, RemoteSettings
from tests.client.daemons import OTHER_UDID, UDID
from tests.client.hosts import Host, logOf
from tests.remote.hosts import Recorder


class FakeBrowser:
    """
    A browser that finds what a test tells it.
    """

    def __init__(self, source: DiscoveredHosts) -> None:
        self.source = source
        self.problem: OSError | None = None

    def start(self) -> Deferred[None]:
        """
        Begin.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        End.
        """
        return succeed(None)


class DeafBrowser(FakeBrowser):
    """
    One without a network.
    """

    def start(self) -> Deferred[None]:
        """
        Fail.
        """
        return fail(OSError("no network"))


@implementer(IStreamClientEndpoint)
class Refusing:
    """
    The way to an address at which nothing listens.
    """

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Fail.
        """
        return fail(ConnectionRefusedError())


class DiscoveredTests(SynchronousTestCase):
    """
    Tests of L{DiscoveredHosts}.
    """

    def setUp(self) -> None:
        """
        A host at one address.
        """
        self.host = Host()
        self.receiver = Recorder()
        self.host.daemon.attach(7)
        self.ways: list[tuple[str, int]] = []
        self.start()

    def start(self, browser: type[FakeBrowser] = FakeBrowser, **settings: Any) -> None:
        """
        Start a source.
        """
        self.source = DiscoveredHosts(
            self.host.reactor,
            self.receiver,
            "remote:mdns",
            RemoteSettings(name="mdns", **settings),
            self.way,
            browser,
            "our-own",
            lambda _: 2.0,
        )
        self.source.startService()
        self.addCleanup(self.source.stopService)

    def way(self, address: str, port: int) -> IStreamClientEndpoint:
        """
        The way to an address and a port.
        """
        self.ways.append((address, port))
        if (address, port) != ("192.0.2.1", 5000):
            return Refusing()
        return self.host.access()._endpoint

    def announce(self, instance: str = "rack1", **values: Any) -> None:
        """
        A host announces itself.
        """
        values = {"addresses": ("192.0.2.1",), "port": 5000, **values}
        self.source.found(Announced(instance=instance, **values))
        self.host.settle()

    def test_interface(self) -> None:
        """
        It is a source.
        """
        verifyObject(IDeviceSource, self.source)
        verifyObject(ISourceHealth, self.source)

    def test_found(self) -> None:
        """
        The phones of a host that announces itself are attached, under the name of that.
        """
        self.announce()
        self.assertEqual(self.receiver.take(), [("attached", UDID)])
        self.assertEqual(self.receiver.present[UDID].owner, "rack1")
        self.assertEqual(len(self.source.phones), 1)

    def test_settings(self) -> None:
        """
        What was said of phones holds for those of each host.
        """
        self.start(deny=frozenset({UDID.replace("-", "").lower()}))
        self.announce()
        self.host.daemon.attach(8, OTHER_UDID)
        self.host.settle()
        self.assertEqual(self.receiver.take(), [("attached", OTHER_UDID)])

    def test_again(self) -> None:
        """
        An announcement that comes again begins nothing anew.
        """
        self.announce()
        self.announce()
        self.assertEqual(self.receiver.take(), [("attached", UDID)])
        self.assertEqual(self.source.hosts, ["rack1"])

    def test_firstAddressThatWorks(self) -> None:
        """
        Of several addresses, that one is used at which the daemon is.
        """
        self.announce(addresses=("fe80::1%2", "192.0.2.1", "192.0.2.9"))
        self.assertEqual(self.receiver.take(), [("attached", UDID)])
        self.assertEqual(set(self.ways), {("fe80::1%2", 5000), ("192.0.2.1", 5000)})

    def test_otherAddress(self) -> None:
        """
        A host that was at a wrong address is reached when it announces another one.
        """
        for wrong in ({"addresses": ()}, {"addresses": ("192.0.2.9",)}, {"port": 5001}):
            self.announce(**wrong)
            self.assertEqual(self.receiver.take(), [])
        self.announce()
        self.host.advance(2)
        self.assertEqual(self.receiver.take(), [("attached", UDID)])

    def test_own(self) -> None:
        """
        What this process announces itself is not used.
        """
        self.announce(properties={MARK.encode(): b"our-own"})
        self.assertEqual(self.source.hosts, [])
        self.announce(properties={MARK.encode(): b"another", b"x": None})
        self.assertEqual(self.source.hosts, ["rack1"])
        self.assertEqual(processMark(), processMark())

    def test_goodbye(self) -> None:
        """
        A host that can be reached keeps its phones, whatever is said of its announcement.
        """
        self.announce()
        self.source.gone("rack1")
        self.source.gone("another")
        self.host.advance(LOOK_AGAIN)
        self.assertEqual(self.source.hosts, ["rack1"])
        self.assertEqual(self.receiver.take(), [("attached", UDID)])

    def test_forgotten(self) -> None:
        """
        One that cannot, either, is forgotten when its phones are; and is used again when it
        announces itself.
        """
        self.announce()
        self.source._hosts["rack1"].whereabouts.addresses = ()
        self.host.killDaemon()
        self.source.gone("rack1")
        self.host.advance(GRACE + 1)
        self.host.advance(LOOK_AGAIN)
        self.assertEqual(self.receiver.take(), [("attached", UDID), ("detached", UDID)])
        self.assertEqual(self.source.hosts, [])

    def test_hostileName(self) -> None:
        """
        What a host calls itself may be shown.
        """
        self.announce("\x1b[2J" + "x" * 300)
        self.assertEqual(self.receiver.present[UDID].owner, "?[2J" + "x" * 60)

    def test_many(self) -> None:
        """
        More hosts than can be are not used, and that is said once.
        """
        events = logOf(self)
        for number in range(MOST_HOSTS + 3):
            self.announce(f"host{number}", addresses=())
        self.assertEqual(len(self.source.hosts), MOST_HOSTS)
        said = [one for one in events if "most" in one]
        self.assertEqual([one["instance"] for one in said], [f"host{MOST_HOSTS}"])

    def test_noPort(self) -> None:
        """
        An announcement without a port is none.
        """
        self.announce(port=0)
        self.assertEqual(self.source.hosts, [])

    def test_stop(self) -> None:
        """
        When it is stopped, all phones are gone, and what comes late is not used.
        """
        self.announce()
        stopped = self.source.stopService()
        self.host.settle()
        self.successResultOf(stopped)
        self.announce("late")
        self.assertEqual(self.receiver.take(), [("attached", UDID), ("detached", UDID)])
        self.source.startService()
        self.announce()
        self.assertEqual(self.receiver.take(), [("attached", UDID)])

    def test_noNetwork(self) -> None:
        """
        That it cannot be looked for any is said.
        """
        events = logOf(self)
        self.start(DeafBrowser)
        (problem,) = self.source.health().troubles
        self.assertIn("on the network: no network; name them by", problem)
        self.assertIn(problem, [one.get("problem") for one in events])

    def test_health(self) -> None:
        """
        Of each host that cannot be reached operators are told, and of nothing else.
        """
        self.announce()
        self.assertEqual(self.source.health(), SourceHealth())
        self.host.killDaemon()
        self.host.advance(LOOK_AGAIN)
        (trouble,) = self.source.health().troubles
        self.assertTrue(trouble.startswith("not told of phones by rack1: "), trouble)
