# -*- test-case-name: tests.test_service -*-
"""
Tests of L{muxd.service}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import IService
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.runtime import Platform
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.device import MuxedDevice
from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice, IDeviceSource
from muxd.limits import Limits
from muxd.server.lookup import NoSuchDevice
from muxd.service import MuxService, defaultConfigDir
from tests.device.links import RecorderFactory, ScriptedPhone
from tests.shelf import Device, Source


class EmbeddedTests(SynchronousTestCase):
    """
    Tests of a L{MuxService} without any place to connect.
    """

    def setUp(self) -> None:
        """
        Have a service with one source, and watch the log.
        """
        self.reactor = MemoryReactorClock()
        self.service = MuxService(
            self.reactor,
            sources=[Source],
            configDir=self.mktemp(),
            limits=Limits(stopTimeout=3.0),
        )
        (source,) = self.service.sources
        assert isinstance(source, Source)
        self.source = source
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def test_interfaces(self) -> None:
        """
        The service and what these tests use keep the contracts.
        """
        verifyObject(IService, self.service)
        verifyObject(IDeviceSource, self.source)
        verifyObject(IDevice, self.source.device)
        verifyObject(IStreamClientEndpoint, self.service.endpoint(62078))
        verifyObject(IStreamClientEndpoint, self.source.device.endpoint(1))

    def test_exposed(self) -> None:
        """
        A listening address that other machines can reach is warned of, and no other; in plain
        text it has to be said that this is meant.
        """
        exposed = "tcp:1:interface=0.0.0.0"
        for isWrong in (exposed, f"{exposed}:insecure=no", "tcp6:1:interface=\\:\\:"):
            error = self.assertRaises(
                ValueError, MuxService, MemoryReactorClock(), listen=[isWrong]
            )
            self.assertIn("plain text, keys to phones included; use mutualtls:", str(error))
        for place, isExposed in (("tcp:1", False), (f"{exposed}:insecure=yes", True)):
            before = len(self.log)
            service = MuxService(MemoryReactorClock(), listen=[place], configDir=self.mktemp())
            service.privilegedStartService()
            warnings = [
                event for event in list(self.log)[before:] if event["log_level"] is LogLevel.warn
            ]
            self.assertEqual([event["place"] for event in warnings], [place] * isExposed)
            self.successResultOf(service.stopService())

    def test_lazy(self) -> None:
        """
        Nothing happens before the service is started.
        """
        self.assertEqual(self.service.registry.attached(), [])
        self.assertFalse(self.source.running)

    def test_start(self) -> None:
        """
        Starting the service starts the sources, whose devices then are in the
        registry.
        """
        self.service.startService()
        (attached,) = self.service.registry.attached()
        self.assertIs(attached.device, self.source.device)

    def test_privilegedStart(self) -> None:
        """
        Sources are started without privileges.
        """
        self.service.privilegedStartService()
        self.assertFalse(self.source.running)

    def test_brokenSource(self) -> None:
        """
        A source that does not start is reported in one line, and takes nothing
        else away.
        """
        self.service.sources.insert(0, broken := Source(self.service.registry))
        broken.problem = RuntimeError("no luck")
        self.service.startService()
        self.assertEqual(len(self.service.registry.attached()), 1)
        (event,) = [event for event in self.log if event["log_level"] is LogLevel.error]
        self.assertEqual((event["source"], str(event["error"])), ("shelf", "no luck"))
        # Where it came from is there for those who want to know.
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_endpoint(self) -> None:
        """
        Without a UDID, the only phone is meant.
        """
        self.service.startService()
        protocol = Protocol()
        connected = connectProtocol(self.service.endpoint(62078), protocol)
        self.assertIs(self.successResultOf(connected), protocol)
        self.assertEqual(self.source.device.attempts, [62078])

    def test_endpointWaits(self) -> None:
        """
        An endpoint may wait for the phone, even before the service is started.
        """
        connecting = connectProtocol(self.service.endpoint(62078, wait=5), Protocol())
        self.reactor.advance(4)
        self.assertNoResult(connecting)
        self.service.startService()
        self.successResultOf(connecting)

    def test_whenAttached(self) -> None:
        """
        A program can wait for a phone, until the service is stopped.
        """
        waiting = self.service.whenAttached()
        other = self.service.whenAttached("b" * 40)
        self.assertNoResult(waiting)
        self.service.startService()
        self.assertIs(self.source.device, self.successResultOf(waiting))
        self.assertNoResult(other)
        self.service.stopService()
        self.failureResultOf(other, NoSuchDevice)

    def test_endpointLate(self) -> None:
        """
        The phone is looked up when connecting, not before.
        """
        endpoint = self.service.endpoint(62078)
        self.service.startService()
        self.successResultOf(connectProtocol(endpoint, Protocol()))

    def refused(self, udid: str | None) -> str:
        """
        Why there is no connection.
        """
        connecting = connectProtocol(self.service.endpoint(62078, udid), Protocol())
        return str(self.failureResultOf(connecting, NoSuchDevice).value)

    def test_noPhone(self) -> None:
        """
        That there is no phone is said, with and without a UDID.
        """
        self.assertEqual(self.refused(None), "no phone is attached")
        self.assertEqual(self.refused("ab"), "no phone ab is attached (attached: none)")

    def test_wrongPhone(self) -> None:
        """
        That the phone is not there is said, and which ones are.
        """
        self.service.startService()
        self.assertEqual(
            self.refused("ab"),
            "no phone ab is attached (attached: 00008110-000A1B2C3D4E5F60)",
        )

    def test_severalPhones(self) -> None:
        """
        Where there are several phones, one must be chosen; which ones there are
        is said.
        """
        self.service.startService()
        other = Device("b" * 40)
        self.service.registry.deviceAttached(other)
        self.assertEqual(
            self.refused(None),
            "2 phones are attached, choose by UDID: 00008110-000A1B2C3D4E5F60, " + "b" * 40,
        )
        self.successResultOf(connectProtocol(self.service.endpoint(22, "b" * 40), Protocol()))
        self.assertEqual(other.attempts, [22])

    def test_spelling(self) -> None:
        """
        A UDID is found without its dash, too.
        """
        self.service.startService()
        endpoint = self.service.endpoint(22, "00008110000A1B2C3D4E5F60")
        self.successResultOf(connectProtocol(endpoint, Protocol()))
        self.assertEqual(self.source.device.attempts, [22])

    def test_cableFirst(self) -> None:
        """
        One phone that is attached by cable and by network counts once, and is
        reached by cable, whichever came first.
        """
        udid = self.source.device.identity.udid
        networks = [Device(udid, "Network"), Device(udid, "Network")]
        self.service.registry.deviceAttached(networks[0])
        self.service.startService()
        self.service.registry.deviceAttached(networks[1])
        self.successResultOf(connectProtocol(self.service.endpoint(22), Protocol()))
        self.assertEqual(self.source.device.attempts, [22])

    def test_stop(self) -> None:
        """
        Stopping ends the sources, and waits for them.
        """
        self.service.startService()
        stopped = self.service.stopService()
        self.assertEqual(self.service.registry.attached(), [])
        self.assertNoResult(stopped)
        assert self.source.stopping is not None
        self.source.stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopTimeout(self) -> None:
        """
        A source that does not end is not waited for for ever, and is reported.
        """
        self.service.startService()
        stopped = self.service.stopService()
        self.reactor.advance(2.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        self.assertIsNone(self.successResultOf(stopped))
        (event,) = [event for event in self.log if event["log_level"] is LogLevel.error]
        self.assertEqual((event["what"], event["timeout"]), ("sources", 3.0))

    def test_stopFailure(self) -> None:
        """
        A source that fails to end is reported, and the stop goes on.
        """
        self.service.startService()
        stopped = self.service.stopService()
        assert self.source.stopping is not None
        self.source.stopping.errback(RuntimeError("no luck"))
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_stopUnstarted(self) -> None:
        """
        A service that was never started stops at once.
        """
        self.assertIsNone(self.successResultOf(self.service.stopService()))
        self.assertIsNone(self.source.stopping)

    def test_again(self) -> None:
        """
        A service that was stopped can be started again.
        """
        for _ in range(2):
            self.service.startService()
            self.assertEqual(len(self.service.registry.attached()), 1)
            stopped = self.service.stopService()
            assert self.source.stopping is not None
            self.source.stopping.callback(None)
            self.successResultOf(stopped)

    def test_wrongDescriptions(self) -> None:
        """
        A wrong description is refused when the service is made.
        """
        make: Callable[..., object] = MuxService
        self.assertRaises(ValueError, make, self.reactor, sources=["cupboard"])
        self.assertRaises(ValueError, make, self.reactor, listen=["cupboard"])


class SummaryTests(SynchronousTestCase):
    """
    How a service is doing, in a line.
    """

    def test_summary(self) -> None:
        """
        Phones and the sessions that are established with them are counted.
        """
        service = MuxService(MemoryReactorClock())
        self.assertEqual(service.summary, "0 phones, 0 sessions")
        phone = ScriptedPhone.ready()
        identity = DeviceIdentity(udid="A", serial="A", productID=1, locationID=1)
        service.registry.deviceAttached(MuxedDevice(identity, phone.muxer))
        phone.open()
        phone.muxer.connect(7, RecorderFactory())
        self.assertEqual(service.summary, "1 phone, 1 session")


class ConfigDirTests(SynchronousTestCase):
    """
    Tests of L{defaultConfigDir}.
    """

    def test_systems(self) -> None:
        """
        Each system has its place for pair records, which other programs know,
        too.
        """
        self.assertEqual(defaultConfigDir(Platform("posix", "linux"), {}), "/var/lib/lockdown")
        self.assertEqual(defaultConfigDir(Platform("posix", "darwin"), {}), "/var/db/lockdown")
        self.assertEqual(
            defaultConfigDir(Platform("nt", "win32"), {"PROGRAMDATA": "D:\\Data"}),
            "D:\\Data\\Apple\\Lockdown",
        )
        self.assertEqual(
            defaultConfigDir(Platform("nt", "win32"), {}), "C:\\ProgramData\\Apple\\Lockdown"
        )
