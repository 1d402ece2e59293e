"""
Tests of L{muxd.muxctl.phoneerrors}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import TimeoutError as ConnectionTimeout
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import errors
from muxd.lockdown.errors import LockdownUnavailable, refusal
from muxd.muxctl.phoneerrors import statusOfPhone, textOfPhone


class PhoneErrorTests(SynchronousTestCase):
    """
    L{statusOfPhone} and L{textOfPhone}.
    """

    def test_refused(self) -> None:
        """
        A phone that does not trust this host, is locked or has no tunnel has refused; other
        answers are failures.
        """
        for code, status in (
            ("InvalidHostID", 1),
            ("PasswordProtected", 1),
            ("PairingDialogResponsePending", 1),
            ("UserDeniedPairing", 1),
            ("InvalidService", 1),
            ("Odd", 5),
        ):
            self.assertEqual(statusOfPhone(refusal("StartSession", code)), status, code)
        self.assertEqual(statusOfPhone(LockdownUnavailable("it is silent")), 5)

    def test_daemon(self) -> None:
        """
        A daemon's errors have the statuses that they have without a reactor.
        """
        self.assertEqual(statusOfPhone(errors.NoDaemon("here", "why")), 3)
        self.assertEqual(statusOfPhone(errors.DaemonLost("here", "events")), 5)
        self.assertEqual(statusOfPhone(errors.PortRefused("U", 22)), 1)

    def test_time(self) -> None:
        """
        Too long is a time-out, told with the time and with what was being done.
        """
        clock = Clock()
        waiting: Deferred[None] = Deferred()
        waiting.addTimeout(2.5, clock)
        clock.advance(3)
        error = self.failureResultOf(waiting, TimeoutError).value
        self.assertEqual(statusOfPhone(error), 4)
        self.assertEqual(textOfPhone(error, "asking"), "time-out after 2.5 s while asking")
        self.assertEqual(statusOfPhone(ConnectionTimeout()), 4)

    def test_silent(self) -> None:
        """
        An error without a text is told by its name.
        """
        self.assertEqual(textOfPhone(ValueError(), "asking"), "ValueError")
