# -*- test-case-name: tests.status.test_visitors -*-
"""
Which requests are taken: those of programs, and of pages that came from here.

A browser sends what any page in the world tells it to, also to this machine.  It says which
page that is (C{Origin}) and which name led here (C{Host}), and asks before it sends JSON
to another site, which is never allowed.  So a request is taken if its C{Host} is a name that
no stranger can have led here, if C{Origin}, where there is one, is the same place, and, if it
changes anything, when its body is said to be JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from twisted.web.server import Request

from muxd.status.answers import JSON, RequestError

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

LOCAL = frozenset({"localhost", "usbmuxd"})
"""Names that no name server is asked for, or that only a program makes up."""


class Doorkeeper:
    """
    Refuses requests that a stranger's web page may have sent.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """
        @param names: What this machine is called by those that may ask for it.
        """
        self._names = LOCAL | {name.lower() for name in names}

    def check(self, request: Request) -> None:
        """
        Refuse a request, or let it pass.

        @raise RequestError: It is refused.
        """
        host = self._checkHost(request)
        origins = request.requestHeaders.getRawHeaders(b"Origin", [])
        if any(_place(origin) != host for origin in origins):
            raise RequestError(403, "this request comes from another site's page")
        if request.method == b"POST":
            kinds = request.requestHeaders.getRawHeaders(b"Content-Type", [])
            if [kind.partition(b";")[0].strip().lower() for kind in kinds] != [JSON]:
                raise RequestError(
                    415, "expected a body of JSON", "send Content-Type: application/json"
                )

    def _checkHost(self, request: Request) -> str:
        """
        @return: What the request says it is for; "" if it says nothing.
        """
        given = request.requestHeaders.getRawHeaders(b"Host", [])
        if not given:
            return ""
        text = given[0].decode("latin-1").lower()
        found = _HOST.fullmatch(text)
        if len(given) > 1 or found is None:
            raise RequestError(400, "expected one Host header, a name or an address")
        name = found.group(1)
        if not (name in self._names or _isAddress(name)):
            raise RequestError(
                421,
                f"this daemon is not called {name[:64]}",
                "ask for it by its address, as localhost, or by this machine's host name",
            )
        return text


def _place(origin: bytes) -> str:
    scheme, separator, rest = origin.decode("latin-1").lower().partition("://")
    return rest if separator and scheme in ("http", "https") else "nowhere"


def _isAddress(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
