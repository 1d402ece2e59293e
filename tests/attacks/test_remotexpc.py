# -*- test-case-name: tests.attacks.test_remotexpc -*-
"""
A phone that asks for answers in a tunnel, and takes none: they waited without bound, for as long
as the tunnel was there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.limits import LIMITS
from tests.tunnel.ends import Ends

try:
    from hyperframe.frame import DataFrame, Frame, PingFrame, SettingsFrame

    from muxd.tunnel.remotexpc import ROOT
    from muxd.tunnel.rsdclient import RSDClient
except ImportError as missing:
    raise SkipTest(f"these tests need the extra tunnel: {missing}") from missing

FLOODS: tuple[Callable[[], Frame], ...] = (
    lambda: PingFrame(0, opaque_data=b"12345678"),
    lambda: SettingsFrame(0),
    lambda: DataFrame(ROOT, b"", pad_length=0, flags=["PADDED"]),
    lambda: DataFrame(ROOT + 4, b"x"),
)
"""Each of a few bytes that are answered."""

FEW = replace(LIMITS, tunnelWindow=4096, tunnelInFlight=4096, tunnelSendBuffer=1024)

SENT = 50_000
"""Bytes that the phone would send of each."""

MOST = FEW.tunnelSendBuffer + 4 * FEW.tunnelWindow
"""Bytes of answers: what may wait, and those to what had come by then."""


class UnreadAnswersTests(SynchronousTestCase):
    """
    The host's end of RSD.
    """

    def test_bounded(self) -> None:
        """
        When a phone does not read its answers, it is not read from.
        """
        for make in FLOODS:
            ends = Ends(limits=FEW)
            host, phone = ends.connect(lambda: RSDClient(UUID(int=1)))
            phone.wire.pauseProducing()
            flood = make().serialize()
            phone.wire.write(flood * (SENT // len(flood)))
            ends.run(10)
            waiting = host.transport.connection.buffer.size
            self.assertGreater(waiting, 0)
            self.assertLess(waiting, MOST)

    def test_goesOn(self) -> None:
        """
        When it reads them all the same, all is answered.
        """
        ends = Ends(limits=FEW)
        _, phone = ends.connect(lambda: RSDClient(UUID(int=1)))
        phone.wire.pauseProducing()
        ends.run()
        flood = PingFrame(0, opaque_data=b"12345678").serialize()
        phone.wire.write(flood * (SENT // len(flood)))
        ends.run(10)
        phone.wire.resumeProducing()
        ends.run(600, lambda: phone.heard.count(b"12345678") >= SENT // len(flood))
        self.assertEqual(phone.heard.count(b"12345678"), SENT // len(flood))
