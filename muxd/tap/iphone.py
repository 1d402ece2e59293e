# -*- test-case-name: tests.tap.test_iphone -*-
"""
C{twistd iphone}: simulated iPhones for any usbmuxd, without hardware.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import LogLevel
from twisted.python import usage

from muxd.phone.bus.descriptors import Speed
from muxd.phone.identity import PhoneIdentity
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.trust import Owner
from muxd.phone.mux.behaviour import Expectations
from muxd.phone.parser import BUID, MOST_PHONES, TRUST, number, serialOption, serials
from muxd.phone.places import checkFeed, checkKept
from muxd.phone.service import PhoneService
from muxd.phone.services.own import parseServices
from muxd.phone.usbip.vhci import VirtualController
from muxd.phone.wireless import Style
from muxd.tap.master import ProcessMaster
from muxd.tap.options import CommandOptions
from muxd.tap.servicemanager import ServiceManager

USBIP_ENDPOINT = "tcp:3240:interface=127.0.0.1"

TOLERABLE = ("rx-seq", "window")

SPEEDS = {"high": Speed.HIGH, "super": Speed.SUPER}


class Options(CommandOptions):
    """
    What can be said about the phones.

    @ivar service: The service, once everything has been said.
    """

    synopsis = "[options]"
    longdesc = (
        "Simulated iPhones, for usbmuxds and for all that uses them: on this machine's USB bus, "
        "or on that of a machine that imports them over USB/IP.  They write down what a host does "
        "against the protocol."
    )
    optFlags = [
        ["vhci", None, "Attach the phones to this machine's vhci_hcd; needs root."],
        ["unplugged", None, "Plug nothing in before the control socket says so."],
    ]
    optParameters = [
        ["count", "n", "1", f"How many phones, at most {MOST_PHONES}."],
        ["udid", "u", None, "The UDID of the only phone."],
        ["mux", "m", "2", "The newest version of the muxer's protocol they speak, 1 or 2."],
        ["mode", None, "1", "The set of configurations they begin with, from 1 to 5."],
        ["speed", None, "high", "Of the bus they are made for: high or super."],
        ["trust", None, "accept", "The owner when a host asks: ask, accept, deny or locked."],
        ["files", None, None, "A directory with their files. [default: one of its own each]"],
        ["state", None, None, "A directory where pairings, values and files are kept."],
        ["apps", None, None, "A directory with their apps."],
        ["log", None, None, "A file or a pipe with lines for their logs."],
        ["name", None, None, "What their owner calls them."],
        ["product", None, None, "Their product type, such as iPad13,16."],
        ["system", None, None, "The version of their system, such as 17.5.1."],
        ["values", None, None, "A file with a dump of their values, or the name of a model."],
        ["buid", None, "lenient", "strict refuses a session to hosts whose BUID has changed."],
    ]

    examples = """\
Examples:
  twistd -n iphone --vhci
      as root, after modprobe vhci-hcd: a phone on this machine's USB bus, for
      the usbmuxd that runs here
  twistd -n iphone --usbip tcp:3240:interface=0.0.0.0
      a phone for another machine, say a virtual one: usbip attach -r HOST -b 1-1
  twistd -n iphone --vhci --count 4 --control unix:/run/phone.sock:mode=600
      four phones, which can be pulled out and looked at:
      echo stats 1 | nc -NU /run/phone.sock
"""

    pidFile = "iphone.pid"
    service: IphoneService

    def __init__(self) -> None:
        super().__init__()
        self["usbip"] = []
        self["control"] = []
        self["wifi"] = []
        self["wifiStyle"] = Style.TAGS
        self["serial"] = []
        self["tolerate"] = []
        self["service"] = {}

    def opt_usbip(self, endpoint: str) -> None:
        """
        Where USB/IP hosts connect, as a Twisted server endpoint; may be repeated.
        Without an interface= it is this machine alone that can. [default:
        tcp:3240:interface=127.0.0.1, unless --vhci is given]
        """
        self["usbip"].append(endpoint)

    def opt_control(self, endpoint: str) -> None:
        """
        Where programs connect that give commands (plug, unplug, stats, help...), as a
        Twisted server endpoint such as unix:/run/phone.sock, which is its owner's alone
        unless it says mode=; may be repeated.
        """
        self["control"].append(endpoint)

    opt_c = opt_control

    def opt_wifi(self, address: str) -> None:
        """
        An address of this machine on which a phone is to be reached by the network, too, and
        announces itself; repeat it, one for each phone.
        """
        self["wifi"].append(address)

    def opt_wifi_style(self, style: str) -> None:
        """
        How it does that: tags, as since iOS 26.4; private, under a random address alone; or
        mac, under the one that pair records have. [default: tags]
        """
        try:
            self["wifiStyle"] = Style(style)
        except ValueError:
            expected = " or ".join(each.value for each in Style)
            raise usage.UsageError(f"--wifi-style: expected {expected}, got {style!r}") from None

    def opt_serial(self, serial: str) -> None:
        """
        A USB serial number as it is, 24 or 40 characters or as wrong as you like;
        once for each phone.
        """
        self["serial"].append(serial)

    opt_s = opt_serial

    def opt_tolerate(self, what: str) -> None:
        """
        What hosts may do without a word: rx-seq, a wrong field of that name, as the
        C daemon has it, or window, one that changes, as netmuxd's; may be repeated.
        """
        if what not in TOLERABLE:
            raise usage.UsageError(f"--tolerate: expected {' or '.join(TOLERABLE)}, got {what!r}")
        self["tolerate"].append(what)

    def opt_service(self, service: str) -> None:
        """
        A service of one's own, NAME=MODULE:FACTORY, or the name of one that a plugin
        has; may be repeated.
        """
        try:
            self["service"].update(parseServices(service))
        except ValueError as error:
            raise usage.UsageError(f"--{error}") from error

    opt_h = CommandOptions.opt_help

    def postOptions(self) -> None:
        """
        Build the service: it is here that a wrong value can still be answered
        as the usage error that it is.

        @raise usage.UsageError: A value is wrong.
        """
        if self["vhci"] and self["usbip"]:
            raise usage.UsageError("--vhci and --usbip: a phone is on one bus, choose")
        self.chooseReactor()
        usbip = [] if self["vhci"] else self["usbip"] or [USBIP_ENDPOINT]
        try:
            self.service = IphoneService(
                self.reactor,
                self._phones(),
                usbip=usbip,
                controller=VirtualController(self.reactor) if self["vhci"] else None,
                control=self["control"],
                wifi=self["wifi"],
                wifiStyle=self["wifiStyle"],
                plugged=not self["unplugged"],
                quit=self._quit,
            )
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        self.service.logLevel = None if self.hasLogLevel else LogLevel.info

    def _quit(self) -> None:
        try:
            self.reactor.stop()
        except ReactorNotRunning:
            # An impatient person has said it twice.
            pass

    def _directory(self, name: str) -> str | None:
        """
        A directory that must be there.

        @raise ValueError: It is not.
        """
        path: str | None = self[name]
        if path is not None:
            # twistd may change the working directory before anything is opened.
            path = os.path.abspath(path)
            if not os.path.isdir(path):
                raise ValueError(f"--{name}: there is no directory {path!r}")
        return path

    def _phones(self) -> list[Phone]:
        """
        @raise ValueError: What is said of them is wrong.
        """
        count = number("--count", self["count"], MOST_PHONES)
        chosen = self["serial"] or list(serials(count))
        if self["udid"] is not None:
            if self["serial"] or count != 1:
                raise ValueError("--udid is for one phone, without --count and --serial")
            chosen = [serialOption(self["udid"])]
        if self["serial"] and count not in (1, len(chosen)):
            raise ValueError(f"--serial is given {len(chosen)} times, and --count is {count}")
        if self["trust"] not in TRUST:
            raise ValueError(f"--trust: expected {', '.join(TRUST)}, got {self['trust']!r}")
        if self["speed"] not in SPEEDS:
            raise ValueError(f"--speed: expected high or super, got {self['speed']!r}")
        for name, check in (("state", checkKept), ("log", checkFeed)):
            if self[name] is not None:
                check(f"--{name}", self[name])
        for name in ("files", "apps"):
            if self[name] == "":
                # Made absolute it would be the working directory.
                raise ValueError(f"--{name}: expected a path, got ''")
        files, apps = (self._directory(name) for name in ("files", "apps"))
        if self["buid"] not in BUID:
            raise ValueError(f"--buid: expected {' or '.join(BUID)}, got {self['buid']!r}")
        identity = PhoneIdentity.fromWords(
            name=self["name"],
            product=self["product"],
            version=self["system"],
            values=self["values"],
        )
        state = self["state"]
        return [
            Phone(
                self.reactor,
                serial=serial,
                name=identity.nameOf(index),
                dump=identity.dump,
                values=identity.values,
                strict=self["buid"] == "strict",
                apps=apps,
                extra=self["service"],
                log=None if self["log"] is None else os.path.abspath(self["log"]),
                state=None if state is None else os.path.abspath(state),
                mux=number("--mux", self["mux"], 2),
                mode=number("--mode", self["mode"], 5),
                speed=SPEEDS[self["speed"]],
                owner=Owner(self["trust"]),
                files=files,
                expectations=Expectations(
                    received="rx-seq" not in self["tolerate"],
                    constantWindow="window" not in self["tolerate"],
                ),
            )
            for index, serial in enumerate(chosen)
        ]


class IphoneService(ProcessMaster, PhoneService):
    """
    The phones as the master of their process.
    """

    program = "iphone"

    def __init__(self, *arguments: Any, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self.manager = ServiceManager(self.reactor, lambda: self.summary)

    @property
    def summary(self) -> str:
        """
        How many phones there are, and how many of them a host has.
        """
        count = sum(station.stats()["attached"] for station in self.stations)
        return f"{len(self.stations)} simulated phones, {count} of them attached"

    def startService(self) -> None:
        """
        Say that the phones can be used, in the log and to systemd.

        @raise StartFailure: They cannot.
        """
        super().startService()
        self._log.info("ready: {summary}", summary=self.summary)
        self.manager.ready()

    def stopService(self) -> Deferred[None]:
        """
        Stop.
        """
        self.manager.stopping()
        return super().stopService()


def makeService(options: Options) -> IService:
    """
    The service that C{options} describe.
    """
    return options.service
