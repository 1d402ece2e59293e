"""
The least that a daemon can do as a Twisted server: it accepts, answers a Connect
without asking any phone, sends back what comes, and closes.

C{python -m bench --only '*connects*' --subject bare='python -m bench.bare {socket}'
--subject c} shows how much of a connection's cost is the reactor's and its
transports', which no daemon that is a Twisted service can do without.
"""

from __future__ import annotations

import plistlib
import struct
import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

HEADER = struct.Struct("<IIII")
PLIST = 8
DEVICE = {
    "MessageType": "Attached",
    "DeviceID": 1,
    "Properties": {
        "ConnectionType": "USB",
        "DeviceID": 1,
        "LocationID": 1,
        "ProductID": 0x12A8,
        "SerialNumber": "0" * 40,
    },
}


def message(tag: int, values: dict[str, object]) -> bytes:
    """
    A whole message.
    """
    body = plistlib.dumps(values)
    return HEADER.pack(HEADER.size + len(body), 1, PLIST, tag) + body


class Bare(Protocol):
    """
    The daemon's side of one client.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Answer a request; after a Connect, send back everything.
        """
        assert self.transport is not None
        tag = data[HEADER.size - 4 : HEADER.size]
        answer = DEVICES if b"<string>ListDevices</string>" in data else RESULT
        self.transport.write(answer[: HEADER.size - 4] + tag + answer[HEADER.size :])
        if b"<string>Listen</string>" in data:
            self.transport.write(ATTACHED)
        elif b"<string>Connect</string>" in data:
            self.dataReceived = self.transport.write  # type: ignore[method-assign]


RESULT = message(0, {"MessageType": "Result", "Number": 0})
ATTACHED = message(0, DEVICE)
DEVICES = message(0, {"DeviceList": [DEVICE]})


def main() -> None:
    """
    Listen on the path that was given.
    """
    factory = Factory.forProtocol(Bare)
    factory.noisy = False
    reactor.listenUNIX(sys.argv[1], factory, backlog=256)  # type: ignore[attr-defined]
    reactor.run()


if __name__ == "__main__":
    main()
