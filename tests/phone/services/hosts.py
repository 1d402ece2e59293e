"""
A host of a service whose messages are property lists.
"""

from __future__ import annotations

import plistlib
import struct
from typing import Any

from twisted.internet.testing import StringTransport


def frame(values: Any) -> bytes:
    """
    A message.
    """
    data = plistlib.dumps(values)
    return struct.pack(">I", len(data)) + data


def messagesIn(data: bytes) -> list[Any]:
    """
    The messages of a stream, which ends with the last.
    """
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        found.append(plistlib.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def heard(transport: StringTransport) -> list[Any]:
    """
    What a service has said since the last call.
    """
    data = transport.value()
    transport.clear()
    return messagesIn(data)


class PlistHost:
    """
    A host.

    @ivar transport: What it is connected by.
    """

    def __init__(self, service: Any) -> None:
        """
        Connect to a service.
        """
        self.service = service
        self.transport = StringTransport()
        service.makeConnection(self.transport)

    def heard(self) -> list[Any]:
        """
        What the service has said since the last call.
        """
        return heard(self.transport)

    def ask(self, **request: Any) -> Any:
        """
        The last answer to a request.
        """
        return self.askAll(request)[-1]

    def askAll(self, request: Any) -> list[Any]:
        """
        All answers to a request.
        """
        self.service.dataReceived(frame(request))
        return self.heard()
