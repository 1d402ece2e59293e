# -*- test-case-name: tests.bench.test_soakreport -*-
"""
The report of a soak, for docs/soak.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import report
from bench.soak.samples import LONGEST_STALL, Sample, SoakResult, failures, mallocBytes
from bench.soak.stalls import EDGES

BEGIN, END = "<!-- report of the {bus} -->", "<!-- end of the report of the {bus} -->"
BUSES = {
    "rig": "stand-in libusb, engine `async`, phones in a process of their own",
    "simulated": "simulated bus, engine `threads`, phones and their TLS in the daemon's process",
}
MOST_LONG = 12
MIB = 1 << 20


def markdown(result: SoakResult) -> str:
    """
    Make the whole report.
    """
    found = failures(result)
    about = result.about
    out = [
        f"**{'FAIL' if found else 'PASS'}** on the {BUSES[about['bus']]}.",
        "",
        *[f"- {one}" for one in found],
        *([""] if found else []),
        "{date}: {processor}, {cores} cores, Linux {kernel}, Python {python}, Twisted {twisted};"
        " muxd {revision}; load of the machine when it began {load}.".format_map(about),
        "{phones} phones, {clients} clients at a time, seed {seed}; a warm-up and {rounds} rounds"
        " of {seconds:.0f} s, after each of which all clients leave and everything is counted at"
        " rest.".format_map(about),
        f"In all {result.traffic['minutes']:.1f} minutes, for which the daemon needed"
        f" {result.traffic['cpu']:.0f} s of processor time.",
        "",
        *_traffic(result),
        "",
        *_faults(result),
        "",
        *_samples(result),
        "",
        *_histogram(result.stalls),
        "",
        *_long(result.stalls),
    ]
    return "\n".join(out).rstrip() + "\n"


def inserted(document: str, text: str, bus: str) -> str:
    """
    Return a document with the report of this bus between its two marks; without marks,
    the report.
    """
    return report.inserted(document, text, BEGIN.format(bus=bus), END.format(bus=bus))


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _rule(columns: int) -> str:
    return _row(["---", *["--:"] * (columns - 1)])


def _traffic(result: SoakResult) -> list[str]:
    traffic = result.traffic
    names = sorted({*traffic["done"], *traffic["cut"], *traffic["killed"]})
    rows = [
        (name, *(f"{traffic[kind].get(name, 0):,}" for kind in ("done", "cut", "killed")))
        for name in names
    ]
    total = [f"{sum(traffic[kind].values()):,}" for kind in ("done", "cut", "killed")]
    return [
        f"{traffic['up'] / 1e9:.2f} GB went up and {traffic['down'] / 1e9:.2f} GB came down, every"
        " byte of it compared.",
        "",
        _row(("what a client does", "done", "cut by an unplugging", "killed in the midst of it")),
        _rule(4),
        *[_row(row) for row in rows],
        _row(("all", *total)),
    ]


def _faults(result: SoakResult) -> list[str]:
    return [
        _row(("what was done to phones and clients", "times")),
        _rule(2),
        *[_row((name, f"{count:,}")) for name, count in result.faults.items()],
    ]


def _samples(result: SoakResult) -> list[str]:
    """
    Make the table of everything that must not grow.
    """
    samples = result.samples
    busiest = result.busiest
    heads = ["after the warm-up"] + [f"round {n}" for n in range(1, len(samples))]

    def row(name: str, values: Sequence[str], most: str = "") -> str:
        return _row((name, *values, most))

    def inside(name: str, key: str) -> str:
        return row(name, [f"{sample.inside[key]:,}" for sample in samples])

    return [
        _row(("at rest", *heads, "most in the midst")),
        _rule(len(samples) + 2),
        row("minutes", [f"{sample.minutes:.1f}" for sample in samples]),
        row(
            "MiB in memory",
            [f"{sample.process.resident / MIB:.1f}" for sample in samples],
            f"{busiest.get('resident', 0) / MIB:.1f}",
        ),
        row(
            "threads",
            [str(sample.process.threads) for sample in samples],
            str(busiest.get("threads", "")),
        ),
        row(
            "file descriptors",
            [str(sample.process.descriptors) for sample in samples],
            str(busiest.get("descriptors", "")),
        ),
        inside("blocks of memory that Python has", "blocks"),
        row(
            "MiB that malloc has given out, without transfer buffers",
            [f"{mallocBytes(one) / MIB:.2f}" for one in samples],
        ),
        row("objects that Python's collector knows", [f"{_objects(one):,}" for one in samples]),
        row("of these, of muxd's own types", [f"{_objects(one, 'muxd.'):,}" for one in samples]),
        inside("phones", "devices"),
        inside("clients (one listener is there all the time)", "clients"),
        inside("sessions", "sessions"),
        row("sessions that the phones have", [str(sample.openAtPhones) for sample in samples]),
        inside("timers", "timers"),
    ]


def _objects(sample: Sample, prefix: str = "") -> int:
    objects: Mapping[str, int] = sample.inside["objects"]
    return sum(count for name, count in objects.items() if name.startswith(prefix))


def _histogram(stalls: Mapping[str, object]) -> list[str]:
    late, own = (_numbers(stalls.get(key)) for key in ("late", "own"))
    total = max(1, sum(late))
    names = [f"to {edge * 1000:g} ms" for edge in EDGES] + [f"over {EDGES[-1] * 1000:g} ms"]
    rows = [
        (name, f"{one:,}", f"{100 * one / total:.3f} %", f"{other:,}")
        for name, one, other in zip(names, late, own, strict=True)
    ]
    return [
        _row(
            ("how late a timer of 10 ms was", "times", "share", "times, of the daemon's work alone")
        ),
        _rule(4),
        *[_row(row) for row in rows],
    ]


def _numbers(value: object) -> list[int]:
    return list(value) if isinstance(value, list) else [0] * (len(EDGES) + 1)


def _long(stalls: Mapping[str, object]) -> list[str]:
    long = stalls.get("long")
    if not isinstance(long, list) or not long:
        return ["None of them was longer than 50 ms."]
    rows = [
        (
            *(f"{one[key] * 1000:.0f}" for key in ("late", "waited", "own", "blocked")),
            " < ".join(f"`{frame}`" for frame in one["stack"][:4]),
        )
        for one in long[:MOST_LONG]
    ]
    return [
        "The longest, by what was not for want of a processor (more than"
        f" {LONGEST_STALL * 1000:g} ms of its own work fail the run):",
        "",
        _row(("late, ms", "no processor", "worked", "blocked", "in the midst of")),
        _row(["--:"] * 4 + ["---"]),
        *[_row(row) for row in rows],
    ]
