# -*- test-case-name: tests.tap.test_script -*-
"""
The command C{usbmuxd}: the daemon under the name and with the options of the C daemon.

It is C{twistd usbmuxd} that runs, in the foreground and without a pid file unless one is
asked for, so that it can stand wherever the C daemon stood: in a unit of systemd, in a
container, behind a supervisor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from twisted.python import usage

import muxd
from muxd.tap.twistedfiles import LOG, complaintAbout, printAndExit
from muxd.tap.usbmuxd import endpointFromAddress

PROGRAM = "usbmuxd"

NOWHERE = "NONE"
"""What the C daemon calls no pid file."""

_PLACES = ("unix", "tcp", "tcp6", "ssl", "mutualtls", "systemd")
"""What a description of a place to listen begins with."""

_SYSTEMD = ": -s is --systemd here, as with the C daemon; phones come from --source"


class ScriptOptions(usage.Options):
    """
    The C daemon's options, and what they are for C{twistd}.

    @ivar runner: Arguments of C{twistd}.
    @ivar daemon: Arguments of C{twistd usbmuxd}.
    @ivar notes: What to tell the person who typed it.
    """

    synopsis = "usbmuxd [options]"
    longdesc = (
        "usbmuxd: lets any program on this machine talk to any TCP port of a phone on USB.  "
        "It stays in the foreground unless --daemonize is given.  What twistd usbmuxd can do "
        "beyond this, twistd usbmuxd --help tells."
    )

    def __init__(self) -> None:
        super().__init__()
        self.docs = {name: " ".join((text or "").split()) for name, text in self.docs.items()}
        self.runner: list[str] = []
        self.daemon: list[str] = []
        self.notes: list[str] = []
        self["daemonize"] = False
        self["pidfile"] = ""
        self["systemd"] = False

    def opt_foreground(self) -> None:
        """
        Stay in the foreground, which it does anyway.
        """

    opt_f = opt_foreground

    def opt_daemonize(self) -> None:
        """
        Go on in the background.
        """
        self["daemonize"] = True

    def opt_verbose(self) -> None:
        """
        Log debug messages, too.
        """
        self.daemon.append("--verbose")

    opt_v = opt_verbose

    def opt_socket(self, address: str) -> None:
        """
        Where clients connect: PATH, ADDR:PORT or [ADDR]:PORT; may be repeated.
        [default: /var/run/usbmuxd]
        """
        self.daemon += ["--listen", endpointFromAddress(address)]

    opt_S = opt_socket

    def opt_listen(self, endpoint: str) -> None:
        """
        Where clients connect, as a Twisted server endpoint, such as unix:/run/x:mode=660;
        may be repeated.
        """
        self.daemon += ["--listen", endpoint]

    def opt_source(self, description: str) -> None:
        """
        Where phones come from; may be repeated. [default: usb]
        """
        self.daemon += ["--source", description]

    def opt_libusb(self, path: str) -> None:
        """
        The libusb library to load.
        """
        self.daemon += ["--libusb", path]

    def opt_config_dir(self, path: str) -> None:
        """
        Where pair records are kept.
        """
        self.daemon += ["--config-dir", path]

    opt_C = opt_config_dir

    def opt_grace(self, seconds: str) -> None:
        """
        How long a client on another machine that has finished sending may be silent
        before it is taken to have gone; 0 is at once. [default: 1]
        """
        self.daemon += ["--grace", seconds]

    def opt_capture(self, path: str) -> None:
        """
        Write all that clients and phones say to each other to this file, for Wireshark.
        """
        self.daemon += ["--capture", path]

    def opt_status(self, endpoint: str) -> None:
        """
        Where operators see what is going on, as a Twisted server endpoint, or none.
        [default: beside the first socket, such as /var/run/usbmuxd.status]
        """
        self.daemon += ["--status", endpoint]

    def opt_hub(self, endpoint: str) -> None:
        """
        Be a host of a fleet: announce the phones to the hub at this Twisted client endpoint,
        such as tcp:127.0.0.1:7300.
        """
        self.daemon += ["--hub", endpoint]

    def opt_door(self, endpoint: str) -> None:
        """
        Where jobs of the fleet reach the phones, as a Twisted server endpoint.
        """
        self.daemon += ["--door", endpoint]

    def opt_door_address(self, address: str) -> None:
        """
        HOST or HOST:PORT by which they find it. [default: where it listens]
        """
        self.daemon += ["--door-address", address]

    def opt_fleet_name(self, name: str) -> None:
        """
        What this host is called in the fleet; with mutualtls:, a name of its certificate.
        [default: the machine's name]
        """
        self.daemon += ["--fleet-name", name]

    def opt_config(self, path: str) -> None:
        """
        A file with options, views, labels and limits; read again at SIGHUP.
        """
        self.daemon += ["--config", os.path.abspath(path)]

    def opt_check_config(self) -> None:
        """
        Print what would run, and exit.
        """
        self.daemon.append("--check-config")

    def opt_log_format(self, name: str) -> None:
        """
        What log lines look like: text, json or journal.
        """
        self.daemon += ["--log-format", name]

    def opt_no_preflight(self) -> None:
        """
        List phones at once, and do not ask them for their trust.
        """
        self.daemon.append("--no-preflight")

    opt_p = opt_no_preflight

    def opt_user(self, name: str) -> None:
        """
        The user to be once the sockets are open, with this user's groups.
        """
        try:
            from pwd import getpwnam

            user = getpwnam(name)
        except (ImportError, KeyError):
            raise usage.UsageError(f"--user {name}: there is no such user") from None
        self.runner += ["--uid", str(user.pw_uid), "--gid", str(user.pw_gid)]

    opt_U = opt_user

    def opt_pidfile(self, path: str) -> None:
        """
        Write the number of the process here; NONE is nowhere. [default: nowhere]
        """
        if path in ("", NOWHERE):
            self["pidfile"] = ""
            return
        complaint = complaintAbout("--pidfile", path)
        if complaint:
            raise usage.UsageError(complaint)
        self["pidfile"] = os.path.abspath(path)

    opt_P = opt_pidfile

    def opt_logfile(self, path: str) -> None:
        """
        Append log messages here. [default: standard output]
        """
        if path.partition(":")[0] in _PLACES and ":" in path:
            raise usage.UsageError(
                f"-l {path}: -l is --logfile here, as with the C daemon; clients connect at"
                " --listen"
            )
        complaint = complaintAbout("--logfile", path)
        if complaint:
            raise usage.UsageError(complaint)
        self.runner += ["--logfile", path]

    opt_l = opt_logfile

    def opt_disable_hotplug(self) -> None:
        """
        (Accepted: phones are always noticed.)
        """
        self.notes.append("--disable-hotplug: phones are noticed all the same")

    opt_n = opt_disable_hotplug

    def opt_enable_exit(self) -> None:
        """
        (Accepted: the daemon stays when there is no phone.)
        """
        self.notes.append("--enable-exit: the daemon stays until it is stopped")

    opt_z = opt_enable_exit

    def opt_udev(self) -> None:
        """
        (Accepted: the daemon stays when there is no phone.)
        """
        self.notes.append("--udev: the daemon stays until it is stopped")

    opt_u = opt_udev

    def opt_systemd(self) -> None:
        """
        Stay in the foreground, which it does anyway.
        """
        self["systemd"] = True

    opt_s = opt_systemd

    def opt_exit(self) -> None:
        """
        (Refused: stop the daemon with SIGTERM.)
        """
        raise usage.UsageError("--exit: send SIGTERM to the daemon instead")

    opt_x = opt_exit

    def opt_force_exit(self) -> None:
        """
        (Refused: stop the daemon with SIGTERM.)
        """
        self.opt_exit()

    opt_X = opt_force_exit

    def opt_help(self) -> NoReturn:
        """
        Display this help and exit.
        """
        printAndExit(PROGRAM, str(self))

    def opt_version(self) -> NoReturn:
        """
        Print the version and exit.
        """
        printAndExit(PROGRAM, f"{PROGRAM} (muxd) {muxd.__version__}")

    opt_V = opt_version
    opt_h = opt_help

    def parseArgs(self, *arguments: str) -> None:
        """
        @raise usage.UsageError: There are arguments; none are expected.
        """
        if arguments:
            hint = _SYSTEMD if self["systemd"] else ""
            raise usage.UsageError(f"unexpected argument {arguments[0]!r}{hint}")

    def postOptions(self) -> None:
        """
        @raise usage.UsageError: In the background there would be nowhere to log to.
        """
        if self["daemonize"] and "--logfile" not in self.runner:
            complaint = complaintAbout("--logfile", LOG)
            if complaint:
                raise usage.UsageError(
                    f"--daemonize: say with --logfile where the log is to be ({complaint})"
                )

    def forTwistd(self) -> list[str]:
        """
        What C{twistd} is to be started with.
        """
        stay = [] if self["daemonize"] else ["--nodaemon"]
        return [*stay, f"--pidfile={self['pidfile']}", *self.runner, "usbmuxd", *self.daemon]


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the daemon.

    @param arguments: The command line without the program's name.
    """
    options = ScriptOptions()
    try:
        options.parseOptions(list(sys.argv[1:] if arguments is None else arguments))
    except usage.UsageError as error:
        print(f"{PROGRAM}: {error} (--help shows all options)", file=sys.stderr)
        sys.exit(1)
    for note in options.notes:
        print(f"{PROGRAM}: {note}", file=sys.stderr)
    # Imported late: a wrong option is answered without it.
    from twisted.scripts.twistd import run

    sys.argv[1:] = options.forTwistd()
    run()


if __name__ == "__main__":
    main()
