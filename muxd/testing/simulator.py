# -*- test-case-name: tests.testing.test_simulator -*-
"""
The program that a L{Simulation<muxd.testing.simulation.Simulation>} runs: a daemon and
its simulated phones, in a process that does what it reads on its standard input.

One line of words is a command, and its answer one line of JSON on the standard output:
the commands of the control socket (L{muxd.phone.console}), and a few more.  The
first line is printed without being asked for, when clients can connect.  The log is on
the standard error.

The end of the input is the end of the program: a process that has been killed leaves no
daemon behind.  One that has not says C{goodbye} before that, and removes the directory itself.

Beyond those of the control socket there are:

 - C{forward PORT ENDPOINT [N]}: connections to this port of the phone are led to this
   client endpoint
 - C{refuse PORT [N]}: connections to it are refused
 - C{ignore PORT [N]}: attempts to connect to it are not answered
 - C{allow PORT [N]}: none of the three any more
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from functools import partial
from threading import Thread
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.runtime import platform
from zope.interface import implementer

from muxd.phone.console import VERBS as PHONE_VERBS
from muxd.phone.console import Arguments, Console, Verb, WrongCommand
from muxd.phone.iphone import Phone
from muxd.phone.pluggedphone import PluggedPhone
from muxd.phone.source import SimulatedSource
from muxd.relay import RelayService, Route
from muxd.service import MuxService
from muxd.testing.simulation import GOODBYE

LOCALHOST = "127.0.0.1"


@implementer(IAddress)
class PortAddress:
    """
    A port of a simulated phone.
    """

    def __init__(self, phone: Phone, port: int) -> None:
        self.udid = phone.udid
        self.port = port


@implementer(IStreamServerEndpoint, IListeningPort)
class PhonePort:
    """
    A port of a simulated phone, to listen on: connections to the port, by whichever
    daemon, are the factory's.
    """

    def __init__(self, phone: Phone, port: int) -> None:
        self._phone = phone
        self._port = port
        self._factory: IProtocolFactory | None = None

    def __repr__(self) -> str:
        return f"port {self._port} of {self._phone.udid}"

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen, instead of what listens there.
        """
        self._factory = protocolFactory
        self.startListening()
        return succeed(self)

    def startListening(self) -> None:
        """
        Listen, instead of what listens there.
        """
        assert self._factory is not None
        self._phone.services[self._port] = self._factory

    def stopListening(self) -> None:
        """
        Refuse connections from now on, if nothing else listens there meanwhile.
        """
        if self._phone.services.get(self._port) is self._factory:
            del self._phone.services[self._port]

    def getHost(self) -> IAddress:
        """
        The port's address.
        """
        return PortAddress(self._phone, self._port)


@implementer(IStreamServerEndpoint)
class NotedEndpoint:
    """
    An endpoint whose port is kept, to be asked for its number.

    @ivar port: The port, once it listens.
    """

    port: IListeningPort

    def __init__(self, endpoint: IStreamServerEndpoint) -> None:
        self._endpoint = endpoint

    def __repr__(self) -> str:
        return "the simulation's socket"

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.
        """
        return self._endpoint.listen(protocolFactory).addCallback(self._noted)

    def _noted(self, port: IListeningPort) -> IListeningPort:
        self.port = port
        return port


def portNumber(word: str) -> int:
    """
    The number of a port.

    @raise WrongCommand: It is none.
    """
    if word.isascii() and word.isdecimal() and len(word) < 6 and 0 < int(word) < 65536:
        return int(word)
    raise WrongCommand(f"expected a port from 1 to 65535, got {word!r}")


class Simulator:
    """
    A daemon, its phones, and what they are told to do.

    @ivar service: The daemon.
    @ivar phones: The phones, in order.
    @ivar console: Carries out commands.
    """

    def __init__(
        self,
        reactor: Any,
        service: MuxService,
        stations: Iterable[PluggedPhone],
        quit: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self.service = service
        self._forwards: dict[tuple[PluggedPhone, int], RelayService] = {}
        verbs = {
            **PHONE_VERBS,
            "forward": Verb("forward", self._forward, values=("PORT", "ENDPOINT")),
            "refuse": Verb("refuse", self._refuse, values=("PORT",)),
            "ignore": Verb("ignore", self._ignore, values=("PORT",)),
            "allow": Verb("allow", self._allow, values=("PORT",)),
        }
        self.console = Console(tuple(stations), quit, verbs)

    async def stop(self) -> None:
        """
        Stop the daemon and all that leads elsewhere.
        """
        await gatherResults([forward.stopService() for forward in self._forwards.values()])
        await self.service.stopService()

    def _forward(self, station: PluggedPhone, arguments: Arguments) -> None:
        """
        Lead connections to a port of a phone to a client endpoint.
        """
        port = self._clear(station, arguments)
        try:
            route = Route(PhonePort(station.phone, port), arguments.values[1])
            forward = RelayService(self._reactor, [route])
        except ValueError as error:
            raise WrongCommand(str(error)) from error
        forward.startService()
        self._forwards[station, port] = forward

    def _refuse(self, station: PluggedPhone, arguments: Arguments) -> None:
        """
        Refuse connections to a port of a phone.
        """
        station.phone.refuse(self._clear(station, arguments))

    def _ignore(self, station: PluggedPhone, arguments: Arguments) -> None:
        """
        Answer no attempt to connect to a port of a phone.
        """
        station.phone.ignore(self._clear(station, arguments))

    def _allow(self, station: PluggedPhone, arguments: Arguments) -> None:
        """
        Let a port of a phone do again what it did at first.
        """
        self._clear(station, arguments)

    def _clear(self, station: PluggedPhone, arguments: Arguments) -> int:
        """
        Forget what has been said of a port.
        """
        port = portNumber(arguments.values[0])
        station.phone.faults.refusals.pop(port, None)
        station.phone.faults.deaf.discard(port)
        forward = self._forwards.pop((station, port), None)
        if forward is not None:
            forward.stopService()
        return port


class Conversation:
    """
    Commands in, answers out, on a pair of pipes.

    @ivar isDismissed: Whether the other end has said L{GOODBYE}, and so will see to what there
        is of this process.
    """

    def __init__(self, reactor: Any, source: BinaryIO, sink: BinaryIO) -> None:
        self.isDismissed = False
        self._reactor = reactor
        self._source = source
        self._sink = sink

    def say(self, answer: Any) -> None:
        """
        Write one line.
        """
        try:
            self._sink.write(json.dumps(answer).encode("ascii") + b"\n")
            self._sink.flush()
        except OSError:
            # The other end is gone, and so is what it sends.
            pass

    def begin(self, execute: Callable[[str], Any], ended: Callable[[], object]) -> None:
        """
        Answer each line that comes.

        @param execute: Carries out a line, in the reactor's thread.
        @param ended: Called there at the end of the input.
        """
        # A pipe can be waited for by every reactor on some systems, by none on others.
        Thread(target=self._read, args=(execute, ended), daemon=True, name="commands").start()

    def _read(self, execute: Callable[[str], Any], ended: Callable[[], object]) -> None:
        for line in self._source:
            if line.rstrip() == GOODBYE:
                self.isDismissed = True
                break
            text = line.decode("utf-8", "replace")
            self._reactor.callFromThread(lambda text=text: self.say(execute(text)))
        self._reactor.callFromThread(ended)


def listeningPlace(
    reactor: Any, directory: str, isWindows: bool = platform.isWindows()
) -> NotedEndpoint:
    """
    Where the daemon listens: a UNIX socket that only this user can reach, or on Windows
    any free port of this machine.
    """
    if isWindows:
        return NotedEndpoint(TCP4ServerEndpoint(reactor, 0, interface=LOCALHOST))
    return NotedEndpoint(UNIXServerEndpoint(reactor, os.path.join(directory, "s"), mode=0o600))


def addressFor(port: IListeningPort) -> str:
    """
    The address of a listening port as C{USBMUXD_SOCKET_ADDRESS} has it.
    """
    host: Any = port.getHost()
    if hasattr(host, "port"):
        return f"{host.host}:{host.port}"
    return "UNIX:" + os.fsdecode(host.name)


def main(arguments: list[str]) -> None:
    """
    Run until the input ends.
    """
    parser = ArgumentParser(description="A daemon with simulated phones, for tests.")
    parser.add_argument("--directory", required=True, help="for the socket and pair records")
    parser.add_argument("--source", default="simulated", help="as for usbmuxd --source")
    parser.add_argument("--preflight", action="store_true", help="ask phones for their trust")
    options = parser.parse_args(arguments)
    # Whatever else prints something must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    from twisted.internet import reactor

    conversation = Conversation(reactor, sys.stdin.buffer, answers)
    quit: Callable[[], object] = partial(_stopReactor, reactor)
    try:
        place = listeningPlace(reactor, options.directory)
        service = MuxService(
            reactor,
            listen=[place],
            sources=[options.source],
            configDir=os.path.join(options.directory, "records"),
            preflight=options.preflight,
        )
        stations = [
            PluggedPhone(phone, source.bus)
            for source in service.sources
            if isinstance(source, SimulatedSource)
            for phone in source.phones
        ]
        service.startService()
    except Exception as error:
        conversation.say({"error": str(error)})
        raise SystemExit(1) from error
    simulator = Simulator(reactor, service, stations, quit)
    conversation.say(
        {"address": addressFor(place.port), "udids": [one.phone.udid for one in stations]}
    )
    conversation.begin(simulator.console.execute, quit)
    stopping = simulator.stop
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stopping()))
    reactor.run()
    if not conversation.isDismissed:
        # It has been killed, and cannot remove what it has made for this process.
        shutil.rmtree(options.directory, ignore_errors=True)


def _stopReactor(reactor: Any) -> None:
    """
    Stop a reactor that may be stopping already.
    """
    if reactor.running:
        reactor.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
