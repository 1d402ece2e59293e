# -*- test-case-name: tests.bench.test_pictures -*-
"""
Pictures of docs/performance.md, drawn from results: throughput by sessions, the distribution of
echoes beside load, and what idle sessions cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.chart import Chart, Curve, Linear, Logarithmic, Panel, Steps
from bench.results import Column, Comparison, Results, Setting

SESSIONS = (1, 4, 16)
QUANTILES = (10, 50, 100, 250, 500, 750, 900, 950, 990, 999)
"""Of a thousand echoes, how many are faster: the load generator answers for each of them."""

IDLE = (0, 100, 1000, 4000)


def drawn(results: Results) -> Mapping[str, str]:
    """
    Draw every picture that the results have the rows for.

    @return: SVG, by the names of files.
    """
    charts = {
        "throughput.svg": _chart(
            results, "Throughput by sessions, unpaced bus", list(_throughput(results))
        ),
        "latency.svg": _chart(
            results,
            "Echo of one byte beside bulk data: how many are faster",
            list(_latency(results)),
        ),
        "idle.svg": _chart(results, "What idle sessions cost the others", list(_idle(results))),
    }
    return {name: chart.svg() for name, chart in charts.items() if chart is not None}


def _chart(results: Results, title: str, panels: Sequence[Panel]) -> Chart | None:
    names = tuple(column.name for column in results.columns)
    return Chart(title, names, tuple(panels)) if panels else None


def _found(results: Results, setting: Setting, key: str) -> Comparison | None:
    """
    Find the workload with a row.
    """
    return next(
        (
            each
            for each in results.comparisons
            if each.setting == setting and any(row.key == key for row in each.workload.rows)
        ),
        None,
    )


def _figure(
    results: Results, setting: Setting, column: Column, key: str, figure: str
) -> float | None:
    each = _found(results, setting, key)
    return None if each is None else each.series[column.key].median(figure)


def _curves(
    results: Results,
    setting: Setting,
    points: Iterable[tuple[float, str, str]],
) -> tuple[Curve, ...]:
    """
    Make a curve of each subject.

    @param points: The values of x, with the row and the figure that y is.
    """
    wanted = list(points)
    curves = []
    for column in results.columns:
        found = [(x, _figure(results, setting, column, key, figure)) for x, key, figure in wanted]
        known = tuple((x, y) for x, y in found if y is not None and y > 0)
        if known:
            curves.append(Curve(column.name, known))
    return tuple(curves)


def _values(curves: Iterable[Curve]) -> list[float]:
    return [y for curve in curves for _, y in curve.points]


def _throughput(results: Results) -> Iterable[Panel]:
    for setting in results.settings:
        for direction in ("download", "upload"):
            curves = _curves(
                results,
                setting,
                [(count, f"unpaced.{direction}-{count}", "MBps") for count in SESSIONS],
            )
            if curves:
                yield Panel(
                    f"{direction}, {setting.title}",
                    Steps("sessions", SESSIONS),
                    Linear("MB/s", max(_values(curves))),
                    curves,
                )


def _latency(results: Results) -> Iterable[Panel]:
    setting = results.settings[0]
    for bus, name in (("usb2", "USB 2"), ("super", "SuperSpeed")):
        for beside in ("downloads", "uploads"):
            key = f"{bus}.echo-1-beside-{beside}"
            curves = _distributions(results, setting, key)
            if curves:
                values = [x for curve in curves for x, _ in curve.points]
                yield Panel(
                    f"{name}, beside 4 {beside}, {setting.title}",
                    Logarithmic("µs", min(values), max(values)),
                    Linear("% of echoes", 100),
                    curves,
                )


def _distributions(results: Results, setting: Setting, key: str) -> tuple[Curve, ...]:
    curves = []
    for column in results.columns:
        found = [
            (_figure(results, setting, column, key, f"q{one:03d}_us"), one / 10)
            for one in QUANTILES
        ]
        known = tuple((x, y) for x, y in found if x is not None and x > 0)
        if known:
            curves.append(Curve(column.name, known))
    return tuple(curves)


def _idle(results: Results) -> Iterable[Panel]:
    setting = results.settings[0]
    x = Steps("idle sessions", IDLE)
    for title, label, alone, key, figure in (
        ("CPU of an echo", "µs", ("unpaced.echo-1", "cpu_us_each"), "echo", "echo_cpu_us"),
        (
            "CPU of a megabyte, 4 downloads",
            "ms",
            ("unpaced.download-4", "cpu_ms_per_MB"),
            "download",
            "cpu_ms_per_MB",
        ),
    ):
        points = [(0, *alone)]
        points += [(count, f"unpaced.idle-{count}-{key}", figure) for count in IDLE[1:]]
        curves = _curves(results, setting, points)
        if any(len(curve.points) > 1 for curve in curves):
            values = _values(curves)
            y = Logarithmic(label, min(values), max(values))
            yield Panel(f"{title}, {setting.title}", x, y, curves)
