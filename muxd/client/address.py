# -*- test-case-name: tests.client.test_address -*-
"""
Where a daemon listens: C{USBMUXD_SOCKET_ADDRESS} or the platform's default.

Every spelling that some client library takes is understood (protocol 4.12), and
one that is none is an error: a silent fallback would talk to the wrong daemon.

No Twisted in here: blocking programs use it too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from muxd.description import Description
from muxd.net.tlstarget import TLSTarget, hostFrom

VARIABLE = "USBMUXD_SOCKET_ADDRESS"

SPELLINGS = (
    "UNIX:/path, unix:///path, /path, host:port, [IPv6]:port, tcp://host:port or"
    " mutualtls:host:port:files=directory"
)


class InvalidAddress(ValueError):
    """
    A daemon's address that cannot be understood; the text says why.
    """


class UnusableFiles(OSError):
    """
    A key or a certificate of ours cannot be used; the text says which.
    """


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """
    A UNIX socket.
    """

    path: str

    def __str__(self) -> str:
        return self.path

    def endpointDescription(self) -> str:
        """
        The same for C{twisted.internet.endpoints.clientFromString}.
        """
        return f"unix:path={_quote(self.path)}"


@dataclass(frozen=True, slots=True)
class TCPAddress:
    """
    A TCP port.

    @ivar host: A name or an address; an IPv6 address without its brackets.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def endpointDescription(self) -> str:
        """
        The same for C{twisted.internet.endpoints.clientFromString}.
        """
        return f"tcp:host={_quote(self.host)}:port={self.port}"


@dataclass(frozen=True, slots=True)
class TLSAddress:
    """
    A TCP port with TLS, where both sides show a certificate.

    @ivar target: Where it is, the files that are shown, and the server that is expected.
    """

    target: TLSTarget

    def __str__(self) -> str:
        return self.endpointDescription()

    def endpointDescription(self) -> str:
        """
        The same for C{twisted.internet.endpoints.clientFromString}.
        """
        return self.target.description()


Address = UnixAddress | TCPAddress | TLSAddress

UNIX_DEFAULT = UnixAddress("/var/run/usbmuxd")
WINDOWS_DEFAULT = TCPAddress("127.0.0.1", 27015)


def daemonAddress(environ: Mapping[str, str], platform: str = sys.platform) -> Address:
    """
    Where to look for the daemon.

    @param environ: The process's environment.
    @param platform: As C{sys.platform}.
    @raise InvalidAddress: The environment says something that is no address.
    """
    if VARIABLE in environ:
        try:
            return parseAddress(environ[VARIABLE])
        except InvalidAddress as error:
            raise InvalidAddress(f"{VARIABLE}: {error}") from None
    return WINDOWS_DEFAULT if platform in ("win32", "cygwin") else UNIX_DEFAULT


def parseAddress(text: str) -> Address:
    """
    Understand one address.

    A word with neither slash nor colon is refused: it might be a file or a host
    that lacks its port.

    @raise InvalidAddress: It is none.
    """
    scheme, separator, rest = text.partition(":")
    match scheme.lower() if separator else "":
        case "unix":
            return _unixAddress(text, rest)
        case "tcp":
            return _tcpAddress(text, rest.removeprefix("//"))
        case "mutualtls":
            return _tlsAddress(text)
        case _ if "/" in scheme:
            return _unixAddress(text, text)
        case _:
            return _tcpAddress(text, text)


def _unixAddress(text: str, path: str) -> UnixAddress:
    if path.startswith("//"):
        path = path[2:]
        if not path.startswith("/"):
            raise _invalid(text, "the path behind unix:// has to begin with a slash")
    if not path or "\0" in path:
        raise _invalid(text, "there is no path in it")
    return UnixAddress(path)


def _tcpAddress(text: str, hostAndPort: str) -> TCPAddress:
    host, colon, digits = hostAndPort.rpartition(":")
    if not colon:
        raise _invalid(text, "there is no port in it")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _invalid(text, "an IPv6 address has to stand in brackets")
    if not host:
        raise _invalid(text, "there is no host in it")
    try:
        hostFrom(host)
    except ValueError as error:
        raise _invalid(text, str(error)) from None
    if not (re.fullmatch("[0-9]{1,5}", digits) and 0 < int(digits) < 65536):
        raise _invalid(text, f"expected a port from 1 to 65535, got {digits!r}")
    return TCPAddress(host, int(digits))


def _tlsAddress(text: str) -> TLSAddress:
    try:
        parsed = Description.fromString(text)
        return TLSAddress(TLSTarget.fromArguments(parsed.positional, parsed.keywords))
    except ValueError as error:
        raise _invalid(text, str(error)) from error


def _invalid(text: str, why: str) -> InvalidAddress:
    return InvalidAddress(f"{text!r} is no address of a usbmuxd: {why}; expected {SPELLINGS}")


def _quote(argument: str) -> str:
    """
    As C{twisted.internet.endpoints.quoteStringArgument}, for a named argument.
    """
    return argument.replace("\\", "\\\\").replace(":", "\\:")
