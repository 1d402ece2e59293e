# -*- test-case-name: tests.bench.test_chart -*-
"""
Tests of L{bench.chart}.
"""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench.chart import HEIGHT, WIDTH, Chart, Curve, Linear, Logarithmic, Panel, Steps, tickText

SVG = "{http://www.w3.org/2000/svg}"


class LinearTests(SynchronousTestCase):
    """
    Tests of L{Linear}.
    """

    def test_places(self) -> None:
        """
        Values are in proportion, from 0 on, below the end of the axis.
        """
        scale = Linear("MB/s", 530)
        self.assertEqual(scale.end, 600)
        self.assertEqual([scale.place(value) for value in (0, 150, 600)], [0, 0.25, 1])

    def test_ticks(self) -> None:
        """
        There are a few ticks, at round numbers, wherever the values end.
        """
        self.assertEqual(
            Linear("", 100).ticks(),
            [(0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1, "100")],
        )
        self.assertEqual(
            [text for _, text in Linear("", 1800).ticks()], ["0", "500", "1,000", "1,500", "2,000"]
        )
        for largest in (0.003, 0.7, 1, 9, 11, 53, 99.9, 101, 2400, 1e6):
            scale = Linear("", largest)
            self.assertTrue(2 <= len(scale.ticks()) <= 8, largest)
            self.assertTrue(0.5 < scale.place(largest) <= 1, largest)

    def test_nothing(self) -> None:
        """
        An axis of nothing but zeros is an axis.
        """
        self.assertEqual(Linear("", 0).place(0), 0)


class LogarithmicTests(SynchronousTestCase):
    """
    Tests of L{Logarithmic}.
    """

    def test_places(self) -> None:
        """
        Equal ratios are equal distances.
        """
        scale = Logarithmic("us", 10, 1000)
        self.assertEqual([scale.place(value) for value in (10, 1000)], [0, 1])
        self.assertAlmostEqual(scale.place(100), 0.5)
        self.assertAlmostEqual(
            scale.place(20) - scale.place(10), scale.place(200) - scale.place(100)
        )

    def test_bounds(self) -> None:
        """
        The axis ends at round numbers around the values.
        """
        for smallest, largest in ((64.5, 703), (3, 3), (0.4, 18_000), (99, 101), (250, 260)):
            scale = Logarithmic("", smallest, largest)
            self.assertTrue(0 <= scale.place(smallest) <= scale.place(largest) <= 1, smallest)
            places = [place for place, _ in scale.ticks()]
            self.assertEqual(places, sorted(places))
            self.assertTrue(2 <= len(places) <= 8, smallest)

    def test_ticks(self) -> None:
        """
        A short axis is written at 1, 2 and 5, a long one at powers of ten.
        """
        self.assertEqual(
            [text for _, text in Logarithmic("", 64.5, 703).ticks()],
            ["50", "100", "200", "500", "1,000"],
        )
        self.assertEqual(
            [text for _, text in Logarithmic("", 1, 100_000).ticks()],
            ["1", "10", "100", "1,000", "10,000", "100,000"],
        )


class StepsTests(SynchronousTestCase):
    """
    Tests of L{Steps}.
    """

    def test_places(self) -> None:
        """
        The numbers are at equal distances, whatever they are.
        """
        places = [Steps("sessions", (1, 4, 16)).place(value) for value in (1, 4, 16)]
        self.assertAlmostEqual(places[1] - places[0], places[2] - places[1])
        self.assertEqual(Steps("", (7,)).place(7), 0.5)

    def test_texts(self) -> None:
        """
        Thousands are written with a comma.
        """
        self.assertEqual(
            [tickText(value) for value in (0, 0.5, 100, 4000)], ["0", "0.5", "100", "4,000"]
        )


class ChartTests(SynchronousTestCase):
    """
    Tests of L{Chart}.
    """

    def chart(self, title: str = "A chart", count: int = 1) -> Chart:
        """
        Make a chart of two curves.
        """
        curves = (
            Curve("ours", ((1, 0), (4, 50), (16, 100))),
            Curve("<theirs> & co", ((1, 25), (16, 75))),
        )
        panel = Panel("a panel", Steps("sessions", (1, 4, 16)), Linear("MB/s", 100), curves)
        return Chart(title, ("ours", "<theirs> & co"), (panel,) * count)

    def parsed(self, chart: Chart) -> ElementTree.Element:
        """
        Read a picture again.
        """
        return ElementTree.fromstring(chart.svg())

    def test_wellFormed(self) -> None:
        """
        A picture is XML, with what was said as text in it, whatever characters that has.
        """
        root = self.parsed(self.chart('a "title" < that & more'))
        self.assertEqual(root.tag, f"{SVG}svg")
        texts = [one.text for one in root.iter(f"{SVG}text")]
        for expected in (
            *('a "title" < that & more', "ours", "<theirs> & co", "a panel", "sessions"),
            *("MB/s", "0", "100", "1", "4", "16"),
        ):
            self.assertIn(expected, texts)

    def test_scales(self) -> None:
        """
        A point is where its numbers say.
        """
        root = self.parsed(self.chart())
        (group,) = root.iter(f"{SVG}g")
        circles = [
            (float(one.get("cx", "")), float(one.get("cy", "")))
            for one in group.iter(f"{SVG}circle")
        ]
        left, middle, right = 0.06 * WIDTH, 0.5 * WIDTH, 0.94 * WIDTH
        self.assertEqual(
            circles,
            [
                (left, HEIGHT),
                (middle, HEIGHT / 2),
                (right, 0),
                (left, HEIGHT * 0.75),
                (right, HEIGHT * 0.25),
            ],
        )
        lines = [
            one.get("d", "")
            for one in group.iter(f"{SVG}path")
            if "line" in one.get("class", "").split()
        ]
        self.assertEqual(lines[0], f"M{left:g} {HEIGHT}L{middle:g} {HEIGHT // 2}L{right:g} 0")

    def test_series(self) -> None:
        """
        A series looks the same in the legend and in every panel, and unlike the others.
        """
        root = self.parsed(self.chart(count=3))
        looks = [
            one.get("class", "").split()[-1]
            for one in root.iter(f"{SVG}path")
            if one.get("class", "").startswith("line")
        ]
        self.assertEqual(looks, ["a", "b"] * 4)

    def test_size(self) -> None:
        """
        Panels are in rows of two, and all of them are within the picture.
        """
        for count, rows in ((1, 1), (2, 1), (3, 2), (4, 2)):
            root = self.parsed(self.chart(count=count))
            width, height = float(root.get("width", "")), float(root.get("height", ""))
            places = [one.get("transform", "") for one in root.iter(f"{SVG}g")]
            self.assertEqual(len(set(places)), count)
            for place in places:
                x, y = map(float, place.removeprefix("translate(").removesuffix(")").split())
                self.assertLess(x + WIDTH, width)
                self.assertLess(y + HEIGHT, height)
            self.assertEqual(len({place.split()[1] for place in places}), rows)

    def test_light(self) -> None:
        """
        The style has a part for readers who prefer dark pages, which gives every class of line
        and of text a colour of its own.
        """
        style = self.parsed(self.chart()).find(f"{SVG}style")
        assert style is not None
        light, _, dark = (style.text or "").partition("@media (prefers-color-scheme: dark)")
        for rule in (".page {", "text {", ".grid {", ".axis {", ".a {", ".b {", ".c {", ".d {"):
            self.assertIn(rule, light)
            self.assertIn(rule, dark)

    def test_deterministic(self) -> None:
        """
        The same numbers give the same bytes.
        """
        self.assertEqual(self.chart().svg(), self.chart().svg())
