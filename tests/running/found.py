"""
A test that was found, as a worker tells it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """
    One test.

    @ivar test: Its id.
    @ivar unit: Whether C{make unit} runs it.
    """

    test: str
    unit: bool

    @property
    def case(self) -> str:
        """
        The class that it is in.
        """
        return self.test.rpartition(".")[0]
