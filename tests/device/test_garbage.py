"""
Whatever a phone sends to a muxer: nothing raises, nothing grows, and sessions
that it has nothing to do with go on.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.device.links import PhoneSide, ScriptedPhone
from tests.running.properties import examples

numbers = st.one_of(st.integers(0, 300), st.integers(2**32 - 300, 2**32 - 1))
segments = st.tuples(
    st.integers(1, 3),
    numbers,
    numbers,
    st.one_of(st.just(0x10), st.integers(0, 255)),
    st.binary(max_size=300),
    st.integers(0, 65535),
)
packets = st.tuples(st.integers(0, 8), st.binary(max_size=60))
actions = st.sampled_from(["pause", "resume", "write", "room", "no room", "time"])


class GarbageTests(SynchronousTestCase):
    """
    Segments with any numbers, packets of any kind, in any order.
    """

    def act(self, side: PhoneSide, action: str) -> None:
        """
        Let the host's side do something.
        """
        session, link = side.session, side.phone.link
        if action == "pause":
            session.pauseProducing()
        elif action == "resume":
            session.resumeProducing()
        elif action == "write":
            session.write(b"x" * 1000)
        elif action == "time":
            side.phone.clock.advance(0.03)
        elif action == "room":
            link.makeRoom()
        else:
            link.room = 0

    @given(st.sampled_from((1, 2)), st.lists(st.one_of(segments, packets, actions), max_size=80))
    @settings(deadline=None, max_examples=examples(100))
    def test_anything(
        self,
        version: int,
        script: list[tuple[int, int, int, int, bytes, int] | tuple[int, bytes] | str],
    ) -> None:
        """
        The innocent session gets its bytes, each once and in order; the other
        holds no more than its window; strays wait for room only in part.
        """
        phone = ScriptedPhone.ready(version, receiveWindow=512, controlQueue=4)
        innocent, victim = phone.open(port=22), phone.open(port=1)
        for number, step in enumerate(script):
            if isinstance(step, str):
                self.act(victim, step)
            elif len(step) == 2:
                phone.deliver(phone.packet(*step))
            else:
                port, seq, ack, flags, payload, window = step
                phone.deliver(
                    phone.segment(port, victim.hostPort, seq, ack, flags, payload, window << 8)
                )
            held = victim.session._held or ()
            self.assertLessEqual(sum(map(len, held)), 512)
            self.assertLessEqual(phone.muxer.outbound.backlog, 5)
            innocent.say(b"%d," % number)
            phone.clock.advance(0)
        phone.link.makeRoom()
        expected = b"".join(b"%d," % number for number in range(len(script)))
        self.assertEqual(innocent.recorder.data[: len(expected)], expected)
        self.assertEqual(innocent.recorder.lost, [])
        phone.muxer.stop()
        phone.clock.advance(60)
        self.assertEqual(phone.clock.getDelayedCalls(), [])
        self.assertEqual(len(innocent.recorder.lost), 1)
        self.assertEqual(len(victim.recorder.lost), 1)
