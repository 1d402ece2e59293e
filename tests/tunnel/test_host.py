# -*- test-case-name: tests.tunnel.test_host -*-
"""
Tests of L{muxd.tunnel.host}, L{muxd.tunnel.carrier} and L{muxd.phone.services.coredevice}: a tunnel
to a simulated phone, with lockdownd and TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.limits import LIMITS
from muxd.lockdown.errors import LockdownError
from muxd.phone.iphone import Phone
from muxd.phone.services.coredevice import PROXY, TRUSTED, UNTRUSTED
from muxd.phone.services.features import FEATURE
from muxd.tunnel.carrier import HostTunnel, PhoneTunnel
from muxd.tunnel.cdtunnel import hostHandshake, writeHandshake
from muxd.tunnel.host import NoService, Tunnel, connectTunnel
from muxd.tunnel.xpc import WANTS_REPLY, Message
from tests.lockdown.phones import Conversation, NearDevice, anyRecord
from tests.phone.services.hosts import frame
from tests.tunnel.ends import Making, Talker

if find_spec("hyperframe") is None:
    raise SkipTest("these tests need the extra tunnel")

from muxd.phone.services.featureserver import OUTPUT
from muxd.tunnel.remotexpc import RemoteXPC


def zeros(count: int) -> bytes:
    """
    Random bytes that are always the same.
    """
    return bytes(count)


class TunnelCase(SynchronousTestCase):
    """
    A phone that trusts this host.
    """

    version = "17.6"

    def setUp(self) -> None:
        """
        Have it trust.
        """
        self.clock = Clock()
        phone = Phone(self.clock, values={"ProductVersion": self.version})
        self.addCleanup(phone.stop)
        self.device = NearDevice(self.clock, phone)
        Conversation(self.device, self.clock).trust(anyRecord())

    def run_(self, until: Callable[[], bool] = lambda: False) -> None:
        """
        Let everything be said.
        """
        for _ in range(100):
            self.device.flush()
            if until():
                return
            self.clock.advance(0.001)

    def open(self, **options: Any) -> Deferred[Tunnel]:
        """
        Open a tunnel.
        """
        opening = connectTunnel(
            self.clock, self.device.endpoint, anyRecord(), random=zeros, **options
        )
        self.run_(lambda: opening.called)
        return opening


class TunnelTests(TunnelCase):
    """
    A tunnel that opens.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        super().setUp()
        self.tunnel = self.successResultOf(self.open())
        self.factory = Making()

    def service(self, name: str) -> Any:
        """
        A protocol that is connected to a service.
        """
        connecting = self.tunnel.service(name).connect(self.factory)
        self.run_(lambda: connecting.called)
        return self.successResultOf(connecting)

    def ask(self, name: str, **request: Any) -> bytes:
        """
        What a service answers.
        """
        host = self.service(name)
        host.wire.write(frame(request))
        self.run_(lambda: bool(host.heard))
        heard: bytes = host.heard
        return heard

    def test_told(self) -> None:
        """
        It tells which phone this is, and what it has.
        """
        tunnel, phone = self.tunnel, self.device.phone
        self.assertEqual(tunnel.properties["UniqueDeviceID"], phone.udid)
        self.assertEqual(tunnel.properties["OSVersion"], "17.6")
        self.assertIn("com.apple.afc.shim.remote", tunnel.services)
        self.assertNotIn(PROXY + ".shim.remote", tunnel.services)
        self.assertEqual(tunnel.parameters.mtu, 16000)
        self.assertGreater(tunnel.counters.received, 5)

    def test_features(self) -> None:
        """
        Services that speak RemoteXPC are told of with their features, and answer.
        """
        name, feature = "com.apple.coredevice.deviceinfo", f"{FEATURE}getdeviceinfo"
        told = self.tunnel.services[name]
        self.assertTrue(told.isRemoteXPC)
        self.assertIn(feature, told.features)
        self.assertEqual(self.tunnel.services["com.apple.afc.shim.remote"].features, ())
        heard: list[Message] = []

        class Host(RemoteXPC):
            def ready(self) -> None:
                self.send({"CoreDevice.featureIdentifier": feature}, WANTS_REPLY)

            def messageReceived(self, message: Message) -> None:
                heard.append(message)

        self.tunnel.service(name).connect(Factory.forProtocol(Host))
        self.run_(lambda: bool(heard))
        self.assertEqual(heard[0].body[OUTPUT]["udid"], self.device.phone.udid)

    def test_service(self) -> None:
        """
        A service speaks as it does by way of lockdownd.
        """
        for name in (
            "com.apple.mobile.diagnostics_relay",
            "com.apple.mobile.diagnostics_relay.shim.remote",
        ):
            self.assertIn(b"CycleCount", self.ask(name, Request="GasGauge"))

    def test_lockdown(self) -> None:
        """
        So does lockdownd itself, which trusts this host by one name and not by the other.
        """
        answers = [
            self.ask(name, Request="GetValue", Key="SerialNumber") for name in (TRUSTED, UNTRUSTED)
        ]
        self.assertIn(b"Value", answers[0])
        self.assertIn(b"MissingValue", answers[1])

    def test_elsewhere(self) -> None:
        """
        But it starts no services there, and no sessions.
        """
        for request in ("StartService", "StartSession", "Pair"):
            self.assertIn(b"InvalidRequest", self.ask(TRUSTED, Request=request, Service="x"))

    def test_noService(self) -> None:
        """
        A service that is not there is an error, and says so.
        """
        error = self.assertRaises(NoService, self.tunnel.service, "com.example")
        self.assertIn("com.example", str(error))

    def test_closed(self) -> None:
        """
        With the tunnel its connections end, and nothing is left.
        """
        host = self.service("com.apple.afc")
        closing = self.tunnel.close()
        self.run_()
        self.successResultOf(closing)
        self.assertTrue(host.lost.check(ConnectionLost))
        self.failureResultOf(self.tunnel.endpoint(7).connect(Making()), ConnectError)
        self.device.phone.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NoTunnelTests(TunnelCase):
    """
    Tunnels that do not open.
    """

    def test_old(self) -> None:
        """
        A phone before iOS 17.4 has none.
        """
        for version in ("17.3.1", "odd"):
            phone = Phone(self.clock, values={"ProductVersion": version})
            self.assertIsNone(phone.ports.find(PROXY), version)
        for version in ("17.4", "26.1"):
            phone = Phone(self.clock, values={"ProductVersion": version})
            self.assertIsNotNone(phone.ports.find(PROXY), version)

    def test_refused(self) -> None:
        """
        Which is what opening one says.
        """
        del self.device.phone.ports._services[PROXY]  # type: ignore[attr-defined]
        self.failureResultOf(self.open(), LockdownError)

    def test_noTLS(self) -> None:
        """
        A service that says nothing is not waited for, nor left open.
        """
        ports: Any = self.device.phone.ports
        silent, open = Making(Talker), ports.open
        ports.open = lambda _: open(silent)
        opening = connectTunnel(self.clock, self.device.endpoint, anyRecord(), random=zeros)
        self.run_()
        self.assertNoResult(opening)
        self.clock.advance(LIMITS.tunnelTimeout)
        self.device.flush()
        self.failureResultOf(opening)
        self.assertIsNotNone(silent.made[0].lost)

    def test_smallPackets(self) -> None:
        """
        A host may ask for small packets.
        """
        tunnel = self.successResultOf(self.open(mtu=1280))
        self.assertEqual(tunnel.parameters.mtu, 1280)


class CarrierTests(SynchronousTestCase):
    """
    The stream itself.
    """

    def setUp(self) -> None:
        """
        Both ends, each with a stream whose other end is the test.
        """
        self.clock = Clock()
        self.host = HostTunnel(self.clock, zeros, 1280)
        self.phone = PhoneTunnel(self.clock, zeros, {7: Making(Talker)}, 1)
        self.wires = StringTransport(), StringTransport()
        self.host.makeConnection(self.wires[0])
        self.phone.makeConnection(self.wires[1])

    def test_handshake(self) -> None:
        """
        The host asks, the phone answers, and packets may follow in the same piece.
        """
        self.phone.dataReceived(self.wires[0].value() + bytes(40))
        self.host.dataReceived(self.wires[1].value())
        self.successResultOf(self.host.whenOpen)
        self.assertEqual(self.host.parameters, self.phone.parameters)
        assert self.phone.stack is not None
        self.assertEqual(self.phone.stack.counters.dropped["version"], 1)

    def test_silent(self) -> None:
        """
        An end that says nothing is not waited for.
        """
        self.clock.advance(LIMITS.tunnelTimeout)
        self.failureResultOf(self.host.whenOpen, ConnectionLost)
        self.assertEqual([wire.disconnecting for wire in self.wires], [True, True])

    def test_malformed(self) -> None:
        """
        Nor is one that says something else; what it says later is not looked at.
        """
        for end, wire in zip((self.host, self.phone), self.wires, strict=True):
            end.dataReceived(b"HTTP/1.1 400 Bad Request")
            end.dataReceived(writeHandshake(hostHandshake(1280)))
            self.assertTrue(wire.disconnecting)
            self.assertIsNone(end.stack)
        self.failureResultOf(self.host.whenOpen, ConnectionLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_room(self) -> None:
        """
        While the stream has no room, the tunnel sends nothing.
        """
        self.phone.dataReceived(self.wires[0].value())
        producer: Any = self.wires[1].producer
        producer.pauseProducing()
        assert self.phone.stack is not None
        self.assertTrue(self.phone.stack.isHeld)
        producer.resumeProducing()
        self.assertFalse(self.phone.stack.isHeld)
