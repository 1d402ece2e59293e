# -*- test-case-name: tests.fuzz.test_main -*-
"""
One target under atheris, whose engine is libFuzzer::

    python -m tests.fuzz.fuzzer TARGET [libFuzzer's own options and directories]

Coverage is that of muxd, of the libraries that read for it, and of the target, whose branches are
what the world does next.  Words are those of F{words.dict}, or of a target's own dictionary.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from tests.fuzz.metering import FUZZING
from tests.fuzz.target import targetNamed

AGAIN = "MUXD_FUZZER"
"""What libFuzzer is to start where it wants another of itself: a program."""

INSTRUMENTED = ["muxd", "plistlib", "hyperframe", "wsproto", "tests.fuzz"]


def main(arguments: list[str]) -> None:
    """
    Does not return.
    """
    import atheris

    os.environ[FUZZING] = "1"
    target = targetNamed(arguments[1])
    with atheris.instrument_imports(include=INSTRUMENTED):
        run = target.load()
    # Nobody reads the log, and what nobody reads would be kept for them.
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    # Each execution looks for what is left of it, which this makes affordable.
    gc.collect()
    gc.freeze()
    here = Path(__file__).parent
    words = here / f"{target.name}.dict"
    own = [
        f"-max_len={target.longest}",
        f"-dict={words if words.is_file() else here / 'words.dict'}",
        "-timeout=20",
        "-rss_limit_mb=1500",
    ]
    again = os.environ.get(AGAIN, arguments[0])
    atheris.Setup([again, *own, *arguments[2:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
