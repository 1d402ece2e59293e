"""
Mutants that no test can notice, each with the reason.
"""

from __future__ import annotations

EXPLAINED: dict[tuple[str, str], str] = {}
"""By the module and the change, as L{tests.mutation.mutants.Mutant.difference} says it."""
