# -*- test-case-name: tests.lockdown.test_rsakeys -*-
"""
The RSA keys of pairings, read without a library that computes with them.

A key comes from a program that has stored a record, or from a device, and either may be
hostile.  To load one, OpenSSL computes what its maker likes: the public half of a
Diffie-Hellman key of 10,000 bits, half a second.  So what a key is, is decided here from
its DER (PKCS #1, RFC 8017 appendix A; PKCS #8, RFC 5958; certificates, RFC 5280), and what
is no RSA key of at most L{MAX_BITS} is shown to no library.  All of it takes
microseconds and needs no extra.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import astuple, dataclass

MAX_BITS = 4096
"""Twice what tools make.  Signing takes time with the cube of it, here some milliseconds."""

MAX_EXPONENT_BITS = 32
"""Checking a signature takes time with it; tools take 17 bits."""

LONGEST_CERTIFICATE = 16384
"""Bytes of DER.  Those of pairings have less than a thousand."""

_INTEGER, _BIT_STRING, _OCTET_STRING, _SEQUENCE, _VERSION = 0x02, 0x03, 0x04, 0x30, 0xA0
_NO_TAG = -1
_RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
_EXPECTED = f"expected an RSA key of at most {MAX_BITS} bits"

_PEM = re.compile(
    rb"-----BEGIN (CERTIFICATE|(?:RSA )?(?:PRIVATE|PUBLIC) KEY)-----\s"
    rb"([A-Za-z0-9+/=\s]+)-----END \1-----"
)


@dataclass(frozen=True, slots=True)
class Element:
    """
    One element of DER.

    @ivar tag: What it is; of more than one byte for none that is needed here.
    @ivar whole: With its tag and length.
    @ivar content: Without.
    """

    tag: int
    whole: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """
    The public half of a key.
    """

    modulus: int
    exponent: int

    def __post_init__(self) -> None:
        """
        Refuse what takes long to compute with.

        @raise ValueError: It is too large, or cannot be one.
        """
        size = self.modulus.bit_length()
        if self.modulus <= 0 or size > MAX_BITS:
            raise ValueError(f"{_EXPECTED}, got {size} bits")
        size = self.exponent.bit_length()
        if size > MAX_EXPONENT_BITS:
            raise ValueError(f"{_EXPECTED}, got one with an exponent of {size} bits")
        if not (self.exponent > 1 and self.exponent & 1):
            raise ValueError(f"{_EXPECTED}, got one with the exponent {self.exponent}")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """
    A whole key, in the order of PKCS #1.
    """

    modulus: int
    publicExponent: int
    privateExponent: int
    prime1: int
    prime2: int
    exponent1: int
    exponent2: int
    coefficient: int

    def __post_init__(self) -> None:
        """
        Refuse what takes long to compute with.

        @raise ValueError: It is too large, or its numbers do not belong together.
        """
        PublicKey(self.modulus, self.publicExponent)
        # The sizes first: multiplying what has a million bits takes a second.
        if (
            min(astuple(self)) <= 0
            or max(astuple(self)) > self.modulus
            or self.prime1 * self.prime2 != self.modulus
            or self.exponent1 >= self.prime1
            or self.exponent2 >= self.prime2
            or self.coefficient >= self.prime1
        ):
            raise ValueError(f"{_EXPECTED}, got numbers that make none")

    def toDER(self) -> bytes:
        """
        As PKCS #1 has it: what a library is shown instead of what came.
        """
        return _encoded(_SEQUENCE, b"".join(map(_encodedInteger, (0, *astuple(self)))))


def privateKey(pem: bytes) -> PrivateKey:
    """
    A private key, in either form, that no passphrase protects.

    @raise ValueError: It is none that may be used; the text says why.
    """
    kind, data = _fromPEM(pem, "PRIVATE KEY")
    fields = _sequence(_only(data))
    if kind == b"PRIVATE KEY":
        next(fields, None)
        _checkAlgorithm(next(fields, None))
        wrapped = next(fields, None)
        if wrapped is None or wrapped.tag != _OCTET_STRING:
            raise ValueError(f"{_EXPECTED}, got a damaged one")
        fields = _sequence(_only(wrapped.content))
    numbers = [_integer(field) for field in fields]
    if len(numbers) != 9 or numbers[0] != 0:
        raise ValueError(f"{_EXPECTED} with two primes, got another kind")
    return PrivateKey(*numbers[1:])


def publicKey(pem: bytes) -> PublicKey:
    """
    A public key, in either form: what a phone shows as its own.

    @raise ValueError: It is none that may be used; the text says why.
    """
    kind, data = _fromPEM(pem, "PUBLIC KEY")
    return _numbers(data) if kind.startswith(b"RSA") else _ofInfo(_only(data))


def certificateDER(pem: bytes) -> bytes:
    """
    The first certificate in this text, if its key may be used.

    @raise ValueError: There is none, or its key may not be; the text says why.
    """
    _, data = _fromPEM(pem, "CERTIFICATE")
    certificate = _only(data).whole
    certificateKey(certificate)
    return certificate


def certificateKey(der: bytes) -> PublicKey:
    """
    The public key that a certificate is of.

    @raise ValueError: It is none that may be used; the text says why.
    """
    if len(der) > LONGEST_CERTIFICATE:
        raise ValueError(f"expected a certificate, got one of {len(der)} bytes")
    signed = next(_sequence(_only(der)), None)
    fields = list(_sequence(signed))
    # Number, algorithm, issuer, validity and subject are before it, and perhaps a version.
    index = 6 if fields and fields[0].tag == _VERSION else 5
    if len(fields) <= index:
        raise ValueError("expected a certificate, got a damaged one")
    return _ofInfo(fields[index])


def elements(data: bytes) -> Iterator[Element]:
    """
    What is in a piece of DER, one after the other.

    @raise ValueError: It is none, or ends too early.
    """
    position = 0
    while position < len(data):
        begin = position + 2
        length = data[begin - 1] if begin <= len(data) else -1
        if length > 0x80:
            size = length & 0x7F
            # Four bytes are enough for anything that fits here.
            length = int.from_bytes(data[begin : begin + size], "big") if size <= 4 else -1
            begin += size
        elif length == 0x80:
            length = -1
        end = begin + length
        if length < 0 or end > len(data):
            raise ValueError("expected DER, got something else")
        tag = data[position]
        isLong = tag & 0x1F == 0x1F
        yield Element(_NO_TAG if isLong else tag, data[position:end], data[begin:end])
        position = end


def _fromPEM(pem: bytes, kind: str) -> tuple[bytes, bytes]:
    """
    The first piece of this kind: what it is called, and what is in it.
    """
    for found in _PEM.finditer(pem):
        if found[1].endswith(kind.encode()):
            return found[1], b64decode(found[2])
    raise ValueError("expected plain PEM")


def _only(data: bytes) -> Element:
    first = next(elements(data), None)
    if first is None:
        raise ValueError("expected DER, got nothing")
    return first


def _sequence(element: Element | None) -> Iterator[Element]:
    if element is None or element.tag != _SEQUENCE:
        raise ValueError(f"{_EXPECTED}, got another structure")
    return elements(element.content)


def _integer(element: Element) -> int:
    if element.tag != _INTEGER or not element.content:
        raise ValueError(f"{_EXPECTED}, got something that is no number")
    return int.from_bytes(element.content, "big", signed=True)


def _checkAlgorithm(algorithm: Element | None) -> None:
    name = next(_sequence(algorithm), None)
    if name is None or name.whole != _RSA_ENCRYPTION:
        raise ValueError(f"{_EXPECTED}, got one of another algorithm")


def _ofInfo(info: Element) -> PublicKey:
    fields = _sequence(info)
    _checkAlgorithm(next(fields, None))
    key = next(fields, None)
    if key is None or key.tag != _BIT_STRING or key.content[:1] != b"\0":
        raise ValueError(f"{_EXPECTED}, got a damaged one")
    return _numbers(key.content[1:])


def _numbers(data: bytes) -> PublicKey:
    numbers = [_integer(field) for field in _sequence(_only(data))]
    if len(numbers) != 2:
        raise ValueError(f"{_EXPECTED}, got {len(numbers)} numbers")
    return PublicKey(*numbers)


def _encoded(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _encodedInteger(number: int) -> bytes:
    return _encoded(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
