# -*- test-case-name: tests.client.test_watcher -*-
"""
Tests for L{muxd.client.watcher}.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.client.answers import Device
from muxd.client.watcher import DeviceObserverMixin, DeviceWatcher, IDeviceObserver
from tests.client.daemons import (
    OTHER_UDID,
    BinaryOnlyConnection,
    ChattyConnection,
    DaemonConnection,
    DyingConnection,
    PlistOnlyConnection,
    SilentConnection,
    lying,
)
from tests.client.hosts import Host, logOf
from tests.client.observers import Recorder, watch


class WatcherTests(SynchronousTestCase):
    """
    Tests for L{DeviceWatcher}.
    """

    def start(self, connection: type[DaemonConnection] = DaemonConnection) -> None:
        """
        Watch a daemon that has one phone.
        """
        self.host = Host(connection)
        self.host.daemon.attach(1)
        self.recorder = Recorder()
        self.watcher = watch(self.host, self.recorder)
        self.watcher.startService()
        self.host.settle()

    def take(self) -> list[tuple[str, int]]:
        """
        What was told since the last time.
        """
        taken, self.recorder.events = self.recorder.events, []
        return taken

    def test_interfaces(self) -> None:
        """
        A watcher is a service; the mixin and the recorder are observers.
        """
        self.start()
        verifyObject(IService, self.watcher)
        verifyObject(IDeviceObserver, self.recorder)
        verifyObject(IDeviceObserver, DeviceObserverMixin())

    def test_mixin(self) -> None:
        """
        The mixin does nothing with all it is told.
        """
        host = Host()
        watcher = watch(host, DeviceObserverMixin())
        watcher.startService()
        host.settle()
        host.daemon.attach(1)
        host.daemon.pair(1)
        host.daemon.detach(1)
        host.settle()
        self.assertEqual([], self.flushLoggedErrors())

    def test_events(self) -> None:
        """
        What is there is attached at first, then events are told as they come,
        by daemons of every kind.
        """
        for kind in (
            DaemonConnection,
            PlistOnlyConnection,
            BinaryOnlyConnection,
            ChattyConnection,
        ):
            self.start(kind)
            self.host.daemon.attach(2, OTHER_UDID)
            self.host.daemon.pair(2)
            self.host.daemon.detach(1)
            self.host.settle()
            events = [event for event in self.take() if event != ("paired", 1)]
            self.assertEqual(
                [("attached", 1), ("attached", 2), ("paired", 2), ("detached", 1)], events
            )
            self.assertEqual([OTHER_UDID], [device.udid for device in self.watcher.devices])

    def test_lostAndBack(self) -> None:
        """
        When the daemon is lost all devices are detached; when it is back, those
        that are there are attached.
        """
        self.start()
        self.host.daemon.attach(2, OTHER_UDID)
        self.host.settle()
        self.take()
        self.host.killDaemon()
        self.assertEqual([("detached", 1), ("detached", 2)], self.take())
        self.assertEqual((), self.watcher.devices)
        self.host.daemon.detach(1)
        self.host.running = True
        self.host.advance(2)
        self.assertEqual([("attached", 2)], self.take())

    def test_startsLater(self) -> None:
        """
        It goes on trying until there is a daemon.
        """
        host = Host()
        host.running = False
        recorder = Recorder()
        watch(host, recorder).startService()
        for _ in range(3):
            host.advance(2)
        host.daemon.attach(1)
        host.running = True
        host.advance(2)
        self.assertEqual([("attached", 1)], recorder.events)

    def test_complainsOnce(self) -> None:
        """
        A daemon that is not there is worth one line in the log, and one more
        each time it is lost again.
        """
        logged = logOf(self)
        self.start()
        for _ in range(2):
            self.host.killDaemon()
            for _ in range(3):
                self.host.advance(2)
            self.host.running = True
            self.host.advance(2)
        warnings = [event for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(2, len(warnings))
        self.assertIn("no usbmuxd at", warnings[0]["trouble"])

    def test_bad(self) -> None:
        """
        A daemon that does not become a feed is tried again and again, and no
        socket is left of any attempt.
        """
        for kind in (DyingConnection, SilentConnection, lying(lambda tag: b"nonsense" * 9)):
            self.start(kind)
            self.host.advance(5)
            attempts = len(self.host.transports)
            self.assertEqual([], self.host.openSockets())
            self.host.advance(2)
            self.assertGreater(len(self.host.transports), attempts)

    def test_describedAnew(self) -> None:
        """
        A device that is announced again as it was is no news; one that is
        described differently is detached and attached.
        """
        self.start()
        self.take()
        (listener,) = self.host.daemon.listeners()
        listener.sendAttached(1)
        self.host.settle()
        self.assertEqual([], self.take())
        self.host.daemon.attach(1, ProductID=0x12AB)
        self.host.settle()
        self.assertEqual([("detached", 1), ("attached", 1)], self.take())
        self.assertEqual([0x12AB], [device.productID for device in self.watcher.devices])

    def test_impossibleMessage(self) -> None:
        """
        A feed that turns into nonsense is closed, and another is opened.
        """
        self.start()
        self.take()
        self.host.daemon.listeners()[0].transport.write(b"\xff" * 16)
        self.host.settle()
        self.assertEqual([("detached", 1)], self.take())
        self.host.advance(2)
        self.assertEqual([("attached", 1)], self.take())

    def test_raisingObserver(self) -> None:
        """
        An observer that raises is logged, and told of the next event.
        """

        class Raising(DeviceObserverMixin):
            told = 0

            def deviceAttached(self, device: Device) -> None:
                self.told += 1
                raise ZeroDivisionError

        host = Host()
        host.daemon.attach(1)
        host.daemon.attach(2)
        observer = Raising()
        watch(host, observer).startService()
        host.settle()
        self.assertEqual(2, observer.told)
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_stop(self) -> None:
        """
        Stopping detaches all devices, leaves nothing and may be followed by
        another start.
        """
        self.start()
        self.take()
        stopping = self.watcher.stopService()
        self.host.settle()
        self.successResultOf(stopping)
        self.assertEqual([("detached", 1)], self.take())
        self.assertEqual([], self.host.openSockets())
        self.assertEqual([], self.host.reactor.getDelayedCalls())
        self.watcher.startService()
        self.host.settle()
        self.assertEqual([("attached", 1)], self.take())

    def test_stopAtAnyStage(self) -> None:
        """
        So does stopping while it connects, while it awaits the answer and while
        it waits to try again; and that is nothing to complain of.
        """
        logged = logOf(self)
        for accepting, running in ((False, True), (True, True), (True, False)):
            host = Host(SilentConnection)
            host.accepting, host.running = accepting, running
            watcher = watch(host, Recorder())
            watcher.startService()
            host.settle()
            stopping = watcher.stopService()
            host.settle()
            self.successResultOf(stopping)
            self.assertEqual([], host.openSockets())
            self.assertEqual([], host.reactor.getDelayedCalls())
        warnings = [event for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(1, len(warnings))

    def test_neverStarted(self) -> None:
        """
        Stopping what was never started is no trouble.
        """
        self.successResultOf(watch(Host(), Recorder()).stopService())

    def test_defaultPolicy(self) -> None:
        """
        Without a policy it tries at least every six seconds.
        """
        host = Host()
        host.running = False
        recorder = Recorder()
        DeviceWatcher(host.reactor, recorder, host.access()).startService()
        for _ in range(20):
            host.advance(6)
        host.daemon.attach(1)
        host.running = True
        host.advance(6)
        self.assertEqual([("attached", 1)], recorder.events)
