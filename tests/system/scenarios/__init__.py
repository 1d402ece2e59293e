"""
What is tried, in groups; the order is that of the table.
"""

from __future__ import annotations

from tests.system.scenario import Catalogue
from tests.system.scenarios import (
    descriptors,
    examined,
    finding,
    pairing,
    plugging,
    traffic,
    trouble,
)

CATALOGUE = Catalogue.joined(
    finding.SCENARIOS,
    descriptors.SCENARIOS,
    plugging.SCENARIOS,
    trouble.SCENARIOS,
    traffic.SCENARIOS,
    pairing.SCENARIOS,
    examined.SCENARIOS,
)
"""All scenarios."""
