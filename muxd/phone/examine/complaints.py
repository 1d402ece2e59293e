# -*- test-case-name: tests.phone.examine.test_report -*-
"""
What the phone writes down during an examination, whatever is being looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from muxd.phone.examine.findings import Finding, Outcome
from muxd.phone.examine.recording import Recording

NO_COMPLAINT = "The phone has nothing to complain of, whatever is done"

WORDS = (
    (r"missing ZLP", 3),
    (r"protocol \d+ before VERSION|VERSION ", 19),
    (r"rx_seq", 21),
    (r"session .* SYN while it is open|SYN of 0->", 22),
    (r".*flags 0x\w\w(,| of a reset)", 26),
    (r".*\back \d+, expected", 29),
    (r"session .*: unknown", 33),
)
"""Which edge is behind a violation that the phone has written down, by its words."""


def edgeOf(violation: str) -> int:
    """
    The sharp edge that a violation is about; 0 if it is none of them, but a rule of the
    protocol all the same.
    """
    return next((edge for words, edge in WORDS if re.match(words, violation)), 0)


@dataclass(slots=True)
class Complaint:
    """
    One kind of violation.

    @ivar text: The first one, in words.
    @ivar packets: The last ones before it.
    @ivar count: How many there were.
    @ivar during: The title of the check that it was first noticed in.
    """

    text: str
    packets: tuple[str, ...]
    count: int = 1
    during: str = ""

    def occurred(self, during: str, count: int) -> None:
        """
        There were so many during a check.
        """
        if self.during:
            self.count += count
        else:
            self.during = during

    def finding(self) -> Finding:
        """
        What the report says of it.
        """
        edge = edgeOf(self.text)
        detail = f"{self.text} ({self.count} times; the first during «{self.during}»)"
        edges = (edge,) if edge else ()
        return Finding(edges, NO_COMPLAINT, Outcome.VIOLATED, detail, self.packets)


class Complaints(list[str]):
    """
    The list of a phone's violations, which notes the packets of the first one of each kind.

    @ivar kinds: What there was, by its words without numbers.
    """

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.kinds: dict[str, Complaint] = {}
        self._recording = recording

    def append(self, text: str) -> None:
        """
        Add one.
        """
        super().append(text)
        kind = re.sub(r"\d+|0x[0-9a-f]+", "N", text)
        known = self.kinds.get(kind)
        if known is None:
            self.kinds[kind] = Complaint(text, self._recording.lines())
        else:
            known.count += 1

    def take(self) -> dict[str, Complaint]:
        """
        What there was since the last time.
        """
        kinds, self.kinds = self.kinds, {}
        self.clear()
        return kinds
