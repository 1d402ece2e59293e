# -*- test-case-name: tests.fleet.test_messages -*-
"""
Tests of L{muxd.fleet.codec} and L{muxd.fleet.messages}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis.strategies import (
    binary,
    booleans,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    recursive,
    sampled_from,
    text,
)
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.codec import BadMessage, Codec
from muxd.fleet.messages import (
    AT_DOOR,
    FROM_DOOR,
    FROM_HUB,
    TO_HUB,
    Alive,
    Enter,
    Grant,
    Hello,
    HostLine,
    Knock,
    Page,
    PhoneLine,
    Phones,
    Refused,
    Reserve,
    Reserved,
    Role,
    WaitLine,
    Welcome,
)
from muxd.fleet.values import Door, DoorKind, Why
from tests.fleet.fleets import phone, udid

DOOR = Door(kind=DoorKind.TLS, where="a.example", port=7400)

RESERVE = {"kind": "reserve", "number": 1, "term": 9, "wait": 0}

KINDS = [*TO_HUB._kinds, *FROM_HUB._kinds, *AT_DOOR._kinds]

JSON = recursive(
    none() | booleans() | integers() | floats() | text(max_size=5),
    lambda inner: lists(inner, max_size=3) | dictionaries(text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sampled_from(
    ["version", "role", "name", "door", "phones", "token", "key", "number", "term", "udids"]
)


class MessageTests(SynchronousTestCase):
    """
    Tests of the messages.
    """

    def test_there_and_back(self) -> None:
        """
        What is written is read again.
        """
        whole = phone(1, labels=("x",), version="17.1", name="Ännchen", speed=480_000_000)
        messages: list[tuple[Codec, Any]] = [
            (TO_HUB, Hello(version=1, role=Role.HOST, name="a", door=DOOR, hasOthers=True)),
            (TO_HUB, Hello(version=1, role=Role.JOB, name="ann")),
            (TO_HUB, Alive()),
            (TO_HUB, Phones(phones=(whole, phone(2)), isComplete=True)),
            (TO_HUB, Reserve(number=1, phone="label=x", term=30.0, wait=0.5, take=True)),
            (TO_HUB, Reserve(number=1, term=30.0, wait=0.5, ticket="0f" * 16, asked=7)),
            (FROM_HUB, Welcome(name="a", term=10.0, key="k", tokens=(1, 1 << 52))),
            (FROM_HUB, Refused(number=3, why=Why.TAKEN, detail="by bob")),
            (FROM_HUB, Grant(token=1, key="k", udid=udid(1), user="ann", term=30.0)),
            (FROM_HUB, Reserved(number=1, token=1, key="k", term=1.5, door=DOOR, phone=whole)),
            (
                FROM_HUB,
                Page(
                    number=1,
                    revision=7,
                    hosts=(HostLine(name="a", phones=2),),
                    phones=(PhoneLine(phone=whole, user="ann"),),
                    waiting=(WaitLine(user="bob", left=9),),
                    after="x",
                ),
            ),
            (AT_DOOR, Knock(version=1, udid=udid(1), key="k")),
            (FROM_DOOR, Enter()),
        ]
        for codec, message in messages:
            self.assertEqual(codec.decode(codec.encode(message)), message)

    def test_later(self) -> None:
        """
        What a later version says besides is ignored.
        """
        self.assertEqual(TO_HUB.decode(b'{"kind": "alive", "mood": "good"}'), Alive())

    def test_before(self) -> None:
        """
        What an earlier version does not say is as if there were none of it.
        """
        reserve = TO_HUB.decode(json.dumps(RESERVE).encode())
        self.assertEqual((reserve.ticket, reserve.asked), ("", 0))

    def test_wrong(self) -> None:
        """
        What makes no sense is refused, and the text says what was expected.
        """
        hello = {"kind": "hello", "version": 1, "role": "JOB", "name": "a"}
        door = {"kind": "TCP", "where": "x", "port": 1}
        for said, complaint in (
            (b"", "expected JSON"),
            (b"\xff", "expected JSON"),
            (b"[]", "expected an object"),
            (b"[" * 100_000, "expected JSON"),
            (b'{"kind": "hello", "version": ' + b"1" * 5000 + b"}", "expected JSON"),
            (b'{"kind": "hello", "version": NaN}', "no NaN"),
            (b'{"kind": "hello"}', "something is missing"),
            (b'{"kind": "no such"}', "there is no message 'no such'"),
            (b'{"kind": {}}', "there is no message"),
            ({**hello, "version": True}, "expected a whole number"),
            ({**hello, "version": -1}, "expected a whole number"),
            ({**hello, "role": "KING"}, "expected one of HOST, JOB"),
            ({**hello, "name": ""}, "expected text"),
            ({**hello, "name": "a\n"}, "printable"),
            ({**hello, "name": "\ud800"}, "printable"),
            ({**hello, "name": "x" * 65}, "up to 64"),
            ({**hello, "door": {**door, "kind": "process"}}, "expected one of UNIX"),
            ({**hello, "door": {**door, "port": 70000}}, "up to 65535"),
            ({**hello, "door": {"kind": "TCP"}}, "something is missing"),
            ({**hello, "door": []}, "expected an object"),
            ({"kind": "phones", "phones": {}}, "expected a list"),
            ({"kind": "phones", "phones": [{}] * 101}, "up to 100"),
            ({"kind": "phones", "phones": [{"udid": "../x", "host": "a"}]}, "udid: expected"),
            ({"kind": "reserve", "number": 1, "term": 1e9, "wait": 0}, "3600"),
            ({"kind": "reserve", "number": 1, "term": "9", "wait": 0}, "seconds"),
            ({**RESERVE, "ticket": "0" * 31}, "ticket: expected"),
            ({**RESERVE, "ticket": "0" * 33}, "ticket: expected"),
            ({**RESERVE, "ticket": "G" * 32}, "ticket: expected"),
            ({**RESERVE, "asked": 1_000_001}, "up to 1000000"),
            ({"kind": "phones", "isComplete": 1}, "expected true or false"),
        ):
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            error = self.assertRaises(BadMessage, TO_HUB.decode, data)
            self.assertIn(complaint, str(error))
            self.assertLess(len(str(error)), 400)

    @given(binary(max_size=40))
    def test_anyBytes(self, data: bytes) -> None:
        """
        Any bytes are a message or a L{BadMessage}.
        """
        for codec in (TO_HUB, FROM_HUB, AT_DOOR, FROM_DOOR):
            try:
                codec.decode(data)
            except BadMessage:
                pass

    @given(sampled_from(KINDS), dictionaries(FIELDS, JSON, max_size=4))
    def test_anyFields(self, kind: str, said: dict[str, Any]) -> None:
        """
        So are any fields; and what is read can be written.
        """
        data = json.dumps({**said, "kind": kind}).encode()
        for codec in (TO_HUB, FROM_HUB, AT_DOOR):
            try:
                message = codec.decode(data)
            except BadMessage:
                continue
            self.assertEqual(codec.decode(codec.encode(message)), message)
