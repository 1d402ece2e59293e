# -*- test-case-name: tests.net.test_nodelay -*-
"""
TCP sockets that send at once what is written to them.

A TCP connection holds back a short segment while an earlier one is not acknowledged
(Nagle), and a peer holds back its acknowledgement for 40 ms while it has nothing to say
(delayed acknowledgements).  Both together cost 44 ms with each message that is not a
multiple of the segment's size.  What is written to our sockets is whole messages, or what
a phone has just sent, so nothing is won by waiting for more.

This is the one place where that is decided: for each listening socket, which those that
are accepted from it take it from, and for each connection that is made from here.

No Twisted in here: blocking programs use it too.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


def sendAtOnce(sock: Any) -> None:
    """
    Have a socket hold nothing back: a connected one, or a listening one for all that are
    accepted from it.

    Sockets of other kinds, such as UNIX sockets, do so anyway and are left alone.
    """
    if getattr(sock, "family", None) in _FAMILIES:
        # On some systems a connection that has been reset already takes no options.
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def sendAtOnceOver(transport: Any) -> None:
    """
    Have the socket of a Twisted transport hold nothing back, if it is a TCP socket; TLS
    passes it on to the TCP beneath.
    """
    setTcpNoDelay = getattr(transport, "setTcpNoDelay", None)
    if setTcpNoDelay is not None and getattr(transport.getHost(), "type", None) == "TCP":
        with suppress(OSError):
            setTcpNoDelay(True)
