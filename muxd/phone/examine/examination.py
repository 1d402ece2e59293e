# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
All checks, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from muxd.phone.examine import insessions, oncable, withclients
from muxd.phone.examine.checks import Check
from muxd.phone.examine.complaints import NO_COMPLAINT, Complaint
from muxd.phone.examine.findings import Finding, NotExamined, Outcome, Violated
from muxd.phone.examine.stage import Stage

CHECKS = (*oncable.CHECKS.all, *insessions.CHECKS.all, *withclients.CHECKS.all)

LONG = "it takes minutes: --long"


def chosen(edges: Iterable[int] = ()) -> list[Check]:
    """
    The checks of some edges; all of them without any.
    """
    wanted = set(edges)
    return [check for check in CHECKS if not wanted or wanted & set(check.edges)]


async def examine(
    stage: Stage,
    checks: Iterable[Check] = CHECKS,
    *,
    withLong: bool = False,
    found: Callable[[Finding], object] = lambda finding: None,
) -> list[Finding]:
    """
    Make checks.

    @param found: Called with each finding as it comes.
    @return: A finding for each check, and others for what the phone has written down meanwhile.
    """
    findings: list[Finding] = []
    complaints: dict[str, Complaint] = {}

    def add(finding: Finding) -> None:
        findings.append(finding)
        found(finding)

    for check in checks:
        if check.isLong and not withLong:
            add(Finding(check.edges, check.title, Outcome.NOT_EXAMINED, LONG))
            continue
        outcome, detail = await _outcome(stage, check)
        packets = stage.recording.lines() if outcome is Outcome.VIOLATED else ()
        add(Finding(check.edges, check.title, outcome, detail, packets))
        for kind, complaint in stage.takeComplaints().items():
            complaints.setdefault(kind, complaint).occurred(check.title, complaint.count)
        if outcome is Outcome.VIOLATED:
            # What comes next is not to suffer from that.
            await stage.restart()
    for complaint in complaints.values():
        add(complaint.finding())
    if not complaints:
        add(Finding((), NO_COMPLAINT, Outcome.PASSED))
    return findings


async def _outcome(stage: Stage, check: Check) -> tuple[Outcome, str]:
    """
    Make one check.
    """
    try:
        await _prepare(stage)
        stage.recording.begin()
        await check.run(stage)
    except NotExamined as reason:
        return Outcome.NOT_EXAMINED, str(reason)
    except Violated as problem:
        end = "" if stage.isAlive else "; the daemon has ended"
        return Outcome.VIOLATED, f"{problem}{end}"
    except OSError as error:
        return Outcome.VIOLATED, f"expected to be let in, got {error}"
    if not stage.isAlive:
        return Outcome.VIOLATED, "the daemon has ended"
    return Outcome.PASSED, ""


async def _prepare(stage: Stage) -> None:
    """
    Be as at the beginning; once more with another life of the daemon if that is needed.

    @raise NotExamined: The daemon does not list a phone.
    """
    try:
        await stage.prepare()
    except (Violated, OSError):
        await stage.restart()
        try:
            await stage.prepare()
        except Violated as problem:
            raise NotExamined(f"the phone cannot be used at all: {problem}") from None
