"""
Tests of L{muxd.net.serverstrings}.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
from unittest.mock import patch

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.importing.extras import installing
from muxd.net.serverstrings import Owner, Place, placeFromString


class PlaceTests(SynchronousTestCase):
    """
    Tests of L{placeFromString}.
    """

    def place(self, text: str) -> Place:
        """
        What a text describes.
        """
        self.reactor = MemoryReactorClock()
        return placeFromString(self.reactor, text)

    def test_loopback(self) -> None:
        """
        TCP is for this machine alone, and is not if an interface is given.
        """
        for text, isExposed in (
            ("tcp:1", False),
            ("tcp6:1", False),
            ("tcp:1:interface=127.0.0.5", False),
            ("tcp:1:interface=localhost", False),
            ("tcp:1:interface=", True),
            ("tcp:1:0.0.0.0", True),
            ("tcp:1:interface=192.0.2.1", True),
            ("tcp6:1:interface=\\:\\:", True),
            ("tcp6:1:interface=fe80\\:\\:1%eth0", True),
            ("tcp:1:interface=farm.example.org", True),
            ("unix:/x", False),
        ):
            self.assertIs(self.place(text).isExposed, isExposed, text)

    def test_plain(self) -> None:
        """
        Where other machines can reach what is not encrypted, it has to be said that it may be
        so; a daemon complains otherwise.
        """
        for text, complains in (
            ("tcp:1", False),
            ("tcp:1:interface=0.0.0.0", True),
            ("tcp:1:interface=0.0.0.0:insecure=no", True),
            ("tcp:1:interface=0.0.0.0:insecure=yes", False),
            ("tcp6:1:interface=\\:\\:", True),
            ("unix:/x", False),
        ):
            self.assertIs("insecure=yes" in self.place(text).complaint, complains, text)
        error = self.assertRaises(ValueError, self.place, "tcp:1:insecure=maybe")
        self.assertIn("insecure: expected yes or no, got 'maybe'", str(error))

    def test_announced(self) -> None:
        """
        A place in plain text can be announced, and no other.
        """
        for text, isAnnounced in (
            ("tcp:1", False),
            ("tcp:1:announce=no", False),
            ("tcp:1:announce=yes", True),
            ("tcp6:1:announce=yes", True),
        ):
            self.assertIs(self.place(text).isAnnounced, isAnnounced, text)
        for text, said in (
            ("tcp:1:announce=", "announce: expected yes or no, got ''"),
            ("unix:/x:announce=yes", "announce=yes is for tcp: and tcp6: alone"),
            ("mutualtls:1:files=/d:announce=yes", "announce=yes is for tcp: and tcp6: alone"),
        ):
            self.assertIn(said, str(self.assertRaises(ValueError, self.place, text)), text)

    def test_certificates(self) -> None:
        """
        At mutual TLS clients show a certificate, and nothing is plain.
        """
        place = self.place("mutualtls:1:interface=0.0.0.0:files=/d")
        self.assertEqual(
            (place.isExposed, place.isPlain, place.asksCertificates, place.complaint),
            (True, False, True, ""),
        )
        self.assertFalse(self.place("tcp:1").asksCertificates)
        self.assertFalse(self.place("mutualtls:1:files=/d").isExposed)

    def test_owner(self) -> None:
        """
        A UNIX socket is given to a user and a group, by name or by number.
        """
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
        for text, owner in (
            ("unix:/x", Owner()),
            ("unix:/x:mode=660:group=7", Owner(gid=7)),
            (f"unix:/x:group={group.gr_name}", Owner(gid=group.gr_gid)),
            (f"unix:/x:user={user.pw_name}:group=7:mode=600", Owner(user.pw_uid, 7)),
        ):
            place = self.place(text)
            self.assertEqual((place.owner, place.path), (owner, "/x"), text)

    def test_rest(self) -> None:
        """
        Twisted gets the rest of the description, whatever characters are in it.
        """
        place = self.place("unix:/a\\:b\\=c\\\\d:group=7:mode=600:lockfile=0")
        self.assertEqual(place.path, "/a:b=c\\d")
        place.endpoint.listen(object())  # type: ignore[arg-type]
        [(path, _, _, mode, lock)] = self.reactor.unixServers
        self.assertEqual((path, mode, lock), ("/a:b=c\\d", 0o600, False))

    def test_wrong(self) -> None:
        """
        What is wrong is said in one line that repeats the description.
        """
        for text, reason in (
            ("unix:/x:group=no-such-group", "there is no group 'no-such-group'"),
            ("unix:/x:user=no-such-user", "there is no user 'no-such-user'"),
            ("systemd:domain=UNIX:index=0", "no socket 0 was inherited; a .socket unit"),
            ("systemd:domain=UNIX:name=mux", "no socket mux was inherited"),
            ("cupboard:1", "cupboard"),
            ("/run/x", "'/run/x'; expected one such as unix:/run/x:mode=660"),
        ):
            error = self.assertRaises(ValueError, self.place, text)
            self.assertIn(f"cannot listen on {text!r}: ", str(error))
            self.assertIn(reason, str(error))
            self.assertNotIn("list index", str(error))

    def test_withoutTLS(self) -> None:
        """
        A place with TLS says what to install where pyOpenSSL is not.
        """
        self.enterContext(patch.dict(sys.modules, {"OpenSSL": None}))
        for text in ("ssl:443:privateKey=/k.pem", "SSL:443:clients=/c.pem", "tls:/pems:443"):
            error = str(self.assertRaises(ValueError, self.place, text))
            kind = text[:3].lower()
            self.assertIn(f"cannot listen on {text!r}: {kind}: import of OpenSSL", error)
            self.assertTrue(error.endswith(installing("pairing")), error)
