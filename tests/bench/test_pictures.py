# -*- test-case-name: tests.bench.test_pictures -*-
"""
Tests of L{bench.pictures}.
"""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench.pictures import QUANTILES, drawn
from bench.results import Comparison, Series, Setting
from tests.bench.test_results import ONE, TWO, download, results, series, workload

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    """
    Return the texts of a picture.
    """
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def points(picture: str) -> list[str]:
    """
    Return what a reader is told of each point.
    """
    titles = ElementTree.fromstring(picture).iter(f"{SVG}circle")
    return [one[0].text or "" for one in titles if len(one)]


def measured(key: str, setting: Setting, **figures: float) -> Comparison:
    """
    Make a workload with the same figures for both subjects, the reference's ten times as large.
    """
    theirs = {name: value * 10 for name, value in figures.items()}
    return Comparison(workload(key), setting, {"pure": Series([figures]), "c": Series([theirs])})


class DrawnTests(SynchronousTestCase):
    """
    Tests of L{drawn}.
    """

    def test_throughput(self) -> None:
        """
        A curve is the medians of a subject by its sessions; directions and settings are panels.
        """
        four = Comparison(
            workload("unpaced.download-4"), TWO, {"pure": series([600]), "c": series([200])}
        )
        one = download([50], [40], setting=ONE)
        pictures = drawn(results(download([500, 520, 900], [100]), four, one))
        self.assertEqual(list(pictures), ["throughput.svg"])
        picture = pictures["throughput.svg"]
        self.assertEqual(
            points(picture),
            [
                *("muxd, pure: 1, 520", "muxd, pure: 4, 600"),
                *("C usbmuxd: 1, 100", "C usbmuxd: 4, 200"),
                *("muxd, pure: 1, 50", "C usbmuxd: 1, 40"),
            ],
        )
        self.assertIn("download, 2 CPUs", texts(picture))
        self.assertIn("download, 1 CPU", texts(picture))

    def test_latency(self) -> None:
        """
        A distribution is a curve of its quantiles, in percent.
        """
        figures = {f"q{one:03d}_us": one / 2 for one in QUANTILES}
        found = results(measured("usb2.echo-1-beside-uploads", TWO, **figures))
        picture = drawn(found)["latency.svg"]
        self.assertIn("USB 2, beside 4 uploads, 2 CPUs", texts(picture))
        told = points(picture)
        self.assertEqual(len(told), 2 * len(QUANTILES))
        self.assertIn("muxd, pure: 250, 50", told)
        self.assertIn("C usbmuxd: 4,950, 99", told)

    def test_idle(self) -> None:
        """
        What an operation costs is drawn from no idle session on.
        """
        found = results(
            measured("unpaced.echo-1", TWO, cpu_us_each=50.0),
            measured("unpaced.download-4", TWO, cpu_ms_per_MB=1.0),
            measured("unpaced.idle-1000-echo", TWO, echo_cpu_us=60.0, cpu_ms_per_MB=2.0),
        )
        picture = drawn(found)["idle.svg"]
        for expected in (
            *("muxd, pure: 0, 50", "muxd, pure: 1,000, 60", "C usbmuxd: 1,000, 600"),
            *("muxd, pure: 1,000, 2", "C usbmuxd: 1,000, 20"),
        ):
            self.assertIn(expected, points(picture))

    def test_nothing(self) -> None:
        """
        Without its rows there is no picture.
        """
        self.assertEqual(drawn(results(measured("unpaced.start", TWO, start_ms=1.0))), {})

    def test_legend(self) -> None:
        """
        Every subject is named.
        """
        picture = drawn(results(download([1], [1], compiled=[2])))["throughput.svg"]
        for name in ("muxd, compiled", "muxd, pure", "C usbmuxd"):
            self.assertIn(name, texts(picture))
