# -*- test-case-name: tests.phone.examine.test_commandline -*-
"""
The command line of an examination.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from twisted.python import usage

import muxd
from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import IBus
from muxd.phone.examine.daemon import CannotExamine, DaemonStage
from muxd.phone.examine.examination import chosen, examine
from muxd.phone.examine.findings import Finding, Outcome
from muxd.phone.examine.report import EDGES, lines, markdown, summary
from muxd.phone.usbip.vhci import VirtualController

LIBRARY = Path("bench") / "rig" / "build" / "lib" / "libusb-1.0.so.0"

MOST_PATIENCE = 100

FAILED = 1
WRONG = 2


class Options(usage.Options):
    """
    What is examined, and how.
    """

    synopsis = "[options] DAEMON"
    longdesc = (
        "Examine a usbmuxd with a simulated phone that insists on the protocol. DAEMON is its"
        " command line, for the foreground, in one word; {socket} and {records} in it are filled"
        " in. It runs with mounts of its own, where /var/run and /var/lib/lockdown are empty, and"
        " loads a stand-in for libusb. The exit status is 1 if anything is violated. The numbers"
        " are those of docs/conformance.md."
    )
    optParameters = [
        ["edges", "e", "", "Only the checks of these sharp edges: numbers, with commas."],
        ["libusb", None, None, "The stand-in; the usual one is built by make -C bench/rig."],
        ["markdown", "m", None, "Write the report into this file, too."],
        ["title", None, None, "Of that report; the daemon's command line is the usual one."],
        ["speed", None, "high", "Of the bus: high, or super."],
        ["patience", "p", "1", "How many times as long as usual to wait, where a machine is slow."],
    ]
    optFlags = [
        ["vhci", None, "Use the kernel's vhci_hcd as the bus, and not the stand-in: as root."],
        ["long", None, "Also make the checks that take minutes."],
    ]
    daemon = ""

    def parseArgs(self, *words: str) -> None:
        """
        The daemon.
        """
        if len(words) != 1:
            raise usage.UsageError(
                f"expected the daemon's command line in one word, got {len(words)} words"
            )
        self.daemon = words[0]

    def opt_edges(self, text: str) -> None:
        """
        Only the checks of these sharp edges: numbers, with commas.
        """
        try:
            edges = [int(number) for number in text.split(",")]
        except ValueError:
            raise usage.UsageError(f"--edges: expected numbers, got {text!r}") from None
        if not set(edges) <= set(EDGES):
            raise usage.UsageError(f"--edges: expected numbers from 1 to {EDGES[-1]}, got {text}")
        self["edges"] = edges

    opt_e = opt_edges

    def opt_speed(self, text: str) -> None:
        """
        Of the bus: high, or super.
        """
        if text not in ("high", "super"):
            raise usage.UsageError(f"--speed: expected high or super, got {text!r}")
        self["speed"] = text

    def opt_patience(self, text: str) -> None:
        """
        How many times as long as usual to wait, where a machine is slow.
        """
        try:
            factor = float(text)
        except ValueError:
            factor = 0.0
        if not 1 <= factor <= MOST_PATIENCE:
            raise usage.UsageError(
                f"--patience: expected a number from 1 to {MOST_PATIENCE}, got {text!r}"
            )
        self["patience"] = factor

    opt_p = opt_patience

    def library(self) -> Path:
        """
        The stand-in for libusb.

        @raise CannotExamine: It is not there.
        """
        named = self["libusb"]
        path = Path(named) if named else Path(muxd.__file__).parent.parent / LIBRARY
        if not path.is_file():
            raise CannotExamine(
                f"there is no {path}: in a checkout, make -C bench/rig builds it; or --libusb"
            )
        return path.resolve()


async def run(reactor: Any, options: Options, out: TextIO) -> int:
    """
    Examine, and print what is found as it is found.

    @return: The exit status.
    @raise CannotExamine: That is not possible.
    """
    speed = Speed.SUPER if options["speed"] == "super" else Speed.HIGH
    bus: IBus | None = VirtualController(reactor) if options["vhci"] else None
    library = None if options["vhci"] else options.library()
    directory = Path(tempfile.mkdtemp(prefix="examine-"))
    stage = DaemonStage(
        reactor,
        options.daemon,
        directory,
        library=library,
        bus=bus,
        speed=speed,
        patience=float(options["patience"]),
    )

    def found(finding: Finding) -> None:
        print(*lines(finding), sep="\n", file=out, flush=True)

    try:
        await stage.start()
        findings = await examine(
            stage, chosen(options["edges"] or ()), withLong=options["long"], found=found
        )
    finally:
        await stage.close()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\n{summary(findings)}", file=out)
    if options["markdown"]:
        title = options["title"] or options.daemon
        Path(options["markdown"]).write_text(markdown(title, findings))
    return FAILED if any(each.outcome is Outcome.VIOLATED for each in findings) else 0


def main(arguments: Sequence[str], out: TextIO = sys.stdout) -> int:
    """
    Run an examination on a reactor of this process.

    @return: The exit status.
    """
    options = Options()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as problem:
        print(f"examine: {problem}; --help says more", file=sys.stderr)
        return WRONG
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    reactor: Any = installed
    status: list[int] = []

    def done(result: int | Failure) -> None:
        if isinstance(result, Failure):
            problem = result.value
            if not isinstance(problem, CannotExamine):
                result.printTraceback(sys.stderr)
            print(f"examine: {problem}", file=sys.stderr)
        status.append(WRONG if isinstance(result, Failure) else result)
        reactor.stop()

    def begin() -> None:
        Deferred.fromCoroutine(run(reactor, options, out)).addBoth(done)

    reactor.callWhenRunning(begin)
    reactor.run()
    return status[0] if status else WRONG
