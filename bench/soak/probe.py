# -*- test-case-name: tests.bench.test_soakprobe -*-
"""
The probe: the daemon with an observer in its process.

It is C{twistd usbmuxd}'s own service in a C{twistd} of its own.  What comes with it
is a timer (L{bench.soak.stalls}), and a socket that answers when it is asked; with
simulated phones, which live in the daemon, the same socket plugs them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from twisted.application.service import Application, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from bench.soak.exchange import EXCHANGE, Exchange
from bench.soak.memory import blocks, giveBack, growInternedStrings, mallocBytes, objects
from bench.soak.stalls import Ticker, threadClocks
from muxd.device.device import MuxedDevice
from muxd.device.muxer import Muxer
from muxd.net.eventloop import loopOf
from muxd.phone.iphone import Phone
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.source import SimulatedSource
from muxd.server.counters import COUNTERS, ServerCounters
from muxd.service import MuxService
from muxd.tap.usbmuxd import Options


class ProbeProtocol(LineOnlyReceiver):
    """
    The probe's protocol: one request a line, one JSON object a line in return.
    """

    delimiter = b"\n"

    def __init__(self, answer: Callable[[str], object]) -> None:
        self._answer = answer

    def lineReceived(self, line: bytes) -> None:
        """
        Answer a request.
        """
        self.sendLine(json.dumps(self._answer(line.decode())).encode())


class Probe(Service):
    """
    A probe observes the daemon from within its process.
    """

    def __init__(self, reactor: Any, daemon: MuxService, path: str) -> None:
        """
        @param path: Where its socket is.
        """
        self._reactor = reactor
        self._daemon = daemon
        self._path = path
        self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._ticker = Ticker(reactor, lambda: threadClocks(self._schedstat))
        self._port: IListeningPort | None = None
        self._complaints: list[str] = []
        phones = [
            phone
            for source in daemon.sources
            if isinstance(source, SimulatedSource)
            for phone in source.phones
        ]
        self._phones: list[Phone] = phones
        self._buses = [
            source.bus for source in daemon.sources if isinstance(source, SimulatedSource)
        ]
        for phone in phones:
            phone.services[EXCHANGE] = ServiceFactory(lambda: Exchange(self._complaints.append))

    def startService(self) -> None:
        """
        Begin to observe, and listen.
        """
        super().startService()
        self._ticker.watchProcess()
        self._ticker.start()
        factory = Factory.forProtocol(lambda: ProbeProtocol(self._answer))
        factory.noisy = False
        self._port = self._reactor.listenUNIX(self._path, factory)

    def stopService(self) -> Deferred[object]:
        """
        Observe no more.
        """
        super().stopService()
        self._ticker.stop()
        return maybeDeferred(self._port.stopListening) if self._port else maybeDeferred(int)

    def _answer(self, request: str) -> object:
        word, _, argument = request.partition(" ")
        if word == "sample":
            return self._sample()
        if word == "stalls":
            ticker = self._ticker
            return {
                "late": ticker.late,
                "own": ticker.own,
                "long": [{**asdict(one), "blocked": one.blocked} for one in ticker.long],
            }
        if word == "forget":
            self._ticker.clear()
        elif word == "plug":
            self._phones[int(argument)].plug(self._buses[0])
        elif word == "unplug":
            self._phones[int(argument)].unplug()
        elif word == "phones":
            return [phone.udid for phone in self._phones]
        elif word == "violations":
            own = [f"{phone.name}: {one}" for phone in self._phones for one in phone.violations]
            return own + self._complaints
        elif word == "open":
            return sum(len(phone.muxer.sessions) for phone in self._phones)
        return {"done": word}

    def _sample(self) -> Mapping[str, object]:
        """
        Count everything; the timer does not see how long it takes to count.
        """
        self._ticker.stop()
        try:
            counted = objects()
            giveBack()
            factory = self._daemon._factory
            muxers = self._muxers()
            loop = loopOf(self._reactor)
            return {
                "objects": counted,
                "blocks": blocks(),
                "malloc": mallocBytes(),
                "devices": len(self._daemon.registry.attached()),
                "clients": len(factory.clients),
                "sessions": sum(len(muxer._sessions) for muxer in muxers),
                "ports in use": sum(len(muxer._ports) for muxer in muxers),
                "timers": len(self._reactor.getDelayedCalls()),
                "watched descriptors": len(self._reactor.getReaders())
                + len(self._reactor.getWriters())
                + len(loop.owners if loop else ()),
                "counters": _numbers(factory.counters),
                "muxers": [muxer.counters.values() for muxer in muxers],
            }
        finally:
            self._ticker.start()

    def _muxers(self) -> list[Muxer]:
        return [
            one.device.muxer
            for one in self._daemon.registry.attached()
            if isinstance(one.device, MuxedDevice)
        ]


def _numbers(counters: ServerCounters) -> dict[str, Any]:
    return {name: getattr(counters, name) for name in COUNTERS}


def observed(reactor: Any, environment: Mapping[str, str]) -> Any:
    """
    The application that C{daemon.tac} is: C{MUXD_SOAK} has the options of
    C{twistd usbmuxd} in JSON, C{MUXD_SOAK_OBSERVE} the path of the observer's socket.
    """
    growInternedStrings()
    options = Options()
    options.reactor = reactor
    options.parseOptions(json.loads(environment["MUXD_SOAK"]))
    application = Application("usbmuxd")
    options.service.setServiceParent(application)
    observer = Probe(reactor, options.service, environment["MUXD_SOAK_OBSERVE"])
    observer.setServiceParent(application)
    return application
