# -*- test-case-name: tests.differential.test_comparison -*-
"""
Whether two daemons made the same of a conversation, and if not, which known difference
that is.

Each known difference has a name, and under that name its reason in F{docs/conformance.md}.
Any other one is a finding.
"""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass, field
from typing import Any

from muxd.identity import udidSpellings
from muxd.wire.messages import MalformedMessage, parsePlist
from tests.differential.exchange import Answer, Exchange, resultOf
from tests.differential.grammar import Case
from tests.differential.requests import PLIST, Request, requestsOf

KNOWN = {
    "died": "the C daemon ends, of a NUL in a string and the like",
    "unanswered": "the C daemon does not answer what it cannot read; ours answers Result 1",
    "more": "ours serves what the C daemon does not: binary property lists, UTF-16",
    "listening": "a listener's further request: ours says Result 1 before it closes",
    "pipelined": "what is sent behind a Connect is the phone's; the C daemon closes",
    "names": "a record's name that could be a path is Result 22",
    "spelling": "a record is found whichever way its UDID is spelled",
    "port": "a port that is no number is Result 1; the C daemon asks the phone for port 0",
    "short": "a binary Connect without a port is Result 1; the C daemon uses what was there",
    "unspeakable": "a record with what XML cannot hold is Result 22; the C daemon writes it",
    "unreadable": "the C daemon's answer is no property list, as it repeats what it was told",
    "rewritten": "a record with what is no UTF-8 is stored as UTF-8; the C daemon keeps it",
    "long": "more than 4 KiB of anything but a pair record is refused",
    "chance": "the C daemon answers differently when it is asked again",
    "integers": "one with a leading 0 is decimal here; one beyond 64 bits the nearest there is",
}
"""Name and short form of each."""

DEVICE_ADD = 4
LOCATION = 4
"""Bytes at the end of an added device."""

BAD_COMMAND = 1
EINVAL = 22
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass
class Comparison:
    """
    @ivar known: Names of the known differences that were seen.
    @ivar finding: What is not known; empty if there is nothing.
    """

    known: set[str] = field(default_factory=set)
    finding: str = ""


def compare(case: Case, theirs: Exchange, ours: Exchange) -> Comparison:
    """
    Compare what both made of a conversation.
    """
    made = Comparison()
    if theirs.ending == "died":
        made.known.add("died")
        return made
    requests = requestsOf(case)
    left, right = _settled(theirs, made), _settled(ours, made)
    answers = list(right.answers)
    for answer in left.answers:
        while answers and not _isSame(answer, answers[0]):
            request = requests.get(answers[0].tag)
            verdict = _judge(request, answer, answers[0])
            if verdict == "":
                made.finding = f"answer: theirs {answer}, ours {answers[0]}"
                return made
            made.known.add(verdict)
            if verdict == "pipelined" or (verdict in ONE_SIDED and _isTurning(request)):
                return made
            if verdict in REPLACES or answer.tag == answers[0].tag:
                break
            del answers[0]
        if not answers:
            made.finding = f"answer: theirs {answer}, ours nothing"
            return made
        del answers[0]
    for answer in answers:
        request = requests.get(answer.tag)
        if left.ending == "closed" and request is not None and request.isConnectFollowed:
            made.known.add("pipelined")
            return made
        made.known.add("unanswered" if _isRefusal(answer) else "more")
        if not _isRefusal(answer) and _isTurning(request):
            return made
    if (left.ending, left.rest) == (right.ending, right.rest):
        return made
    if right.ending == "closed" and any(request.isLong for request in requests.values()):
        made.known.add("long")
    elif any(request.isConnectFollowed for request in requests.values()):
        made.known.add("pipelined")
    else:
        made.finding = (
            f"ending: theirs {left.ending} {left.rest!r}, ours {right.ending} {right.rest!r}"
        )
    return made


ONE_SIDED = frozenset({"more", "integers", "spelling"})
"""After which the two connections may be in different states."""

REPLACES = frozenset(
    {
        "names",
        "spelling",
        "port",
        "short",
        "unspeakable",
        "unreadable",
        "integers",
        "rewritten",
        "long",
    }
)
"""Where both answer, and differently."""


def _settled(exchange: Exchange, made: Comparison) -> Exchange:
    """
    The same, without what a daemon says to a listener that asks for something: whether
    that arrives before the end of the connection is chance with the C daemon.
    """
    answers = list(exchange.answers)
    ending, rest = exchange.ending, exchange.rest
    if ending == "refused":
        ending = "closed"
    if ending == "closed" and any(map(_isAttached, answers)):
        while answers and _isRefusal(answers[-1]):
            made.known.add("listening")
            del answers[-1]
    return Exchange(tuple(answers), rest, ending)


def _judge(request: Request | None, theirs: Answer, ours: Answer) -> str:
    """
    The name of the difference between what came next from both; empty if it has none.
    """
    if request is None and not _isAttached(ours):
        return ""
    if theirs.tag != ours.tag:
        if _isRefusal(ours):
            return "unanswered"
        if request is not None and request.isConnectFollowed:
            return "pipelined"
        return "more"
    if request is None:
        return ""
    values = request.values
    if isinstance(theirs.content, bytes) and theirs.kind == PLIST:
        return "unreadable"
    if _isRewritten(theirs):
        return "rewritten"
    if resultOf(ours) == EINVAL:
        name = values.get("PairRecordID")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return "names"
        if resultOf(theirs) == 0 and _isUnspeakable(values.get("PairRecordData")):
            return "unspeakable"
    if resultOf(theirs) == EINVAL and resultOf(ours) == 0:
        return "more"
    if udidSpellings(str(values.get("PairRecordID"))):
        return "spelling"
    if _isRefusal(ours) and request.isLong:
        return "long"
    if _isRefusal(ours):
        if request.isConnect and type(values.get("PortNumber", 0)) is not int:
            return "port"
        if request.kind == 2 and len(request.body) < 6:
            return "short"
        return "unanswered" if _isAttached(theirs) else ""
    if request.isConnectFollowed:
        return "pipelined"
    if re.search(rb"<integer[^>]*>\s*[-+]?(?:0[0-9]|[0-9]{19}|[^<]*&)", request.body):
        return "integers"
    return ""


def _isTurning(request: Request | None) -> bool:
    """
    Whether it makes a difference for what follows that only one daemon has served this.
    """
    turning = ("Listen", "Connect", "SavePairRecord", "DeletePairRecord")
    return request is None or request.kind != PLIST or request.values.get("MessageType") in turning


def _isUnspeakable(data: object) -> bool:
    """
    Whether there are characters in a record, or bytes, that XML has no place for.
    """
    if not isinstance(data, bytes):
        return False
    try:
        plistlib.dumps(parsePlist(data))
    except ValueError:
        return True
    return bool(re.search(rb"&#|[\0-\10\13\14\16-\37]|\xef\xbf[\xbe\xbf]", data))


def _isAttached(answer: Answer) -> bool:
    """
    Whether this is what a listener gets for the phone that there is.
    """
    isDictionary = isinstance(answer.content, dict)
    return answer.kind == DEVICE_ADD or (
        isDictionary and answer.content.get("MessageType") == "Attached"
    )


def _isRewritten(theirs: Answer) -> bool:
    """
    Whether it is a record that is no XML, as what it was made of was none.
    """
    if not isinstance(theirs.content, dict):
        return False
    data = theirs.content.get("PairRecordData")
    try:
        return isinstance(data, bytes) and not data.decode()
    except UnicodeDecodeError:
        return True


def _isRefusal(answer: Answer) -> bool:
    return resultOf(answer) == BAD_COMMAND


def _isSame(theirs: Answer, ours: Answer) -> bool:
    head = (theirs.version, theirs.kind, theirs.tag) == (ours.version, ours.kind, ours.tag)
    if theirs.kind == DEVICE_ADD and head:
        return bool(theirs.content[:-LOCATION] == ours.content[:-LOCATION])
    return head and _plain(theirs.content) == _plain(ours.content)


def _plain(content: Any) -> Any:
    """
    What both have to say: the number of a listener is its own in each daemon, ours says
    more about a phone, and where it is in Apple's way (protocol 1.6, 4.9).
    """
    if isinstance(content, dict):
        if isinstance(content.get("PairRecordData"), bytes):
            return _record(content["PairRecordData"])
        more = ("UDID", "USBSerialNumber", "MuxdPortPath", "LocationID")
        return {
            key: re.sub("^[0-9]+-", "", value) if key == "ID String" else _plain(value)
            for key, value in content.items()
            if key not in more
        }
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return content


def _record(data: bytes) -> Any:
    """
    A record's values: each daemon writes it in its own way.
    """
    try:
        return parsePlist(data)
    except MalformedMessage:
        return data
