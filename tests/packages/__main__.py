"""
Build the Debian package, install it on machines with systemd, and do to the service what
operators do: C{python -m tests.packages bookworm trixie}.

Each line is a step of F{probe.sh}; the status is 1 if one failed.  Where no machine can be
made, one line says why and the status is 0; with C{MUXD_REQUIRE_INTEGRATION=1} it is 1.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.packages.machine import Debian, NotPossible, checkPossible

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("MUXD_DEBIAN", Path.home() / ".cache" / "muxd-debian"))
REQUIRED = "MUXD_REQUIRE_INTEGRATION"
PATIENCE = 300.0
"""Seconds for all steps on one machine."""

SUITES = ("bookworm", "trixie")
IMAGE = "trixie"
"""What the image is made of."""


def probe(debian: Debian, package: Path) -> list[str]:
    """
    Do everything on one machine.

    @return: The lines that it has written.
    """
    directory = Path(tempfile.mkdtemp(prefix="muxd-packages-"))
    (directory / "out").mkdir()
    shutil.copy(HERE / "probe.sh", directory)
    shutil.copy(package, directory)
    with debian.booted(directory) as enter:
        words = ["timeout", "--signal=KILL", str(PATIENCE), *enter, "bash", "/probe/probe.sh"]
        status = subprocess.run(words, check=False).returncode
    lines = (directory / "out" / "results").read_text().splitlines()
    if status:
        lines.append(f"FAIL: {shlex.join(words)} ended with status {status}")
    if all(line.startswith(("pass", "done")) for line in lines):
        shutil.rmtree(directory)
    else:
        lines.append(f"FAIL: see {directory}/out/log")
    return lines


def image(debian: Debian, package: Path) -> list[str]:
    """
    Do what F{Dockerfile} says to a machine of its kind: the commands that install the package,
    and the one that a container runs, with a simulated phone.

    @return: What failed, in lines.
    """
    text = (PROJECT / "packaging" / "docker" / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    [health, command] = re.findall(r"^(?:HEALTHCHECK )?CMD (.*)", last, re.MULTILINE)
    steps = [
        # The image that it begins with has none.
        "apt-get purge -qq -y --auto-remove --allow-remove-essential systemd systemd-sysv",
        "mkdir /tmp/muxd && cp /package/*.deb /tmp/muxd",
        *re.findall(r"^RUN (.*)", last, re.MULTILINE),
        f"{shlex.join([*json.loads(command), '--source', 'simulated:1'])} >/tmp/log 2>&1 &",
        "sleep 1; until muxctl -s UNIX:/run/mux/usbmuxd --timeout 30 wait; do sleep 1; done",
        shlex.join(json.loads(health)),
    ]
    done = debian.inside(
        debian.root,
        ["timeout", str(PATIENCE), "sh", "-xec", "\n".join(steps)],
        *("--volatile=overlay", f"--bind-ro={package.parent}:/package"),
    )
    return [] if done.returncode == 0 else [f"FAIL the image: {done.stdout[-3000:]}"]


def made(suite: str) -> tuple[Debian, Path, float]:
    """
    A Debian, the package for it, and how many seconds they took.

    @raise NotPossible: There is no such Debian.
    """
    begun = time.monotonic()
    debian = Debian(suite, CACHE)
    debian.prepare()
    package = debian.build(PROJECT, PROJECT / "build" / "packages" / suite)
    return debian, package, time.monotonic() - begun


def main(suites: list[str]) -> int:
    """
    @return: the exit status.
    """
    try:
        checkPossible()
    except NotPossible as reason:
        print(f"tests.packages: not tried: {reason}")
        return int(REQUIRED in os.environ)
    status = 0
    suites = suites or list(SUITES)
    # Most of that is done by one processor, or waits for the network: all at the same time, and
    # all before anything is tried.
    with ThreadPoolExecutor(len(suites)) as pool:
        attempts = [pool.submit(made, suite) for suite in suites]
    for suite, attempt in zip(suites, attempts, strict=True):
        try:
            debian, package, seconds = attempt.result()
        except NotPossible as reason:
            print(f"tests.packages: {reason}")
            status |= int(REQUIRED in os.environ)
            continue
        built = time.monotonic()
        lines = probe(debian, package)
        if suite == IMAGE:
            lines = [*image(debian, package), *lines]
        isWell = lines[-1] == "done" and not any(line.startswith("FAIL") for line in lines)
        for line in lines:
            if not isWell or line.startswith("FAIL"):
                print(f"{suite}: {line}")
        passed = sum(line.startswith("pass") for line in lines)
        print(
            f"tests.packages: {package.name}: {passed} steps passed"
            f"{'' if isWell else ', but not all'};"
            f" built in {seconds:.0f} s, tried in {time.monotonic() - built:.0f} s"
        )
        status |= not isWell
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
