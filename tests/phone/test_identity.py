"""
Tests of L{muxd.phone.identity}.
"""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.identity import PhoneIdentity


class PhoneIdentityTests(SynchronousTestCase):
    """
    Tests of L{PhoneIdentity}.
    """

    def test_nothing(self) -> None:
        """
        A phone of which nothing is said is the usual one.
        """
        self.assertEqual(PhoneIdentity.fromWords(), PhoneIdentity())

    def test_names(self) -> None:
        """
        A name that is given stands before that of a dump, and of several phones the later ones
        have numbers.
        """
        path = self.mktemp()
        FilePath(path).setContent(b'{"DeviceName": "Dumped"}')
        dumped = PhoneIdentity.fromWords(values=path)
        self.assertEqual([dumped.nameOf(0), dumped.nameOf(1)], [None, "Dumped 2"])
        named = PhoneIdentity.fromWords(values=path, name="Given")
        self.assertEqual([named.nameOf(0), named.nameOf(1)], ["Given", "Given 2"])

    def test_product(self) -> None:
        """
        What is known of a product is known of its kind, unless there is a dump.
        """
        for product, kind in (
            ("Watch6,6", "Watch"),
            ("AppleTV14,1", "AppleTV"),
            ("iPhone99,1", "iPhone"),
            ("Toaster1,1", "iPhone"),
        ):
            identity = PhoneIdentity.fromWords(product=product)
            assert identity.dump is not None
            self.assertEqual(identity.dump[""]["DeviceClass"], kind)
            self.assertEqual(identity.values["ProductType"], product)
        identity = PhoneIdentity.fromWords(product="iPad1,1", values="iphone-ios26")
        assert identity.dump is not None
        self.assertEqual(identity.dump[""]["DeviceClass"], "iPhone")

    def test_refusals(self) -> None:
        """
        What is wrong is said, and of which word.
        """
        for word, text in (
            ("name", ""),
            ("name", "a\nb"),
            ("product", "phone"),
            ("version", "new"),
            ("values", "none"),
        ):
            error = self.assertRaises(ValueError, PhoneIdentity.fromWords, **{word: text})
            self.assertTrue(str(error).startswith(f"{word}: "), str(error))
