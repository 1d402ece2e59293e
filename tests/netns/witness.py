# -*- test-case-name: tests.netns.test_history -*-
"""
What a phone of these tests has seen: its echo service writes into its host's log which job's
bytes have come.

A host is run by L{HOST}, in which simulated phones have this one in place of their own.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

HOST = """\
from twisted.protocols import wire
from tests.netns.witness import Witness
wire.Echo = Witness
from twisted.scripts.twistd import run
run()
"""
"""A C{twistd}."""


class Witness(LineOnlyReceiver):
    """
    Says the same back, a line at a time: the UDID of the phone, the job, and a number.
    """

    _log = Logger()
    delimiter = b"\n"
    MAX_LENGTH = 256

    def lineReceived(self, line: bytes) -> None:
        """
        A job has said something.
        """
        udid, job, number = line.decode().split()
        self._log.info(
            "{udid} has got number {number} of {job}", udid=udid, job=job, number=int(number)
        )
        self.sendLine(line)
