# -*- test-case-name: tests.netns.test_history -*-
"""
What a phone of these tests has seen: its echo service writes into its host's log which job's
bytes have come; and how often its host was told that it is a job's.

A host is run by L{HOST}, in which simulated phones have this echo in place of their own.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from muxd.fleet.gate import Gate

HOST = """\
from twisted.protocols import wire
from tests.netns.witness import Witness, noteGrants
wire.Echo = Witness
noteGrants()
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


def noteGrants() -> None:
    """
    Have it written down whenever a phone is a job's for a whole term from then on, which is so
    when its reservation begins, and with each renewal.
    """
    log, grant = Logger(), Gate.grant

    def noted(self: Gate, token: int, secret: str, udid: str, user: str, term: float) -> bool:
        does = grant(self, token, secret, udid, user, term)
        if does:
            log.info("{phone} is {holder}'s for a term", phone=udid, holder=user)
        return does

    Gate.grant = noted  # type: ignore[method-assign]
