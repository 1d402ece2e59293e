# -*- test-case-name: tests.bench.test_report -*-
"""
The table: for a terminal, for docs/performance.md, and for programs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bench.bounds import BOUNDS
from bench.bus import BUSES, Bus
from bench.goals import Verdict
from bench.results import Comparison, Line, Series, lines

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
COLUMNS = ("workload", "{ours}", "{theirs}", "ratio", "CPU: {ours}", "{theirs}", "peak MB", "goal")


def number(value: float | None) -> str:
    """
    Three significant digits are more than the machine repeats.
    """
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _with(unit: str, value: float | None) -> str:
    return "-" if value is None else f"{number(value)} {unit}"


def cells(line: Line) -> tuple[str, ...]:
    """
    The texts of a row, in the order of C{COLUMNS}.
    """
    pair, row = line.pair, line.row
    ratio = "-"
    if pair.ours is not None and pair.theirs:
        ratio = f"{pair.ours / pair.theirs:.2f}x"
    first = row is line.comparison.workload.rows[0]
    return (
        row.title,
        "FAILED" if line.failed and pair.ours is None else _with(row.unit, pair.ours),
        _with(row.unit, pair.theirs),
        ratio,
        _with(row.costUnit, pair.ourCost),
        _with(row.costUnit, pair.theirCost),
        _peaks(line.comparison) if first else "",
        "; ".join(f"{goal}: {verdict.value}" for goal, verdict in line.verdicts),
    )


def _peaks(comparison: Comparison) -> str:
    peaks = [series.median("peak_MB") for series in (comparison.ours, comparison.theirs)]
    return " / ".join(number(peak) for peak in peaks)


def _sections(table: Sequence[Line]) -> list[tuple[Bus, list[Line]]]:
    sections = [
        (bus, [line for line in table if line.comparison.workload.bus is bus]) for bus in BUSES
    ]
    return [(bus, section) for bus, section in sections if section]


def _headings(ours: str, theirs: str) -> tuple[str, ...]:
    return tuple(column.format(ours=ours, theirs=theirs) for column in COLUMNS)


def text(comparisons: Sequence[Comparison], ours: str, theirs: str) -> str:
    """
    The table for a terminal.
    """
    table = lines(comparisons)
    head = _headings(ours, theirs)
    rows = {line.row.key: cells(line) for line in table}
    widths = [max(len(row[i]) for row in (head, *rows.values())) for i in range(len(head))]

    def aligned(row: Sequence[str]) -> str:
        middle = (cell.rjust(width) for cell, width in zip(row[1:7], widths[1:7], strict=True))
        return "  ".join((row[0].ljust(widths[0]), *middle, row[7])).rstrip()

    out = [aligned(head)]
    for bus, section in _sections(table):
        out += ["", bus.title, *(aligned(rows[line.row.key]) for line in section)]
    return "\n".join([*out, "", summary(table), ""])


def summary(table: Sequence[Line]) -> str:
    """
    How many goals are met, and what failed.
    """
    verdicts = [verdict for line in table for _, verdict in line.verdicts]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict if verdict in verdicts
    )
    out = [f"goals: {counts or 'none in these rows'}"]
    for comparison in dict.fromkeys(id(line.comparison) for line in table):
        line = next(line for line in table if id(line.comparison) == comparison)
        for series in (line.comparison.ours, line.comparison.theirs):
            out += [f"FAILED: {line.row.title}: {why}" for why in dict.fromkeys(series.failures)]
    if not any(line.comparison.ours.failures or line.comparison.theirs.failures for line in table):
        out.append("every byte was right, no session was lost, the phones counted 0 violations")
    return "\n".join(out)


def markdown(
    comparisons: Sequence[Comparison], ours: str, theirs: str, about: Mapping[str, object]
) -> str:
    """
    The table for docs/performance.md, and on what it was measured.
    """
    table = lines(comparisons)
    head = (*_headings(ours, theirs), "what bounds it")
    out = [_machine(about), ""]
    for bus, section in _sections(table):
        out += [f"### {bus.title[0].upper()}{bus.title[1:]}", ""]
        out += [_markdownRow(head), _markdownRow(("---", *("--:",) * 6, "---", "---"))]
        out += [_markdownRow((*cells(line), BOUNDS.get(line.row.key, ""))) for line in section]
        out.append("")
    return "\n".join([*out, summary(table), ""])


def _machine(about: Mapping[str, object]) -> str:
    return (
        "Measured on {date}: {processor}, {cores} cores, Linux {kernel}, Python {python}, "
        "Twisted {twisted}; muxd {revision}; load of the machine before the run {load}, "
        "{priority} priority; "
        "medians of {rounds} rounds of {seconds:g} s.".format_map(about)
    )


def inserted(document: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """
    A document with the table between its two marks; without marks, the table.
    """
    before, mark, rest = document.partition(begin)
    _, closing, after = rest.partition(end)
    if not mark or not closing:
        return table
    return f"{before}{begin}\n\n{table}\n{end}{after}"


def _markdownRow(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def toJSON(comparisons: Sequence[Comparison], about: Mapping[str, object]) -> str:
    """
    Everything that was measured, round by round, and the medians.
    """
    rows = [
        {
            "key": line.row.key,
            "title": line.row.title,
            "unit": line.row.unit,
            "ours": line.pair.ours,
            "theirs": line.pair.theirs,
            "ourCost": line.pair.ourCost,
            "theirCost": line.pair.theirCost,
            "costUnit": line.row.costUnit,
            "goals": {str(goal): verdict.name for goal, verdict in line.verdicts},
        }
        for line in lines(comparisons)
    ]
    measured = [
        {
            "bus": each.workload.bus.key,
            "phones": each.workload.phones,
            "arguments": each.workload.arguments,
            "ours": _series(each.ours),
            "theirs": _series(each.theirs),
        }
        for each in comparisons
    ]
    return json.dumps({**about, "rows": rows, "measured": measured}, indent=1) + "\n"


def _series(series: Series) -> dict[str, object]:
    return {"rounds": [dict(figures) for figures in series.rounds], "failures": series.failures}
