# -*- test-case-name: tests.fleet.test_requirement -*-
"""
What a job demands of a phone, such as C{label=fast,version>=17}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from muxd.identity import nearest, udidKey

MOST_CONDITIONS = 16
LONGEST = 1024
"""Characters of all of them."""

KEYS = ("udid", "label", "host", "model", "name", "version")

_CONDITION = re.compile(r"\s*([a-z]+)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,5}")
_ORDERS = frozenset({">=", "<=", ">", "<"})


class Described(Protocol):
    """
    A phone of which something is known.
    """

    @property
    def udid(self) -> str:
        """
        Its UDID.
        """

    @property
    def host(self) -> str:
        """
        The name of its host.
        """

    @property
    def labels(self) -> tuple[str, ...]:
        """
        What its host's operator calls it.
        """

    @property
    def model(self) -> str:
        """
        Its model.
        """

    @property
    def name(self) -> str:
        """
        Its name.
        """

    @property
    def version(self) -> str:
        """
        Its version of iOS.
        """


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One condition.

    @ivar key: One of L{KEYS}.
    @ivar operator: C{=}, C{!=}, and for versions C{>=}, C{<=}, C{>} and C{<}.
    """

    key: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.value}"

    def holds(self, phone: Described) -> bool:
        """
        Whether it is true of a phone.  What is not known of one is not true of it.
        """
        match self.key:
            case "udid":
                isEqual = udidKey(phone.udid) == udidKey(self.value)
            case "label":
                isEqual = any(fnmatchcase(label, self.value) for label in phone.labels)
            case "version":
                return _compare(phone.version, self.operator, self.value)
            case _:
                said: Mapping[str, str] = {
                    "host": phone.host,
                    "model": phone.model,
                    "name": phone.name,
                }
                isEqual = fnmatchcase(said[self.key], self.value)
        return isEqual == (self.operator == "=")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _compare(version: str, operator: str, wanted: str) -> bool:
    if not _VERSION.fullmatch(version):
        return False
    has, bound = _numbers(version), _numbers(wanted)
    # 17 means all of 17.x.
    same = has[: len(bound)] + (0,) * (len(bound) - len(has)) == bound
    width = max(len(has), len(bound))
    padded = [each + (0,) * (width - len(each)) for each in (has, bound)]
    match operator:
        case "=":
            return same
        case "!=":
            return not same
        case ">=":
            return padded[0] >= padded[1]
        case "<=":
            return same or padded[0] <= padded[1]
        case ">":
            return not same and padded[0] > padded[1]
        case _:
            return padded[0] < padded[1]


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    Conditions that all have to hold; without any, every phone will do.
    """

    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(str, self.conditions))

    @classmethod
    def fromString(cls, text: str) -> Requirement:
        """
        From what a person has typed: conditions with commas between them.  A word without an
        operator is a UDID.  C{label}, C{host}, C{model} and C{name} may have C{*} and C{?}.

        @raise ValueError: It makes no sense.
        """
        if len(text) > LONGEST:
            raise ValueError(f"expected up to {LONGEST} characters, got {len(text)}")
        parts = [part for part in _split(text) if part.strip()]
        if len(parts) > MOST_CONDITIONS:
            raise ValueError(f"expected up to {MOST_CONDITIONS} conditions, got {len(parts)}")
        return cls(tuple(map(_condition, parts)))

    def fits(self, phone: Described) -> bool:
        """
        Whether a phone will do.
        """
        return all(condition.holds(phone) for condition in self.conditions)

    @property
    def udid(self) -> str | None:
        """
        The only phone that can do, as it is compared, if there is just one.
        """
        for condition in self.conditions:
            if condition.key == "udid" and condition.operator == "=":
                return udidKey(condition.value)
        return None


ANY_PHONE = Requirement()


def _split(text: str) -> list[str]:
    """
    The parts between commas.  A model has a comma in its name: what follows one and has no
    operator belongs to the model before it.
    """
    parts: list[str] = []
    for part in text.split(","):
        before = parts[-1].lstrip() if parts else ""
        if re.match(r"model\s*!?=", before) and not _CONDITION.fullmatch(part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        key, operator, value = "udid", "=", text.strip()
    else:
        key, operator, value = found.groups()
    if key not in KEYS:
        hint = nearest(key, KEYS) or f"; known are {', '.join(KEYS)}"
        raise ValueError(f"a phone has no {key!r:.80}{hint}")
    if not value or not value.isprintable():
        raise ValueError(f"expected a value behind {key}{operator}, got {value!r:.80}")
    if key == "version" and not _VERSION.fullmatch(value):
        raise ValueError(f"expected a version such as 17 or 17.4.1, got {value!r:.80}")
    if key != "version" and operator in _ORDERS:
        raise ValueError(f"{operator} is for version alone; {key} has = and !=")
    return Condition(key, operator, value)
