# -*- test-case-name: tests.differential.test_commandline -*-
"""
A run of comparisons, and what it says.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from time import monotonic

from twisted.python import usage

from muxd.identity import udidSpellings
from tests.differential.comparison import KNOWN, Comparison, compare
from tests.differential.grammar import Case, case
from tests.differential.kept import kept
from tests.differential.pair import CannotCompare, Pair

QUICK = 0.03
PATIENT = 2.0
"""
Seconds of silence after which nothing more is expected: at first, and when something
else depends on it.
"""

AGAIN = 3
"""How often it is asked again, then."""

MOST_SHOWN = 20
FOUND = 1


class Options(usage.Options):
    """
    How many conversations, and which.
    """

    synopsis = "[options]"
    longdesc = "Ask the C daemon and ours the same odd requests, and compare their answers."
    optParameters = [
        ["seconds", None, 60, "How long; 0 is as long as --count says.", float],
        ["count", None, 0, "How many conversations; 0 is as many as --seconds allow.", int],
        ["start", None, 0, "The first one's number.", int],
        ["seed", None, 1, "What they are made of.", int],
        ["case", None, None, "Only this one, SEED:NUMBER or a kept one's name; it is shown."],
    ]


def chosen(options: Options) -> Iterator[Case]:
    """
    The conversations to have.
    """
    if options["case"]:
        seed, _, number = options["case"].partition(":")
        yield from (one for one in kept() if one.name == options["case"])
        if number:
            yield case(int(seed), int(number))
        return
    if not options["start"]:
        yield from kept()
    until = monotonic() + options["seconds"] if options["seconds"] else None
    number = options["start"]
    while not options["count"] or number < options["start"] + options["count"]:
        if until is not None and monotonic() > until:
            return
        yield case(options["seed"], number)
        number += 1


def have(pair: Pair, conversation: Case) -> Comparison:
    """
    Have a conversation with both; if they differ again, with more patience.  A finding is
    what they differ in each time.
    """
    made = _attempt(pair, conversation, QUICK)
    if not made.finding:
        return made
    for _ in range(AGAIN):
        made = _attempt(pair, conversation, PATIENT)
        if not made.finding:
            # Where it was our answer that has changed, that would be one for the tests
            # of our own, which know no chance.
            made.known.add("chance")
            return made
    return made


def _attempt(pair: Pair, conversation: Case, patience: float) -> Comparison:
    theirs = pair.theirs.perform(conversation, patience)
    ours = pair.ours.perform(conversation, patience)
    made = compare(conversation, theirs, ours)
    records = pair.theirs.takeRecords(), pair.ours.takeRecords()
    names = [{udidOfFile(name) for name in each} for each in records]
    if not made.finding and not made.known and names[0] != names[1]:
        made.finding = f"records: theirs {sorted(records[0])}, ours {sorted(records[1])}"
    if ours.ending == "died":
        made.finding = "ours has ended"
    return made


def udidOfFile(name: str) -> str:
    """
    A record's name, the same for all spellings of a UDID.
    """
    stem = name.removesuffix(".plist")
    return next(iter(udidSpellings(stem)), stem)


def main(arguments: Sequence[str]) -> int:
    """
    Compare.

    @return: The exit status.
    """
    options = Options()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as error:
        print(f"{options}\n{error}", file=sys.stderr)
        return 2
    seen: Counter[str] = Counter()
    count = found = 0
    begun = monotonic()
    try:
        with Pair() as pair:
            for conversation in chosen(options):
                count += 1
                made = have(pair, conversation)
                seen.update(made.known)
                if made.finding:
                    found += 1
                    if found <= MOST_SHOWN:
                        print(f"{conversation.name}: {made.finding}")
                if options["case"]:
                    for piece in conversation.pieces:
                        print(f"  {piece.data!r}{' ...' if piece.waits else ''}")
    except CannotCompare as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count} conversations in {monotonic() - begun:.0f} s, {found} findings")
    for name, often in seen.most_common():
        print(f"{often:>8}  {name}: {KNOWN[name]}")
    return FOUND if found else 0
