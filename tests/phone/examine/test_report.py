"""
Tests of L{muxd.phone.examine.report}, L{muxd.phone.examine.recording} and
L{muxd.phone.examine.complaints}.
"""

from __future__ import annotations

import plistlib

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.examine.complaints import Complaints, edgeOf
from muxd.phone.examine.findings import Finding, Outcome
from muxd.phone.examine.recording import KEPT, Recording, packetLine
from muxd.phone.examine.report import EDGES, lines, markdown, summary, unexamined
from muxd.testing.packets import Segment
from muxd.wire.messages import HEADER, Message
from muxd.wire.mux import Flags, MuxProtocol, encodePacketV1, encodePacketV2, encodeVersion

FINDINGS = [
    Finding((21, 22), "tea", Outcome.PASSED),
    Finding((3,), "milk", Outcome.VIOLATED, "got sugar | salt", ("host  > a", "phone > b")),
    Finding((), "no edge", Outcome.NOT_EXAMINED, "too late"),
]


class ReportTests(SynchronousTestCase):
    """
    Tests of reports.
    """

    def test_lines(self) -> None:
        """
        A terminal shows the outcome, the edges, what was expected, what came, and packets.
        """
        self.assertEqual(lines(FINDINGS[0]), ["ok         21, 22  tea"])
        self.assertEqual(
            [line.strip() for line in lines(FINDINGS[1])],
            ["VIOLATED        3  milk", "got sugar | salt", "host  > a", "phone > b"],
        )

    def test_summary(self) -> None:
        """
        The last line counts.
        """
        self.assertEqual(summary(FINDINGS), "1 passed, 1 violated, 1 not examined")

    def test_unexamined(self) -> None:
        """
        Which edges are not looked at is no secret.
        """
        self.assertEqual(unexamined(FINDINGS), [e for e in EDGES if e not in (3, 21, 22)])

    def test_markdown(self) -> None:
        """
        A page has a table by edges, and the packets of what is violated below it.
        """
        text = markdown("a daemon", FINDINGS)
        self.assertTrue(text.startswith("## a daemon\n\n1 passed, 1 violated, 1 not examined."))
        self.assertIn(
            "| 3 | milk | violated: got sugar \\| salt |\n"
            "| 21, 22 | tea | passed |\n"
            "| - | no edge | not examined: too late |\n",
            text,
        )
        self.assertIn("3: got sugar | salt\n\n```\nhost  > a\nphone > b\n```\n", text)


class RecordingTests(SynchronousTestCase):
    """
    Tests of packets in words.
    """

    def test_segment(self) -> None:
        """
        A segment tells its ports, flags and numbers, the packet's counters, and what it carries.
        """
        body = Segment(1025, 7, 1, 2, Flags.SYN | Flags.ACK, 131072, bytes(range(20))).encode()
        self.assertEqual(
            packetLine(encodePacketV2(MuxProtocol.TCP, body, 3, 4), 2),
            "1025->7 SYN|ACK seq 1 ack 2 window 131072"
            " + 20 bytes: 000102030405060708090a0b0c0d0e0f... [tx 3 rx 4 magic feedface]",
        )
        body = Segment(1, 7, 1, 2, 0, 256).encode()
        self.assertEqual(
            packetLine(encodePacketV1(MuxProtocol.TCP, body), 1),
            "1->7 no flags seq 1 ack 2 window 256",
        )

    def test_others(self) -> None:
        """
        Whatever it is, it has a line.
        """
        for data, line in (
            (encodeVersion(2), "VERSION + 12 bytes: 000000020000000000000000"),
            (encodePacketV1(99, b"a"), "protocol 99 + 1 bytes: 61"),
            (encodePacketV1(6, b"short"), "TCP + 5 bytes: 73686f7274"),
            (b"abc", "a transfer + 3 bytes: 616263"),
            (b"", "a transfer"),
            (bytes(9), "a transfer with a packet length of 0 + 9 bytes: 000000000000000000"),
        ):
            self.assertEqual(packetLine(data, 1), line)

    def test_messages(self) -> None:
        """
        A message of a client tells its header and what its property list has.
        """
        recording = Recording()
        recording.message(
            Message(1, 8, 1, plistlib.dumps({"MessageType": "Listen"})).encode(), True
        )
        recording.message(Message(0, 3, 1).encode(), False)
        recording.message(HEADER.pack(99, 0, 1, 0) + b"body", True)
        recording.message(b"abc", True)
        self.assertEqual(
            recording.lines(),
            (
                "client > version 1 message 8 tag 1 {'MessageType': 'Listen'}",
                "daemon > version 0 message 3 tag 1",
                "client > length 99 version 0 message 1 tag 0 + 4 bytes: 626f6479",
                "client > a message + 3 bytes: 616263",
            ),
        )

    def test_bounded(self) -> None:
        """
        The last lines are kept.
        """
        recording = Recording()
        for number in range(KEPT + 5):
            recording.packet(bytes([number]), 2, True)
        self.assertEqual(len(recording.lines()), KEPT)
        self.assertIn("10", recording.lines()[-1])
        recording.begin()
        self.assertEqual(recording.lines(), ())


class ComplaintTests(SynchronousTestCase):
    """
    Tests of what the phone writes down.
    """

    def test_edges(self) -> None:
        """
        The words of a violation tell the edge.
        """
        for text, edge in (
            ("missing ZLP: a packet of 512 bytes was not ended", 3),
            ("protocol 6 before VERSION", 19),
            ("rx_seq 5, expected 3 to 4", 21),
            ("session 0->7: SYN while it is open", 22),
            ("session 1->7: flags 0x18, expected 0x10", 26),
            ("session 1->7: ack 1, expected 2 to 3", 29),
            ("session 1->7: unknown, flags 0x10", 33),
            ("tx_seq 7, expected 1", 0),
        ):
            self.assertEqual(edgeOf(text), edge, text)

    def test_kinds(self) -> None:
        """
        What differs in its numbers alone is told once, with the packets of its first time, and
        counted.
        """
        recording = Recording()
        complaints = Complaints(recording)
        recording.note("a packet")
        for number in range(3):
            complaints.append(f"tx_seq {number}, expected 1")
        complaints.append("something else")
        taken = complaints.take()
        self.assertEqual([each.count for each in taken.values()], [3, 1])
        first, _ = taken.values()
        first.occurred("one check", first.count)
        first.occurred("another", 4)
        finding = first.finding()
        self.assertEqual((finding.edges, finding.packets), ((), ("a packet",)))
        self.assertEqual(
            finding.detail,
            "tx_seq 0, expected 1 (7 times; the first during «one check»)",
        )
        self.assertEqual((list(complaints), complaints.take()), ([], {}))
