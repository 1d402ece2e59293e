# -*- test-case-name: tests.phone.test_identity -*-
"""
What a simulated phone is said to be: its name, its model, its system, its values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muxd.phone.lockdown.dumps import USUAL, Domains, findDump, modelDump, modelNames

NAME = "Simulated iPhone"

LONGEST_NAME = 255

_PRODUCT = re.compile(r"([A-Za-z]{2,16})\d{1,3},\d{1,3}")
_VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneIdentity:
    """
    What several phones have in common.

    @ivar name: What their owner calls them; C{None} for what C{dump} says.
    @ivar dump: Values by domain; C{None} for those of the usual model.
    @ivar values: Values without a domain that are others.
    """

    name: str | None = NAME
    dump: Domains | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fromWords(
        cls,
        *,
        name: str | None = None,
        product: str | None = None,
        version: str | None = None,
        values: str | None = None,
    ) -> PhoneIdentity:
        """
        Of what was said on a command line or in a description.

        @param product: Such as C{iPad13,16}; what else is to be known of one is that of a model of
            its kind.
        @param version: Of the system, such as C{17.5.1}.
        @param values: A file with a dump, or the name of a model that is shipped.
        @raise ValueError: It is wrong; the text says what.
        """
        if name is not None and not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
            raise ValueError(f"name: expected 1 to {LONGEST_NAME} characters, got {name!r:.80}")
        dump: Domains | None = None
        if values is not None:
            try:
                dump = findDump(values)
            except ValueError as error:
                raise ValueError(f"values: {error}") from error
        others: dict[str, Any] = {}
        if product is not None:
            match = _PRODUCT.fullmatch(product)
            if match is None:
                raise ValueError(f"product: expected one such as iPhone16,1, got {product!r:.80}")
            others["ProductType"] = product
            dump = _dumpOf(match[1]) if dump is None else dump
        if version is not None:
            if not _VERSION.fullmatch(version):
                raise ValueError(f"version: expected one such as 17.5.1, got {version!r:.80}")
            others["ProductVersion"] = others["HumanReadableProductVersionString"] = version
        if name is None and values is None:
            name = NAME
        return cls(name=name, dump=dump, values=others)

    def nameOf(self, index: int) -> str | None:
        """
        The name of one of several phones, which is counted from 0.
        """
        name = self.name
        if index and name is None:
            assert self.dump is not None
            name = str(self.dump.get("", {}).get("DeviceName", NAME))
        return f"{name} {index + 1}" if index else name


def _dumpOf(kind: str) -> Domains:
    """
    The values of a model of this kind, such as C{iPad}; the usual one's if there is none.
    """
    for model in (USUAL, *modelNames()):
        dump = modelDump(model)
        if str(dump[""]["ProductType"]).startswith(kind):
            return dump
    return modelDump(USUAL)
