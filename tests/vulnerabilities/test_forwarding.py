"""
CVE-2016-5104: libimobiledevice's iproxy listened on all addresses of the machine, so
that whoever could reach it could reach the phone.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl import relay
from muxd.muxctl.options import parse
from muxd.tap import master, tcprelay
from muxd.tap.usbmuxd import TCP_ENDPOINT, Options

LOOPBACK = {"127.0.0.1", "::1"}


class ForwarderTests(SynchronousTestCase):
    """
    C{twistd tcprelay} and C{muxctl relay}, on a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Keep the process as it is.
        """
        self.reactor = MemoryReactorClock()
        self.patch(tcprelay.Options, "reactor", self.reactor)
        self.patch(master, "raiseFileLimit", lambda: None)
        self.patch(master, "keepFreedMemory", lambda: True)
        self.patch(master, "limitLogLevel", lambda publisher, level: None)
        self.patch(master, "stopOnSignals", lambda *_: None)
        self.patch(globalLogBeginner, "beginLoggingTo", lambda *_, **__: None)

    def interfaces(self, service: IService) -> set[str]:
        """
        Where a service listens once it is started.
        """
        service.privilegedStartService()
        service.startService()
        servers = [*self.reactor.tcpServers, *self.reactor.sslServers]
        self.assertTrue(servers)
        return {server[-1] for server in servers}

    def twistd(self, *words: str) -> IService:
        """
        C{twistd tcprelay}.
        """
        options = tcprelay.Options()
        options.parseOptions(list(words))
        return tcprelay.makeService(options)

    def muxctl(self, *words: str) -> IService:
        """
        C{muxctl relay}.
        """
        return relay.makeRelay(relay.words(parse(["relay", *words])))

    def test_ports(self) -> None:
        """
        Ports that are given as numbers are for this machine.
        """
        for make in (self.twistd, self.muxctl):
            self.assertLessEqual(self.interfaces(make("22:2222", "8100")), LOOPBACK)

    def test_endpoints(self) -> None:
        """
        So are endpoints whose description names no interface.
        """
        for endpoint in ("tcp:1", "tcp6:1", "tcp:port=1"):
            for make in (self.twistd, self.muxctl):
                service = make("--from", endpoint, "--to", "usbmux:port=22")
                self.assertLessEqual(self.interfaces(service), LOOPBACK)

    def test_onPurpose(self) -> None:
        """
        An operator that wants others to connect has to say so.
        """
        self.assertEqual(self.interfaces(self.twistd("-a", "0.0.0.0", "22:2222")), {"0.0.0.0"})

    def test_daemon(self) -> None:
        """
        The daemon itself, where it listens on TCP by default, is for this machine,
        too, and elsewhere on no network at all.
        """
        self.assertTrue(TCP_ENDPOINT.endswith("interface=127.0.0.1"))
        options = Options()
        options.reactor = self.reactor
        options.parseOptions(["--config-dir", self.mktemp()])
        self.assertEqual(self.reactor.tcpServers, [])
