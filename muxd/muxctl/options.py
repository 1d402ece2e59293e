# -*- test-case-name: tests.muxctl.test_options -*-
"""
What may stand on C{muxctl}'s command line.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, NoReturn

from muxd import __version__
from muxd.client.address import SPELLINGS, VARIABLE, Address, InvalidAddress, parseAddress
from muxd.client.selection import Network
from muxd.muxctl.errors import WRONG_USAGE

EPILOG = f"""\
examples:
  muxctl list                       the phones that are there
  muxctl list -l                    the same, with their names, models and versions
  muxctl wait --paired && make test     wait for a phone that trusts this host
  muxctl watch --json               each coming and going as a line of JSON
  muxctl connect 7 <in >out         bytes to port 7 of the only phone, and back
  muxctl connect --linger 1 7 <in   the same with the C daemon (see connect --help)
  ssh -o ProxyCommand='muxctl -u UDID connect 22' root@phone
  muxctl record show UDID           the pair record, without its private keys
  muxctl capture -w - | wireshark -k -i -    what programs and phones say, as they say it
  muxctl release UDID               let a virtual machine have it, until muxctl take UDID
  muxctl cert host rack1.example.org    what rack1 needs for mutualtls: endpoints
  muxctl reserve --phone label=fast --wait 10m -- make test    a phone of a fleet, for itself
  muxctl tunnel                     the services in the tunnel of a phone with iOS 17.4
  muxctl relay rsd:com.apple.afc:9000   one of them as localhost:9000
  muxctl relay 22:2222              port 22 of the phone as localhost:2222

exit status:
  0  done                             3  no daemon
  1  no phone, refused, no record     4  time-out
  2  wrong usage                      5  daemon, phone or file failed meanwhile
  130, 141  interrupted, and the output has no reader any more
  of reserve: that of its command, 127 if there is no such command

completion:
  eval "$(muxctl completion bash)", or zsh; see muxctl(1)

environment:
  {VARIABLE}  where the daemon is, as with --socket
  MUXD_HUB                where the hub of a fleet is, as with --hub
"""

CONNECT = "connect"
FLEET = "fleet"
RESERVE = "reserve"
RELAY = "relay"
LIST_PORT = 49151
"""Where C{pymobiledevice3 remote tunneld} lists its tunnels."""


class Usage(Exception):
    """
    The command line is wrong, or only a question.

    @ivar status: What to exit with.
    @ivar text: What to print: on stderr if the status is not 0.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text.strip().removeprefix("muxctl: "))
        self.status = status
        self.text = text


def areForPrograms(argv: Iterable[str]) -> bool:
    """
    Whether a command line asks for JSON, even if it is wrong.
    """
    return "--json" in takewhile("--".__ne__, argv)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """
    Understand a command line.

    @return: C{command} and what belongs to it; C{relay}'s own words, which it
        reads by itself, are C{arguments}, and so is C{reserve}'s command.
    @raise Usage: There is nothing to be done but to print something.
    """
    words = list(argv)
    theirs: list[str] = []
    if RELAY in words and COMMANDS.isdisjoint(words[: words.index(RELAY)]):
        split = words.index(RELAY) + 1
        words, theirs = words[:split], words[split:]
    elif RESERVE in words and "--" in words:
        split = words.index("--")
        words, theirs = words[:split], words[split + 1 :]
    _expectKnown(words)
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        _refuse(options.command, unknown)
    options.arguments = theirs
    if options.command == FLEET:
        _checkHost(options)
    if options.command == CONNECT:
        options.network = _network(options)
    if options.command is None:
        help = "muxctl: expected a COMMAND (see muxctl --help)\n"
        raise Usage(WRONG_USAGE, help if options.json else _parser().format_help())
    return options


def _expectKnown(words: Sequence[str]) -> None:
    """
    Refuse an option before the command that all commands do not have in common: what is
    behind it would be taken for the command.

    @raise Usage: There is one.
    """
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "--":
            return
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if name not in _EVERYWHERE:
            raise Usage(
                2,
                f"muxctl: {name} before the command is unknown; options of a command are written"
                " behind it (see muxctl --help)\n",
            )
        if name in _VALUED and word == name:
            next(rest, None)


def _refuse(command: str, unknown: Sequence[str]) -> NoReturn:
    """
    @raise Usage: Always: words behind a command mean nothing to it.
    """
    text = f"muxctl {command}: not understood: {' '.join(unknown)}"
    if command == RESERVE and not unknown[0].startswith("-"):
        text = "muxctl reserve: expected -- before the command to run"
    raise Usage(WRONG_USAGE, f"{text} (see muxctl {command} --help)\n")


class _Parser(argparse.ArgumentParser):
    """
    A parser that leaves printing and exiting to its caller.
    """

    def error(self, message: str) -> NoReturn:
        raise Usage(WRONG_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def print_help(self, file: object = None) -> None:
        raise Usage(0, self.format_help())


_Adding = Callable[[argparse.ArgumentParser], None]


class _Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        raise Usage(0, f"muxctl {__version__}\n")


@cache
def _parser() -> _Parser:
    parser = _Parser(
        prog="muxctl",
        description="Ask a usbmuxd for phones, and talk to them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the version and do nothing else"
    )
    for name in _COMMON:
        _addCommon(parser, name, False if name == "json" else None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, (text, addOptions, common) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _addAll(command, common)
        addOptions(command)
    return parser


def _addAll(command: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """
    Have a command know options that others have, too.  There are no defaults here, lest
    they undo what was said before the command.
    """
    for name in names:
        _addCommon(command, name, argparse.SUPPRESS)


def _addCommon(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    names, arguments = _COMMON[name]
    parser.add_argument(*names, default=default, **arguments)


def _addList(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l",
        "--long",
        action="store_true",
        help="ask each phone for its name, model and iOS, and whether it trusts this host",
    )


def _addWait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--count", type=_count, default=1, metavar="N", help="wait for N phones instead of one"
    )
    parser.add_argument(
        "--paired", action="store_true", help="count only phones that this host is paired with"
    )
    parser.add_argument(
        "-n", "--network", action="store_true", help="phones on the network count as well"
    )


def _addStatus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sessions", action="store_true", help="show which programs use the phones, too"
    )


def _addLog(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what comes, until interrupted"
    )
    parser.add_argument(
        "-n", "--lines", type=_lines, default=500, metavar="N", help="show no more than N"
    )


def _addCompletion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"))


def _addRecord(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "delete"))
    parser.add_argument("record", metavar="UDID", type=_udid, help="whose record")
    parser.add_argument(
        "--plist",
        action="store_true",
        help="show all of it, private keys included, as a property list (or, with --json, as JSON)",
    )


def _addCertificates(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=_Parser
    )
    for name, text in _CERTIFICATES.items():
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        _addAll(action, _ALONE)
        action.add_argument(
            "--ca",
            type=_named("a directory"),
            metavar="DIRECTORY",
            help="the authority [default: ~/.config/muxd/ca]",
        )
        if name == "init":
            action.add_argument(
                "--name", type=_authority, default="muxd farm", help="what it is called"
            )
        elif name == "revoke":
            action.add_argument(
                "which",
                metavar="NAME",
                type=_named("a name or a number"),
                help="whose, or the number of one",
            )
        elif name != "list":
            _addCertified(action)


def _addCertified(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "names",
        metavar="NAME",
        type=_certified,
        nargs="+",
        help="what it is called, and further names; hosts' may be IP addresses",
    )
    action.add_argument(
        "-o",
        "--output",
        type=_named("a directory"),
        metavar="DIRECTORY",
        help="where its files go [default: its NAME]",
    )
    action.add_argument(
        "--days",
        type=_days,
        default=30.0,
        metavar="N",
        help="how long the certificate is good [default: 30]",
    )


def _addPhone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phone", metavar="UDID", type=_udid, help="which phone")


def _addWireless(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("on", "off"))
    parser.add_argument("phone", metavar="UDID", type=_udid, help="which phone")


def _addWords(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="COMMAND",
        nargs="+",
        help="such as trust, unplug 1 or stats; help shows all",
    )


def _addCapture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--port", type=_port, metavar="PORT", help="this TCP port of phones, not all"
    )
    parser.add_argument(
        "-w",
        "--write",
        type=_named("a file"),
        metavar="FILE",
        default="-",
        help="where to; - is standard output, which is the default",
    )


def _addJob(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name",
        type=_named("a name"),
        metavar="NAME",
        help="what this job is called; with mutualtls:, a name of its certificate [default: the"
        " user's]",
    )


def _addFleet(parser: argparse.ArgumentParser) -> None:
    _addJob(parser)
    parser.add_argument(
        "action",
        choices=("list", "status", "drain", "undrain"),
        help="show phones; show hosts and jobs that wait; give no more of a host's phones to"
        " jobs; give them again",
    )
    parser.add_argument(
        "host", type=_named("a host"), metavar="HOST", nargs="?", help="for drain and undrain"
    )


def _checkHost(options: argparse.Namespace) -> None:
    isNeeded = options.action in ("drain", "undrain")
    if isNeeded != (options.host is not None):
        expected = "expected a HOST" if isNeeded else "expected no HOST"
        raise Usage(
            WRONG_USAGE, f"muxctl fleet {options.action}: {expected} (see muxctl fleet --help)\n"
        )


def _addReserve(parser: argparse.ArgumentParser) -> None:
    _addJob(parser)
    parser.usage = "muxctl reserve [options] -- COMMAND [ARGUMENT...]"
    parser.add_argument(
        "-p",
        "--phone",
        metavar="CONDITIONS",
        type=_conditions,
        default="",
        help="a UDID, or conditions such as label=fast,version>=17,host=rack1; of label, host,"
        " model and name with * and ?; of version with = != > < >= <= [default: any]",
    )
    parser.add_argument(
        "-w",
        "--wait",
        metavar="TIME",
        type=_duration,
        default=0.0,
        help="wait so long for one, such as 90, 10m or 2h [default: not at all]",
    )
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="what for, for others that want it"
    )
    parser.add_argument(
        "--term",
        metavar="TIME",
        type=_duration,
        default=30.0,
        help="how long the phone stays reserved when nothing is heard of this job [default: 30]",
    )
    parser.add_argument(
        "--take", action="store_true", help="take it from another job of the same name"
    )


def _conditions(text: str) -> str:
    # Imported late: no other command needs it.
    from muxd.fleet.requirement import Requirement

    try:
        Requirement.fromString(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _duration(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 90, 10m or 2h, got {text!r}")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def _addConnect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT", type=_port, help="a TCP port of the phone")
    parser.add_argument(
        "-l", "--usb", action="store_true", help="phones on USB count, which is the default"
    )
    parser.add_argument(
        "-n",
        "--network",
        action="store_true",
        help="phones on the network count and win; with -l, those on USB win",
    )
    parser.add_argument(
        "-w", "--wait", type=_seconds, metavar="SECONDS", help="wait so long for the phone"
    )
    parser.add_argument(
        "--linger",
        type=_seconds,
        metavar="SECONDS",
        help="end when, after the end of the input, the phone has been silent for so long; "
        "otherwise it ends when the phone closes, and with the C daemon, which loses what is "
        "still to come, at the end of the input",
    )


def _addTunnel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serve",
        type=_port,
        nargs="?",
        const=LIST_PORT,
        metavar="PORT",
        help="keep the tunnel for other programs, and list it by HTTP on this port of 127.0.0.1 "
        f"[default: {LIST_PORT}], until interrupted",
    )


def _addNothing(parser: argparse.ArgumentParser) -> None:
    """
    The common options are all there is.
    """


_CERTIFICATES = {
    "init": "make the authority of a farm",
    "host": "certify a host, or renew its certificate",
    "client": "certify a client, or renew its certificate",
    "revoke": "believe a certificate no more",
    "list": "show what was certified",
}

_ALONE = ("json",)
_OF_DAEMON = ("socket", "timeout", "json")
_OF_PHONE = ("socket", "udid", "timeout", "json")
_OF_STATUS = ("socket", "status", "timeout", "json")
_OF_STATUS_OF_PHONE = ("socket", "status", "udid", "timeout", "json")
_OF_FLEET = ("hub", "json")
"""Common options that commands of a kind use: no other is understood behind them."""

_COMMANDS: Mapping[str, tuple[str, _Adding, Sequence[str]]] = {
    "list": ("show the phones that are there", _addList, _OF_PHONE),
    "watch": ("show phones come and go, until interrupted", _addNothing, _OF_PHONE),
    "wait": ("wait until phones are there, and show them", _addWait, _OF_PHONE),
    "listeners": ("show the programs that are told of phones", _addNothing, _OF_DAEMON),
    "status": ("show what the daemon is doing", _addStatus, _OF_STATUS_OF_PHONE),
    "top": ("show phones and what they carry, from second to second", _addNothing, _OF_STATUS),
    "log": ("show the last lines of the daemon's log", _addLog, _OF_STATUS),
    "release": (
        "let go of a phone, for a virtual machine or another program",
        _addPhone,
        _OF_STATUS,
    ),
    "take": ("take a phone back that was released", _addPhone, _OF_STATUS),
    "phone": (
        "do something with the daemon's simulated phones, such as trust",
        _addWords,
        _OF_STATUS,
    ),
    "reload": ("have the daemon read its configuration file again", _addNothing, _OF_STATUS),
    "buid": ("print the identity of the daemon's host", _addNothing, _OF_DAEMON),
    "record": ("show or delete a pair record", _addRecord, _OF_DAEMON),
    "wifi": ("have a phone be reached by the network, or not any more", _addWireless, _OF_DAEMON),
    "cert": ("make, list and revoke the certificates of a farm", _addCertificates, _ALONE),
    "capture": (
        "write what phones and programs say to each other, for Wireshark",
        _addCapture,
        _OF_STATUS_OF_PHONE,
    ),
    CONNECT: ("join standard input and output to a port of a phone", _addConnect, _OF_PHONE),
    FLEET: ("show the phones and hosts of a fleet, or drain a host", _addFleet, _OF_FLEET),
    RESERVE: ("run a command that has a phone of a fleet for itself", _addReserve, _OF_FLEET),
    "tunnel": (
        "show the services in the tunnel of a phone with iOS 17.4 or later",
        _addTunnel,
        _OF_PHONE,
    ),
    "completion": (
        "print what makes bash or zsh complete the words of muxctl",
        _addCompletion,
        _ALONE,
    ),
    RELAY: ("make ports of phones ports of this machine (relay --help)", _addNothing, ()),
}

COMMANDS = frozenset(_COMMANDS)


def _network(options: argparse.Namespace) -> Network:
    """
    As C{iproxy} has it: both options may be given.
    """
    if not options.network:
        return Network.NO
    return Network.YES if options.usb else Network.PREFER


def _address(text: str) -> Address:
    try:
        return parseAddress(text)
    except InvalidAddress as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _udid(text: str) -> str:
    if not text or not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a UDID, got {text!r}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected seconds, more than 0, got {text!r}")
    return seconds


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= 3650:
        raise argparse.ArgumentTypeError(f"expected days, 3650 at most, got {text!r:.80}")
    return days


def _count(text: str) -> int:
    return _number("phones", text)


def _lines(text: str) -> int:
    return _number("lines", text)


def _number(what: str, text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not number:
        raise argparse.ArgumentTypeError(
            f"expected a number of {what} from 1 to 99999, got {text!r:.80}"
        )
    return number


def _named(what: str) -> Callable[[str], str]:
    """
    A name that is not empty: an unset variable of a script is not to mean the default.
    """

    def named(text: str) -> str:
        if not text:
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return text

    return named


def _certified(text: str) -> str:
    # Imported late: no other command needs it.
    from muxd.muxctl.certifiednames import checkedName

    try:
        return checkedName(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _authority(text: str) -> str:
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected 1 to 64 printable characters, got {text!r:.80}")
    return text


def _port(text: str) -> int:
    # int() is given few digits: it takes its time for very many.
    port = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return port


_COMMON: Mapping[str, tuple[Sequence[str], Mapping[str, Any]]] = {
    "socket": (
        ("-s", "--socket"),
        {"type": _address, "metavar": "ADDRESS", "help": f"the daemon: {SPELLINGS}"},
    ),
    "status": (
        ("--status",),
        {
            "type": _address,
            "metavar": "ADDRESS",
            "help": "its status socket [default: beside it, such as /var/run/usbmuxd.status]",
        },
    ),
    "udid": (
        ("-u", "--udid"),
        {"type": _udid, "metavar": "UDID", "help": "the phone, if it is not the only one"},
    ),
    "hub": (
        ("--hub",),
        {
            "type": _named("an endpoint"),
            "metavar": "ENDPOINT",
            "help": "the hub of a fleet, as a Twisted client endpoint"
            " [default: MUXD_HUB, else tcp:127.0.0.1:7300]",
        },
    ),
    "timeout": (
        ("--timeout",),
        {
            "type": _seconds,
            "metavar": "SECONDS",
            "help": "how long it may take in all, see muxctl(1)",
        },
    ),
    "json": (
        ("--json",),
        {
            "action": "store_true",
            "help": "for programs: one JSON object a line, errors as well",
        },
    ),
}
"""
Options that several commands have, by their names.  Before the command each of them may
stand, and counts as far as the command uses it: so a shell's alias serves all commands.
"""

_VALUED = frozenset(
    name for names, given in _COMMON.values() if "metavar" in given for name in names
)
_EVERYWHERE = _VALUED | {"--json", "-h", "--help", "--version"}
