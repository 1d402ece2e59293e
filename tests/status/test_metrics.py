# -*- test-case-name: tests.status.test_metrics -*-
"""
Tests of L{muxd.status.metrics}.
"""

from __future__ import annotations

import sys
from unittest import skipIf
from unittest.mock import patch

from muxd.server.registry import DeviceRegistry
from tests.status.asking import request
from tests.status.phones import PhoneTestCase

try:
    from prometheus_client.parser import text_string_to_metric_families as parse
except ImportError:
    parse = None  # type: ignore[assignment]


@skipIf(parse is None, "prometheus-client is not installed")
class MetricsTests(PhoneTestCase):
    """
    What Prometheus reads.
    """

    def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """
        All samples by name and by the values of their labels, as Prometheus' own parser
        finds them.
        """
        reply = self.get("/metrics")
        self.assertEqual(reply.status, 200)
        self.assertIn("text/plain", reply.headers["content-type"])
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in parse(reply.body.decode()):
            self.assertTrue(family.documentation.endswith("."), family.name)
            for sample in family.samples:
                values = tuple(value for _, value in sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[values] = sample.value
        return found

    def test_clients(self) -> None:
        """
        What clients do is counted.
        """
        _, session = self.twistedClient()
        session.bytesReceived = 77
        samples = self.samples()
        self.assertEqual(samples["usbmuxd_connects_total"], {(): 1.0})
        self.assertEqual(samples["usbmuxd_commands_total"], {("Connect",): 1.0})
        self.assertEqual(samples["usbmuxd_client_bytes_total"][("from_phone",)], 77.0)
        self.assertEqual(samples["usbmuxd_clients"], {(): 1.0})

    def test_phones(self) -> None:
        """
        So is what each phone does, by the port that it is plugged into.
        """
        self.ownSession()
        place = self.device.identity.portPath or "usb"
        samples = self.samples()
        self.assertEqual(samples["usbmuxd_phone_sessions"], {(place,): 1.0})
        self.assertEqual(samples["usbmuxd_phone_sessions_opened_total"], {(place,): 1.0})
        self.assertEqual(samples["usbmuxd_phones"], {("unknown",): 1.0})

    def test_histograms(self) -> None:
        """
        Times are histograms, whose buckets add up.
        """
        times = self.phone.muxer.times.stalls
        for value in (0.0005, 0.5, 1000.0):
            times.add(value)
        samples = self.samples()
        found = samples["usbmuxd_stall_seconds_bucket"]
        buckets = {bound: value for (bound, _), value in found.items()}
        self.assertEqual((buckets["0.001"], buckets["1.0"], buckets["+Inf"]), (1.0, 2.0, 3.0))
        (total,) = samples["usbmuxd_stall_seconds_sum"].values()
        self.assertAlmostEqual(total, 1000.5005)
        (count,) = samples["usbmuxd_stall_seconds_count"].values()
        self.assertEqual(count, 3.0)

    def test_bounded(self) -> None:
        """
        A device that comes again and again with another UDID adds no series.
        """
        registry: DeviceRegistry = self.service.registry
        before = sum(map(len, self.samples().values()))
        for _ in range(50):
            registry.deviceDetached(self.device)
            registry.attach(self.device)
        self.assertEqual(sum(map(len, self.samples().values())), before)
        self.assertNotIn(self.device.identity.udid, str(self.get("/metrics").body))

    def test_openMetrics(self) -> None:
        """
        A scraper that asks for OpenMetrics gets that.
        """
        reply = self.ask(request("/metrics", Accept="application/openmetrics-text; version=1.0.0"))
        self.assertIn("openmetrics", reply.headers["content-type"])
        self.assertTrue(reply.body.endswith(b"# EOF\n"))

    def test_notInstalled(self) -> None:
        """
        Without the library it is said how to get it.
        """
        with patch.dict(sys.modules, {"prometheus_client.exposition": None}):
            reply = self.get("/metrics")
        self.assertEqual(reply.status, 501)
        self.assertIn("pip install", reply.values["remedy"])
