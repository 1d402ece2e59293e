# -*- test-case-name: tests.fleet.etcd.test_place -*-
"""
Tests of L{muxd.fleet.etcd.place} and L{muxd.fleet.etcd.keys}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.etcd.keys import Keys, Kind
from muxd.fleet.etcd.place import EtcdPlace
from muxd.net.tlsfiles import TLSFiles


class PlaceTests(SynchronousTestCase):
    """
    Tests of descriptions.
    """

    def test_understood(self) -> None:
        """
        Nodes, and what else may be said.
        """
        self.assertEqual(
            EtcdPlace.fromString("etcd:127.0.0.1:2379"), EtcdPlace((("127.0.0.1", 2379),))
        )
        said = "etcd:a.example:1:b.example:2:prefix=/x:user=hub:passwordfile=/p:files=/f"
        self.assertEqual(
            EtcdPlace.fromString(said),
            EtcdPlace(
                (("a.example", 1), ("b.example", 2)),
                *("/x", "hub", "/p"),
                TLSFiles("/f/cert.pem", "/f/key.pem", "/f/ca.pem", "/f/crl.pem"),
            ),
        )
        only = EtcdPlace.fromString("etcd:a.example:1:ca=/ca.pem")
        self.assertEqual((only.files, only.ca, only.isSecure), (None, "/ca.pem", True))
        self.assertFalse(EtcdPlace.fromString(r"etcd:\:\:1:1").isSecure)

    def test_wrong(self) -> None:
        """
        What makes no sense is refused, with what was expected.
        """
        for said, words in (
            ("etcd", "etcd:HOST:PORT"),
            ("etcd:a", "etcd:HOST:PORT"),
            ("etcd:localhost:1:b", "etcd:HOST:PORT"),
            ("etcd:localhost:x", "port"),
            ("etcd:localhost:1:prefx=/a", "prefx"),
            ("etcd:localhost:1:user=a", "passwordfile"),
            ("etcd:localhost:1:prefix=a", "prefix"),
            ("etcd:localhost:1:cert=a", "key"),
            ("etcd:a.example:1", "insecure=yes"),
            ("etcd:127.evil.example:1", "insecure=yes"),
            ("consul:localhost:1", "etcd:HOST:PORT"),
        ):
            error = self.assertRaises(ValueError, EtcdPlace.fromString, said)
            self.assertIn(words, str(error), said)
        EtcdPlace.fromString("etcd:a.example:1:insecure=yes")

    def test_password(self) -> None:
        """
        The password is what is in the file, without the end of its line.
        """
        path = Path(self.mktemp())
        place = EtcdPlace.fromString(f"etcd:localhost:1:user=a:passwordfile={path}")
        self.assertRaises(OSError, place.check)
        for content in (b"", b"\n", b"\xff", b"x" * 2000):
            path.write_bytes(content)
            self.assertRaises(ValueError, place.check)
        path.write_bytes(b"two words\n")
        self.assertEqual(place.password(), "two words")


class KeyTests(SynchronousTestCase):
    """
    Tests of the names of keys.
    """

    def test_there(self) -> None:
        """
        What is written is read, whatever a host is called.
        """
        keys = Keys("/fleet")
        for kind, parts in (
            (Kind.HOST, ("rack/1 \u00e9%",)),
            (Kind.PHONE, ("..", "00008110000000000000000a")),
            (Kind.SECRET, ()),
        ):
            key = keys.of(kind, *parts)
            self.assertTrue(keys.prefix <= key < keys.end)
            self.assertEqual(keys.parse(key), (kind, parts))

    def test_others(self) -> None:
        """
        What is none of them is not read.
        """
        keys = Keys("/fleet/")
        for key in (
            b"/fleet2/hosts/a",
            b"/fleet/",
            b"/fleet/hosts",
            b"/fleet/hosts/",
            b"/fleet/hosts/a/b",
            b"/fleet/hosts/%ff",
            b"/fleet/hosts/%0a",
            b"/fleet/hosts/\xff",
            b"/fleet/hosts/" + b"x" * 65,
            b"/fleet/others/a",
            b"/fleet/secret/a",
        ):
            self.assertIsNone(keys.parse(key), key)
