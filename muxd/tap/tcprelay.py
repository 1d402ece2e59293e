# -*- test-case-name: tests.tap.test_tcprelay -*-
"""
C{twistd tcprelay}: ports of phones as ports of this machine.

The command line is that of the old C{tcprelay.py}, remote port first
(protocol 7.3), and C{--from} with C{--to} for what ports cannot say.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import quoteStringArgument
from twisted.logger import LogLevel
from twisted.python import usage

from muxd.client.access import DaemonAccess, accessAt, daemonAccess
from muxd.client.address import SPELLINGS, VARIABLE, Address, InvalidAddress, parseAddress
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.selection import Network
from muxd.limits import LIMITS
from muxd.net.serverstrings import LOOPBACK, onLoopback
from muxd.relay import BUFFER, RelayService, Route
from muxd.tap.master import ProcessMaster
from muxd.tap.options import CommandOptions, graceFromOption

MOST_KILOBYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Forward:
    """
    A phone's port and the one of this machine that leads to it.
    """

    remote: int
    local: int


class Options(CommandOptions):
    """
    What is to be relayed.

    @ivar service: The service, once everything has been said.
    """

    synopsis = "[options] REMOTE[:LOCAL]... [--from ENDPOINT --to ENDPOINT]..."
    longdesc = (
        "Make ports of phones ports of this machine.  REMOTE is the phone's port, LOCAL "
        "this machine's: the same if left out, any free one if 0.  The phone is looked for "
        "whenever somebody connects."
    )
    optFlags = [["threaded", "t", "Nothing: connections never wait for each other."]]
    optParameters = [
        ["udid", "u", None, "The phone, if it is not the only one."],
        ["socket", "s", None, f"The daemon: {SPELLINGS}. [default: {VARIABLE}, else the usual]"],
        ["network", None, "no", "Whether phones on the network count: no, yes, or prefer."],
        ["address", "a", LOOPBACK, "This machine's address to listen on, as 0.0.0.0 for all."],
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
  twistd -n tcprelay --from ssl:4443:privateKey=key.pem:interface=0.0.0.0 --to usbmux:port=8100
      port 8100 of the phone for other machines, encrypted
"""

    pidFile = "tcprelay.pid"
    service: TcprelayService

    def __init__(self) -> None:
        super().__init__()
        self["forwards"] = []
        self["pairs"] = []
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
        Connect whoever comes there to this Twisted client endpoint, such as
        usbmux:port=22 or tcp:host=example.org:port=80.
        """
        if self._from is None:
            raise usage.UsageError(f"--to {endpoint}: a --from before it is missing")
        self["pairs"].append((self._from, endpoint))
        self._from = None

    opt_h = usage.Options.opt_help

    def parseArgs(self, *words: str) -> None:
        """
        @raise usage.UsageError: One of them is no C{REMOTE[:LOCAL]}.
        """
        self["forwards"] = [forward(word) for word in words]

    def postOptions(self) -> None:
        """
        Build the service: it is here that a wrong value can still be answered
        as the usage error that it is.

        @raise usage.UsageError: A value is wrong.
        """
        if self._from is not None:
            raise usage.UsageError(f"--from {self._from}: a --to is missing")
        if not self["forwards"] and not self["pairs"]:
            raise usage.UsageError("expected REMOTE[:LOCAL], or --from and --to: nothing to relay")
        buffer = self._buffer()
        limits = replace(LIMITS, halfCloseGrace=graceFromOption(self["grace"]))
        self.chooseReactor()
        try:
            self.service = TcprelayService(
                self.reactor, [*self._forwards(), *self._pairs()], limits=limits, buffer=buffer
            )
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
            for name in ("udid", "socket"):
                if self[name] is not None:
                    raise usage.UsageError(
                        f"--{name} is for REMOTE[:LOCAL]; write it into --to usbmux:..."
                    )
            return []
        udid = self["udid"]
        if udid == "":
            raise usage.UsageError("--udid is empty; leave it out for the only phone")
        network = Network.fromWord(self["network"])
        interface = listeningInterface(self["address"])
        access = self._access()
        return [
            Route(
                f"{interface.kind}:{one.local}:interface={interface.quoted}",
                UsbmuxClientEndpoint(self.reactor, one.remote, udid, access, network=network),
                f"port {one.remote} of {udid or 'the only phone'}",
            )
            for one in self["forwards"]
        ]

    def _access(self) -> DaemonAccess:
        if self["socket"] is None:
            return daemonAccess(self.reactor, environ=os.environ)
        try:
            address: Address = parseAddress(self["socket"])
        except InvalidAddress as error:
            raise usage.UsageError(f"--socket: {error}") from None
        return accessAt(self.reactor, address)

    def _pairs(self) -> list[Route]:
        return [Route(onLoopback(listen), to) for listen, to in self["pairs"]]


@dataclass(frozen=True, slots=True)
class Interface:
    """
    An address to listen on, as endpoint descriptions have it.
    """

    kind: str
    address: str

    @property
    def quoted(self) -> str:
        """
        For a description, where colons separate.
        """
        quoted: str = quoteStringArgument(self.address)
        return quoted


def forward(word: str) -> Forward:
    """
    Understand C{REMOTE[:LOCAL]}.

    @raise usage.UsageError: It is none.
    """
    remote, colon, local = word.partition(":")
    theirs = _port(remote)
    ours = _port(local) if colon else theirs
    if not theirs or ours is None:
        raise usage.UsageError(
            f"expected REMOTE[:LOCAL], ports from 1 to 65535 (LOCAL may be 0), got {word!r}"
        )
    return Forward(theirs, ours)


def _port(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    return number if 0 <= number < 65536 else None


def listeningInterface(address: str) -> Interface:
    """
    Understand C{--address}.

    @raise usage.UsageError: It is no IP address.
    """
    bare = address.removeprefix("[").removesuffix("]")
    if bare == "localhost":
        return Interface("tcp", LOOPBACK)
    if isIPAddress(bare):
        return Interface("tcp", bare)
    if isIPv6Address(bare):
        return Interface("tcp6", bare)
    raise usage.UsageError(
        f"--address: expected an IP address of this machine (0.0.0.0 for all), got {address!r}"
    )


class TcprelayService(ProcessMaster, RelayService):
    """
    The relay as the master of its process.
    """

    program = "tcprelay"


def makeService(options: Options) -> IService:
    """
    The service that C{options} describe.
    """
    return options.service
