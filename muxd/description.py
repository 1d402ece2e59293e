# -*- test-case-name: tests.test_description -*-
"""
Descriptions such as C{usb:poll=2} and C{unix:/run/usbmuxd:mode=666}, taken apart.

Twisted describes endpoints in this grammar, and its own parser of it is private.
Sources are described in the same way, and a few things are read off the description
of a listening address as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from muxd.identity import udidKey


class DescriptionError(ValueError):
    """
    A description that cannot be used; the text says why, for the person that typed it.
    """


@dataclass(frozen=True, slots=True)
class Description:
    """
    The parts of an endpoint-like description.

    @ivar name: What comes before the first colon.
    @ivar positional: The arguments without an equals sign, in order.
    @ivar keywords: The arguments of the form C{key=value}.
    """

    name: str
    positional: tuple[str, ...] = ()
    keywords: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """
        A text that L{fromString} makes the same of.
        """
        named = (f"{_quoted(key)}={_quoted(value)}" for key, value in self.keywords.items())
        return ":".join((_quoted(self.name), *map(_quoted, self.positional), *named))

    @classmethod
    def fromString(cls, text: str) -> Description:
        r"""
        Take a description apart: arguments are separated by colons, the first
        equals sign of an argument separates its name from its value, and a
        backslash takes the meaning from the character behind it (as
        C{twisted.internet.endpoints.quoteStringArgument} writes it).

        @raise DescriptionError: There is no name, a backslash is the last character,
            or an argument is given twice.
        """
        positional: list[str] = []
        keywords: dict[str, str] = {}
        for parts in _arguments(text):
            if len(parts) == 1:
                positional.append(parts[0])
                continue
            key, value = parts
            if key in keywords:
                raise DescriptionError(f"{text!r:.200}: {key!r:.200} is given twice")
            keywords[key] = value
        if not positional or not positional[0]:
            raise DescriptionError(f"{text!r:.200}: there is no name before the first colon")
        name, *rest = positional
        return cls(name, tuple(rest), keywords)


def expectKnown(given: Collection[str], known: Iterable[str]) -> None:
    """
    Refuse arguments that there are not.

    @param given: The names of those that are there.
    @raise ValueError: One of them is none of those that are known.
    """
    names = tuple(known)
    if unknown := sorted(set(given).difference(names)):
        raise ValueError(f"no such argument: {unknown[0]!r:.80}; expected {', '.join(names)}")


def choiceFrom(name: str, text: str, choices: Collection[str]) -> str:
    """
    A word of which there are some.

    @raise ValueError: It is none of them.
    """
    if text not in choices:
        raise ValueError(f"{name}: expected {', '.join(choices)}, got {text!r:.80}")
    return text


def secondsFrom(name: str, text: str, least: float, most: float) -> float:
    """
    A time.

    @raise ValueError: It is none, or not within these bounds.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # Written so that "nan" is refused as well.
    if not least <= seconds <= most:
        raise ValueError(f"{name}: expected seconds from {least:g} to {most:g}, got {text!r:.80}")
    return seconds


def udidsFrom(name: str, given: Mapping[str, str]) -> frozenset[str]:
    """
    The UDIDs of an argument, in L{udidKey} form; none if it is not there.

    @raise ValueError: It is there, and names none.
    """
    if name not in given:
        return frozenset()
    udids = frozenset(udidKey(part) for part in given[name].split(",") if part.strip())
    if not udids:
        raise ValueError(nothingNamed(name, "UDIDs"))
    return udids


def nothingNamed(name: str, expected: str) -> str:
    """
    What is wrong with an argument that names no phone.
    """
    every = "all phones" if name == "only" else "none"
    return f"{name}: expected {expected}, got none; leave {name}= out for {every}"


def _quoted(text: str) -> str:
    """
    A name or a value with a backslash before each character that has a meaning.
    """
    return re.sub(r"([\\\\:=])", r"\\\1", text)


def _arguments(text: str) -> Iterator[list[str]]:
    """
    The arguments of a description, each as C{[value]} or C{[key, value]} with
    the backslashes taken out.
    """
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                raise DescriptionError(f"{text!r:.200}: nothing follows the last backslash")
            parts[-1] += escaped
        elif character == ":":
            yield parts
            parts = [""]
        elif character == "=" and len(parts) == 1:
            parts.append("")
        else:
            parts[-1] += character
    yield parts
