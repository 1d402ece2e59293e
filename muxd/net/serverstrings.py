# -*- test-case-name: tests.net.test_serverstrings -*-
"""
Descriptions of the places where clients connect: what is added to Twisted's.

C{unix:} takes C{user=} and C{group=}, to which the socket's file is given.  C{ssl:} takes
C{clients=}, a file with the certificates of the authorities that sign its clients' own.
TCP is for this machine alone unless C{interface=} says otherwise: an address that strangers can
use by default is a known mistake (protocol 9, edge 76).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import IStreamServerEndpoint

from muxd.description import Description
from muxd.net.announcing import ANNOUNCE, checkAnnouncing
from muxd.net.endpointwords import checkServer
from muxd.net.inherited import leavingFile
from muxd.net.tlsendpoints import checkTLS
from muxd.net.tlsfiles import certificatesIn, contentOf

BACKLOG = 256
"""
Clients that may wait to be let in (protocol 4.1); a UNIX socket refuses more,
and Twisted's own 50 are soon reached where many programs start at once.
"""

LOOPBACK = "127.0.0.1"
LOOPBACK6 = "::1"

_WITH_BACKLOG = frozenset({"unix", "tcp", "tcp6", "ssl", "mutualtls"})
_INTERFACES = {
    "tcp": (1, LOOPBACK),
    "mutualtls": (1, LOOPBACK),
    "ssl": (4, LOOPBACK),
    "tcp6": (2, LOOPBACK6),
    "tls": (3, LOOPBACK6),
}
"""By kind of endpoint: which positional argument is the interface, and our default."""

INSECURE = "insecure"
"""The argument that permits plain text where other machines can reach it."""

_PLAIN = frozenset({"tcp", "tcp6"})

_OWNER = frozenset({"user", "group"})

_EXAMPLES = "unix:/run/x:mode=660 or tcp:27015:interface=127.0.0.1"


@dataclass(frozen=True, slots=True)
class Owner:
    """
    The user and group that a socket's file is given to; -1 leaves it as it is.
    """

    uid: int = -1
    gid: int = -1


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place where clients connect.

    @ivar endpoint: Twisted's.
    @ivar path: The UNIX socket's file, if there is one.
    @ivar owner: Whose the file is to be.
    @ivar mode: The file's permissions; -1 if nothing is said of them.
    @ivar isExposed: Whether other machines can reach it.
    @ivar isPlain: Whether what goes there can be read on the way, and changed.
    @ivar asksCertificates: Whether clients without a certificate are refused.
    @ivar mayBeInsecure: Whether it was said that it may be both exposed and plain.
    @ivar isAnnounced: Whether other machines are to be told of it.
    """

    endpoint: IStreamServerEndpoint
    path: str | None = None
    owner: Owner = Owner()
    isExposed: bool = False
    mode: int = -1
    isPlain: bool = False
    asksCertificates: bool = False
    mayBeInsecure: bool = False
    isAnnounced: bool = False

    @property
    def complaint(self) -> str:
        """
        Why a daemon should not have its clients connect there; nothing if it may.
        """
        if not (self.isExposed and self.isPlain) or self.mayBeInsecure:
            return ""
        return (
            "other machines can reach it, and what goes there is plain text, keys to phones"
            " included; use mutualtls:, or add insecure=yes"
        )


def placeFromString(reactor: Any, description: str) -> Place:
    """
    The place that a person has described, such as C{unix:/run/usbmuxd:mode=660:group=ci}.

    @raise ValueError: It is not a server endpoint's description; the text says why.
    """
    try:
        given = Description.fromString(onLoopback(description))
        kind = given.name.lower()
        checkTLS(kind)
        parsed, mayBeInsecure = _taken(given, INSECURE)
        parsed, isAnnounced = _taken(parsed, ANNOUNCE)
        if isAnnounced:
            checkAnnouncing(kind in _PLAIN)
        owner = Owner()
        if kind == "unix":
            keywords = parsed.keywords
            owner = Owner(
                uidOf(keywords["user"]) if "user" in keywords else -1,
                gidOf(keywords["group"]) if "group" in keywords else -1,
            )
            kept = {key: value for key, value in keywords.items() if key not in _OWNER}
            parsed = Description(parsed.name, parsed.positional, kept)
        checkServer(parsed)
        if kind == "ssl" and "clients" in parsed.keywords:
            endpoint = _askingForCertificates(reactor, parsed)
        else:
            endpoint = serverFromString(reactor, str(parsed) + _backlog(parsed))
        if kind == "systemd":
            endpoint = leavingFile(reactor, endpoint)
    except LookupError as error:
        reason = _notInherited(given) if kind == "systemd" else str(error)
        raise ValueError(f"cannot listen on {description!r}: {reason}") from error
    except (ValueError, TypeError, StopIteration, RuntimeError, OSError, ImportError) as error:
        problem = str(error)
        raise ValueError(f"cannot listen on {description!r}: {problem}{_hint(problem)}") from error
    path = None
    if kind == "unix":
        path = parsed.positional[0] if parsed.positional else parsed.keywords["address"]
        if path.startswith("\0"):
            path = None
    mode = int(parsed.keywords["mode"], 8) if kind == "unix" and "mode" in parsed.keywords else -1
    return Place(
        endpoint,
        path,
        owner,
        _isExposed(parsed),
        mode,
        isPlain=kind in _PLAIN,
        asksCertificates=kind == "mutualtls" or (kind == "ssl" and "clients" in parsed.keywords),
        mayBeInsecure=mayBeInsecure,
        isAnnounced=isAnnounced,
    )


def _taken(given: Description, name: str) -> tuple[Description, bool]:
    """
    Take an argument of ours out of a description.

    @raise ValueError: It is neither yes nor no.
    """
    if name not in given.keywords:
        return given, False
    kept = dict(given.keywords)
    said = kept.pop(name)
    if said not in ("yes", "no"):
        raise ValueError(f"{name}: expected yes or no, got {said!r:.80}")
    return Description(given.name, given.positional, kept), said == "yes"


_ASKING = frozenset({"clients", "privateKey", "certKey", "interface", "backlog"})


def _askingForCertificates(reactor: Any, parsed: Description) -> IStreamServerEndpoint:
    """
    TLS for those who have a certificate that one of the C{clients=} file has signed; Twisted's
    own descriptions have nothing for that.

    @raise ValueError: An argument is none that it takes.
    @raise OSError: A file cannot be read.
    """
    from twisted.internet.ssl import Certificate, PrivateCertificate

    keywords = parsed.keywords
    unknown = sorted(keywords.keys() - _ASKING)
    if unknown or len(parsed.positional) != 1:
        raise ValueError(
            f"with clients=, ssl: takes a port and {', '.join(sorted(_ASKING))}, each by its name"
        )
    key = keywords.get("privateKey", "server.pem")
    pem = b"".join(contentOf(path) for path in dict.fromkeys((key, keywords.get("certKey", key))))
    authorities = [Certificate.loadPEM(each) for each in certificatesIn(keywords["clients"])]
    options = PrivateCertificate.loadPEM(pem).options(*authorities)
    return SSL4ServerEndpoint(
        reactor,
        int(parsed.positional[0]),
        options,
        backlog=int(keywords.get("backlog", BACKLOG)),
        interface=keywords["interface"],
    )


def addressOf(description: str) -> tuple[str, ...]:
    """
    What two descriptions of places have in common that cannot both be listened on.

    @raise ValueError: It is no description.
    """
    parsed = Description.fromString(onLoopback(description))
    kind = parsed.name.lower()
    if kind == "unix":
        where = (*parsed.positional, parsed.keywords.get("address", ""))[0]
        return kind, where
    port = (*parsed.positional, parsed.keywords.get("port", ""))[0]
    if kind in _INTERFACES and port != "0":
        return "tcp", port
    return (description,)


def withoutFile(description: str) -> str:
    """
    A description without what can be changed of a UNIX socket's file while it is there: its
    permissions, user and group.

    @raise ValueError: It is no description.
    """
    parsed = Description.fromString(description)
    if parsed.name.lower() != "unix":
        return onLoopback(description)
    kept = {key: value for key, value in parsed.keywords.items() if key not in (*_OWNER, "mode")}
    return str(Description(parsed.name, parsed.positional, kept))


def placeAt(reactor: Any, address: str, port: int) -> Place:
    """
    A TCP port at one of this machine's addresses.

    @param address: An IP address.
    """
    kind = TCP6ServerEndpoint if ":" in address else TCP4ServerEndpoint
    endpoint = kind(reactor, port, backlog=BACKLOG, interface=address)
    return Place(endpoint, isExposed=not ip_address(address.partition("%")[0]).is_loopback)


def onLoopback(description: str) -> str:
    """
    A server endpoint's description, for this machine alone unless it says where to listen.

    @raise ValueError: It is no description.
    """
    parsed = Description.fromString(description)
    position, interface = _INTERFACES.get(parsed.name.lower(), (0, ""))
    if not interface or "interface" in parsed.keywords or len(parsed.positional) > position:
        return description
    return f"{description}:interface={quoteStringArgument(interface)}"


def forOwnerAlone(description: str) -> str:
    """
    A server endpoint's description: a UNIX socket that only its owner may connect to, unless
    it says otherwise.  Twisted's are for every user.

    @raise ValueError: It is no description.
    """
    parsed = Description.fromString(description)
    isGiven = "mode" in parsed.keywords or len(parsed.positional) > 1
    return description if parsed.name.lower() != "unix" or isGiven else f"{description}:mode=600"


def _isExposed(parsed: Description) -> bool:
    position, default = _INTERFACES.get(parsed.name.lower(), (0, ""))
    if not default:
        return False
    given = (*parsed.positional[position:], default)[0]
    interface = parsed.keywords.get("interface", given)
    try:
        return not ip_address(interface.partition("%")[0]).is_loopback
    except ValueError:
        # All addresses of this machine, for the empty string; or a name.
        return interface != "localhost"


def _hint(problem: str) -> str:
    """
    What to write instead of what is no endpoint.
    """
    isUnknown = problem.startswith("Unknown endpoint type")
    return f"; expected one such as {_EXAMPLES}" if isUnknown else ""


def _notInherited(given: Description) -> str:
    which = given.keywords.get("name") or given.keywords.get("index", "?")
    return (
        f"no socket {which} was inherited; a .socket unit of systemd passes it, "
        "so start that, or name another place"
    )


def uidOf(name: str) -> int:
    """
    The number of a user, by name or number.

    @raise ValueError: There is none.
    """
    if name.isdecimal():
        return int(name)
    try:
        from pwd import getpwnam

        return getpwnam(name).pw_uid
    except (ImportError, KeyError):
        raise ValueError(f"there is no user {name!r}") from None


def gidOf(name: str) -> int:
    """
    The number of a group, by name or number.

    @raise ValueError: There is none.
    """
    if name.isdecimal():
        return int(name)
    try:
        from grp import getgrnam

        return getgrnam(name).gr_gid
    except (ImportError, KeyError):
        raise ValueError(f"there is no group {name!r}") from None


def _backlog(parsed: Description) -> str:
    """
    What to add to a description for our backlog: nothing if it has one, by name
    or as the third argument (C{tcp6:} has it as its second), or cannot have one.
    """
    before = 1 if parsed.name.lower() == "tcp6" else 2
    hasOne = "backlog" in parsed.keywords or len(parsed.positional) > before
    return "" if hasOne or parsed.name not in _WITH_BACKLOG else f":backlog={BACKLOG}"
