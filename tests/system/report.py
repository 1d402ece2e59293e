# -*- test-case-name: tests.system.test_campaign -*-
"""
The table at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.system.campaign import Cell
from tests.system.contenders import Contender, Model
from tests.system.outcome import Verdict
from tests.system.plan import Trial
from tests.system.scenario import Scenario

NOT_APPLICABLE = "n/a"
NOT_RUN = "not run"


class Report:
    """
    What came of a campaign.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        contenders: Sequence[Contender],
        model: Model,
        cells: Sequence[Cell],
    ) -> None:
        self._scenarios = scenarios
        self._contenders = contenders
        self._model = model
        # What was tried once more counts by what came of it last.
        self._cells = {cell.outcome.trial: cell for cell in cells}
        self._first = [cell for cell in cells if cell is not self._cells[cell.outcome.trial]]

    def table(self) -> str:
        """
        A row for each scenario, a column for each daemon; in Markdown.
        """
        rows = [
            [f"scenario ({self._model.value} phone)", *(each.title for each in self._contenders)],
            *(
                [each.name, *(self._field(each, contender) for contender in self._contenders)]
                for each in self._scenarios
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "| "
            + " | ".join(field.ljust(width) for field, width in zip(row, widths, strict=True))
            + " |"
            for row in rows
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)

    def details(self) -> str:
        """
        Why fields are what they are: what failed, and what means nothing.
        """
        lines = []
        for scenario in self._scenarios:
            for contender in self._contenders:
                cell = self._cells.get(Trial(contender, scenario.name))
                reason = scenario.whyNot(contender, self._model)
                where = f"{scenario.name}, {contender.title}"
                if reason is not None:
                    lines.append(f"{where}: not applicable: {reason}")
                elif cell is not None and cell.outcome.verdict is Verdict.FAILED:
                    lines.append(f"{where}: FAILED: {cell.outcome.reason}\n  see {cell.directory}")
        lines += [
            f"{cell.outcome.trial}: at the first try: {cell.outcome.reason}\n  see {cell.directory}"
            for cell in self._first
        ]
        return "\n".join(lines)

    @property
    def failed(self) -> int:
        """
        How many scenarios muxd failed, or did not come to.
        """
        return len(self._applicable()) - self.passed

    @property
    def passed(self) -> int:
        """
        How many it passed.
        """
        return sum(
            cell is not None and cell.outcome.verdict is Verdict.PASSED
            for cell in self._applicable()
        )

    def summary(self) -> str:
        """
        The closing line, which counts muxd's fields.
        """
        fields = [each for each in self._contenders if each.isMuxd]
        skipped = len(fields) * len(self._scenarios) - len(self._applicable())
        return f"{self.passed} passed, {self.failed} failed, {skipped} skipped"

    def _applicable(self) -> list[Cell | None]:
        return [
            self._cells.get(Trial(contender, scenario.name))
            for scenario in self._scenarios
            for contender in self._contenders
            if contender.isMuxd and scenario.whyNot(contender, self._model) is None
        ]

    def _field(self, scenario: Scenario, contender: Contender) -> str:
        if scenario.whyNot(contender, self._model) is not None:
            return NOT_APPLICABLE
        cell = self._cells.get(Trial(contender, scenario.name))
        if cell is None:
            return NOT_RUN
        word = "pass" if cell.outcome.verdict is Verdict.PASSED else "FAIL"
        return f"{word} {cell.outcome.seconds:.1f} s"
