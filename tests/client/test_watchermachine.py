# -*- test-case-name: tests.client.test_watchermachine -*-
"""
Tests for L{muxd.client.watcher} against anything that may happen.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from tests.client.daemons import (
    OTHER_UDID,
    UDID,
    BinaryOnlyConnection,
    DaemonConnection,
    PlistOnlyConnection,
)
from tests.client.hosts import Host
from tests.client.observers import Recorder, watch
from tests.running.properties import examples


class WatcherMachine(RuleBasedStateMachine):
    """
    A host where anything happens, and an observer that is to know it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.host = Host()
        self.recorder = Recorder()
        self.watcher = watch(self.host, self.recorder)
        self.watcher.startService()
        self.count = 0

    @rule(udid=sampled_from([UDID, OTHER_UDID]))
    def attach(self, udid: str) -> None:
        """
        A phone is plugged in.
        """
        self.count += 1
        self.host.daemon.attach(self.count, udid)

    @rule(number=integers(1, 8))
    def detach(self, number: int) -> None:
        """
        One is plugged out, or has never been there.
        """
        self.host.daemon.detach(number)

    @rule()
    def kill(self) -> None:
        """
        The daemon dies.
        """
        self.host.killDaemon()

    @rule()
    def revive(self) -> None:
        """
        It is started again, and there is time to notice.
        """
        self.host.running = True
        self.host.advance(2)

    @rule(kind=sampled_from([DaemonConnection, BinaryOnlyConnection, PlistOnlyConnection]))
    def replace(self, kind: type[DaemonConnection]) -> None:
        """
        The daemon is replaced by another kind.
        """
        self.host.killDaemon()
        self.host.daemon.connection = kind
        self.host.running = True
        # Another attempt may be needed to find out what it speaks.
        self.host.advance(2)
        self.host.advance(2)

    @rule()
    def restart(self) -> None:
        """
        The watcher is stopped and started.
        """
        self.watcher.stopService()
        self.host.settle()
        self.watcher.startService()

    @invariant()
    def knows(self) -> None:
        """
        The observer knows what is there, once everything has come to rest.
        """
        self.host.settle()
        present = {device.deviceID for device in self.recorder.present}
        assert present == {device.deviceID for device in self.watcher.devices}
        if self.host.daemon.listeners():
            assert present == set(self.host.daemon.devices)
        else:
            assert present == set()
        assert len(self.host.openSockets()) <= 1


class WatcherMachineTests(SynchronousTestCase):
    """
    L{DeviceWatcher} against anything.
    """

    def test_machine(self) -> None:
        """
        After whatever happens, an observer knows exactly what is there.
        """
        run_state_machine_as_test(
            WatcherMachine,
            settings=settings(deadline=None, max_examples=examples(15), stateful_step_count=30),
        )
