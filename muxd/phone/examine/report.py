# -*- test-case-name: tests.phone.examine.test_report -*-
"""
Reports of examinations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from muxd.phone.examine.findings import Finding, Outcome, counted

EDGES = range(1, 79)
"""The sharp edges of the protocol."""

SHOWN = 8
"""Packets of what is violated, on a page."""

SIGNS = {Outcome.PASSED: "ok", Outcome.VIOLATED: "VIOLATED", Outcome.NOT_EXAMINED: "--"}


def edgesText(edges: Iterable[int]) -> str:
    """
    The numbers of edges; a dash for none.
    """
    return ", ".join(map(str, edges)) or "-"


def lines(finding: Finding) -> list[str]:
    """
    A finding for a terminal.
    """
    first = f"{SIGNS[finding.outcome]:8} {edgesText(finding.edges):>8}  {finding.title}"
    told = [first]
    if finding.detail:
        told.append(f"{'':19}{finding.detail}")
    told += [f"{'':21}{packet}" for packet in finding.packets]
    return told


def summary(findings: Sequence[Finding]) -> str:
    """
    How many there are of each kind.
    """
    numbers = counted(findings)
    return ", ".join(f"{numbers[outcome]} {outcome.value}" for outcome in Outcome)


def unexamined(findings: Iterable[Finding]) -> list[int]:
    """
    The sharp edges that no finding is about.
    """
    seen = {edge for finding in findings for edge in finding.edges}
    return [edge for edge in EDGES if edge not in seen]


def markdown(title: str, findings: Sequence[Finding]) -> str:
    """
    A table, and below it the packets of what is violated.
    """
    rows = [
        f"| {edgesText(each.edges)} | {each.title} | {each.outcome.value}"
        f"{': ' if each.detail else ''}{cell(each.detail)} |"
        for each in sorted(findings, key=lambda finding: finding.edges or (99,))
    ]
    parts = [
        f"## {title}",
        f"{summary(findings)}. No check is about the edges {edgesText(unexamined(findings))}.",
        "\n".join(("| Edges | Expected | Found |", "|---|---|---|", *rows)),
    ]
    for finding in findings:
        if finding.outcome is Outcome.VIOLATED and finding.packets:
            parts += [
                f"{edgesText(finding.edges)}: {finding.detail}",
                "\n".join(("```", *finding.packets[-SHOWN:], "```")),
            ]
    return "\n\n".join(parts) + "\n"


def cell(text: str) -> str:
    """
    Text within a cell of a table.
    """
    return " ".join(text.split()).replace("|", "\\|")
