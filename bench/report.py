# -*- test-case-name: tests.bench.test_report -*-
"""
The table: for a terminal, and for docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.bounds import BOUNDS
from bench.goals import Pair, Verdict
from bench.results import Line, Results, Setting
from bench.workloads import SECTIONS, Section

BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def number(value: float | None) -> str:
    """
    Write a number: three significant digits are more than the machine repeats.
    """
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(pair: Pair) -> str:
    """
    Write the ratio of a pair.
    """
    return "-" if pair.ratio is None else f"{pair.ratio:.2f}x"


def _with(unit: str, value: float | None) -> str:
    return "-" if value is None else f"{number(value)} {unit}".rstrip()


def _shown(line: Line, key: str) -> str:
    figure = line.standings[key].figure.ours
    return "FAILED" if figure is None and line.failed(key) else number(figure)


def _sections(table: Iterable[Line]) -> list[tuple[Section, list[Line]]]:
    lines = list(table)
    sections = [
        (section, [line for line in lines if line.comparison.workload.section is section])
        for section in SECTIONS
    ]
    return [(section, part) for section, part in sections if part]


# For a terminal.


def text(results: Results) -> str:
    """
    Make the table for a terminal: one for each setting.
    """
    out: list[str] = []
    for setting in results.settings:
        out += [*_terminal(results, setting), ""]
    return "\n".join([*out, *summary(results), ""])


def _terminal(results: Results, setting: Setting) -> list[str]:
    table = results.lines(setting)
    head = [setting.title, *(one.name for one in results.columns)]
    head += [f"{one.name}: ratio" for one in results.columns[:-1]]
    head += [f"{one.name}: CPU" for one in results.columns]
    head += [f"{one.name}: ratio" for one in results.columns[:-1]]
    head += ["peak MB", "goals"]
    rows = {line.row.key: _cells(results, line) for line in table}
    widths = [max(len(row[i]) for row in (head, *rows.values())) for i in range(len(head))]

    def aligned(row: Sequence[str]) -> str:
        middle = (cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        return "  ".join((row[0].ljust(widths[0]), *middle, row[-1])).rstrip()

    out = [aligned(head)]
    for section, part in _sections(table):
        out += ["", section.title, *(aligned(rows[line.row.key]) for line in part)]
    return out


def _cells(results: Results, line: Line) -> list[str]:
    row, keys = line.row, [one.key for one in results.columns]
    standings = [line.standings[key] for key in keys]
    first = row is line.comparison.workload.rows[0]
    peaks = [line.comparison.series[key].median("peak_MB") for key in keys]
    goals = [
        f"{column.name}: {goal}: {verdict.value}"
        for column in results.columns
        for goal, verdict in line.verdicts[column.key]
    ]
    return [
        row.title,
        *(
            "FAILED"
            if line.failed(key) and one.figure.ours is None
            else _with(row.unit, one.figure.ours)
            for key, one in zip(keys, standings, strict=True)
        ),
        *(ratio(one.figure) for one in standings[:-1]),
        *(_with(row.costUnit, one.cost.ours) for one in standings),
        *(ratio(one.cost) for one in standings[:-1]),
        " / ".join(number(peak) for peak in peaks) if first else "",
        "; ".join(goals),
    ]


def summary(results: Results, *, whole: bool = True) -> Sequence[str]:
    """
    Say how many goals are met, and what failed.

    @param whole: Whether the last words of what failed belong to it.
    """
    verdicts = results.verdicts()
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict if verdict in verdicts
    )
    failures = [one if whole else one.partition("\n")[0] for one in results.failures()]
    out = [*results.notes, f"goals: {counts or 'none in these rows'}"]
    out += [f"FAILED: {one}" for one in dict.fromkeys(failures)]
    if not failures:
        out.append("every byte was right, no session was lost, the phones counted 0 violations")
    return out


# For docs/performance.md.


def markdown(results: Results) -> str:
    """
    Make the tables for docs/performance.md, and say on what they were measured.

    The settings are side by side.  Where there are several subjects beside the reference, their
    ratios are in one cell, in their order.
    """
    tables = {
        setting.key: {line.row.key: line for line in results.lines(setting)}
        for setting in results.settings
    }
    rivals = results.columns[:-1]
    head = ["workload"]
    for setting in results.settings:
        head += [f"{setting.title}: {results.columns[0].name}"]
        head += [one.name for one in results.columns[1:]]
        head += ["ratio", "CPU ratio"] if rivals else []
    head += ["goals", "what bounds it"]
    out = [machine(results.about), ""]
    if len(rivals) > 1:
        names = " / ".join(one.name for one in rivals)
        out += [f"Ratios are {names}, to {results.reference.name}.", ""]
    rule = ["---", *["--:"] * (len(head) - 3), "---", "---"]
    for section, part in _sections(results.lines(results.settings[0])):
        out += [f"### {section.title[0].upper()}{section.title[1:]}", ""]
        out += [_markdownRow(head), _markdownRow(rule)]
        for first in part:
            row = first.row
            lines = [tables[one.key][row.key] for one in results.settings]
            cells = [f"{row.title}, {row.unit}" if row.unit else row.title]
            for line in lines:
                cells += [_shown(line, one.key) for one in results.columns]
                if rivals:
                    standings = [line.standings[one.key] for one in rivals]
                    cells.append(" / ".join(ratio(one.figure) for one in standings))
                    cells.append(" / ".join(ratio(one.cost) for one in standings) * bool(row.cost))
            out.append(_markdownRow([*cells, _judged(results, lines), BOUNDS.get(row.key, "")]))
        out.append("")
    out += [f"- {one}" for one in summary(results, whole=False)]
    return "\n".join(out).rstrip() + "\n"


def _judged(results: Results, lines: Sequence[Line]) -> str:
    """
    Say what a row's goals are, each with its verdicts in all settings.
    """
    out = []
    for column in results.columns:
        verdicts: dict[str, list[str]] = {}
        for line in lines:
            for goal, verdict in line.verdicts[column.key]:
                verdicts.setdefault(str(goal), []).append(verdict.value)
        name = column.build.value if column.build else column.name
        out += [f"{name} {goal}: {', '.join(found)}" for goal, found in verdicts.items()]
    return "; ".join(out)


def machine(about: Mapping[str, Any]) -> str:
    """
    Say when and on what a run was measured.
    """
    rounds = "a single round" if about["rounds"] == 1 else f"medians of {about['rounds']} rounds"
    return (
        "Measured on {date}: {processor}, {cores} cores, Linux {kernel}, Python {python}, "
        "Twisted {twisted}; muxd {revision}; load of the machine before the run {load}, "
        "{priority} priority; ".format_map(about)
    ) + f"{rounds} of {about['seconds']:g} s."


def inserted(document: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """
    Return a document with the table between its two marks; without marks, the table.
    """
    before, mark, rest = document.partition(begin)
    _, closing, after = rest.partition(end)
    if not mark or not closing:
        return table
    return f"{before}{begin}\n\n{table}\n{end}{after}"


def _markdownRow(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"
