# -*- test-case-name: tests.tap.test_muxhub -*-
"""
C{twistd muxhub}: the hub of a fleet.
"""

from __future__ import annotations

import os

from twisted.application.service import IService
from twisted.logger import LogLevel
from twisted.python import usage

from muxd.fleet.messages import LONGEST_TERM, SHORTEST_TERM
from muxd.fleet.service import EMBEDDED, HubService
from muxd.server.places import ListeningAddress
from muxd.tap.master import ProcessMaster
from muxd.tap.options import CommandOptions
from muxd.tap.process import collectLess, takeTurns, waitOnLoop

FLEET = "tcp:7300:interface=127.0.0.1"


class Options(CommandOptions):
    """
    What can be said about a hub.

    @ivar service: The service, once everything has been said.
    """

    synopsis = "[options]"
    longdesc = (
        "The hub of a fleet: hosts connect to it and announce their phones, jobs reserve them, and "
        "its sockets look like one usbmuxd with every phone."
    )
    optParameters = [
        ["fleet", "f", FLEET, "Where hosts and jobs connect, as a Twisted server endpoint."],
        [
            "registry",
            None,
            EMBEDDED,
            "Where hosts, phones and reservations are known: embedded, in this hub, or"
            " etcd:HOST:PORT, for hubs that are several.",
        ],
        ["state", None, None, "The directory of what is remembered. [default: /var/lib/muxhub]"],
        [
            "status",
            None,
            None,
            "Where operators see the fleet, over HTTP, as a Twisted server endpoint."
            " [default: nowhere]",
        ],
        ["term", None, "10", "Seconds of silence after which a host counts as gone."],
    ]
    examples = """\
Examples:
  twistd -n muxhub --state /tmp/muxhub -l unix:/tmp/fleet
      for hosts and jobs of this machine, with USBMUXD_SOCKET_ADDRESS=UNIX:/tmp/fleet
  twistd -n muxhub --fleet mutualtls:7300:interface=0.0.0.0:files=/etc/muxd/tls
      for hosts and jobs with certificates of muxctl cert
  twistd -n muxhub --registry etcd:127.0.0.1:2379 --fleet tcp:7301
      one of several hubs, which have their registry together
  twistd -n muxhub --status tcp:27016
      with a page for operators, http://127.0.0.1:27016/
  twistd -n muxhub -l unix:/run/fleet-a:mode=660:only=UDID,UDID
      a socket for some of the phones alone
"""
    pidFile = "muxhub.pid"
    service: MuxhubService

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["admin"] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        Where clients find a usbmuxd with every phone, as a Twisted server endpoint, with a view
        if need be; may be repeated. [default: nowhere]
        """
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def opt_admin(self, name: str) -> None:
        """
        A name that may take phones from every job, and drain hosts; may be repeated.
        [default: none; without certificates every job may drain hosts]
        """
        if not name:
            raise usage.UsageError("--admin: expected a name, got ''")
        self["admin"].append(name)

    opt_h = CommandOptions.opt_help

    def postOptions(self) -> None:
        """
        Build the service.

        @raise usage.UsageError: A value is wrong.
        """
        self.chooseReactor()
        try:
            term = float(self["term"])
        except ValueError:
            term = -1.0
        if not SHORTEST_TERM <= term <= LONGEST_TERM:
            raise usage.UsageError(
                f"--term: expected seconds from {SHORTEST_TERM:.0f} to {LONGEST_TERM:.0f},"
                f" got {self['term']!r:.80}"
            )
        if self["state"] == "":
            raise usage.UsageError("--state must name a directory")
        try:
            self.service = MuxhubService(
                self.reactor,
                fleet=self["fleet"],
                state=os.path.abspath(self["state"] or "/var/lib/muxhub"),
                listen=[ListeningAddress.fromString(each) for each in self["listen"]],
                admins=frozenset(self["admin"]),
                term=term,
                registry=self["registry"],
                status=self["status"],
            )
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        self.service.logLevel = None if self.hasLogLevel else LogLevel.info


class MuxhubService(ProcessMaster, HubService):
    """
    The hub as the master of its process.
    """

    program = "muxhub"

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        collectLess()
        takeTurns()
        waitOnLoop(self.reactor)


def makeService(options: Options) -> IService:
    """
    The service that C{options} describe.
    """
    return options.service
