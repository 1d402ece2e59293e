# -*- test-case-name: tests.net.test_tlsfiles -*-
"""
The files of mutual TLS: whose certificate is shown, and whose are believed.

They are renewed while a program runs, since certificates of a farm are short-lived, so what was
made of them is made anew when they have changed: for the next connection, and without a
restart.  Renewed files that cannot be used, such as a certificate that came a moment before its
key, leave what there was in its place.

No library is imported in here: blocking programs use it too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Generic, Self, TypeVar

T = TypeVar("T")

LONGEST_PEM = 1 << 20
"""Bytes of a file that are read."""

DIRECTORY = "files"
"""The option that names a directory with all of them, by the names that C{muxctl cert} gives."""

OPTIONS = (DIRECTORY, "cert", "key", "ca", "crl")

_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """
    Where they are.

    @ivar cert: The certificate that is shown, and those between it and the one that is
        believed, if there are any.
    @ivar key: Its private key.
    @ivar ca: The certificates of the authorities that sign the other side's.
    @ivar crl: The list of those of their certificates that are believed no more; empty if
        nothing is said of one.  A directory has to have one.
    """

    cert: str
    key: str
    ca: str
    crl: str = ""

    @classmethod
    def fromOptions(cls, given: Mapping[str, str]) -> Self:
        """
        From the options of an endpoint's description, L{OPTIONS}: a directory, single files,
        or both.

        @raise ValueError: It is not said where one of them is.
        """
        directory = given.get(DIRECTORY, "")
        found = {}
        for each in fields(cls):
            path = given.get(each.name) or (
                os.path.join(directory, f"{each.name}.pem") if directory else ""
            )
            if not path and each.name != "crl":
                raise ValueError(
                    f"{each.name}: expected a file; name the directory that muxctl cert has made"
                    f" with {DIRECTORY}=, or each file with {each.name}="
                )
            found[each.name] = path
        return cls(**found)

    def stamp(self) -> _Stamp:
        """
        What is another one when one of the files has changed.
        """
        return tuple(_stampOf(getattr(self, each.name)) for each in fields(self))


def _stampOf(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def contentOf(path: str) -> bytes:
    """
    What is in a file of certificates or keys.

    @raise OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return file.read(LONGEST_PEM)


def certificatesIn(path: str) -> list[bytes]:
    """
    The certificates in a file, each as PEM.

    @raise OSError: It cannot be read.
    @raise ValueError: There is none.
    """
    begin = b"-----BEGIN CERTIFICATE-----"
    found = [begin + part for part in contentOf(path).split(begin)[1:]]
    if not found:
        raise ValueError(f"{path}: there is no certificate in it")
    return found


@dataclass(slots=True)
class Renewing(Generic[T]):
    """
    Something that is made of files, and anew when they have changed.

    @ivar files: The files.
    @ivar make: Makes it.  It raises C{OSError} or C{ValueError} when they are unusable.
    @ivar told: Called after it was made anew: with nothing, or why it could not be.
    """

    files: TLSFiles
    make: Callable[[TLSFiles], T]
    told: Callable[[Exception | None], None]
    _made: T | None = None
    _stamp: _Stamp | None = field(default=None)

    def current(self) -> T:
        """
        What the files make now, or made when they last could be used.

        @raise OSError: They never could: one cannot be read.
        @raise ValueError: They never could: they are no certificates, or not of this key.
        """
        stamp = self.files.stamp()
        if self._made is not None and stamp == self._stamp:
            return self._made
        isFirst = self._made is None
        self._stamp = stamp
        try:
            self._made = self.make(self.files)
        except (OSError, ValueError) as error:
            if self._made is None:
                raise
            self.told(error)
        else:
            if not isFirst:
                self.told(None)
        return self._made
