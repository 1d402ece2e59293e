"""
The host's side: boots a virtual machine in which F{job.sh} runs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.system.guest.daemons import PROJECT
from tests.system.laboratory import Laboratory, Unavailable
from tests.system.machine import Machine

PATIENCE = 600.0


def main() -> int:
    """
    Run it.

    @return: The exit status: 0 as well where no machine can be made.
    """
    laboratory = Laboratory.standard(print)
    try:
        parts = laboratory.parts()
    except Unavailable as reason:
        print(f"no virtual machine can be made here: {reason}")
        return 0
    (modules,) = parts.kernel.parent.glob("img/lib/modules/*")
    command = ["sh", str(Path(__file__).with_name("job.sh")), sys.executable, str(modules)]
    with tempfile.TemporaryDirectory(prefix="usbipd-") as directory:
        machine = Machine(parts, Path(directory))
        status = machine.run(command, PROJECT, PATIENCE, lambda line: print(line, flush=True))
    return 1 if status is None else status


if __name__ == "__main__":
    sys.exit(main())
