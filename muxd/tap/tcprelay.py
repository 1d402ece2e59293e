# -*- test-case-name: tests.tap.test_tcprelay -*-
"""
C{twistd tcprelay}: ports of phones as ports of this machine.

The command line is that of the old C{tcprelay.py}, remote port first
(protocol 7.3), and C{--from} with C{--to} for what ports cannot say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from getopt import GetoptError, gnu_getopt

from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import LogLevel
from twisted.python import usage

from muxd.client.access import DaemonAccess, accessAt, daemonAccess
from muxd.client.address import SPELLINGS, VARIABLE, Address, InvalidAddress, parseAddress
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.selection import Network
from muxd.importing.extras import needing
from muxd.limits import LIMITS
from muxd.net.localport import LocalPort, localAddresses
from muxd.net.loopreactor import onLoop
from muxd.relay import BUFFER, RelayEndpoint, RelayService, Route
from muxd.tap.forwards import FORWARD, RSD, eachForward, forwards, serviceForward
from muxd.tap.master import ProcessMaster
from muxd.tap.options import CommandOptions, graceFromOption
from muxd.tap.phoneports import PhonePorts
from muxd.tap.process import waitOnLoop

MOST_KILOBYTES = 1 << 20


class Options(CommandOptions):
    """
    What is to be relayed.

    @ivar service: The service, once everything has been said.
    """

    synopsis = (
        "[options] REMOTE[:LOCAL]... [rsd:NAME[:LOCAL]]... [--each REMOTE:FIRST+]... "
        "[--from ENDPOINT --to ENDPOINT]..."
    )
    longdesc = (
        "Make ports of phones ports of this machine.  REMOTE is the phone's port, LOCAL "
        "this machine's: the same if left out, any free one if 0.  Both may be ranges, as in "
        "7:9000-9010.  The phone may be plugged out and in meanwhile.  rsd:NAME[:LOCAL] is a "
        "service in the phone's tunnel, from iOS 17.4 on.  Options may stand in any place."
    )
    optFlags = [
        ["threaded", "t", "Nothing: connections never wait for each other."],
        ["json", None, "Print each port that is listened on as a line of JSON."],
    ]
    optParameters = [
        ["udid", "u", None, "The phone, if it is not the only one."],
        ["socket", "s", None, f"The daemon: {SPELLINGS}. [default: {VARIABLE}, else the usual]"],
        ["network", None, "no", "Whether phones on the network count: no, yes, or prefer."],
        [
            "grace",
            None,
            str(LIMITS.halfCloseGrace),
            "Seconds of silence after which a client elsewhere that has finished sending is taken "
            "to have gone; 0 is at once, as iproxy.",
        ],
        ["bufsize", "b", BUFFER // 1024, "Kilobytes that may wait in each direction."],
    ]

    examples = """\
Examples:
  twistd -n tcprelay 22:2222
      port 22 of the phone: ssh -p 2222 root@localhost
  twistd -n tcprelay -u UDID 22:0
      the same on any free port, which the log tells
  twistd -n tcprelay rsd:com.apple.afc:9000
      the service com.apple.afc of the phone's tunnel, from iOS 17.4 on
  twistd -n tcprelay --each 8100:9000+
      port 8100 of every phone that is there or comes, from port 9000 on
  twistd -n tcprelay --from ssl:4443:privateKey=key.pem:interface=0.0.0.0 --to usbmux:port=8100
      port 8100 of the phone for other machines, encrypted
"""

    pidFile = "tcprelay.pid"
    service: TcprelayService

    def __init__(self) -> None:
        super().__init__()
        self["forwards"] = []
        self["services"] = []
        self["pairs"] = []
        self["each"] = []
        self["address"] = []
        self._from: str | None = None

    def opt_from(self, endpoint: str) -> None:
        """
        Listen on this Twisted server endpoint, for what the next --to says.
        Without an interface= it is this machine alone that can connect.
        """
        if self._from is not None:
            raise usage.UsageError(f"--from {self._from}: a --to is missing")
        self._from = endpoint

    def opt_to(self, endpoint: str) -> None:
        """
        Connect each client there to this Twisted client endpoint, such as
        usbmux:port=22 or tcp:host=example.org:port=80.
        """
        if self._from is None:
            raise usage.UsageError(f"--to {endpoint}: a --from before it is missing")
        self["pairs"].append((self._from, endpoint))
        self._from = None

    opt_h = CommandOptions.opt_help

    def opt_address(self, address: str) -> None:
        """
        This machine's address to listen on, 0.0.0.0 for all of IPv4, :: for all; may
        be repeated. [default: 127.0.0.1 and ::1]
        """
        self["address"].append(address)

    opt_a = opt_address

    def opt_each(self, word: str) -> None:
        """
        REMOTE:FIRST+, such as 8100:9000+: a port of this machine, from FIRST on, for
        that port of every phone that is there or comes.  A phone keeps its port.
        REMOTE:FIRST-LAST uses no others.  May be repeated.
        """
        try:
            self["each"].append(eachForward(word))
        except ValueError as error:
            raise usage.UsageError(f"--each: {error}") from None

    def arranged(self, words: list[str] | None) -> list[str] | None:
        """
        Options may stand in any place, as with C{iproxy}.

        @raise usage.UsageError: There is no such option, or its value is missing.
        """
        if words is None:
            return None
        try:
            options, arguments = gnu_getopt(words, self.shortOpt, self.longOpt)
        except GetoptError as error:
            raise usage.UsageError(str(error)) from None
        arranged: list[str] = []
        for name, value in options:
            takesValue = f"{name[2:]}=" in self.longOpt or f"{name[1:]}:" in self.shortOpt
            arranged += [name, value] if takesValue else [name]
        return [*arranged, "--", *arguments]

    def parseArgs(self, *words: str) -> None:
        """
        @raise usage.UsageError: One of them is no C{REMOTE[:LOCAL]}, and no C{rsd:NAME[:LOCAL]}.
        """
        ports = [word for word in words if not word.startswith(RSD)]
        try:
            self["forwards"] = [forward for word in ports for forward in forwards(word)]
            self["services"] = [serviceForward(word) for word in words if word.startswith(RSD)]
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def postOptions(self) -> None:
        """
        Build the service: it is here that a wrong value can still be answered
        as the usage error that it is.

        @raise usage.UsageError: A value is wrong.
        """
        if self._from is not None:
            raise usage.UsageError(f"--from {self._from}: a --to is missing")
        if not any(self[what] for what in ("forwards", "services", "each", "pairs")):
            raise usage.UsageError(
                f"expected {FORWARD}, --each, or --from and --to: nothing to relay"
            )
        buffer = self._buffer()
        limits = replace(LIMITS, halfCloseGrace=graceFromOption(self["grace"]))
        self.chooseReactor()
        try:
            self.service = TcprelayService(
                self.reactor,
                [*self._forwards(), *self._pairs(), *self._services()],
                limits=limits,
                buffer=buffer,
            )
            self.service.isTelling = bool(self["json"])
            self.service.phonePorts = self._each()
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        self.service.logLevel = None if self.hasLogLevel else LogLevel.info

    def _buffer(self) -> int:
        text = str(self["bufsize"])
        kilobytes = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not 0 < kilobytes <= MOST_KILOBYTES:
            raise usage.UsageError(
                f"--bufsize: expected kilobytes from 1 to {MOST_KILOBYTES}, got {text!r}"
            )
        return kilobytes * 1024

    def _forwards(self) -> list[Route]:
        """
        The routes to phones' ports.

        @raise ValueError: What is said of the phone or the daemon is wrong.
        """
        if not self["forwards"]:
            if not self["services"]:
                self._refuseUnused()
            return []
        udid = self["udid"]
        if udid == "":
            raise usage.UsageError("--udid is empty; leave it out for the only phone")
        network = Network.fromWord(self["network"])
        addresses = self._addresses()
        access = self._access()
        return [
            Route(
                LocalPort(one.local, addresses),
                UsbmuxClientEndpoint(
                    onLoop(self.reactor), one.remote, udid, access, network=network
                ),
                f"port {one.remote} of {udid or 'the only phone'}",
                udid,
                one.remote,
            )
            for one in self["forwards"]
        ]

    def _services(self) -> list[Route]:
        """
        The routes to services in a phone's tunnel, which is opened by the first client.

        @raise ValueError: What is said of the phone or the daemon is wrong.
        """
        if not self["services"]:
            return []
        with needing("tunnel", RSD.rstrip(":")):
            from muxd.tunnel.opening import SharedTunnel, TunnelledService, openTunnel

        udid, reactor, access = self["udid"] or None, onLoop(self.reactor), self._access()
        network = Network.fromWord(self["network"])
        tunnel = SharedTunnel(lambda: openTunnel(reactor, udid, access, network))
        addresses = self._addresses()
        return [
            Route(
                LocalPort(one.local, addresses),
                TunnelledService(tunnel, one.name),
                f"{one.name} of {udid or 'the only phone'}",
                udid,
            )
            for one in self["services"]
        ]

    def _refuseUnused(self) -> None:
        """
        @raise usage.UsageError: Something is said that has no use without forwards.
        """
        if self["udid"] is not None:
            use = "--each is for every phone" if self["each"] else "write it into --to usbmux:..."
            raise usage.UsageError(f"--udid is for {FORWARD}; {use}")
        if self["socket"] is not None and not self["each"]:
            raise usage.UsageError(
                f"--socket is for {FORWARD} and --each; write it into --to usbmux:..."
            )

    def _each(self) -> list[PhonePorts]:
        """
        What gives every phone a port.

        @raise ValueError: What is said of the daemon is wrong.
        """
        if not self["each"]:
            return []
        access, addresses = self._access(), self._addresses()
        return [
            PhonePorts(
                self.service,
                one.remote,
                range(one.first, one.last + 1),
                access,
                addresses=addresses,
                network=Network.fromWord(self["network"]),
            )
            for one in self["each"]
        ]

    def _addresses(self) -> tuple[str, ...]:
        try:
            return localAddresses(self["address"])
        except ValueError as error:
            raise usage.UsageError(f"--address: {error}") from None

    def _access(self) -> DaemonAccess:
        if self["socket"] is None:
            return daemonAccess(onLoop(self.reactor), environ=os.environ)
        try:
            address: Address = parseAddress(self["socket"])
        except InvalidAddress as error:
            raise usage.UsageError(f"--socket: {error}") from None
        return accessAt(onLoop(self.reactor), address)

    def _pairs(self) -> list[Route]:
        return [Route(listen, to) for listen, to in self["pairs"]]


class TcprelayService(ProcessMaster, RelayService):
    """
    The relay as the master of its process.

    @ivar isTelling: Whether each port that is listened on is printed as a line of JSON.
    @ivar phonePorts: What gives every phone a port.
    """

    program = "tcprelay"
    isTelling = False
    phonePorts: Sequence[PhonePorts] = ()

    def startService(self) -> None:
        """
        Listen, and look for phones if every one is to have a port.
        """
        super().startService()
        waitOnLoop(self.reactor)
        for ports in self.phonePorts:
            ports.startService()

    def stopService(self) -> Deferred[None]:
        """
        Look for phones no more, and stop the relay.

        @return: fires when that is done.
        """
        looking = [ports.stopService() for ports in self.phonePorts if ports.running]
        return gatherResults([*looking, super().stopService()]).addCallback(lambda _: None)

    def routeOpened(self, route: Route, endpoints: Sequence[RelayEndpoint]) -> None:
        """
        Tell of it, if that is wanted.
        """
        if not self.isTelling:
            return
        line = {
            "udid": route.udid,
            "remote": route.remote,
            "local": endpoints[0].portNumber,
            "listening": [endpoint.place for endpoint in endpoints],
            "destination": endpoints[0].destination,
        }
        # If it has no reader, the ports are of use all the same.
        with suppress(OSError):
            print(json.dumps(line), flush=True)


def makeService(options: Options) -> IService:
    """
    The service that C{options} describe.
    """
    return options.service
