"""
Tests of the flow control of L{muxd.phone.mux.session}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols.wire import Chargen, Echo
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.mux.flow import SEND_BUFFER, Outbox
from muxd.phone.services.inet import ServiceFactory
from muxd.testing.packets import Segment
from muxd.wire.mux import Flags
from muxd.wire.sequence import MASK
from tests.phone.mux.host import ManualHost, ManualSession
from tests.running.properties import examples


class OutboxTests(SynchronousTestCase):
    """
    Tests of L{Outbox}.
    """

    @settings(deadline=None, max_examples=examples(100))
    @given(st.lists(st.one_of(st.binary(max_size=20), st.integers(0, 15)), max_size=40))
    def test_likeBytes(self, steps: list[bytes | int]) -> None:
        """
        It is a queue of bytes, whatever the pieces.
        """
        outbox, model = Outbox(), b""
        for step in steps:
            if isinstance(step, bytes):
                outbox.append(step)
                model += step
            else:
                self.assertEqual(outbox.take(step), model[:step])
                model = model[step:]
            self.assertEqual(len(outbox), len(model))
        outbox.clear()
        self.assertEqual((len(outbox), outbox.take(5)), (0, b""))


class FlowTests(SynchronousTestCase):
    """
    Flow control, whatever the order of things.
    """

    @settings(deadline=None, max_examples=examples(60))
    @given(
        st.lists(
            st.one_of(
                st.integers(1, 3000).map(lambda n: ("send", n)),
                st.sampled_from([("poll", 0), ("acknowledge", 0), ("tick", 0), ("room", 0)]),
            ),
            max_size=60,
        ),
        st.sampled_from([256, 1024, 4096]),
        st.sampled_from([256, 2048]),
        st.integers(0, MASK),
    )
    def test_echo(
        self, steps: list[tuple[str, int]], hostWindow: int, window: int, start: int
    ) -> None:
        """
        An echo gives back every byte in order, the phone never sends more than
        the host's window, never finds a fault in a host that keeps to its own,
        and buffers no more than a window each way; also where the sequence
        numbers wrap.
        """
        host = ManualHost({7: ServiceFactory(Echo)}, window=window, packetSize=500).handshake()
        session = ManualSession(host, 1, 7, hostWindow)
        session.seq = start
        session.send(Flags.SYN)
        session.seq = (start + 1) & MASK
        session.acknowledged = session.seq
        (answer,) = host.segments()
        session.ack = (answer.seq + 1) & MASK
        session.send()
        sent = b""
        told = session.ack
        pattern = bytes(range(251)) * 12
        for step, number in [*steps, *[("poll", 0), ("room", 1), ("acknowledge", 0)] * 400]:
            if step == "send":
                room = window - ((session.seq - session.acknowledged) & MASK)
                payload = pattern[: min(number, room)]
                if payload:
                    session.send(payload=payload)
                    told = session.ack
                    sent += payload
            elif step == "poll":
                session.poll()
            elif step == "acknowledge":
                session.send()
                told = session.ack
            elif step == "tick":
                host.clock.advance(0)
            else:
                host.room = bool(number) or not host.room
                if host.room:
                    host.muxer.roomAvailable()
            phone = host.muxer.sessions[1, 7]
            self.assertLessEqual((phone._outgoing.sequence - told) & MASK, hostWindow)
            self.assertLessEqual(len(phone._inflow), window)
            self.assertLessEqual(len(phone._outflow), SEND_BUFFER + window)
        self.assertEqual(session.received, sent)
        self.assertEqual(host.violations, [])

    @settings(deadline=None, max_examples=examples(20))
    @given(st.lists(st.booleans(), max_size=30))
    def test_chargen(self, reads: list[bool]) -> None:
        """
        A service that writes for ever stops at the window, and goes on in its
        pattern when the host reads.
        """
        host = ManualHost({19: ServiceFactory(Chargen)}).handshake()
        session = host.connect(19, window=2048)
        for read in [*reads, True]:
            host.clock.advance(0)
            before = len(session.received)
            session.poll()
            self.assertLessEqual(len(session.received) - before, 2048)
            if read:
                session.send()
        noise = Chargen.noise
        expected = noise * (len(session.received) // len(noise) + 1)
        self.assertEqual(session.received, expected[: len(session.received)])
        self.assertLess(len(host.muxer.sessions[1, 19]._outflow), SEND_BUFFER + 2 * len(noise))
        self.assertEqual(host.violations, [])

    def test_segmentsNeverTooLarge(self) -> None:
        """
        The size of the phone's packets can be chosen.
        """
        host = ManualHost({7: ServiceFactory(Echo)}, mux=1, packetSize=100).handshake()
        session = host.connect(7)
        session.send(payload=bytes(1000))
        self.assertEqual(max(map(len, host.raw)), 100)
        first = Segment.decode(host.raw[0][8:])
        self.assertEqual(len(first.payload), 72)
