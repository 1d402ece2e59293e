# -*- test-case-name: tests.testing.test_simulator -*-
"""
Tests of the program that a simulation runs, within this process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.phone.iphone import Phone
from muxd.phone.pluggedphone import PluggedPhone
from muxd.phone.source import SimulatedSource
from muxd.service import MuxService
from muxd.testing.simulator import (
    Conversation,
    NotedEndpoint,
    PhonePort,
    Simulator,
    addressFor,
    listeningPlace,
)

ECHO = 7


class PhonePortTests(SynchronousTestCase):
    """
    Tests of L{PhonePort}.
    """

    def setUp(self) -> None:
        """
        Listen on a port of a phone that has a service there.
        """
        self.phone = Phone(Clock())
        self.port = PhonePort(self.phone, ECHO)
        self.factory = Factory.forProtocol(Protocol)
        self.listening = self.successResultOf(self.port.listen(self.factory))

    def test_interfaces(self) -> None:
        """
        A port is an endpoint, and what listens there a port.
        """
        verifyObject(IStreamServerEndpoint, self.port)
        verifyObject(IListeningPort, self.listening)
        self.assertEqual(repr(self.port), f"port 7 of {self.phone.udid}")

    def test_listening(self) -> None:
        """
        While it listens, connections are the factory's; then nothing listens there.
        """
        self.assertIs(self.phone.services[ECHO], self.factory)
        self.listening.stopListening()
        self.assertNotIn(ECHO, self.phone.services)

    def test_replaced(self) -> None:
        """
        When it stops, what listens there instead goes on.
        """
        other = Factory.forProtocol(Protocol)
        self.successResultOf(PhonePort(self.phone, ECHO).listen(other))
        self.listening.stopListening()
        self.assertIs(self.phone.services[ECHO], other)


class Reactor(MemoryReactorClock):
    """
    A reactor without threads.
    """

    def callFromThread(self, call: Callable[[], object]) -> None:
        """
        There is but one.
        """
        call()


class SimulatorTests(SynchronousTestCase):
    """
    Tests of the commands that only a simulation has.
    """

    def setUp(self) -> None:
        """
        Make a simulator of a phone that is not plugged in.
        """
        self.reactor = Reactor()
        service = MuxService(self.reactor, sources=["simulated"])
        (source,) = service.sources
        assert isinstance(source, SimulatedSource)
        (self.phone,) = source.phones
        self.stopped: list[None] = []
        self.simulator = Simulator(
            self.reactor,
            service,
            [PluggedPhone(self.phone, source.bus)],
            lambda: self.stopped.append(None),
        )

    def do(self, line: str) -> object:
        """
        Carry out a command.
        """
        answer: object = self.simulator.console.execute(line)
        return answer

    def test_help(self) -> None:
        """
        They are among those that C{help} names, with those of every phone.
        """
        usages = self.do("help")
        assert isinstance(usages, list)
        for usage in ("plug [N]", "forward PORT ENDPOINT [N]", "allow PORT [N]", "quit"):
            self.assertIn(usage, usages)

    def test_quit(self) -> None:
        """
        C{quit} ends the simulation.
        """
        self.assertEqual(self.do("quit"), "ok")
        self.assertEqual(self.stopped, [None])

    def test_refuse(self) -> None:
        """
        A port refuses, then is silent, then does as it did at first.
        """
        faults = self.phone.faults
        self.assertEqual(self.do("refuse 7"), "ok")
        self.assertEqual((set(faults.refusals), faults.deaf), ({7}, set()))
        self.assertEqual(self.do("ignore 7 1"), "ok")
        self.assertEqual((set(faults.refusals), faults.deaf), (set(), {7}))
        self.assertEqual(self.do("allow 7"), "ok")
        self.assertEqual((set(faults.refusals), faults.deaf), (set(), set()))

    def test_forward(self) -> None:
        """
        Connections to a port lead to an endpoint, until something else is said of the
        port.
        """
        self.do("refuse 9000")
        self.assertEqual(self.do("forward 9000 tcp:127.0.0.1:1234"), "ok")
        self.assertEqual(self.phone.faults.refusals, {})
        protocol = self.phone.services[9000].buildProtocol(UNIXAddress(None))
        self.assertIsNotNone(protocol)
        self.do("allow 9000")
        self.assertNotIn(9000, self.phone.services)

    def test_nonsense(self) -> None:
        """
        What makes no sense is answered with what would.
        """
        for port in ("0", "65536", "x", "-1", "123456"):
            expected = {"error": f"expected a port from 1 to 65535, got {port!r}"}
            self.assertEqual(self.do(f"refuse {port}"), expected)
        answer = self.do("forward 7 nonsense:1")
        assert isinstance(answer, dict)
        self.assertIn("cannot connect to 'nonsense:1'", answer["error"])
        self.assertEqual(self.do("forward 7"), {"error": "expected: forward PORT ENDPOINT [N]"})

    def test_stats(self) -> None:
        """
        What is known of a phone that has not been plugged in; there is no count of
        transfers, which only a bus elsewhere has.
        """
        stats = self.do("stats")
        assert isinstance(stats, dict)
        self.assertEqual((stats["plugged"], stats["attached"]), (False, False))
        self.assertNotIn("usb", stats)

    def test_plug(self) -> None:
        """
        A phone is plugged in once and pulled out at any time.
        """
        self.assertEqual(self.do("plug"), "ok")
        self.assertEqual(self.do("plug"), {"error": "it is plugged in already"})
        self.assertEqual(self.do("unplug -71"), "ok")
        self.assertEqual(self.do("unplug"), "ok")


class ConversationTests(SynchronousTestCase):
    """
    Tests of L{Conversation}.
    """

    def test_lines(self) -> None:
        """
        Each line is carried out in the reactor's thread, in order, and answered; the
        end comes last.
        """
        calls: list[object] = []

        class Threaded:
            def callFromThread(self, call: object) -> None:
                calls.append(call)

        sink = BytesIO()
        conversation = Conversation(Threaded(), BytesIO(b"one\ntw\xff\n"), sink)
        ended: list[None] = []
        conversation._read(lambda text: [text], lambda: ended.append(None))
        self.assertEqual((sink.getvalue(), len(calls)), (b"", 3))
        for call in calls:
            self.assertEqual(ended, [])
            assert callable(call)
            call()
        answers = [json.loads(line) for line in sink.getvalue().splitlines()]
        self.assertEqual(answers, [["one\n"], ["tw\ufffd\n"]])
        self.assertEqual(ended, [None])

    def test_goodbye(self) -> None:
        """
        What ends after a goodbye has not been killed; there is no answer to that.
        """
        for said, isDismissed in ((b"one\ngoodbye\n", True), (b"one\n", False), (b"", False)):
            calls: list[object] = []
            reactor = SimpleNamespace(callFromThread=calls.append)
            conversation = Conversation(reactor, BytesIO(said), BytesIO())
            conversation._read(str, lambda: None)
            self.assertEqual(conversation.isDismissed, isDismissed)
            self.assertEqual(len(calls), 1 + said.startswith(b"one"))

    def test_unread(self) -> None:
        """
        Nothing happens if nothing reads the answers any more.
        """

        class Closed(BytesIO):
            def flush(self) -> None:
                raise BrokenPipeError

        Conversation(None, BytesIO(), Closed()).say("ok")


class PlaceTests(SynchronousTestCase):
    """
    Tests of where a simulation's daemon listens.
    """

    def test_unix(self) -> None:
        """
        A UNIX socket that only this user can reach.
        """
        reactor = MemoryReactorClock()
        place = listeningPlace(reactor, "/tmp/directory", isWindows=False)
        verifyObject(IStreamServerEndpoint, place)
        self.successResultOf(place.listen(Factory()))
        ((path, _, _, mode, _),) = reactor.unixServers
        self.assertEqual((path, mode), (str(Path("/tmp/directory/s")), 0o600))
        self.assertEqual(addressFor(place.port), "UNIX:/tmp/directory/s")

    def test_windows(self) -> None:
        """
        A port of this machine, where there are no UNIX sockets.
        """
        reactor = MemoryReactorClock()
        place = listeningPlace(reactor, "C:\\directory", isWindows=True)
        self.assertIsInstance(place, NotedEndpoint)
        self.successResultOf(place.listen(Factory()))
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual((port, interface), (0, "127.0.0.1"))
        self.assertIsInstance(place.port.getHost(), IPv4Address)
        # This reactor's ports have all the same address.
        self.assertEqual(addressFor(place.port), "0.0.0.0:0")
