# -*- test-case-name: tests.tap.test_forwards -*-
"""
Tests of L{muxd.tap.forwards}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.forwards import (
    EachForward,
    Forward,
    ServiceForward,
    eachForward,
    forwards,
    serviceForward,
)


class ForwardsTests(SynchronousTestCase):
    """
    Tests of L{forwards}.
    """

    def test_single(self) -> None:
        """
        One port of the phone, the same of this machine unless it is said otherwise.
        """
        for word, expected in (
            ("22", Forward(22, 22)),
            ("22:2222", Forward(22, 2222)),
            ("22:0", Forward(22, 0)),
            ("65535:1", Forward(65535, 1)),
        ):
            self.assertEqual(forwards(word), [expected])

    def test_ranges(self) -> None:
        """
        Two ranges belong together one by one, several local ports may lead to one of the
        phone's, and each of several of the phone's may have any.
        """
        for word, expected in (
            ("7:9000-9002", [(7, 9000), (7, 9001), (7, 9002)]),
            ("60-62", [(60, 60), (61, 61), (62, 62)]),
            ("60-61:160-161", [(60, 160), (61, 161)]),
            ("60-61:0", [(60, 0), (61, 0)]),
            ("5-5:6-6", [(5, 6)]),
        ):
            self.assertEqual(forwards(word), [Forward(*ports) for ports in expected], word)
        self.assertEqual(len(forwards("1-65535")), 65535)

    def test_wrong(self) -> None:
        """
        Other words are told to be none.
        """
        for word in (
            *("", ":", "22:", ":22", "0", "0:22", "0-5", "22:65536", "a", "2a", "-1", "22:-1"),
            *("1:2:3", "9-8", "7:9-8", "1-", "-", "7:1-2-3", "7:0-3", "7:9000+", "²", "+7"),
            "9" * 5000,
        ):
            error = self.assertRaises(ValueError, forwards, word)
            self.assertIn("expected REMOTE[:LOCAL], ports from 1 to 65535", str(error), word)

    def test_unequal(self) -> None:
        """
        Of two ranges none may be longer.
        """
        for word in ("20-22:1-2", "1-2:20-22", "1-2:20"):
            error = self.assertRaises(ValueError, forwards, word)
            self.assertIn("as many ports of this machine as of the phone", str(error))


class EachForwardTests(SynchronousTestCase):
    """
    Tests of L{eachForward}.
    """

    def test_open(self) -> None:
        """
        With a plus there are all ports behind the first one.
        """
        self.assertEqual(eachForward("8100:9000+"), EachForward(8100, 9000, 65535))

    def test_range(self) -> None:
        """
        A range are no more than those.
        """
        self.assertEqual(eachForward("8100:9000-9010"), EachForward(8100, 9000, 9010))

    def test_wrong(self) -> None:
        """
        Other words are told to be none.
        """
        for word in (
            *("", "8100", "8100:", "8100:9000", "8100:+", "8100:0+", "0:9000+", "8100:9000++"),
            *("1-2:9000+", "8100:9000-9010+", "8100:0-5", "8100:9-8", "a:9000+", "8100:65536+"),
        ):
            error = self.assertRaises(ValueError, eachForward, word)
            self.assertIn("expected REMOTE:FIRST+ or REMOTE:FIRST-LAST", str(error), word)


class ServiceForwardTests(SynchronousTestCase):
    """
    Tests of L{serviceForward}.
    """

    def test_words(self) -> None:
        """
        A service's name, or a port in the tunnel, and a port of this machine, any if none is said.
        """
        for word, expected in (
            ("rsd:com.apple.afc:9000", ServiceForward("com.apple.afc", 9000)),
            ("rsd:com.apple.afc", ServiceForward("com.apple.afc", 0)),
            ("rsd:50000:0", ServiceForward("50000", 0)),
        ):
            self.assertEqual(serviceForward(word), expected)

    def test_wrong(self) -> None:
        """
        Anything else is an error that shows how it is written.
        """
        for word in (
            "rsd:",
            "rsd::1",
            "rsd:a b:1",
            "rsd:a:65536",
            "rsd:a:1-2",
            "rsd:a:b:1",
            "rsd:a:",
        ):
            error = self.assertRaises(ValueError, serviceForward, word)
            self.assertIn("rsd:NAME[:LOCAL]", str(error))
