"""
Tests of L{muxd.lockdown.rsakeys}.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.rsakeys import (
    MAX_BITS,
    PrivateKey,
    PublicKey,
    certificateDER,
    certificateKey,
    elements,
    privateKey,
    publicKey,
)
from tests.lockdown.phones import anyRecord
from tests.lockdown.strangekeys import (
    RSA,
    anyKey,
    armoured,
    element,
    number,
    numbersOf,
    strangeKeys,
)


class PrivateKeyTests(SynchronousTestCase):
    """
    Tests of L{privateKey}.
    """

    def test_forms(self) -> None:
        """
        Both forms are the same key, which a library reads again as what it was.
        """
        key = anyKey()
        for form in (
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.PrivateFormat.PKCS8,
        ):
            options = serialization.NoEncryption()
            data = key.private_bytes(serialization.Encoding.PEM, form, options)
            read = privateKey(b"Bag Attributes\n" + data + b"\0")
            self.assertEqual(read, PrivateKey(*numbersOf(key)))
            again = serialization.load_der_private_key(read.toDER(), None)
            assert isinstance(again, rsa.RSAPrivateKey)
            self.assertEqual(numbersOf(again), numbersOf(key))

    def test_strange(self) -> None:
        """
        What is another kind of key, or too large, or none at all is refused.
        """
        for name, data in strangeKeys().items():
            with self.subTest(name):
                text = str(self.assertRaises(ValueError, privateKey, data))
                self.assertLess(len(text), 200)

    def test_noPEM(self) -> None:
        """
        So is what is not armoured, or armoured as something else.
        """
        for data in (b"", b"garbage", anyRecord().values["HostCertificate"]):
            self.assertEqual(
                str(self.assertRaises(ValueError, privateKey, data)), "expected plain PEM"
            )

    def test_anything(self) -> None:
        """
        Whatever was changed or cut off, there is a key or a ValueError.
        """
        chance = random.Random(7)
        good = privateKey(anyRecord().values["HostPrivateKey"]).toDER()
        outcomes = set()
        for _ in range(500):
            data = bytearray(good)
            for _ in range(chance.randrange(3)):
                data[chance.choice((chance.randrange(40), chance.randrange(len(good))))] ^= (
                    chance.randrange(256)
                )
            cut = chance.choice((len(data), chance.randrange(len(data))))
            try:
                privateKey(armoured("RSA PRIVATE KEY", bytes(data[:cut])))
            except ValueError:
                outcomes.add("refused")
            else:
                outcomes.add("read")
        self.assertEqual(outcomes, {"refused", "read"})


class PublicKeyTests(SynchronousTestCase):
    """
    Tests of L{publicKey}, L{certificateKey} and L{certificateDER}.
    """

    def test_forms(self) -> None:
        """
        Both forms are the same key.
        """
        public = anyKey().public_key()
        numbers = public.public_numbers()
        for form in (
            serialization.PublicFormat.PKCS1,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        ):
            data = public.public_bytes(serialization.Encoding.PEM, form)
            self.assertEqual(publicKey(data), PublicKey(numbers.n, numbers.e))

    def test_limits(self) -> None:
        """
        The largest that may be used, and what may not.
        """
        largest = (1 << MAX_BITS) - 1
        PublicKey(largest, 65537)
        for modulus, exponent in (
            (largest << 1 | 1, 65537),
            (1 << 700_000 | 1, 65537),
            (largest, (1 << 32) + 1),
            (largest, 1 << 4000 | 1),
            (largest, 4),
            (largest, 1),
            (0, 65537),
            (-largest, 65537),
        ):
            data = armoured("RSA PUBLIC KEY", element(0x30, number(modulus), number(exponent)))
            self.assertRaises(ValueError, publicKey, data)
            self.assertRaises(ValueError, PublicKey, modulus, exponent)

    def test_certificate(self) -> None:
        """
        The key of a certificate is the one that it was made for.
        """
        values = anyRecord().values
        for key, name in (
            ("RootPrivateKey", "RootCertificate"),
            ("HostPrivateKey", "HostCertificate"),
        ):
            private = privateKey(values[key])
            data = certificateDER(b"text\n" + values[name] + values["DeviceCertificate"])
            self.assertEqual(
                certificateKey(data), PublicKey(private.modulus, private.publicExponent)
            )

    def test_strangeCertificates(self) -> None:
        """
        One that is damaged, too large, or of another kind of key is refused.
        """
        good = certificateDER(anyRecord().values["HostCertificate"])
        (outer,) = elements(good)
        signed = next(elements(outer.content))
        fields = [one.whole for one in elements(signed.content)]
        point = element(3, b"\0\4" + bytes(64))
        curve = element(0x30, element(0x30, bytes.fromhex("06072a8648ce3d0201")), point)
        large = element(0x30, number(1 << 5000 | 1), number(65537))
        makers: dict[str, Callable[[], bytes]] = {
            "a curve": lambda: element(0x30, element(0x30, *fields[:6], curve)),
            "5,001 bits": lambda: element(
                0x30,
                element(
                    0x30, *fields[:6], element(0x30, element(0x30, RSA), element(3, b"\0" + large))
                ),
            ),
            "unused bits": lambda: element(
                0x30,
                element(
                    0x30, *fields[:6], element(0x30, element(0x30, RSA), element(3, b"\1" + large))
                ),
            ),
            "no key": lambda: element(0x30, element(0x30, *fields[:6])),
            "no fields": lambda: element(0x30, element(0x30)),
            "no sequence": lambda: element(4),
            "nothing": lambda: b"",
            "20,000 bytes": lambda: element(0x30, signed.whole, bytes(20_000)),
            "cut off": lambda: good[:-1],
        }
        for name, make in makers.items():
            with self.subTest(name):
                self.assertRaises(ValueError, certificateKey, make())
                self.assertRaises(ValueError, certificateDER, armoured("CERTIFICATE", make()))
