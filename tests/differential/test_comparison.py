"""
Tests of L{tests.differential.comparison}.
"""

from __future__ import annotations

import plistlib
from pathlib import Path
from struct import pack
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import muxd
from tests.differential.comparison import KNOWN, compare
from tests.differential.exchange import Answer, Exchange
from tests.differential.grammar import UDID, Case, Piece
from tests.differential.kept import framed

LISTENED = {"MessageType": "Result", "Number": 0}
ATTACHED = {"MessageType": "Attached", "DeviceID": 1}
CONFORMANCE = Path(muxd.__file__).parent.parent / "docs" / "conformance.md"


def result(number: int, tag: int = 1) -> Answer:
    """
    A Result.
    """
    return answer({"MessageType": "Result", "Number": number}, tag)


def answer(content: Any, tag: int = 1) -> Answer:
    """
    A property list.
    """
    return Answer(1, 8, tag, content)


def exchange(*answers: Answer, ending: str = "open", rest: bytes = b"") -> Exchange:
    """
    What a daemon made of it.
    """
    return Exchange(answers, rest, ending)


def asking(*bodies: bytes | dict[str, Any], waits: bool = True) -> Case:
    """
    A conversation of requests with the tags 1, 2, ...
    """
    pieces = [
        Piece(framed(body if isinstance(body, bytes) else plistlib.dumps(body), tag), waits)
        for tag, body in enumerate(bodies, 1)
    ]
    return Case("test", tuple(pieces))


BUID = asking({"MessageType": "ReadBUID"})


class ComparisonTests(SynchronousTestCase):
    """
    What two daemons said.
    """

    def known(self, case: Case, theirs: Exchange, ours: Exchange) -> set[str]:
        """
        The known differences, where there are no others.
        """
        made = compare(case, theirs, ours)
        self.assertEqual(made.finding, "")
        return made.known

    def finding(self, case: Case, theirs: Exchange, ours: Exchange) -> str:
        """
        The difference that is not known.
        """
        return compare(case, theirs, ours).finding

    def test_same(self) -> None:
        """
        There is no difference.
        """
        said = exchange(answer({"BUID": "x"}))
        self.assertEqual(self.known(BUID, said, said), set())

    def test_own(self) -> None:
        """
        What each daemon says of itself, and what ours says more, is none.
        """
        theirs = {"ListenerList": [{"ID String": "7-x"}], "Properties": {"a": 1}}
        ours = {"ListenerList": [{"ID String": "12-x"}], "Properties": {"a": 1, "UDID": "y"}}
        said = exchange(answer(theirs)), exchange(answer(ours))
        self.assertEqual(self.known(BUID, *said), set())
        record = plistlib.dumps({"a": 1}), plistlib.dumps({"a": 1}).replace(b"\t", b"")
        read = [exchange(answer({"PairRecordData": data})) for data in record]
        self.assertEqual(self.known(BUID, *read), set())

    def test_findings(self) -> None:
        """
        Anything that is served there and not here is one, and any other answer.
        """
        served = exchange(answer({"BUID": "x"}))
        for ours in (
            exchange(),
            exchange(result(1)),
            exchange(answer({"BUID": "y"})),
            exchange(answer({"BUID": "x"}, 2)),
            exchange(ending="closed"),
            exchange(answer({"BUID": "x"}), ending="closed"),
            exchange(answer({"BUID": "x"}), ending="silent"),
            exchange(answer({"BUID": "x"}), rest=b"more"),
        ):
            with self.subTest(ours):
                self.assertTrue(self.finding(BUID, served, ours))
        two = asking({"MessageType": "ReadBUID"}, {"MessageType": "ReadBUID"})
        theirs = exchange(answer({"BUID": "x"}), answer({"BUID": "x"}, 2))
        self.assertTrue(self.finding(two, theirs, served))

    def test_unanswered(self) -> None:
        """
        An answer to what the C daemon does not answer.
        """
        two = asking(b"garbage", {"MessageType": "ReadBUID"})
        last = answer({"BUID": "x"}, 2)
        said = exchange(last), exchange(result(1), last)
        self.assertEqual(self.known(two, *said), {"unanswered"})
        self.assertTrue(self.finding(two, exchange(last), exchange(result(1))))

    def test_more(self) -> None:
        """
        A request that only ours serves.
        """
        binary = asking(plistlib.dumps({"MessageType": "ReadBUID"}, fmt=plistlib.FMT_BINARY))
        said = exchange(), exchange(answer({"BUID": "x"}))
        self.assertEqual(self.known(binary, *said), {"more"})

    def test_listening(self) -> None:
        """
        Whether a listener that asks is told so before the end is no difference; another
        client that is closed is.
        """
        asked = asking({"MessageType": "Listen"}, {"MessageType": "ReadBUID"})
        start = answer(LISTENED), answer(ATTACHED, 0)
        theirs = exchange(*start, ending="closed")
        ours = exchange(*start, result(1, 2), ending="closed")
        self.assertEqual(self.known(asked, theirs, ours), {"listening"})
        self.assertEqual(self.known(asked, ours, theirs), {"listening"})
        self.assertTrue(self.finding(BUID, exchange(ending="closed"), exchange()))

    def test_names(self) -> None:
        """
        A name that could be a path, and no other.
        """
        for name, isKnown in (("../x", True), ("", True), (7, True), ("A-1", False)):
            asked = asking({"MessageType": "DeletePairRecord", "PairRecordID": name})
            made = compare(asked, exchange(result(2)), exchange(result(22)))
            self.assertEqual(made.known, {"names"} if isKnown else set())
            self.assertEqual(bool(made.finding), not isKnown)

    def test_spelling(self) -> None:
        """
        A record that the C daemon does not find under another spelling, and no other.
        """
        for name, isKnown in ((UDID.lower(), True), ("a-1", False)):
            asked = asking({"MessageType": "ReadPairRecord", "PairRecordID": name})
            made = compare(asked, exchange(result(2)), exchange(answer({"PairRecordData": b"x"})))
            self.assertEqual(made.known, {"spelling"} if isKnown else set())
            self.assertEqual(bool(made.finding), not isKnown)

    def test_connect(self) -> None:
        """
        A port that is no number, and what is sent behind a Connect.
        """
        values = {"MessageType": "Connect", "DeviceID": 1}
        odd = asking({**values, "PortNumber": "1"})
        self.assertEqual(self.known(odd, exchange(result(3)), exchange(result(1))), {"port"})
        good = {**values, "PortNumber": 1792}
        ours = exchange(result(0), ending="silent", rest=b"echo")
        theirs = exchange(ending="closed")
        self.assertEqual(self.known(asking(good, b"x", waits=False), theirs, ours), {"pipelined"})
        self.assertEqual(self.known(asking(good), theirs, ours), {"more"})

    def test_long(self) -> None:
        """
        A long message that is no pair record, and no other.
        """
        long = Case("test", (Piece(pack("<IIII", 65535, 1, 5, 1), True),))
        short = Case("test", (Piece(pack("<IIII", 4000, 1, 5, 1), True),))
        theirs, ours = exchange(ending="silent"), exchange(ending="closed")
        self.assertEqual(self.known(long, theirs, ours), {"long"})
        self.assertTrue(self.finding(short, theirs, ours))
        asked = asking({"MessageType": "ReadBUID", "ProgName": "x" * 5000})
        said = exchange(answer({"BUID": "x"})), exchange(result(1))
        self.assertEqual(self.known(asked, *said), {"long"})

    def test_died(self) -> None:
        """
        A daemon that has died has nothing to say.
        """
        self.assertEqual(self.known(BUID, exchange(ending="died"), exchange()), {"died"})

    def test_explained(self) -> None:
        """
        The reason of each known difference is in the documentation.
        """
        text = CONFORMANCE.read_text()
        for name in KNOWN:
            self.assertIn(f"| `{name}` |", text)
