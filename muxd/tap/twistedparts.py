# -*- test-case-name: tests.tap.test_twistedparts -*-
"""
The parts of Twisted that are used here and that it does not promise to keep.

A version that has changed one of them would not fail where it is looked at: bytes would be
counted wrongly, or a wait would not end.  So a process of ours looks at its start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import twisted

PARTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("twisted.internet.abstract", "FileDescriptor", ("writeSomeData", "doRead", "startReading")),
    ("twisted.internet.abstract", "FileDescriptor", ("dataBuffer", "offset", "_tempDataLen")),
    ("twisted.internet.tcp", "Connection", ("doRead", "writeSomeData", "fileno", "TLS")),
    ("twisted.internet.tcp", "Port", ("socket", "numberAccepts", "connectionLost", "doRead")),
    ("twisted.internet.base", "ReactorBase", ("seconds", "_newTimedCalls", "_justStopped")),
    ("twisted.internet.base", "DelayedCall", ("seconds", "reset", "getTime")),
    ("twisted.logger", "LogPublisher", ("_observers",)),
)
"""Modules, classes, and what is replaced or read there."""

PARTS_OF_TLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("twisted.protocols.tls", "TLSMemoryBIOProtocol", ("_appSendBuffer",)),
)
"""The same of what is imported where pyOpenSSL is installed, by Twisted's own sockets."""


def missingParts() -> Iterator[str]:
    """
    The names of those that this Twisted does not have.
    """
    ofTLS = [each for each in PARTS_OF_TLS if each[0] in sys.modules]
    for module, name, parts in (*PARTS, *ofTLS):
        kind = _find(module, name)
        yield from (f"{name}.{part}" for part in parts if not _knows(kind, part))


def _knows(kind: Any, part: str) -> bool:
    """
    Whether a class has something of that name, or its methods speak of it.
    """
    methods = (getattr(each, "__code__", None) for each in getattr(kind, "__dict__", {}).values())
    return hasattr(kind, part) or any(code and part in code.co_names for code in methods)


def complaint() -> str:
    """
    What is wrong with this Twisted, in one line; empty if it is as it should be.
    """
    missing = ", ".join(missingParts())
    if not missing:
        return ""
    return (
        f"Twisted {twisted.__version__} has no {missing} any more, which this version of muxd"
        " needs: update muxd, or install an older Twisted"
    )


def _find(module: str, kind: str) -> Any:
    try:
        return getattr(import_module(module), kind, None)
    except ImportError:
        return None
