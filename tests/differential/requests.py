"""
The requests in a conversation, as a well-meaning reader sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any

from muxd.server.quickplist import LONGEST_REQUEST
from muxd.wire.messages import MalformedMessage, parsePlist
from tests.differential.grammar import Case

HEADER = Struct("<IIII")
CONNECT = 2
PLIST = 8


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request as a well-meaning reader sees it.

    @ivar body: Without header.
    @ivar values: Of a property list.
    @ivar isFollowed: Whether something is sent behind it that does not wait for its answer.
    @ivar isLong: Whether its header says that it is longer than all requests but pair
        records are here.
    """

    kind: int
    body: bytes
    values: Mapping[str, Any]
    isFollowed: bool
    isLong: bool

    @property
    def isConnect(self) -> bool:
        """
        Whether it asks for a stream.
        """
        return self.kind == CONNECT or self.values.get("MessageType") == "Connect"

    @property
    def isConnectFollowed(self) -> bool:
        """
        Whether it does, and something is sent behind it at once.
        """
        return self.isFollowed and self.isConnect


def _isRecord(values: Mapping[str, Any]) -> bool:
    return values.get("MessageType") == "SavePairRecord"


def requestsOf(case: Case) -> dict[int, Request]:
    """
    The requests in a conversation, by their tags.
    """
    found: dict[int, Request] = {}
    data, at = case.data, 0
    waits: set[int] = set()
    end = 0
    for piece in case.pieces:
        end += len(piece.data)
        if piece.waits:
            waits.add(end)
    while at + HEADER.size <= len(data):
        length, version, kind, tag = HEADER.unpack_from(data, at)
        body = data[at + HEADER.size : at + length]
        values: Mapping[str, Any] = {}
        try:
            if kind == PLIST:
                values = parsePlist(body)
        except MalformedMessage:
            pass
        if length < HEADER.size:
            break  # No daemon knows where the next one begins.
        at += length
        isPlist = (version, kind) == (1, PLIST)
        isLong = length > HEADER.size + LONGEST_REQUEST and not (isPlist and _isRecord(values))
        found.setdefault(tag, Request(kind, body, values, at not in waits, isLong))
    return found
