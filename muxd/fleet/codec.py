# -*- test-case-name: tests.fleet.test_messages -*-
"""
How messages of a fleet are written: JSON objects, each with a C{kind} and the fields of a
dataclass.

What comes is believed of nothing: every field has a kind and a bound, what has no field is
ignored, so that later versions may say more, and everything else is a L{BadMessage}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from math import isfinite
from typing import Any, TypeVar

T = TypeVar("T")

LARGEST_NUMBER = (1 << 53) - 1
"""What every program that reads JSON can tell from its neighbours."""


class BadMessage(ValueError):
    """
    A message makes no sense; the text says what was expected.
    """


@dataclass(frozen=True, slots=True)
class Form:
    """
    How a field is written and read.

    @ivar read: Makes a value of what JSON has; raises L{BadMessage}.
    @ivar write: The other way round.
    """

    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value


def _as(form: Form, **more: Any) -> Any:
    return field(metadata={"form": form}, **more)


def textForm(most: int, isOptional: bool = False) -> Form:
    """
    Printable characters.
    """

    def read(said: Any) -> str:
        if type(said) is not str or len(said) > most or not said.isprintable():
            raise BadMessage(f"expected up to {most} printable characters, got {said!r:.80}")
        if not said and not isOptional:
            raise BadMessage("expected text, got none")
        return said

    return Form(read)


def wordForm(pattern: str) -> Form:
    """
    Text of a few kinds of characters.
    """
    compiled = re.compile(pattern)

    def read(said: Any) -> str:
        if type(said) is not str or compiled.fullmatch(said) is None:
            raise BadMessage(f"expected {pattern}, got {said!r:.80}")
        return said

    return Form(read)


def text(most: int, isOptional: bool = False) -> Any:
    """
    A field of printable characters.
    """
    form = textForm(most, isOptional)
    return _as(form, default="") if isOptional else _as(form)


def whole(most: int = LARGEST_NUMBER, default: int | None = None) -> Any:
    """
    A field with a whole number from 0.
    """

    def read(said: Any) -> int:
        if type(said) is not int or not 0 <= said <= most:
            raise BadMessage(f"expected a whole number up to {most}, got {said!r:.80}")
        return said

    return _as(Form(read)) if default is None else _as(Form(read), default=default)


def seconds(least: float, most: float) -> Any:
    """
    A field with a time.
    """

    def read(said: Any) -> float:
        if type(said) not in (int, float) or not isfinite(said) or not least <= said <= most:
            raise BadMessage(f"expected from {least} to {most} seconds, got {said!r:.80}")
        return float(said)

    return _as(Form(read))


def flag() -> Any:
    """
    A field that is true or false; false if it is left out.
    """

    def read(said: Any) -> bool:
        if type(said) is not bool:
            raise BadMessage(f"expected true or false, got {said!r:.80}")
        return said

    return _as(Form(read), default=False)


def enumForm(kind: type[Enum]) -> Form:
    """
    The name of one of a few things.
    """

    def read(said: Any) -> Enum:
        if type(said) is not str or said not in kind.__members__:
            raise BadMessage(f"expected one of {', '.join(kind.__members__)}, got {said!r:.80}")
        return kind[said]

    return Form(read, lambda value: value.name)


def choice(kind: type[Enum]) -> Any:
    """
    A field with the name of one of a few things.
    """
    return _as(enumForm(kind))


def manyForm(form: Form, most: int) -> Form:
    """
    Several of a kind.
    """

    def read(said: Any) -> tuple[Any, ...]:
        if type(said) is not list or len(said) > most:
            raise BadMessage(f"expected a list of up to {most}, got {said!r:.80}")
        return tuple(map(form.read, said))

    return Form(read, lambda values: [form.write(each) for each in values])


def one(form: Form, otherwise: Any = MISSING) -> Any:
    """
    A field of a form.

    @param otherwise: What it is if it is left out.
    """
    return _as(form, default=otherwise)


def many(form: Form, most: int) -> Any:
    """
    A field with several of a kind; none if it is left out.
    """
    return _as(manyForm(form, most), default=())


def partForm(kind: type[T], forms: Mapping[str, Form]) -> Form:
    """
    An object of its own.

    @param forms: Those of its fields; what is left out of it is as its class has it.
    """

    def read(said: Any) -> T:
        if type(said) is not dict:
            raise BadMessage(f"expected an object, got {said!r:.80}")
        return _build(kind, forms, said)

    def write(value: T) -> dict[str, Any]:
        return {name: form.write(getattr(value, name)) for name, form in forms.items()}

    return Form(read, write)


def part(form: Form) -> Any:
    """
    A field with an object of its own, or null.
    """
    return _as(
        Form(
            lambda said: None if said is None else form.read(said),
            lambda value: None if value is None else form.write(value),
        ),
        default=None,
    )


def _build(kind: type[T], forms: Mapping[str, Form], said: Mapping[str, Any]) -> T:
    values = {}
    for name, form in forms.items():
        if name in said:
            try:
                values[name] = form.read(said[name])
            except BadMessage as error:
                raise BadMessage(f"{name}: {error}") from None
    try:
        return kind(**values)
    except TypeError:
        missing = ", ".join(name for name in forms if name not in values)
        raise BadMessage(f"{kind.__name__}: something is missing of {missing}") from None


class Codec:
    """
    The messages of a protocol.
    """

    def __init__(self, *kinds: type[Any]) -> None:
        """
        @param kinds: Their dataclasses, whose fields are those of this module.  What is called
            C{Hello} has the kind C{hello}.
        """
        self._kinds = {kind.__name__.lower(): kind for kind in kinds}
        self._forms = {
            kind: {one.name: one.metadata["form"] for one in fields(kind)} for kind in kinds
        }

    def encode(self, message: Any) -> bytes:
        """
        Write a message.
        """
        kind = type(message)
        said = {
            name: form.write(getattr(message, name)) for name, form in self._forms[kind].items()
        }
        said["kind"] = kind.__name__.lower()
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        """
        Read a message.

        @raise BadMessage: It makes no sense.
        """
        try:
            said = json.loads(data, parse_constant=_refuse)
        except BadMessage:
            raise
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"expected JSON: {error}"[:200]) from None
        if type(said) is not dict:
            raise BadMessage(f"expected an object, got {said!r:.80}")
        name = said.get("kind")
        kind = self._kinds.get(name) if type(name) is str else None
        if kind is None:
            raise BadMessage(f"there is no message {name!r:.80}")
        return _build(kind, self._forms[kind], said)


def _refuse(name: str) -> None:
    raise BadMessage(f"expected JSON, which has no {name}")
