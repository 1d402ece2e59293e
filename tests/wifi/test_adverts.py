# -*- test-case-name: tests.wifi.test_adverts -*-
"""
Tests of L{muxd.wifi.adverts}.
"""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.pairrecord import PairRecord
from muxd.wifi.adverts import MOST_TAGS, SERVICE, Advert, authTag, candidates, readAdvert
from tests.running.properties import examples

HOST = "9C1D3A52-6C0B-4E0F-8C1A-2B7E5D90F1A4"
IDENTIFIER = "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0"
MAC = "18:f1:d8:df:17:9f"
INSTANCE = f"{MAC}@fe80::1af1:d8ff:fedf:179f"


def record(hostID: str = HOST, **values: str) -> PairRecord:
    """
    A pair record, as far as it matters here.
    """
    keys = {"HostCertificate": b"c", "HostPrivateKey": b"k", "HostID": hostID}
    return PairRecord({**keys, **values})


class TagTests(SynchronousTestCase):
    """
    L{authTag}.
    """

    def test_vectors(self) -> None:
        """
        Tags are those that were computed elsewhere; a HostID's case matters.
        """
        for hostID, identifier, tag in (
            (HOST, IDENTIFIER, "P0xE8A3IQp0="),
            ("00000000-0000-0000-0000-000000000000", "A", "MK4T6u3t14k="),
            (HOST.lower(), IDENTIFIER, "8oCsU5p4o7Y="),
        ):
            self.assertEqual(base64.b64encode(authTag(hostID, identifier)).decode(), tag)


class AdvertTests(SynchronousTestCase):
    """
    L{readAdvert}.
    """

    def test_old(self) -> None:
        """
        An announcement of a system before iOS 26.4 has no tags.
        """
        advert = readAdvert(INSTANCE, ["192.0.2.1"], {})
        self.assertEqual(advert, Advert(instance=INSTANCE, addresses=("192.0.2.1",)))
        self.assertEqual(advert.mac, MAC)
        self.assertEqual(advert.fullName, f"{INSTANCE}.{SERVICE}")

    def test_tags(self) -> None:
        """
        Tags are numbered or not, in either case, and may have white space around them.
        """
        advert = readAdvert(
            INSTANCE,
            [],
            {
                b"identifier": IDENTIFIER.encode(),
                b"authTag": b"P0xE8A3IQp0=",
                b"AUTHTAG#1": b" MK4T6u3t14k=\n",
                b"authTag#2": b"short=",
                b"authTag#3": b"AAAA",
                b"authTag#4": None,
                b"other": b"8oCsU5p4o7Y=",
            },
        )
        self.assertEqual(advert.identifier, IDENTIFIER)
        expected = {base64.b64decode(tag) for tag in ("P0xE8A3IQp0=", "MK4T6u3t14k=")}
        self.assertEqual(advert.tags, expected)

    def test_noMAC(self) -> None:
        """
        An instance without an address of an interface is one all the same.
        """
        for instance in ("phone", "phone@fe80::1", f"{MAC}", "18:f1:d8:df:17@fe80::1"):
            self.assertEqual(readAdvert(instance, [], {}).mac, "", instance)
        self.assertEqual(readAdvert(INSTANCE.upper(), [], {}).mac, MAC)

    @settings(max_examples=examples(30))
    @given(
        st.text(max_size=300),
        st.dictionaries(st.binary(max_size=20), st.none() | st.binary(max_size=300), max_size=4),
    )
    def test_anything(self, instance: str, properties: dict[bytes, bytes | None]) -> None:
        """
        Whatever is announced is read, and is of no record.
        """
        advert = readAdvert(instance, [], properties)
        self.assertLessEqual(len(advert.instance), 255)
        self.assertEqual(candidates(advert, {"UDID": record(WiFiMACAddress=MAC)}), [])

    def test_bounded(self) -> None:
        """
        No more tags are kept than there could be.
        """
        properties = {
            b"authTag#%d" % number: base64.b64encode(number.to_bytes(8, "big"))
            for number in range(MOST_TAGS * 2)
        }
        self.assertEqual(len(readAdvert(INSTANCE, [], properties).tags), MOST_TAGS)


class CandidateTests(SynchronousTestCase):
    """
    L{candidates}.
    """

    def setUp(self) -> None:
        """
        Records of three phones, two of them made under one HostID.
        """
        self.records = {
            "A": record(WiFiMACAddress=MAC.upper()),
            "B": record(),
            "C": record("another"),
        }
        self.tagged = readAdvert(
            "02:00:00:00:00:01@fe80::1",
            [],
            {b"identifier": IDENTIFIER.encode(), b"authTag": b"P0xE8A3IQp0="},
        )

    def test_told(self) -> None:
        """
        What a phone has told while it was on a cable comes first, whatever its case; what one
        has told that has no record speaks for none.
        """
        name = INSTANCE.upper() + "._Apple-MobDev2._tcp.local"
        for names, expected in (
            ({"B": name, "C": "x"}, ["B"]),
            ({"B": "x"}, ["A"]),
            ({"D": name}, ["A"]),
        ):
            found = candidates(readAdvert(INSTANCE, [], {}), self.records, names)
            self.assertEqual(found, expected, names)
        private = readAdvert("02:00:00:00:00:01@fe80::1", [], {})
        self.assertEqual(candidates(private, self.records, {"C": private.fullName}), ["C"])

    def test_mac(self) -> None:
        """
        Then the address of the interface that is in a record.
        """
        self.assertEqual(candidates(readAdvert(INSTANCE, [], {}), self.records), ["A"])

    def test_tag(self) -> None:
        """
        Then tags: of all phones that are paired under one HostID.
        """
        self.assertEqual(candidates(self.tagged, self.records), ["A", "B"])

    def test_none(self) -> None:
        """
        A phone that nothing speaks for is none of ours.
        """
        advert = readAdvert("02:00:00:00:00:01@fe80::1", [], {})
        self.assertEqual(candidates(advert, self.records), [])
        self.assertEqual(candidates(self.tagged, {"C": self.records["C"]}), [])
