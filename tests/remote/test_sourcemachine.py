# -*- test-case-name: tests.remote.test_sourcemachine -*-
"""
Tests of L{muxd.remote.source} against anything that may happen.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from tests.client.daemons import OTHER_UDID, UDID
from tests.remote.hosts import RemoteHost
from tests.running.properties import examples


class SourceMachine(RuleBasedStateMachine):
    """
    Another host where anything happens, and a receiver that is to know it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.host = RemoteHost()
        self.host.start()
        self.count = 0

    @rule(udid=sampled_from([UDID, OTHER_UDID]), kind=sampled_from(["USB", "Network"]))
    def attach(self, udid: str, kind: str) -> None:
        """
        A phone is plugged in, or is found on the network.
        """
        self.count += 1
        self.host.daemon.attach(self.count, udid, kind=kind)

    @rule(number=integers(1, 8))
    def detach(self, number: int) -> None:
        """
        One goes, or has never been there.
        """
        self.host.daemon.detach(number)

    @rule()
    def kill(self) -> None:
        """
        The daemon dies.
        """
        self.host.killDaemon()

    @rule(shift=integers(0, 3))
    def revive(self, shift: int) -> None:
        """
        It is started again, with other numbers, and there is time to notice.
        """
        if not self.host.running:
            devices = self.host.daemon.devices
            self.host.daemon.devices = {number + shift: devices[number] for number in devices}
            self.count += shift
        self.host.running = True
        self.host.advance(2)

    @rule(seconds=sampled_from([1, 5, 20]))
    def wait(self, seconds: int) -> None:
        """
        Time passes.
        """
        self.host.advance(seconds)

    @rule()
    def restart(self) -> None:
        """
        The source is stopped and started.
        """
        self.host.source.stopService()
        self.host.settle()
        assert self.host.receiver.present == {}
        self.host.source.startService()

    @invariant()
    def knows(self) -> None:
        """
        Once everything has come to rest the receiver knows what is there, and by which
        number; or, while the daemon is lost, nothing that was not there.
        """
        self.host.settle()
        present = self.host.receiver.present
        if not self.host.daemon.listeners():
            return
        devices = self.host.daemon.devices
        assert set(present) == {properties["SerialNumber"] for properties in devices.values()}
        for udid, phone in present.items():
            best = max(
                (properties["ConnectionType"] == "USB", number)
                for number, properties in devices.items()
                if properties["SerialNumber"] == udid
            )
            assert phone.device.deviceID == best[1]
        assert len(self.host.openSockets()) == 1


class SourceMachineTests(SynchronousTestCase):
    """
    L{muxd.remote.source.RemoteSource} against anything.
    """

    def test_machine(self) -> None:
        """
        After whatever happens, a receiver knows exactly which phones the other host has.
        """
        run_state_machine_as_test(
            SourceMachine, settings=settings(max_examples=examples(25), stateful_step_count=30)
        )
