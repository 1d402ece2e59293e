"""
What the last run has measured: C{make fleet-faults}, or C{python -m tests.netns}.
"""

from __future__ import annotations

import json

from tests.netns import case


def lines() -> list[str]:
    """
    A line for each thing that was waited for.
    """
    if not case.REPORT.exists():
        return ["nothing was measured"]
    said = [json.loads(line) for line in case.REPORT.read_text().splitlines()]
    return [
        f"{each['engine']:<9} {each['test'].removeprefix('test_'):<14} {each['seconds']:>5.1f} s"
        f"  ({each['seconds'] / each['term']:.1f} terms)  {each['what']}"
        for each in sorted(said, key=lambda each: (each["engine"], each["test"]))
    ]


if __name__ == "__main__":
    print("\n".join(lines()))
