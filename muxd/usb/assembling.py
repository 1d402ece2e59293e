# -*- test-case-name: tests.usb.test_assembling -*-
"""
How an engine's reads become packets, and what is told of those that do not.
"""

from __future__ import annotations

from twisted.logger import Logger

from muxd.wire.assembly import PacketAssembler


def assemblerFor(udid: str, log: Logger) -> PacketAssembler:
    """
    An assembler for what one phone sends.

    What is no packet is told once, as a warning, and then only to those who look
    for a fault: a phone that sends garbage sends much of it.

    @param log: The link's.
    """

    def dropped(count: int, reason: str) -> None:
        tell = log.warn if assembler.drops == 1 else log.debug
        tell(
            "dropped {count} bytes from {udid} that are no packet: {reason}",
            count=count,
            udid=udid,
            reason=reason,
        )

    assembler = PacketAssembler(dropped)
    return assembler
