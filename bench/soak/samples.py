# -*- test-case-name: tests.bench.test_soaksamples -*-
"""
Samples of the daemon at rest, all else that a soak has seen, and what it proves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from bench.processes import Process
from bench.soak.stalls import EDGES

OBJECTS_OF_A_TYPE = 250
"""How many more objects of one type there may be at the end..."""

OBJECTS_SHARE = 0.01
"""... or which share of those at the start, if that is more."""

BLOCKS = 1000
"""
How many more pieces of memory Python may have at the end than at the start: of 216,000
they are a few hundred more or less from one rest to the next.
"""

MALLOC = 1 << 20
"""How many more bytes the C library may have given out at the end."""

BUFFERS = "muxd.usb.asynchronous.transfers.Transfer_"
"""What transfers are counted as, but for the size of their memory."""

RESIDENT = 8 << 20
"""How much larger the process may be: memory is freed in pieces, and kept in pages."""

LONGEST_STALL = 0.200
"""How long the reactor may be kept from its work by the daemon itself, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    A sample of the daemon at rest: all phones plugged in, one listener and no other client.

    @ivar minutes: Since the run began.
    @ivar process: From outside.
    @ivar inside: From inside, see L{bench.soak.probe.Probe}.
    @ivar openAtPhones: Sessions that phones have.
    """

    minutes: float
    process: Process
    inside: Mapping[str, Any]
    openAtPhones: int


@dataclass(slots=True, kw_only=True)
class SoakResult:
    """
    The result of a soak: everything that was seen.

    @ivar about: The machine and the run.
    @ivar samples: After the warm-up, then after each round.
    @ivar troubles: What must not be, in words.
    @ivar violations: What the phones had to object to.
    @ivar stalls: Histogram, and the long ones.
    @ivar traffic: What clients did.
    @ivar faults: What was done to them.
    @ivar busiest: The most of each that was seen in the midst of it.
    @ivar exitStatus: Of the daemon, stopped at the end; None if it did not end.
    @ivar log: Lines of its log that an operator would have to look into.
    """

    about: Mapping[str, Any]
    samples: list[Sample] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    stalls: Mapping[str, Any] = field(default_factory=dict)
    traffic: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    busiest: Mapping[str, int] = field(default_factory=dict)
    exitStatus: int | None = None
    log: list[str] = field(default_factory=list)

    @classmethod
    def fromJSON(cls, text: str) -> SoakResult:
        """
        Read what L{toJSON} has written.
        """
        values = json.loads(text)
        samples = [
            Sample(**{**one, "process": Process(**one["process"])}) for one in values.pop("samples")
        ]
        known = {one.name for one in fields(cls)}
        return cls(samples=samples, **{name: values[name] for name in known & set(values)})

    def toJSON(self) -> str:
        """
        Write all of it, with the verdict.
        """
        return json.dumps({**asdict(self), "edges": EDGES, "failures": failures(self)}, indent=1)


def grown(first: Sample, last: Sample) -> list[tuple[str, int, int]]:
    """
    List the types of which there are more at the end than may be.
    """
    before: Mapping[str, int] = first.inside["objects"]
    after: Mapping[str, int] = last.inside["objects"]
    return sorted(
        (name, before.get(name, 0), count)
        for name, count in after.items()
        if count - before.get(name, 0) > max(OBJECTS_OF_A_TYPE, OBJECTS_SHARE * before.get(name, 0))
    )


def failures(result: SoakResult) -> list[str]:
    """
    List why the run has failed; nothing if it has passed.
    """
    found = list(result.troubles)
    found += [f"a phone objects: {one}" for one in result.violations]
    for sample in result.samples:
        found += leftovers(sample)
    if len(result.samples) < 2:
        found.append("there are not two samples to compare")
    else:
        found += _growth(result.samples[0], result.samples[-1])
    found += [
        f"the reactor stood still for {stall['own'] * 1000:.0f} ms: {' < '.join(stall['stack'])}"
        for stall in result.stalls.get("long", ())
        if stall["own"] > LONGEST_STALL
    ]
    if result.exitStatus != 0:
        found.append(f"stopped, it ended with status {result.exitStatus}")
    found += [f"in the log: {line}" for line in result.log]
    return found


def leftovers(sample: Sample) -> list[str]:
    """
    List what is left in the daemon although no client uses it.
    """
    inside = sample.inside
    expected = {"devices": sample.inside["phones"], "clients": 1, "sessions": 0, "ports in use": 0}
    found = [
        f"after {sample.minutes:.1f} min: {name} {inside[name]}, expected {value}"
        for name, value in expected.items()
        if inside[name] != value
    ]
    if sample.openAtPhones:
        found.append(f"after {sample.minutes:.1f} min: phones have {sample.openAtPhones} sessions")
    return found


def mallocBytes(sample: Sample) -> int:
    """
    Sum up what the C library has given out, without the buffers of USB transfers: they are
    kept to be used again, now more of them and now less, and are counted among the
    objects.
    """
    objects: Mapping[str, int] = sample.inside["objects"]
    buffers = sum(
        int(name.rpartition("_")[2]) * count
        for name, count in objects.items()
        if name.startswith(BUFFERS)
    )
    return int(sample.inside["malloc"]) - buffers


def _growth(first: Sample, last: Sample) -> list[str]:
    found = [
        f"{before} objects of type {name} have become {after}"
        for name, before, after in grown(first, last)
    ]
    limits = (
        ("descriptors", first.process.descriptors, last.process.descriptors, 0),
        ("threads", first.process.threads, last.process.threads, 0),
        ("resident bytes", first.process.resident, last.process.resident, RESIDENT),
        ("blocks of memory", first.inside["blocks"], last.inside["blocks"], BLOCKS),
        ("bytes of the C library", mallocBytes(first), mallocBytes(last), MALLOC),
    )
    for name, before, after, more in limits:
        if after > before + more:
            found.append(f"{before:,} {name} have become {after:,}; {more:,} more are allowed")
    return found
