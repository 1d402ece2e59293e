# -*- test-case-name: tests.phone.lockdown.test_dumps -*-
"""
Dumps of lockdownd's values, as tools write them, and those that are shipped for simulated phones.

A dump is a property list (C{ideviceinfo -x}) or JSON (C{pymobiledevice3 lockdown info}): a
dictionary of the values that have no domain.  Those of a domain are a dictionary under the domain's
name, which has a dot in it, as no key has.
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from twisted.python.filepath import FilePath

from muxd.wire.messages import MalformedMessage, parsePlist

Domains = Mapping[str, Mapping[str, Any]]
"""Values by domain and key; the domain without a name is the empty string."""

LARGEST = 1 << 20
"""Bytes of a dump."""

USUAL = "iphone-ios15"
"""The model that a phone is if nothing is said."""

_SUFFIX = ".plist"


def modelNames() -> list[str]:
    """
    The names of the models that are shipped.
    """
    names = (each.name for each in resources.files("muxd.phone").joinpath("models").iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


@cache
def modelDump(name: str) -> Domains:
    """
    The values of a model that is shipped.
    """
    place = resources.files("muxd.phone").joinpath("models", name + _SUFFIX)
    return parseDump(place.read_bytes())


def findDump(given: str) -> Domains:
    """
    The values that a description names: a file of them, or a model that is shipped.

    @raise ValueError: There is none, or it is no dump.
    """
    file: FilePath[str] = FilePath(given)
    if not file.exists():
        if given in modelNames():
            return modelDump(given)
        models = ", ".join(modelNames())
        raise ValueError(f"there is no file {given!r}; expected one, or one of {models}")
    try:
        if not file.isfile():
            raise ValueError("expected a file")
        if file.getsize() > LARGEST:
            raise ValueError(f"expected at most {LARGEST} bytes")
        return parseDump(file.getContent())
    except (OSError, ValueError) as error:
        raise ValueError(f"{given!r}: {error}") from error


def parseDump(content: bytes) -> Domains:
    """
    Read a dump.

    @raise ValueError: It is neither a property list nor JSON, or no dictionary, or holds what a
        phone cannot say.
    """
    try:
        if content.lstrip()[:1] == b"{":
            values = json.loads(content)
        else:
            values = parsePlist(content)
        plistlib.dumps(values)
    except (MalformedMessage, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a property list or JSON of values: {error}") from error
    domains: dict[str, dict[str, Any]] = {"": {}}
    for key, value in values.items():
        if isinstance(value, dict) and (not key or "." in key):
            domains.setdefault(key, {}).update(value)
        else:
            domains[""][key] = value
    return domains
