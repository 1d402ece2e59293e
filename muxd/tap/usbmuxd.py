# -*- test-case-name: tests.tap.test_usbmuxd,tests.tap.test_usbmuxdservice -*-
"""
C{twistd usbmuxd}: the daemon's options, and the service made of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import fields, replace
from getopt import getopt
from typing import Any, TypeVar

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import LogLevel
from twisted.python import usage
from twisted.python.runtime import platform

from muxd.description import Description
from muxd.limits import LIMITS, Limits
from muxd.phone.places import checkKept
from muxd.server.places import ListeningAddress
from muxd.server.viewgrammar import describeView
from muxd.service import MuxService, defaultConfigDir
from muxd.sources import sourceParsers
from muxd.tap.capturefile import CapturingService, captureFromOption
from muxd.tap.configuration import LISTEN, NO_FILE, Configuration
from muxd.tap.fleeted import FleetedService, placeFromOptions
from muxd.tap.master import ProcessMaster
from muxd.tap.observed import ObservedService, StatusPlace
from muxd.tap.options import (
    CommandOptions,
    checkLogFormat,
    graceFromOption,
    logFormatFromOption,
)
from muxd.tap.pidlock import PidLock, isPlaceOfC, withstandSignals
from muxd.tap.process import collectLess, takeTurns, waitOnLoop
from muxd.tap.reloading import Reloaded, ReloadingService, reloadAction
from muxd.tap.servicemanager import ServiceManager
from muxd.tap.twistedfiles import printAndExit

T = TypeVar("T")

UNIX_ENDPOINT = "unix:/var/run/usbmuxd:mode=666"
TCP_ENDPOINT = "tcp:27015:interface=127.0.0.1"

LATER = (
    "muxd.lockdown.certificates",
    "muxd.lockdown.starttls",
    "muxd.server.recordthread",
    "prometheus_client.core",
    "prometheus_client.exposition",
    "twisted.python.threadpool",
    "encodings.utf_16_le",
)
"""
Modules that are imported when a phone pairs, a record is stored, or metrics are asked for;
and what the words of a USB device are decoded with.
"""

SIMULATED = "simulated"
"""The directory beside the pair records with what simulated phones remember."""

# What people who come from the C daemon type, and what to type instead.
_ELSEWHERE = {
    ("f", "foreground"): "write twistd -n before the word usbmuxd",
    ("U", "user"): "write twistd --uid USER --gid GROUP before the word usbmuxd",
    ("P", "pidfile"): "write twistd --pidfile FILE before the word usbmuxd",
    ("logfile",): "write twistd --logfile FILE before the word usbmuxd",
    ("n",): (
        "twistd's, which stays in the foreground, is written before the word usbmuxd; the C"
        " daemon's is not needed, phones are always noticed"
    ),
    ("disable-hotplug",): "not needed: phones are always noticed",
    ("z", "enable-exit"): "not needed: run it permanently, or stop it with SIGTERM",
    ("u", "udev"): "not needed: run it permanently",
    ("systemd",): "write twistd -n before the word usbmuxd",
    ("x", "exit"): "send SIGTERM to the daemon",
    ("X", "force-exit"): "send SIGTERM to the daemon",
    ("V",): "write --version",
}


_OF_THE_COMMAND_LINE = frozenset({"config", "check-config", "help", "version"})
"""What makes no sense in a configuration file."""

_WHERE = (LISTEN, "socket")


class Options(CommandOptions):
    """
    What can be said about the daemon.

    @ivar service: The service, once everything has been said.
    @ivar words: The command line.
    @ivar configuration: What the configuration file says.
    @ivar directory: Where relative paths are, those of the configuration file as well; C{twistd}
        may go elsewhere before it is read again.
    """

    synopsis = "[options]"
    longdesc = "usbmuxd: lets any program on this machine talk to any TCP port of a phone on USB."

    service: UsbmuxdService

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.configuration = NO_FILE
        self.directory = workingDirectory()
        self._typed: dict[str, Any] = {}
        self["config"] = None
        self["check-config"] = False
        self["listen"] = []
        self["source"] = []
        self["config-dir"] = None
        self["libusb"] = None
        self["verbose"] = 0
        self["preflight"] = True
        self["grace"] = LIMITS.halfCloseGrace
        self["capture"] = None
        self["status"] = None
        self["hub"] = None
        self["door"] = None
        self["door-address"] = None
        self["fleet-name"] = None
        self["log-format"] = None

    def opt_listen(self, endpoint: str) -> None:
        """
        Where clients connect, as a Twisted server endpoint; may be repeated.
        [default: unix:/var/run/usbmuxd:mode=666, and on Windows
        tcp:27015:interface=127.0.0.1]
        """
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def opt_socket(self, address: str) -> None:
        """
        Where clients connect, in the spelling of the C daemon: PATH, ADDR:PORT or
        [ADDR]:PORT; may be repeated.
        """
        self["listen"].append(endpointFromAddress(address, self.directory))

    opt_S = opt_socket

    def opt_source(self, description: str) -> None:
        """
        Where phones come from, see below; may be repeated. [default: usb]
        """
        self["source"].append(description)

    opt_s = opt_source

    def opt_libusb(self, path: str) -> None:
        """
        The libusb library that the usb source loads. [default: MUXD_LIBUSB of
        the environment, else the system's, else the one of libusb-package]
        """
        whole = self._whole(path)
        if not os.path.isfile(whole):
            raise usage.UsageError(f"--libusb {path}: there is no such file")
        self["libusb"] = whole

    def opt_config_dir(self, path: str) -> None:
        """
        Where pair records are kept. [default: /var/lib/lockdown,
        /var/db/lockdown on macOS]
        """
        if not path:
            raise usage.UsageError("--config-dir must name a directory")
        whole = self._whole(path)
        if os.path.exists(whole) and not os.path.isdir(whole):
            raise usage.UsageError(f"--config-dir {path}: is no directory; choose another place")
        self["config-dir"] = whole

    opt_C = opt_config_dir

    def opt_grace(self, seconds: str) -> None:
        """
        A client on another machine that has finished sending is taken to have gone when
        nothing has moved for so long; 0 is at once. [default: 1]
        """
        self["grace"] = graceFromOption(seconds)

    def opt_capture(self, path: str) -> None:
        """
        Write all that clients and phones say to each other to this file, which Wireshark
        opens; for finding faults, as it is private and grows.
        """
        try:
            self["capture"] = captureFromOption(path, self.directory)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error

    def opt_status(self, endpoint: str) -> None:
        """
        Where operators see what is going on, over HTTP, as a Twisted server endpoint; none
        for nowhere. [default: a UNIX socket beside the first one of --listen, such as
        /var/run/usbmuxd.status, mode 600]
        """
        self["status"] = endpoint

    def opt_hub(self, endpoint: str) -> None:
        """
        Be a host of a fleet: announce the phones to the hub at this Twisted client endpoint,
        such as tcp:127.0.0.1:7300.
        """
        self["hub"] = endpoint

    def opt_door(self, endpoint: str) -> None:
        """
        Where jobs of the fleet reach the phones, as a Twisted server endpoint.
        """
        self["door"] = endpoint

    def opt_door_address(self, address: str) -> None:
        """
        HOST or HOST:PORT by which they find it. [default: where it listens]
        """
        self["door-address"] = address

    def opt_fleet_name(self, name: str) -> None:
        """
        What this host is called in the fleet; with mutualtls:, a name of its certificate.
        [default: the machine's name]
        """
        self["fleet-name"] = name

    def opt_config(self, path: str) -> None:
        """
        A file with options, and with views, labels and limits; what is said here counts more.
        It is read again at SIGHUP.
        """
        if not path:
            raise usage.UsageError("--config must name a file")
        self["config"] = self._whole(path)

    def opt_check_config(self) -> None:
        """
        Print what would run, and exit; with status 1 if something is wrong.
        """
        self["check-config"] = True

    def opt_no_preflight(self) -> None:
        """
        List phones at once, and do not ask them for their trust.
        """
        self["preflight"] = False

    opt_p = opt_no_preflight

    def opt_log_format(self, name: str) -> None:
        """
        What log lines look like: text; json, an object a line; journal, with fields for
        systemd's journal. [default: journal under systemd, else text]
        """
        self["log-format"] = logFormatFromOption(name)

    def opt_verbose(self) -> None:
        """
        Log debug messages, too.
        """
        self["verbose"] += 1

    opt_v = opt_verbose

    def epilogue(self) -> str:
        """
        The sources that are installed, then examples.
        """
        sources = "".join(f"  {parser.usage}\n" for parser in sourceParsers())
        return f"Sources:\n{sources}\n{_EXAMPLES}"

    def getRemedy(self, error: usage.UsageError) -> str:
        """
        See L{CommandOptions.getRemedy}.
        """
        words = str(error).split()
        for names, remedy in _ELSEWHERE.items():
            if words[:1] == ["option"] and words[1].lstrip("-") in names:
                return f"; {remedy}"
        return super().getRemedy(error)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """
        See L{CommandOptions.parseOptions}; the words are kept, to be understood again.
        """
        self.words = list(sys.argv[1:] if options is None else options)
        super().parseOptions(self.words)

    def postOptions(self) -> None:
        """
        Build the service: it is here that a wrong value can still be answered
        as the usage error that it is.

        @raise usage.UsageError: A value is wrong.
        """
        self.chooseReactor()
        settings = self.settings()
        checkLogFormat(self["log-format"], self.parent)
        level = LogLevel.debug if self["verbose"] else LogLevel.info
        # twist has a log level, which -v lowers; twistd has none.
        if self.parent is not None and self.hasLogLevel and self["verbose"]:
            self.parent["logLevel"] = level
        try:
            self.service = UsbmuxdService(self.reactor, **settings)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        if self["check-config"]:
            printAndExit("usbmuxd", describeSettings(settings))
        self.service.processOptions = self.processOptions()
        self.service.captureFile = self["capture"]
        self.service.logLevel = None if self.hasLogLevel else level
        if self.service.status is not None:
            self.service.status.logTail.level = level
        if self["config"] is not None:
            self.service.reread = self.reread
        if self["verbose"]:
            self.service.logConnects()

    def settings(self) -> dict[str, Any]:
        """
        What a L{UsbmuxdService} is made of, from the command line and the configuration
        file, which is read now.

        @raise usage.UsageError: A value is wrong.
        """
        self._typed = deepcopy(dict(self))
        if self["config"] is not None:
            known = [name.rstrip("=") for name in self.longOpt]
            keys = [name for name in known if name not in (LISTEN, *_OF_THE_COMMAND_LINE)]
            self.configuration = Configuration.load(self["config"], keys)
            self.configuration.tell(self, self._given())
        try:
            listen = self._places()
            # The directory of a view's socket may be a container's: no place for this one.
            addresses = map(ListeningAddress.of, listen)
            whole = [str(each.place) for each in addresses if each.view is None]
            return {
                "status": StatusPlace.chosen(self["status"], whole),
                "listen": listen,
                "sources": self._sources(),
                "configDir": self["config-dir"],
                "preflight": self["preflight"],
                "limits": self._limits(),
                "labels": self.configuration.labels,
                "fleet": placeFromOptions(
                    self.reactor,
                    self["hub"],
                    self["door"],
                    self["fleet-name"],
                    self["door-address"],
                ),
            }
        except ValueError as error:
            raise usage.UsageError(str(error)) from error

    def processOptions(self) -> dict[str, object]:
        """
        The options of the process that no service is made of.
        """
        return {name: self[name] for name in ("capture", "log-format", "verbose")}

    def reread(self) -> tuple[dict[str, Any], dict[str, object]]:
        """
        What a service would be made of if the same command line was given now, and the options
        of the process.

        @raise usage.UsageError: A value is wrong.
        """
        fresh = type(self)()
        fresh.parent, fresh.words, fresh.directory = self.parent, self.words, self.directory
        fresh.update(deepcopy(self._typed))
        return fresh.settings(), fresh.processOptions()

    def _whole(self, path: str) -> str:
        """
        An absolute path.
        """
        return os.path.abspath(os.path.join(self.directory, path))

    def _given(self) -> frozenset[str]:
        """
        The options of which the command line says something, by their whole names.
        """
        pairs, _ = getopt(self.words, self.shortOpt, self.longOpt)
        names = {name.lstrip("-") for name, _ in pairs}
        given = {self.synonyms.get(name, name).replace("_", "-") for name in names}
        # They say the same in two ways.
        return frozenset(given | set(_WHERE if given & set(_WHERE) else ()))

    def _limits(self) -> Limits:
        limits = self.configuration.limited(LIMITS)
        isSaid = "grace" in self._given() or "grace" in self.configuration.options
        return replace(limits, halfCloseGrace=self["grace"]) if isSaid else limits

    def _places(self) -> list[str | ListeningAddress]:
        """
        Where clients connect: as the command line says, else as the file says, else where
        they expect it.
        """
        listed = self.configuration.listen
        if self._given() & set(_WHERE):
            listed = None
        typed: list[str] = self["listen"]
        if listed is None and not typed:
            typed = [TCP_ENDPOINT if platform.isWindows() else UNIX_ENDPOINT]
        places = [*map(self.configuration.address, typed), *(listed or ())]
        grouped = map(self._grouped, places)
        return [str(one.place) if one.view is None else one for one in grouped]

    def _grouped(self, address: ListeningAddress) -> ListeningAddress:
        """
        With C{twistd}'s C{--gid} the sockets are that group's, which C{mode=660} would shut
        out otherwise.
        """
        group = None if self.parent is None else self.parent.get("gid")
        place = str(address.place)
        if group is None:
            return address
        return replace(address, place=place + self._group(place, group))

    def _group(self, place: str, group: int) -> str:
        parsed = Description.fromString(place)
        isGiven = parsed.name.lower() != "unix" or "group" in parsed.keywords
        return "" if isGiven else f":group={group}"

    def _sources(self) -> list[str]:
        """
        The sources' descriptions, with the libusb that was chosen, and a place for what
        simulated phones have to remember.
        """
        more: dict[str, str] = {"usb": "", "simulated": ""}
        if self["libusb"] is not None:
            more["usb"] = f":libusb={quoteStringArgument(self['libusb'])}"
        if self["config-dir"] is not None:
            more["simulated"] = self._simulatedState(os.path.join(self["config-dir"], SIMULATED))
        described = []
        for text in self["source"] or ["usb"]:
            parsed = Description.fromString(text)
            isGiven = "state" in parsed.keywords
            described.append(text if isGiven else text + more.get(parsed.name.lower(), ""))
        return described

    def _simulatedState(self, path: str) -> str:
        """
        Simulated phones remember who has paired with them as long as the hosts do: not, where
        nothing can be written, which is said of the hosts' records.
        """
        try:
            checkKept("state", path)
        except ValueError:
            return ""
        return f":state={quoteStringArgument(path)}"


_EXAMPLES = """\
Examples:
  twistd -n usbmuxd
      as the system's daemon, in the foreground
  twistd -n usbmuxd -l unix:/tmp/usbmuxd -s simulated:2 -C /tmp/lockdown
      two simulated phones for USBMUXD_SOCKET_ADDRESS=UNIX:/tmp/usbmuxd
  twistd -n usbmuxd -l unix:/var/run/usbmuxd:mode=660 -l tcp:27015:interface=127.0.0.1
      two places to connect, one of them for its group alone
  twistd -n usbmuxd -l systemd:domain=UNIX:index=0
      on a socket that systemd opened
"""


def workingDirectory() -> str:
    """
    Where this process is; C{.} if that is not there any more.
    """
    try:
        return os.getcwd()
    except OSError:
        return os.curdir


def endpointFromAddress(address: str, directory: str = os.curdir) -> str:
    """
    The endpoint description for what the C daemon's C{-S} accepts.

    @param directory: Where a relative path is.
    @raise usage.UsageError: It is no address.
    """
    if not address or address.startswith("-"):
        raise usage.UsageError(f"-S {address!r}: expected PATH, ADDR:PORT or [ADDR]:PORT")
    if ":" not in address:
        path = os.path.abspath(os.path.join(directory, address))
        return f"unix:{quoteStringArgument(path)}:mode=666"
    host, _, port = address.rpartition(":")
    kind = "tcp"
    if host.startswith("[") and host.endswith("]"):
        kind, host = "tcp6", host[1:-1]
    elif ":" in host:
        raise usage.UsageError(f"-S {address!r}: write an IPv6 address as [ADDR]:PORT")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise usage.UsageError(
            f"-S {address!r}: expected ADDR:PORT; a path with a colon needs -l unix:PATH "
            "with a backslash before the colon"
        )
    return f"{kind}:{port}:interface={quoteStringArgument(host)}"


def describeSettings(settings: Mapping[str, Any]) -> str:
    """
    What a service is made of, for people.
    """
    lines = []
    for place in settings["listen"]:
        address = ListeningAddress.of(place)
        lines.append(f"listen     {address.place}")
        if address.view is not None:
            name = "" if address.view.isOfPlace else f" {address.view.name}"
            lines.append(f"  view{name}: {describeView(address.view.view)}")
    status = settings["status"]
    limits, fleet = settings["limits"], settings["fleet"]
    changed = [
        f"{one.name} = {getattr(limits, one.name)}"
        for one in fields(Limits)
        if getattr(limits, one.name) != getattr(LIMITS, one.name)
    ]
    lines += [
        f"status     {'none' if status is None else status.description}",
        *(f"source     {source}" for source in settings["sources"]),
        *([] if fleet is None else [f"fleet      {fleet.name} at hub {fleet.hub}"]),
        f"records    {settings['configDir'] or defaultConfigDir()}",
        f"preflight  {'yes' if settings['preflight'] else 'no'}",
        *(f"limit      {each}" for each in changed),
    ]
    return "\n".join(lines)


class LockedService(MuxService):
    """
    The daemon, with the C daemon's lock where it has the C daemon's place.  An
    application that embeds a L{MuxService} has no use for the signals that come with it.

    @ivar pidLock: The lock.
    """

    def __init__(self, reactor: Any, **arguments: Any) -> None:
        super().__init__(reactor, **arguments)
        self.pidLock = PidLock()

    def privilegedStartService(self) -> None:
        """
        Take the lock, then listen.

        @raise CannotListen: Another daemon has either.
        """
        if isPlaceOfC(self.socketPaths):
            withstandSignals()
            self.pidLock.take()
        try:
            super().privilegedStartService()
        except BaseException:
            self.pidLock.release()
            raise

    def changeListening(
        self, listen: Iterable[str | IStreamServerEndpoint | ListeningAddress]
    ) -> None:
        """
        Take the lock if the C daemon's place is among the new ones, and give it back if it
        is no more.

        @raise CannotListen: Another daemon has the lock, or the place; nothing has changed.
        """
        addresses = [ListeningAddress.of(place) for place in listen]
        had = isPlaceOfC(self.socketPaths)
        has = isPlaceOfC([one.path for one in addresses if one.path is not None])
        if self.running and has and not had:
            withstandSignals()
            self.pidLock.take()
        try:
            super().changeListening(addresses)
        except BaseException:
            if not had:
                self.pidLock.release()
            raise
        if not has:
            self.pidLock.release()

    def stopService(self) -> Deferred[None]:
        """
        Stop, then give the lock back.
        """

        def release(result: T) -> T:
            self.pidLock.release()
            return result

        return super().stopService().addBoth(release)


class UsbmuxdService(
    ProcessMaster,
    ReloadingService,
    LockedService,
    FleetedService,
    CapturingService,
    ObservedService,
):
    """
    The daemon as the master of its process.

    @ivar manager: Tells systemd of it.
    """

    program = "usbmuxd"
    imports = LATER

    def __init__(self, reactor: Any, **arguments: Any) -> None:
        super().__init__(reactor, **arguments)
        self.manager = ServiceManager(reactor, lambda: self.summary)
        if self.status is not None:
            self.status.addAction(reloadAction(self))

    def startService(self) -> None:
        """
        Begin, and let Python look for garbage less often, and threads take turns more
        often, from now on.
        """
        super().startService()
        collectLess()
        takeTurns()
        waitOnLoop(self.reactor)
        self.reloadOnSignal()
        self.reactor.callWhenRunning(self.manager.ready)

    def reload(self) -> Reloaded:
        """
        See L{ReloadingService.reload}; systemd is told.
        """
        self.manager.reloading()
        try:
            return super().reload()
        finally:
            self.manager.ready()

    def stopService(self) -> Deferred[None]:
        """
        Say so, then stop.
        """
        self.manager.stopping()
        return super().stopService()


def makeService(options: Options) -> IService:
    """
    The service that C{options} describe.
    """
    return options.service
