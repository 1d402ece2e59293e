# -*- test-case-name: tests.wifi.test_phone -*-
"""
Tests of L{muxd.wifi.phone}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import sampled_from
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.lockdown.errors import UnprovedPhone
from muxd.server.registry import DeviceRegistry
from muxd.wifi.heartbeat import FIRST_WAIT, HeartbeatClient
from muxd.wifi.phone import SLEEP, TRIES, TRY_AGAIN, PhoneState, WifiPhone
from muxd.wifi.settings import WifiSettings
from muxd.wire.messages import writePlist
from tests.running.properties import examples

UDID = "00008110-000A1B2C3D4E5F60"
PLACES = {"a": ("192.0.2.1",), "b": ("192.0.2.2",)}


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    A port at an address, which accepts.
    """

    def __init__(self, place: tuple[str, int]) -> None:
        self.place = place

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Accept.
        """
        protocol = protocolFactory.buildProtocol(IPv4Address("TCP", *self.place))
        assert protocol is not None
        return succeed(protocol)


class HeldReach:
    """
    A way to a phone on which nothing happens before the test says so.

    @ivar asked: The attempts that have no outcome yet: the addresses, what makes the heartbeat,
        and what fires.
    @ivar cancelled: What comes of one that is cancelled.
    """

    udid = UDID
    cancelled: Exception = CancelledError()

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], Callable[[], HeartbeatClient], Deferred[Any]]] = []
        self.hearts: list[HeartbeatClient] = []

    def endpoint(self, address: str, port: int) -> IStreamClientEndpoint:
        """
        A port.
        """
        return Endpoint((address, port))

    async def open(
        self, addresses: Sequence[str], build: Callable[[], HeartbeatClient]
    ) -> tuple[str, HeartbeatClient]:
        """
        Wait for the test.
        """
        outcome: Deferred[Any] = Deferred(lambda outcome: outcome.errback(self.cancelled))
        self.asked.append((tuple(addresses), build, outcome))
        result: tuple[str, HeartbeatClient] = await outcome
        return result

    def succeed(self) -> HeartbeatClient:
        """
        The phone is there.
        """
        (address, *_), build, outcome = self.asked.pop(0)
        heart = build()
        heart.makeConnection(StringTransport())
        self.hearts.append(heart)
        outcome.callback((address, heart))
        return heart

    def fail(self, error: Exception | None = None) -> None:
        """
        It is not.
        """
        self.asked.pop(0)[2].errback(error or ConnectError(string="no route"))


def say(heart: HeartbeatClient, **message: object) -> None:
    """
    The phone says something.
    """
    data = writePlist(message)
    heart.dataReceived(len(data).to_bytes(4, "big") + data)


class PhoneCase(SynchronousTestCase):
    """
    A phone that may be in one place.
    """

    def setUp(self) -> None:
        """
        Nothing has been tried.
        """
        self.clock = Clock()
        self.registry = DeviceRegistry()
        self.reach = HeldReach()
        self.idle: list[WifiPhone] = []
        self.phone = WifiPhone(
            self.clock,
            self.registry,
            WifiSettings(),
            self.reach,  # type: ignore[arg-type]
            self.idle.append,
        )

    def listed(self) -> HeartbeatClient:
        """
        It is found and proved.
        """
        self.phone.look({"a": PLACES["a"]})
        return self.reach.succeed()

    def doubtful(self) -> None:
        """
        Its heartbeat is lost.
        """
        self.listed()
        self.clock.advance(FIRST_WAIT)

    @property
    def seen(self) -> list[int]:
        """
        The numbers of the devices that clients see.
        """
        return [attached.deviceID for attached in self.registry.attached()]


class PhoneTests(PhoneCase):
    """
    Tests of L{WifiPhone}.
    """

    def test_listed(self) -> None:
        """
        A phone is listed when it is proved, and not before.
        """
        self.phone.look({"a": PLACES["a"]})
        self.assertEqual((self.phone.state, self.seen), (PhoneState.TRYING, []))
        self.reach.succeed()
        self.assertEqual((self.phone.state, self.seen), (PhoneState.LISTED, [1]))

    def test_notThere(self) -> None:
        """
        One that is not reached is idle again, at once; it is for its source to try again.
        """
        self.phone.look({"a": PLACES["a"]})
        self.reach.fail()
        self.assertEqual((self.phone.state, self.idle), (PhoneState.IDLE, [self.phone]))
        self.assertIn("no route", self.phone.trouble)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_places(self) -> None:
        """
        All places are tried, one after the other, until one is right.
        """
        self.phone.look(PLACES)
        self.assertEqual(self.reach.asked[0][0], PLACES["a"])
        self.reach.fail(UnprovedPhone("another"))
        self.assertEqual(self.reach.asked[0][0], PLACES["b"])
        self.reach.succeed()
        self.assertEqual(self.registry.attached()[0].device.identity.serviceName, "b")

    def test_lostHeartbeat(self) -> None:
        """
        A heartbeat that ends is tried again at once, and clients notice nothing if the phone
        is there; first where it was.
        """
        self.phone.look(PLACES)
        self.reach.fail()
        heart = self.reach.succeed()
        self.clock.advance(FIRST_WAIT)
        self.assertEqual((self.phone.state, self.seen), (PhoneState.DOUBTFUL, [1]))
        self.assertEqual(self.reach.asked[0][0], PLACES["b"])
        self.reach.succeed()
        self.assertEqual((self.phone.state, self.seen), (PhoneState.LISTED, [1]))
        self.assertIsNot(heart, self.phone._heart)

    def test_threeTries(self) -> None:
        """
        It is gone when it was not reached three times in about twenty seconds.
        """
        self.listed()
        self.clock.advance(FIRST_WAIT)
        for number in range(TRIES):
            self.assertEqual(self.seen, [1], number)
            self.reach.fail()
            self.clock.advance(TRY_AGAIN)
        self.assertEqual((self.phone.state, self.seen), (PhoneState.IDLE, []))
        self.assertEqual(self.idle, [self.phone])

    def test_anotherPhone(self) -> None:
        """
        Another phone in its place is no reason to wait.
        """
        self.listed()
        self.clock.advance(FIRST_WAIT)
        self.reach.fail(UnprovedPhone("another"))
        self.assertEqual((self.phone.state, self.seen), (PhoneState.IDLE, []))

    def test_moved(self) -> None:
        """
        A phone that is at another address is another entry.
        """
        self.listed()
        self.phone.look({"a": ("192.0.2.9",)})
        self.clock.advance(FIRST_WAIT)
        self.reach.succeed()
        self.assertEqual((self.phone.state, self.seen), (PhoneState.LISTED, [2]))

    def test_beats(self) -> None:
        """
        A phone whose heart beats is left alone.
        """
        heart = self.listed()
        for _ in range(10):
            say(heart, Command="Marco", Interval=10)
            self.clock.advance(14)
        self.assertEqual((self.phone.state, self.reach.asked), (PhoneState.LISTED, []))

    def test_sleeps(self) -> None:
        """
        A phone that is about to sleep stays listed for a while, although it is silent, and
        refuses connections; then it is tried.
        """
        heart = self.listed()
        say(heart, Command="SleepyTime")
        device = self.registry.attached()[0].device
        connecting = device.endpoint(22).connect(Factory.forProtocol(Protocol))
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.clock.advance(SLEEP - 1)
        self.assertEqual((self.phone.state, self.seen), (PhoneState.ASLEEP, [1]))
        self.clock.advance(1)
        self.assertEqual((self.phone.state, self.seen), (PhoneState.DOUBTFUL, [1]))
        self.reach.succeed()
        self.assertEqual((self.phone.state, self.seen), (PhoneState.LISTED, [1]))

    def test_awakes(self) -> None:
        """
        One that asks again is awake.
        """
        heart = self.listed()
        say(heart, Command="SleepyTime")
        say(heart, Command="Marco", Interval=10)
        self.assertIs(self.phone.state, PhoneState.LISTED)
        connecting = (
            self.registry.attached()[0].device.endpoint(22).connect(Factory.forProtocol(Protocol))
        )
        self.successResultOf(connecting)

    def test_noPort(self) -> None:
        """
        There are no ports beyond 65,535.
        """
        self.listed()
        device = self.registry.attached()[0].device
        self.assertRaises(ValueError, device.endpoint, 65536)

    def test_stoppedWhileConnecting(self) -> None:
        """
        An endpoint's own word for a connection that was given up is no trouble, and not logged.
        """
        self.reach.cancelled = ConnectingCancelledError(IPv4Address("TCP", "192.0.2.1", 1))
        self.phone.look(PLACES)
        self.phone.stop()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual((len(self.reach.asked), self.clock.getDelayedCalls()), (1, []))

    def test_stopped(self) -> None:
        """
        A phone that is let go of is gone, whatever was under way, with all timers.
        """
        for begin in (
            lambda: None,
            lambda: self.phone.look(PLACES),
            self.listed,
            lambda: say(self.listed(), Command="SleepyTime"),
            self.doubtful,
        ):
            self.setUp()
            begin()
            self.phone.stop()
            self.phone.stop()
            self.assertEqual((self.phone.state, self.seen), (PhoneState.STOPPED, []))
            self.assertEqual(self.clock.getDelayedCalls(), [])


class PhoneMachine(RuleBasedStateMachine):
    """
    A phone to which anything happens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.case = PhoneCase()
        self.case.setUp()

    @rule(names=sampled_from([(), ("a",), ("b",), ("a", "b")]))
    def look(self, names: tuple[str, ...]) -> None:
        """
        It is looked for.
        """
        if self.case.phone.state is not PhoneState.STOPPED:
            self.case.phone.look({name: PLACES[name] for name in names})

    @rule(good=sampled_from([True, False, None]))
    def outcome(self, good: bool | None) -> None:
        """
        An attempt ends.
        """
        reach = self.case.reach
        if not reach.asked:
            return
        if good:
            reach.succeed()
        else:
            reach.fail(UnprovedPhone("another") if good is None else None)

    @rule(command=sampled_from(["Marco", "SleepyTime", "other"]))
    def say(self, command: str) -> None:
        """
        The phone says something.
        """
        heart = self.case.phone._heart
        if heart is not None:
            say(heart, Command=command, Interval=10)

    @rule(seconds=sampled_from([1, 7, 15, 60]))
    def wait(self, seconds: int) -> None:
        """
        Time passes.
        """
        self.case.clock.advance(seconds)

    @invariant()
    def consistent(self) -> None:
        """
        Clients see a phone exactly when it is listed, doubtful or asleep.
        """
        phone = self.case.phone
        visible = {PhoneState.LISTED, PhoneState.DOUBTFUL, PhoneState.ASLEEP}
        assert (phone.state in visible) == bool(self.case.seen) == phone.isListed
        assert len(self.case.seen) <= 1
        trying = phone.state in {PhoneState.TRYING, PhoneState.DOUBTFUL}
        assert not self.case.reach.asked or trying
        assert len(self.case.reach.asked) <= 1

    def teardown(self) -> None:
        """
        Let go of it.
        """
        self.case.phone.stop()
        assert self.case.clock.getDelayedCalls() == []
        assert self.case.seen == []


class PhoneMachineTests(SynchronousTestCase):
    """
    L{WifiPhone} against anything.
    """

    def test_machine(self) -> None:
        """
        Whatever happens, clients see what is there, and nothing is left in the end.
        """
        run_state_machine_as_test(
            PhoneMachine, settings=settings(max_examples=examples(50), stateful_step_count=30)
        )
