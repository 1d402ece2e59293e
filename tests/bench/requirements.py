"""
What tests need that run the benchmark or the soak on the rig.
"""

from __future__ import annotations

import os
import sys
from shutil import which

from twisted.trial.unittest import SynchronousTestCase

NEEDS = "Linux, root, unshare, cc and make are needed"


def requireRig(case: SynchronousTestCase) -> None:
    """
    Skip a test where the rig cannot be built or run; fail it if C{MUXD_REQUIRE_INTEGRATION}
    is set.
    """
    able = sys.platform == "linux" and all(map(which, ("unshare", "cc", "make")))
    if able and not os.geteuid():
        return
    if os.environ.get("MUXD_REQUIRE_INTEGRATION"):
        case.fail(NEEDS)
    case.skipTest(NEEDS)
