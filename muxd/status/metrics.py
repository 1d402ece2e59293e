# -*- test-case-name: tests.status.test_metrics -*-
"""
C{/metrics}, for Prometheus, by its own library: the extra C{metrics}.

Labels have few values: kinds that this program chooses, and the ports of this machine's hubs.
A phone is known by the port that it is plugged into, and not by its UDID, of which a device
can make up as many as it likes.  The counters of a phone begin at 0 when it is plugged in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twisted.web.server import Request

from muxd.device.counters import BREACHES
from muxd.device.device import MuxedDevice
from muxd.device.times import Histogram
from muxd.importing.extras import installing
from muxd.interfaces import AttachedDevice
from muxd.status.answers import RequestError, StatusResource
from muxd.status.overview import Overview

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX = "usbmuxd"

_SERVER = {
    "connections": ("client_connections", "Clients that have connected."),
    "malformedMessages": ("malformed_messages", "Requests that could not be understood."),
    "timeouts": ("message_timeouts", "Clients whose request did not become complete."),
    "droppedClients": ("dropped_clients", "Clients disconnected because they did not read."),
    "clientsOverBudget": (
        "clients_over_budget",
        "Clients disconnected because too much waited for their user.",
    ),
    "refusedClients": (
        "refused_clients",
        "Clients closed at once because their user had too many connections.",
    ),
    "refusedStreams": (
        "refused_streams",
        "Connects refused because their user had too many streams.",
    ),
    "refusedListeners": (
        "refused_listeners",
        "Listens refused because their user had too many listeners.",
    ),
    "refusedSaves": (
        "refused_saves",
        "Pair records refused because their user had stored too many of absent phones.",
    ),
    "droppedSilent": (
        "dropped_silent_clients",
        "Silent clients disconnected so that others found a free descriptor.",
    ),
    "turnWaits": ("turn_waits", "Times that a client had to wait for its turn."),
    "connects": ("connects", "Connects that became a stream."),
    "refusedConnects": ("refused_connects", "Connects that a phone refused."),
    "cancelledConnects": ("cancelled_connects", "Connects whose client did not wait."),
    "acceptPauses": ("accept_pauses", "Times that no client was accepted for a while."),
}
"""Counters of clients: names and meanings."""

_PHONE = {
    "bytesSent": ("phone_sent_bytes", "Bytes of sessions sent to the phone."),
    "bytesReceived": ("phone_received_bytes", "Bytes of sessions received from the phone."),
    "packetsSent": ("phone_sent_packets", "Packets sent to the phone."),
    "packetsReceived": ("phone_received_packets", "Packets received from the phone."),
    "sessionsOpened": ("phone_sessions_opened", "Sessions that the phone has accepted."),
    "sessionsRefused": ("phone_sessions_refused", "Sessions that the phone has refused."),
    "connectTimeouts": ("phone_connect_timeouts", "Sessions that the phone did not answer."),
}
"""The same of each phone; what breaks a rule is counted by kind besides."""

_BREACHES = (*BREACHES, "strays")


def placeOf(attached: AttachedDevice) -> str:
    """
    Where a phone is, as a label: C{3-1.4}, or the kind of its connection.
    """
    identity = attached.device.identity
    if identity.portPath:
        kind = "simulated:" if identity.isSimulated else ""
        host = f"{identity.host}:" if identity.host else ""
        return f"{kind}{host}{identity.portPath}"
    return identity.connectionType.lower()


class Metrics:
    """
    What Prometheus' library collects from.
    """

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        """
        All metrics, as they are now.
        """
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        from muxd import __version__
        from muxd.build import description

        yield InfoMetricFamily(
            PREFIX,
            "The program.",
            value={"version": __version__, "build": description()},
        )
        yield from self._clients()
        yield from self._phones()
        overview = self._overview
        yield GaugeMetricFamily(
            f"{PREFIX}_reactor_lateness_seconds",
            "How late the daemon was at the worst of the last minute.",
            value=overview.heartbeat.lateness,
        )
        running = GaugeMetricFamily(
            f"{PREFIX}_source_up", "Whether a source can find phones.", labels=["source"]
        )
        for index, source in enumerate(overview.sources()):
            kind = source["description"].partition(":")[0]
            up = source["running"] and not source["problem"]
            running.add_metric([f"{index}:{kind}"], float(up))
        yield running
        used = GaugeMetricFamily(
            f"{PREFIX}_limit_used", "How much of something limited is used.", labels=["limit"]
        )
        most = GaugeMetricFamily(f"{PREFIX}_limit", "How much may be used.", labels=["limit"])
        for limit in overview.limits():
            name = limit["name"].replace(" ", "_")
            used.add_metric([name], limit["used"])
            if limit["most"] is not None:
                most.add_metric([name], limit["most"])
        yield used
        yield most

    def _clients(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counters = self._overview.counters()
        for name, (metric, text) in _SERVER.items():
            yield CounterMetricFamily(f"{PREFIX}_{metric}", text, value=counters[name])
        commands = CounterMetricFamily(
            f"{PREFIX}_commands", "Requests of clients.", labels=["command"]
        )
        for command, count in sorted(counters["commands"].items()):
            commands.add_metric([command], count)
        yield commands
        denials = CounterMetricFamily(
            f"{PREFIX}_denials", "Requests that views have denied.", labels=["command"]
        )
        for command, count in sorted(counters["denials"].items()):
            denials.add_metric([command], count)
        yield denials
        moved = CounterMetricFamily(
            f"{PREFIX}_client_bytes", "Bytes carried for clients.", labels=["direction"]
        )
        moved.add_metric(["to_phone"], counters["bytesToPhones"])
        moved.add_metric(["from_phone"], counters["bytesFromPhones"])
        yield moved
        server = self._overview.service.server
        yield GaugeMetricFamily(
            f"{PREFIX}_clients", "Clients that are connected.", value=len(server.clients)
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_listeners",
            "Clients that are told of phones.",
            value=len(server.listeners()),
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_unread_bytes", "Bytes that wait for clients.", value=server.unread.size
        )

    def _phones(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        by = _ByPlace()
        for attached in self._overview.service.registry.everything():
            by.add(attached, self._overview.service.trustOf(attached.device))
        for name, (metric, text) in _PHONE.items():
            family = CounterMetricFamily(f"{PREFIX}_{metric}", text, labels=["port"])
            for place, counts in by.counts.items():
                family.add_metric([place], counts[name])
            yield family
        breaches = CounterMetricFamily(
            f"{PREFIX}_phone_breaches",
            "Times that the phone broke a rule of the protocol.",
            labels=["port", "rule"],
        )
        for place, counts in by.counts.items():
            for name in _BREACHES:
                breaches.add_metric([place, name], counts[name])
        yield breaches
        sessions = GaugeMetricFamily(
            f"{PREFIX}_phone_sessions", "Sessions of the phone.", labels=["port"]
        )
        for place, count in by.sessions.items():
            sessions.add_metric([place], count)
        yield sessions
        phones = GaugeMetricFamily(f"{PREFIX}_phones", "Phones by trust.", labels=["trust"])
        for trust, count in sorted(by.trust.items()):
            phones.add_metric([trust or "unknown"], count)
        yield phones
        yield _family("connect_seconds", "From a Connect to the phone's answer.", by.connects)
        yield _family(
            "stall_seconds", "How long clients did not take what came from phones.", by.stalls
        )


class _ByPlace:
    """
    What phones have counted, by where they are; several may be in one place.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.sessions: Counter[str] = Counter()
        self.trust: Counter[str] = Counter()
        self.connects: dict[str, list[Histogram]] = {}
        self.stalls: dict[str, list[Histogram]] = {}

    def add(self, attached: AttachedDevice, trust: str) -> None:
        """
        One more phone.
        """
        self.trust[trust] += 1
        if not isinstance(attached.device, MuxedDevice):
            return
        muxer, place = attached.device.muxer, placeOf(attached)
        counts = self.counts.setdefault(place, Counter())
        for name in (*_PHONE, *_BREACHES):
            counts[name] += getattr(muxer.counters, name)
        self.sessions[place] += sum(1 for _ in muxer.sessions)
        self.connects.setdefault(place, []).append(muxer.times.connects)
        self.stalls.setdefault(place, []).append(muxer.times.stalls)


def _family(name: str, text: str, places: dict[str, list[Histogram]]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(f"{PREFIX}_{name}", text, labels=["port"])
    for place, histograms in places.items():
        counts = [sum(each) for each in zip(*(one.counts for one in histograms), strict=True)]
        bounds = [*map(str, histograms[0].bounds), "+Inf"]
        soFar, buckets = 0, []
        for bound, count in zip(bounds, counts, strict=True):
            soFar += count
            buckets.append((bound, float(soFar)))
        family.add_metric([place], buckets, sum(one.total for one in histograms))
    return family


class MetricsResource(StatusResource):
    """
    The door to them.
    """

    isLeaf = True

    def __init__(self, overview: Overview) -> None:
        super().__init__()
        self._metrics = Metrics(overview)
        self._registry: Any = None

    def render_GET(self, request: Request) -> bytes:
        """
        Answer in the format that is asked for.

        @raise RequestError: The library is not installed.
        """
        try:
            from prometheus_client.exposition import choose_encoder
            from prometheus_client.registry import CollectorRegistry
        except ImportError:
            raise RequestError(
                501, "prometheus-client is not installed", installing("metrics")
            ) from None
        if self._registry is None:
            # One of our own: the library's has the metrics of all of this process.
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self._metrics)
        accepted = request.getHeader(b"accept") or b""
        encoder, contentType = choose_encoder(accepted.decode("latin-1"))
        body: bytes = encoder(self._registry)
        request.setHeader(b"Content-Type", contentType.encode())
        request.setHeader(b"Content-Length", b"%d" % len(body))
        return body
