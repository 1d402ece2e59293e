# -*- test-case-name: tests.phone.services.test_own -*-
"""
Services of one's own on a simulated phone, from what a person writes:
C{com.example.thing=module:factory}, or the name alone of one that a plugin has
(L{muxd.interfaces.IPhoneService}).

What C{module:factory} names may be a Twisted factory, a class of protocols, or something that is
called without arguments and returns a factory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.plugin import getPlugins

from muxd.interfaces import IPhoneService
from muxd.phone.services.inet import ServiceFactory
from muxd.wire.text import printable

MakeFactory = Callable[[Any], Any]
"""Makes the factory of a service of a phone, which it is given."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def parseServices(text: str) -> dict[str, MakeFactory]:
    """
    Services by name, of which there may be several with commas between them.

    @raise ValueError: One is no service.
    """
    found: dict[str, MakeFactory] = {}
    for word in text.split(","):
        name, isOwn, place = word.partition("=")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"service: expected NAME=MODULE:FACTORY, or the name of a plugin, got {word!r:.80}"
            )
        found[name] = _imported(name, place) if isOwn else _plugged(name)
    return found


def _plugged(name: str) -> MakeFactory:
    for plugin in getPlugins(IPhoneService):
        if plugin.name == name:
            make: MakeFactory = plugin.makeFactory
            return make
    raise ValueError(f"service: there is no plugin for {name!r}; expected {name}=MODULE:FACTORY")


def _imported(service: str, place: str) -> MakeFactory:
    """
    What makes the factory of a service that C{module:factory} names.

    @raise ValueError: It cannot be had; the text says of which service and module, and why.
    """
    where = f"service: {service}"
    module, _, name = place.partition(":")
    if not module or not name:
        raise ValueError(f"{where}: expected MODULE:FACTORY, got {place!r:.80}")
    try:
        thing: Any = import_module(module)
    except Exception as error:
        # It is a person's own code, in which anything may be wrong.
        raise ValueError(
            f"{where}: the module {module!r:.80} cannot be imported: {_reason(error)}"
        ) from error
    try:
        for part in name.split("."):
            thing = getattr(thing, part)
    except AttributeError as error:
        raise ValueError(f"{where}: there is no {place!r:.80}: {error}") from error
    if not _isFactory(thing) and not callable(thing):
        raise ValueError(f"{where}: {place!r:.80} is neither a factory nor makes one")
    return lambda phone: _factoryOf(thing, place)


def _reason(error: Exception) -> str:
    """
    Why a module cannot be imported, in one line.
    """
    said = printable(str(error))
    return said if isinstance(error, ImportError) else f"{type(error).__name__}: {said}"


def _factoryOf(thing: Any, place: str) -> Any:
    if _isFactory(thing):
        return thing
    if isinstance(thing, type) and IProtocol.implementedBy(thing):
        make: Callable[[], Any] = thing
        return ServiceFactory(make)
    made = thing()
    if not _isFactory(made):
        raise ValueError(f"service: {place!r:.80} has made no factory, but {made!r:.80}")
    return made


def _isFactory(thing: Any) -> bool:
    return not isinstance(thing, type) and IProtocolFactory.providedBy(thing)
