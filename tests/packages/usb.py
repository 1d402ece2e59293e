"""
The unit of the Debian package, and a phone on a real bus: C{python -m tests.packages.usb}.

A machine with systemd shares its host's kernel, which has no USB here.  So this one is started
within a virtual machine (L{tests.system.machine}), whose kernel has a phone by C{vhci_hcd}:
what the unit forbids is forbidden by that kernel.  It takes minutes, as the processor is
emulated, and is no part of C{.ci/run}.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.packages.__main__ import CACHE, HERE, PROJECT
from tests.packages.machine import Debian, NotPossible, checkPossible
from tests.system.laboratory import Laboratory, Unavailable
from tests.system.machine import Machine

SUITE = "bookworm"
SILENCE = 600.0
"""Seconds without a line after which the machine is given up."""


def installed(debian: Debian, package: Path) -> Path:
    """
    A copy of a machine's files with the package.

    @raise AssertionError: It cannot be installed.
    """
    tree = debian.root.with_name(f"{debian.root.name}-installed")
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["cp", "-a", str(debian.root), str(tree)], check=True)
    script = (
        f"apt-get update -qq && apt-get install -qq -y --no-install-recommends /deb/{package.name}"
    )
    done = debian.inside(tree, ["sh", "-c", script], f"--bind-ro={package.parent}:/deb")
    if done.returncode:
        raise AssertionError(f"the package cannot be installed: {done.stdout[-2000:]}")
    return tree


def main() -> int:
    """
    @return: The exit status.
    """
    debian = Debian(SUITE, CACHE)
    try:
        checkPossible()
        debian.prepare()
        parts = Laboratory.standard(print).parts()
    except (NotPossible, Unavailable) as reason:
        print(f"tests.packages.usb: not tried: {reason}")
        return 1
    output = PROJECT / "build" / "packages"
    tree = installed(debian, debian.build(PROJECT, output / SUITE))
    results = output / "usb"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    python = Path(sys.executable).resolve()
    Machine(parts, results).run(
        ["env", f"PYTHON={python}", "bash", str(HERE / "usb.sh"), str(tree)],
        PROJECT,
        SILENCE,
        lambda line: print(line, flush=True),
    )
    try:
        lines = (results / "results").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    isWell = lines[-1:] == ["done"] and not any(line.startswith("FAIL") for line in lines)
    print(f"tests.packages.usb: {'all steps passed' if isWell else f'see {results}/log'}")
    return 0 if isWell else 1


if __name__ == "__main__":
    sys.exit(main())
