"""
Keys that a hostile program or device could show, and the DER that they are made of.
"""

from __future__ import annotations

import random
from base64 import encodebytes
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

RSA = bytes.fromhex("06092a864886f70d0101010500")
DIFFIE_HELLMAN = bytes.fromhex("06092a864886f70d010301")


def element(tag: int, *contents: bytes) -> bytes:
    """
    An element.
    """
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    return bytes([tag, 0x83]) + size.to_bytes(3, "big") + content


def number(value: int) -> bytes:
    """
    A number.
    """
    return element(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def armoured(kind: str, data: bytes) -> bytes:
    """
    What is armoured.
    """
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (
        kind.encode(),
        encodebytes(data),
        kind.encode(),
    )


def wrapped(algorithm: bytes, key: bytes) -> bytes:
    """
    A private key of some algorithm, as PKCS #8.
    """
    return armoured(
        "PRIVATE KEY", element(0x30, number(0), element(0x30, algorithm), element(4, key))
    )


@cache
def anyKey() -> rsa.RSAPrivateKey:
    """
    A small one.
    """
    return rsa.generate_private_key(65537, 1024)


def numbersOf(key: rsa.RSAPrivateKey) -> list[int]:
    """
    What is in it, in the order of PKCS #1.
    """
    private = key.private_numbers()
    public = private.public_numbers
    exponents = [private.dmp1, private.dmq1]
    return [public.n, public.e, private.d, private.p, private.q, *exponents, private.iqmp]


def hellman(bits: int) -> bytes:
    """
    A Diffie-Hellman key, for whose public half OpenSSL computes for half a second.
    """
    chance = random.Random(1)
    prime = chance.getrandbits(bits) | 1 | 1 << (bits - 1)
    group = element(0x30, number(prime), number(2))
    return wrapped(DIFFIE_HELLMAN + group, number(chance.getrandbits(bits - 1)))


def strangeKeys() -> dict[str, bytes]:
    """
    Private keys that are plain PEM and must not be used, by what is wrong with them.
    """
    options = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8

    def written(key: dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, form, options)

    n, e, d, p, q, dp, dq, inverse = numbersOf(anyKey())
    # No primes, but numbers of those sizes: nothing here looks for that.
    long, half = 1 << 2200 | 1, 1 << 2500 | 1
    product = long * half

    def plain(*values: int) -> bytes:
        return armoured("RSA PRIVATE KEY", element(0x30, *map(number, values)))

    return {
        "Diffie-Hellman": hellman(4000),
        "DSA": written(dsa.generate_private_key(1024)),
        "a curve": written(ec.generate_private_key(ec.SECP256R1())),
        "Ed25519": ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, form, options
        ),
        "a curve of its own": wrapped(
            bytes.fromhex("06072a8648ce3d0201")
            + element(0x30, number(1), element(0x30, number(23))),
            element(0x30, number(1)),
        ),
        "RSA for other signatures": wrapped(bytes.fromhex("06092a864886f70d01010a"), b"0"),
        "4,701 bits": plain(0, product, e, d, long, half, dp, dq, inverse),
        "a huge exponent": plain(0, n, d | 1, d, p, q, dp, dq, inverse),
        "an even exponent": plain(0, n, 65536, d, p, q, dp, dq, inverse),
        "a negative number": plain(0, n, e, -d, p, q, dp, dq, inverse),
        "a huge private exponent": plain(0, n, e, d << 8000, p, q, dp, dq, inverse),
        "a huge exponent of a prime": plain(0, n, e, d, p, q, dp << 8000, dq, inverse),
        "a huge coefficient": plain(0, n, e, d, p, q, dp, dq, inverse << 8000),
        "huge primes": plain(0, n, e, d, p << 20000, q << 20000, dp, dq, inverse),
        "other primes": plain(0, n, e, d, p + 2, q, dp, dq, inverse),
        "no primes": plain(0, n, e, d, 0, 0, 0, 0, 0),
        "three primes": plain(1, n, e, d, p, q, dp, dq, inverse),
        "too few numbers": plain(0, n, e, d),
        "nothing": armoured("RSA PRIVATE KEY", b"\x30\x00"),
        "no DER": armoured("RSA PRIVATE KEY", b"garbage"),
        "an endless length": armoured("RSA PRIVATE KEY", b"\x30\x80" + number(0) + b"\0\0"),
        "too long a length": armoured("RSA PRIVATE KEY", b"\x30\x84\xff\xff\xff\xff" + number(0)),
        "a length of many bytes": armoured("RSA PRIVATE KEY", b"\x30\xfe" + bytes(20)),
        "damaged base64": b"-----BEGIN PRIVATE KEY-----\nA===A\n-----END PRIVATE KEY-----\n",
    }
