# -*- test-case-name: tests.net.test_tlsreasons -*-
"""
Tests of L{muxd.net.tlsreasons}.
"""

from __future__ import annotations

import ssl

from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.net.tlsreasons import tlsReason

try:
    from OpenSSL import SSL
    from service_identity import VerificationError
except ImportError:
    SSL = None  # type: ignore[assignment]


class ReasonTests(SynchronousTestCase):
    """
    Tests of L{tlsReason}.
    """

    def test_alerts(self) -> None:
        """
        What the other side has said is told in our words, by whichever library.
        """
        if SSL is None:
            raise SkipTest("pyOpenSSL is not installed")
        for said, reason in (
            ("sslv3 alert certificate expired", "our certificate has expired"),
            ("ssl/tls alert certificate revoked", "our certificate was revoked"),
            ("tlsv1 alert unknown ca", "another authority"),
            ("tlsv13 alert certificate required", "we have shown none"),
            ("certificate verify failed", "its certificate is not believed"),
            ("wrong version number", "TLS failed: "),
        ):
            self.assertIn(reason, tlsReason(SSL.Error([("SSL routines", "", said)])), said)
            python = ssl.SSLError(1, f"[SSL: {said.upper().replace(' ', '_')}] {said} (_ssl.c:1)")
            self.assertIn(reason, tlsReason(python), said)

    def test_name(self) -> None:
        """
        A server with another name is said to be one.
        """
        if SSL is None:
            raise SkipTest("pyOpenSSL is not installed")
        self.assertIn("server=", tlsReason(VerificationError(errors=[])))

    def test_others(self) -> None:
        """
        What has nothing to do with TLS is nothing.
        """
        for error in (None, ConnectionDone(), OSError(1, "x")):
            self.assertEqual(tlsReason(error), "")
