# -*- test-case-name: tests.server.test_clients -*-
"""
Tests of L{muxd.server.clients}.
"""

from __future__ import annotations

import gc
import plistlib
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from muxd.server.clients import LONGEST_NAME, ClientDetails, Introduction


class ClientDetailsTests(SynchronousTestCase):
    """
    What a client has told us about itself.
    """

    def test_latestWins(self) -> None:
        """
        A later request changes what it says and nothing else.
        """
        details = ClientDetails().updated(
            {"ProgName": "a", "BundleID": "b", "ClientVersionString": "c", "kLibUSBMuxVersion": 3}
        )
        details = details.updated({"ProgName": "d"})
        self.assertEqual(
            details,
            ClientDetails(programName="d", bundleID="b", version="c", libraryVersion=3),
        )

    def test_wrongTypes(self) -> None:
        """
        What has the wrong type, or does not fit, was not said.
        """
        details = ClientDetails(programName="a", libraryVersion=3)
        for values in (
            {"ProgName": 1, "BundleID": [], "kLibUSBMuxVersion": "3"},
            {"kLibUSBMuxVersion": True},
            {"kLibUSBMuxVersion": -1},
            {"kLibUSBMuxVersion": 1 << 63},
            {"kLibUSBMuxVersion": 1 << 64},
        ):
            self.assertEqual(details.updated(values), details)

    def test_largestVersion(self) -> None:
        """
        A version may be any integer that can be written down.
        """
        for number in (0, 1 << 62, (1 << 63) - 1):
            details = ClientDetails(libraryVersion=3).updated({"kLibUSBMuxVersion": number})
            self.assertEqual(details.libraryVersion, number)

    def test_listenerValues(self) -> None:
        """
        An entry of the list of listeners has the keys of protocol 4.7.
        """
        details = ClientDetails(programName="Xcode", bundleID="com.apple.dt", libraryVersion=3)
        self.assertEqual(
            details.listenerValues(12),
            {
                "Blacklisted": False,
                "BundleID": "com.apple.dt",
                "ConnType": 0,
                "ID String": "12-Xcode",
                "ProgName": "Xcode",
                "kLibUSBMuxVersion": 3,
            },
        )

    def test_unknownListener(self) -> None:
        """
        A client that has said nothing is "unknown" and has no bundle.
        """
        values = ClientDetails().listenerValues(1)
        self.assertEqual((values["ProgName"], values["ID String"]), ("unknown", "1-unknown"))
        self.assertNotIn("BundleID", values)

    def test_hostileNames(self) -> None:
        """
        Names of any length and content can be listed.
        """
        details = ClientDetails().updated({"ProgName": "\x00" * 70000, "BundleID": "\ud800"})
        values = plistlib.loads(plistlib.dumps(details.listenerValues(1)))
        self.assertEqual(values["ProgName"], "?" * LONGEST_NAME)
        self.assertEqual(values["BundleID"], "?")


class Large(dict[str, int]):
    """
    A value of a request.
    """


class IntroductionTests(SynchronousTestCase):
    """
    What has been said, bit by bit.
    """

    def test_added(self) -> None:
        """
        It is the same whether somebody asks in between or not.
        """
        said = ({"ProgName": "a", "BundleID": "b"}, {"ProgName": "c"}, {"BundleID": 1})
        asked, silent = Introduction(), Introduction()
        self.assertEqual(asked.details, ClientDetails())
        for values in said:
            asked.add(values)
            silent.add(values)
            self.assertEqual(asked.details, asked.details)
        self.assertEqual(silent.details, ClientDetails(programName="c", bundleID="b"))
        self.assertEqual(asked.details, silent.details)

    def test_nothingElse(self) -> None:
        """
        Nothing else of a request is kept.
        """
        values = []
        introduction = Introduction()
        for key in ("PairRecordData", "ProgName", "kLibUSBMuxVersion"):
            introduction.add({key: (large := Large())})
            values.append(ref(large))
            del large
        gc.collect()
        self.assertEqual([value() for value in values], [None, None, None])
        self.assertEqual(introduction.details, ClientDetails())
