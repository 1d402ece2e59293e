# -*- test-case-name: tests.test_socketreader -*-
"""
Reading a UNIX socket as a stream of bytes and nothing else.

Twisted's UNIX transports are ready to be sent file descriptors, and so each of
their reads is a C{recvmsg} with room for them, unpacked in Python: twice the cost
of a C{recv}, with every request and every chunk of an upload.  No protocol here
has a use for descriptors.  The kernel closes those that somebody sends all the
same when nobody asks for them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.tcp import Connection


def readPlainly(transport: Any) -> None:
    """
    Let a transport read as a TCP transport does, if it has another way.
    """
    if isinstance(transport, Connection) and type(transport).doRead is not Connection.doRead:
        # An attribute of the one transport that we were given: the class is
        # everybody's.
        reader: Any = transport
        reader.doRead = partial(Connection.doRead, transport)


def readAtOnce(transport: Any) -> None:
    """
    Read what has come already to a socket that has just been accepted: a client
    sends its request as soon as it is connected, and the reactor's next turn is
    the price of many reads.
    """
    if isinstance(transport, Connection) and not getattr(transport, "TLS", False):
        # An end of file or an error will be met again by the reactor.
        transport.doRead()
