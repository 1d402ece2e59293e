# -*- test-case-name: tests.bench.test_chart -*-
"""
Charts as SVG: panels with axes and lines, legible on light and dark pages.

Colours are classes of a style sheet in the picture, which follows the reader's colour scheme.
Text is text.  The same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 300, 190
"""Of the plot in a panel, in pixels; around it is room for its labels."""

LEFT, RIGHT, TOP, BOTTOM = 66, 28, 34, 46
TITLE, LEGEND = 26, 24
MARK = 3.5

_STYLE = """\
svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.page { fill: #ffffff; }
text { fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.panel { font-weight: 600; }
.tick, .unit { fill: #59636e; font-size: 11px; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.axis { stroke: #59636e; stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.a { stroke: #0969da; }
.a.mark { fill: #0969da; }
.b { stroke: #8250df; stroke-dasharray: 6 3; }
.b.mark { fill: #8250df; }
.c { stroke: #bc4c00; stroke-dasharray: 2 3; }
.c.mark { fill: #bc4c00; }
.d { stroke: #1a7f37; stroke-dasharray: 9 3 2 3; }
.d.mark { fill: #1a7f37; }
circle.mark { stroke-dasharray: none; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; }
text { fill: #f0f6fc; }
.tick, .unit { fill: #9198a1; }
.grid { stroke: #30363d; }
.axis { stroke: #9198a1; }
.a { stroke: #4493f8; }
.a.mark { fill: #4493f8; }
.b { stroke: #ab7df8; }
.b.mark { fill: #ab7df8; }
.c { stroke: #f0883e; }
.c.mark { fill: #f0883e; }
.d { stroke: #3fb950; }
.d.mark { fill: #3fb950; }
}
"""
LOOKS = "abcd"
"""Classes of lines, in the order of a chart's series."""


class Scale(Protocol):
    """
    A scale of an axis: where values are, from 0 to 1, and which of them are written there.
    """

    @property
    def label(self) -> str:
        """
        What the axis is called.
        """

    def place(self, value: float) -> float:
        """
        Return where a value is.
        """

    def ticks(self) -> Sequence[tuple[float, str]]:
        """
        Return the places that are written at, and the texts.
        """


@dataclass(frozen=True, slots=True)
class Linear:
    """
    A scale from 0 to something above the largest value, in round steps.

    @ivar largest: The largest value.
    """

    label: str
    largest: float

    @property
    def step(self) -> float:
        """
        A round number of which three to six make the axis.
        """
        rough = (self.largest or 1) / 4
        power: float = 10 ** floor(log10(rough))
        return next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * 0.999)

    @property
    def end(self) -> float:
        """
        The value at the end of the axis.
        """
        return self.step * max(1, ceil(self.largest / self.step - 1e-9))

    def place(self, value: float) -> float:
        """
        Return where a value is.
        """
        return value / self.end

    def ticks(self) -> Sequence[tuple[float, str]]:
        """
        Return a tick at each step.
        """
        count = round(self.end / self.step)
        return [(n / count, tickText(n * self.step)) for n in range(count + 1)]


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """
    A scale in which a step is a tenfold; its ends are powers of ten, or two or five of them.

    @ivar smallest: The smallest value, above 0.
    @ivar largest: The largest one.
    """

    label: str
    smallest: float
    largest: float

    def _bounds(self) -> tuple[float, float]:
        marks = self._marks()
        low = max((one for one in marks if one <= self.smallest * 1.0001), default=marks[0])
        high = min((one for one in marks if one >= self.largest * 0.9999), default=marks[-1])
        return (low, high) if low < high else (low, low * 10)

    def _marks(self) -> list[float]:
        powers = range(floor(log10(self.smallest)) - 1, ceil(log10(self.largest)) + 2)
        return [one * 10.0**power for power in powers for one in (1, 2, 5)]

    def place(self, value: float) -> float:
        """
        Return where a value is.
        """
        low, high = self._bounds()
        return log10(value / low) / log10(high / low)

    def ticks(self) -> Sequence[tuple[float, str]]:
        """
        Return a tick at each power of ten, and between them where there is room.
        """
        low, high = self._bounds()
        marks = [one for one in self._marks() if low * 0.9999 <= one <= high * 1.0001]
        if len(marks) > 7:
            marks = [one for one in marks if f"{one:e}".startswith("1")]
        return [(self.place(one), tickText(one)) for one in marks]


@dataclass(frozen=True, slots=True)
class Steps:
    """
    A scale of a few numbers at equal distances, such as 1, 4 and 16.
    """

    label: str
    values: tuple[float, ...]

    def place(self, value: float) -> float:
        """
        Return where one of the numbers is.
        """
        if len(self.values) < 2:
            return 0.5
        return 0.06 + 0.88 * self.values.index(value) / (len(self.values) - 1)

    def ticks(self) -> Sequence[tuple[float, str]]:
        """
        Return a tick at each number.
        """
        return [(self.place(one), tickText(one)) for one in self.values]


def tickText(value: float) -> str:
    """
    Write a number at an axis.
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Curve:
    """
    A line in a panel.

    @ivar name: Of its series: the legend has each name once.
    @ivar points: Its values, along x.
    """

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """
    A plot of some curves.
    """

    title: str
    x: Scale
    y: Scale
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A picture of some panels, so many in a row, with one legend.

    @ivar names: Those of all series, in the order of the legend.
    """

    title: str
    names: tuple[str, ...]
    panels: tuple[Panel, ...]
    columns: int = 2

    def svg(self) -> str:
        """
        Draw it.
        """
        wide, high = LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM
        columns = min(self.columns, len(self.panels))
        width, height = columns * wide, TITLE + LEGEND + high * ceil(len(self.panels) / columns)
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(self.title)}>',
            f"<style>\n{_STYLE}</style>",
            f"<title>{escape(self.title)}</title>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            _text(14, 20, self.title, "title"),
            *self._legend(),
        ]
        for index, panel in enumerate(self.panels):
            x, y = index % columns * wide + LEFT, TITLE + LEGEND + index // columns * high + TOP
            out += [f'<g transform="translate({x} {y})">', *self._panel(panel), "</g>"]
        return "\n".join([*out, "</svg>", ""])

    def _look(self, name: str) -> str:
        return LOOKS[self.names.index(name) % len(LOOKS)]

    def _legend(self) -> list[str]:
        out, x, y = [], 14, TITLE + LEGEND // 2
        for name in self.names:
            look = self._look(name)
            out.append(f'<path class="line {look}" d="M{x} {y}h26"/>')
            out.append(f'<circle class="mark {look}" cx="{x + 13}" cy="{y}" r="{MARK}"/>')
            out.append(_text(x + 32, y + 4, name, ""))
            x += 52 + 7 * len(name)
        return out

    def _panel(self, panel: Panel) -> list[str]:
        out = [_text(0, -14, panel.title, "panel")]
        for place, text in panel.y.ticks():
            y = _short(HEIGHT * (1 - place))
            out.append(f'<path class="grid" d="M0 {y}h{WIDTH}"/>')
            out.append(_text(-8, HEIGHT * (1 - place) + 4, text, "tick", "end"))
        for place, text in panel.x.ticks():
            x = WIDTH * place
            out.append(f'<path class="axis" d="M{_short(x)} {HEIGHT}v4"/>')
            out.append(_text(x, HEIGHT + 18, text, "tick", "middle"))
        out.append(f'<path class="axis" d="M0 {HEIGHT}h{WIDTH}"/>')
        out.append(_text(WIDTH / 2, HEIGHT + 36, panel.x.label, "unit", "middle"))
        out.append(
            f'<text class="unit" text-anchor="middle" transform="translate(-50 {HEIGHT // 2})'
            f' rotate(-90)">{escape(panel.y.label)}</text>'
        )
        for curve in panel.curves:
            out += self._curve(panel, curve)
        return out

    def _curve(self, panel: Panel, curve: Curve) -> list[str]:
        look = self._look(curve.name)
        places = [
            (_short(WIDTH * panel.x.place(x)), _short(HEIGHT * (1 - panel.y.place(y))))
            for x, y in curve.points
        ]
        if not places:
            return []
        line = "L".join(f"{x} {y}" for x, y in places)
        return [
            f'<path class="line {look}" d="M{line}"><title>{escape(curve.name)}</title></path>',
            *(
                f'<circle class="mark {look}" cx="{x}" cy="{y}" r="{MARK}"><title>'
                f"{escape(curve.name)}: {tickText(at)}, {_short(value)}</title></circle>"
                for (x, y), (at, value) in zip(places, curve.points, strict=True)
            ),
        ]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, look: str, anchor: str = "") -> str:
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    classed = f' class="{look}"' if look else ""
    return f'<text{classed} x="{_short(x)}" y="{_short(y)}"{anchored}>{escape(text)}</text>'
