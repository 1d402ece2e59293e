"""
Tests of L{muxd.phone.console} and L{muxd.phone.pluggedphone}.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost

from muxd.limits import LIMITS
from muxd.phone.bus.descriptors import OLD_SERIAL
from muxd.phone.console import HELP, VERBS, Console, ConsoleFactory
from muxd.phone.iphone import FAREWELL, Phone
from muxd.phone.lockdown.trust import Owner
from muxd.phone.pluggedphone import PluggedPhone
from muxd.testing import BudgetTransport, FakeAddress
from muxd.testing.packets import Segment
from muxd.usbip.commands import Errno
from muxd.wire.mux import Flags, MuxProtocol
from tests.phone.usbip.onusbip import MuxHost, UsbipTestCase
from tests.running.properties import examples


class ConsoleTestCase(UsbipTestCase):
    """
    Two phones, and a program that gives commands.
    """

    def setUp(self) -> None:
        """
        The first phone is plugged in.
        """
        super().setUp()
        self.second = Phone(self.clock, serial=OLD_SERIAL, owner=Owner.ASK)
        self.addCleanup(self.second.stop)
        self.quits = 0
        stations = [PluggedPhone(phone, self.exports) for phone in (self.phone, self.second)]
        console = Console(stations, self.quit)
        limits = replace(LIMITS, controlLine=100, controlConnections=3)
        self.consoles = ConsoleFactory(console, limits, self.clock)
        self.transport = BudgetTransport.connect(self.clock, self.consoles)

    def quit(self) -> None:
        """
        Count it.
        """
        self.quits += 1

    def ask(self, line: str) -> Any:
        """
        Give a command.
        """
        self.transport.deliver(line.encode() + b"\n")
        self.clock.turn()
        return self.answer()

    def answer(self) -> Any:
        """
        The only answer.
        """
        (line,) = self.transport.value().splitlines(keepends=True)
        self.assertEqual(line[-1:], b"\n")
        return json.loads(line)


class LanguageTests(ConsoleTestCase):
    """
    What is understood.
    """

    def test_help(self) -> None:
        """
        Help names every command.
        """
        self.assertEqual(self.ask("help"), list(HELP))
        self.assertEqual(
            {usage.split()[0] for usage in HELP} - set(VERBS), {"help", "quit", "sleep"}
        )
        self.assertIn("unplug [N] [-71|-19|-5]", HELP)
        self.assertIn("raw HEX [N] [open]", HELP)

    def test_quit(self) -> None:
        """
        The answer comes before the end.
        """
        self.assertEqual(self.ask("quit"), "ok")
        self.assertEqual(self.quits, 1)

    def test_wrong(self) -> None:
        """
        What makes no sense is answered by what was expected, and does nothing.
        """
        for line, expected in (
            ("", "no such command: ''; help lists all"),
            ("dance", "no such command: 'dance'; help lists all"),
            ("help me", "no such command: 'help me'; help lists all"),
            ("stats 3", "there is no phone 3; the last is 2"),
            ("stats 0", "'0' makes no sense there; expected: stats [N]"),
            ("stats 1 2", "'2' makes no sense there; expected: stats [N]"),
            ("stats -71", "'-71' makes no sense there; expected: stats [N]"),
            ("halt up", "'up' makes no sense there; expected: halt [N] [in|out]"),
            ("halt in out", "'out' makes no sense there; expected: halt [N] [in|out]"),
            ("unplug -1", "'-1' makes no sense there; expected: unplug [N] [-71|-19|-5]"),
            ("unplug ²", "'²' makes no sense there; expected: unplug [N] [-71|-19|-5]"),
            ("raw", "expected: raw HEX [N] [open]"),
            ("raw xyz 1", "expected bytes in hexadecimal, such as raw 0001ff"),
            ("fill many 1", "expected a number of bytes, at most 16777216"),
            ("fill 16777217", "expected a number of bytes, at most 16777216"),
        ):
            self.assertEqual(self.ask(line), {"error": expected}, line)
        self.assertEqual(self.quits, 0)
        self.assertIsNotNone(self.exports.find("1-1"))

    def test_order(self) -> None:
        """
        Several commands at once are answered in their order, and lines may end as on
        Windows.
        """
        self.transport.deliver(b"plug 2\r\nplug 2\nunplug 2\nnonsense\n")
        answers = [json.loads(line) for line in self.transport.value().splitlines()]
        self.assertEqual(answers[0], "1-2")
        self.assertEqual(answers[1], {"error": "it is plugged in already"})
        self.assertEqual(answers[2], "ok")
        self.assertIn("error", answers[3])

    def test_json(self) -> None:
        """
        A command may be JSON, and its answer then repeats what it was asked under.
        """
        line = json.dumps({"command": "plug", "phone": 2, "id": [7]})
        self.assertEqual(self.ask(line), {"id": [7], "answer": "1-2"})
        line = json.dumps({"command": "unplug", "phone": self.second.udid, "arguments": [-71]})
        self.assertEqual(self.ask(line), {"answer": "ok"})
        for wrong in (
            "{",
            "{}",
            '{"command": 1.5}',
            '{"command": "plug", "who": 1}',
            '{"command": "plug", "arguments": 7}',
            '{"command": "plug", "phone": true}',
        ):
            self.assertIn("error", self.ask(wrong)["answer"])

    def test_byUDID(self) -> None:
        """
        A phone may be named by its UDID, anywhere behind the command.
        """
        self.assertEqual(self.ask(f"plug {self.second.udid}"), "1-2")
        self.assertEqual(self.ask(f"halt {self.phone.udid} in")["error"][:9], "the phone")
        answer = self.ask(f"stats {self.second.udid} 1")
        self.assertIn("expected one phone", answer["error"])

    def test_sleep(self) -> None:
        """
        What comes behind a sleep waits for its end, and so does the end of the connection.
        """
        self.transport.deliver(b"sleep 5\nhelp\nsleep 2\nstats 3\n")
        self.transport.finish()
        self.clock.advance(4)
        self.assertEqual(self.transport.value(), b"")
        self.clock.advance(1)
        self.assertEqual(len(self.transport.value().splitlines()), 2)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(2)
        self.assertEqual(len(self.transport.value().splitlines()), 2)
        self.clock.turn()
        self.assertTrue(self.transport.disconnected)

    def test_sleepForWhat(self) -> None:
        """
        How long is said in seconds.
        """
        for line in ("sleep", "sleep long", "sleep -1", "sleep nan", "sleep 1 2", "sleep 1e9"):
            self.assertIn("expected: sleep SECONDS", self.ask(line)["error"])

    def test_leftAsleep(self) -> None:
        """
        A program that goes meanwhile leaves nothing behind.
        """
        self.transport.deliver(b"sleep 5\nhelp\n")
        self.transport.lose(ConnectionLost())
        self.clock.advance(5)
        self.assertEqual(self.transport.value(), b"")

    def test_noQuit(self) -> None:
        """
        Where the end is not for programs to say, it is no command.
        """
        console = Console([], None)
        self.assertIn("no such command", console.execute("quit")["error"])
        self.assertNotIn("quit", console.execute("help"))

    def test_longLine(self) -> None:
        """
        A line that does not end is the end.
        """
        self.transport.deliver(b"x" * 200)
        self.assertEqual(self.answer(), {"error": "a line has at most 100 bytes"})
        self.clock.turn()
        self.assertTrue(self.transport.disconnected)

    def test_halfClosed(self) -> None:
        """
        A program that has finished sending, as C{echo help | nc -NU} does, is answered,
        however late it reads, and then the connection is closed.
        """
        self.transport.budget = 0
        self.transport.deliver(b"help\nstats 3\n")
        self.transport.finish()
        self.clock.turn()
        self.assertFalse(self.transport.disconnected)
        answers = self.transport.take().splitlines()
        self.assertEqual(json.loads(answers[0]), list(HELP))
        self.assertEqual(len(answers), 2)
        self.clock.turn()
        self.assertTrue(self.transport.disconnected)

    def test_unendedLine(self) -> None:
        """
        The end of the input ends a line, if something is on it.
        """
        self.transport.deliver(b"help")
        self.transport.finish()
        self.assertEqual(self.answer(), list(HELP))
        self.clock.turn()
        self.assertTrue(self.transport.disconnected)
        transport = BudgetTransport.connect(self.clock, self.consoles)
        transport.deliver(b"help\n")
        transport.finish()
        self.assertEqual(len(transport.value().splitlines()), 1)

    def test_halfClosedAfterQuarrel(self) -> None:
        """
        A line that was too long is not looked at again when the input ends.
        """
        self.transport.deliver(b"x" * 200)
        self.transport.finish()
        self.assertIn("error", self.answer())

    def test_connections(self) -> None:
        """
        There is a limit to connections; one that is closed counts no more.
        """
        others = [BudgetTransport.connect(self.clock, self.consoles) for _ in range(2)]
        self.assertIdentical(self.consoles.buildProtocol(FakeAddress()), None)
        others[0].lose(ConnectionLost())
        self.assertIsNotNone(self.consoles.buildProtocol(FakeAddress()))

    def test_stop(self) -> None:
        """
        Stopping closes the connections, once their answers were read.
        """
        self.transport.budget = 0
        self.transport.deliver(b"help\n")
        stopped = self.consoles.stop()
        self.clock.turn()
        self.assertNoResult(stopped)
        self.assertEqual(json.loads(self.transport.take()), list(HELP))
        self.clock.turn()
        self.successResultOf(stopped)

    @settings(deadline=None, max_examples=examples(150))
    @given(
        st.one_of(
            st.binary(max_size=90),
            st.lists(
                st.sampled_from(
                    [*VERBS, "1", "2", "-71", "-19", "0", "open", "in", "ff", "99999", "é"]
                ),
                max_size=5,
            ).map(lambda words: " ".join(words).encode()),
        )
    )
    def test_anything(self, line: bytes) -> None:
        """
        Each line has one line of JSON for an answer, and nothing is logged as a
        failure.
        """
        self.transport.deliver(line.replace(b"\n", b" ") + b"\n")
        self.clock.turn()
        self.answer()
        self.assertEqual([e for e in self.log if "log_failure" in e], [])


class StationTests(ConsoleTestCase):
    """
    What is done.
    """

    def test_stats(self) -> None:
        """
        All that is to be known of a phone is there; of all phones, in a list.
        """
        first, second = self.ask("stats")
        self.assertEqual(self.ask("stats 1"), first)
        self.assertEqual(
            set(first),
            {
                *("udid", "serial", "mode", "plugged", "attached", "config", "violations"),
                *("locked", "recovery", "faults", "dialog", "conns", "usb", "max_in_urbs", "mux"),
            },
        )
        self.assertEqual((first["plugged"], first["attached"]), (True, False))
        self.assertEqual((second["serial"], second["udid"]), (OLD_SERIAL, OLD_SERIAL))
        self.assertEqual(
            (second["plugged"], second["config"], second["violations"]), (False, 0, [])
        )

    def test_owner(self) -> None:
        """
        What its owner does with a phone: lock it, restart it.
        """
        self.assertEqual(self.ask("lock 2"), "ok")
        self.assertTrue(self.ask("stats 2")["locked"])
        self.assertEqual(self.ask("unlock 2"), "ok")
        self.assertFalse(self.ask("stats 2")["locked"])
        self.assertIs(self.second.trust.owner, Owner.ASK)
        self.phone.restart(recovery=True)
        self.clock.advance(FAREWELL)
        self.assertTrue(self.ask("stats 1")["recovery"])
        self.assertEqual(self.ask("reboot 1"), "ok")
        self.clock.advance(FAREWELL)
        self.assertFalse(self.ask("stats 1")["recovery"])

    def test_faults(self) -> None:
        """
        What goes wrong on a cable can be changed.
        """
        self.assertEqual(self.ask("faults stall@in3,seed=7 2"), "ok")
        self.assertEqual(len(self.second.faultMachine.plan.faults), 1)
        self.assertEqual(self.ask("faults off 2"), "ok")
        self.assertEqual(self.second.faultMachine.plan.faults, ())
        self.assertIn("error", self.ask("faults everything 2"))

    def test_traffic(self) -> None:
        """
        They count what a host does, and name what it does wrong.
        """
        connected = self.configured()
        MuxHost(connected).handshake()
        connected.host.write(b"x" * 9)
        connected.host.write(b"")
        connected.turn()
        stats = self.ask("stats 1")
        self.assertEqual((stats["attached"], stats["config"], stats["mode"]), (True, 4, 1))
        self.assertEqual(
            stats["usb"],
            {"out_urbs": 4, "out_zlp": 1, "in_urbs": 1, "unlinks": 0, "stalls": 0, "ctrl": 1},
        )
        self.assertEqual(
            stats["mux"],
            {"version": 2, "handshakes": 1, "in": 4, "out": 1, "max_in": 20, "pure_acks": 0},
        )
        self.assertEqual(len(stats["violations"]), 2)

    def test_plugging(self) -> None:
        """
        Phones can be plugged in, pulled out with and without an error, and both.
        """
        self.assertEqual(self.ask("plug"), [{"error": "it is plugged in already"}, "1-2"])
        connected = self.configured()
        read = connected.host.read()
        self.assertEqual(self.ask("unplug -71 1"), "ok")
        self.assertEqual(connected.result(read).status, -Errno.EPROTO)
        self.assertEqual(self.ask("unplug"), ["ok", "ok"])
        self.assertEqual(self.ask("replug"), ["1-1", "1-2"])
        self.assertEqual(self.ask("replug 2"), "1-2")
        self.assertEqual(len(self.exports.devices()), 2)

    def test_detach(self) -> None:
        """
        There is no kernel here that could detach a phone.
        """
        self.assertEqual(
            self.ask("detach 1"), {"error": "only a kernel's vhci_hcd can detach a phone"}
        )

    def test_halt(self) -> None:
        """
        Endpoints are stalled until they are cleared.
        """
        connected = self.configured()
        self.assertEqual(self.ask("halt 1"), "ok")
        self.assertEqual(connected.result(connected.host.read()).status, -Errno.EPIPE)
        self.assertEqual(connected.result(connected.host.write(b"")).status, 0)
        self.assertEqual(self.ask("halt out 1"), "ok")
        self.assertEqual(connected.result(connected.host.write(b"")).status, -Errno.EPIPE)
        self.assertEqual(self.ask("clear 1"), "ok")
        self.assertEqual(connected.result(connected.host.write(b"")).status, 0)
        self.assertIdentical(connected.returned(connected.host.read()), None)

    def test_hold(self) -> None:
        """
        A held phone takes nothing until it is released.
        """
        connected = self.configured()
        self.assertEqual(self.ask("hold 1"), "ok")
        written = connected.host.write(b"x")
        self.assertIdentical(connected.returned(written), None)
        self.assertEqual(self.ask("release 1"), "ok")
        self.assertEqual(connected.result(written).status, 0)

    def test_raw(self) -> None:
        """
        Any bytes can be sent, as one message or without an end.
        """
        connected = self.configured()
        self.assertEqual(self.ask("raw 0001ff 1"), "ok")
        self.assertEqual(connected.read(), bytes.fromhex("0001ff"))
        self.assertEqual(self.ask("fill 600 open 1"), "ok")
        read = connected.host.read()
        self.assertIdentical(connected.returned(read), None)
        self.assertEqual(self.ask("fill 100 1"), "ok")
        reply = connected.result(read)
        self.assertEqual((reply.actual, reply.data[:4]), (700, b' !"#'))

    def test_notAttached(self) -> None:
        """
        What needs a host's bus is refused without one, and what needs endpoints
        without a configuration.
        """
        for line in ("halt 2", "clear 2", "hold 2", "release 2", "raw 00 2", "fill 1 2"):
            self.assertEqual(self.ask(line), {"error": "the phone is on no host's bus"})
        self.importPhone()
        for line in ("halt 1", "clear 1"):
            self.assertEqual(
                self.ask(line),
                {"error": "the phone is not configured: it has no such endpoint"},
            )

    def test_reset(self) -> None:
        """
        Sessions can be reset by the phone.
        """
        mux = MuxHost(self.configured())
        mux.handshake()
        mux.send(MuxProtocol.TCP, Segment(1, 7, 0, 0, Flags.SYN, 131072).encode())
        mux.receive()
        self.assertEqual(self.ask("stats 1")["conns"], 1)
        self.assertEqual(self.ask("reset 1"), "ok")
        self.assertTrue(Segment.decode(mux.receive().body).flags & Flags.RST)
        self.assertEqual(self.ask("stats 1")["conns"], 0)

    def test_trust(self) -> None:
        """
        The Trust dialog can be answered.
        """
        answered: list[str] = []
        self.second.trust.accept = lambda: answered.append("accept")  # type: ignore[method-assign]  # to see it
        self.second.trust.deny = lambda: answered.append("deny")  # type: ignore[method-assign]  # to see it
        self.assertEqual([self.ask("trust 2"), self.ask("deny 2")], ["ok", "ok"])
        self.assertEqual(answered, ["accept", "deny"])
