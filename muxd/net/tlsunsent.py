# -*- test-case-name: tests.net.test_tlsunsent -*-
"""
What a TLS transport of Twisted has not sent yet.

It tells of nothing but that too much is waiting, and knows a producer's pauses only.
Whether the last bytes have been taken is in its buffers, and in those of the socket beneath
(L{muxd.tap.twistedparts}).
"""

from __future__ import annotations

from typing import Any


def unsent(transport: Any) -> int:
    """
    How many bytes a TLS transport holds, some of them encrypted; 0 for a transport of
    another kind, and for one that is over no socket.
    """
    # TLS that was begun on a socket's transport is that one's protocol.
    layer = transport.protocol if getattr(transport, "TLS", False) else transport
    try:
        plain: list[bytes] = layer._appSendBuffer
        socket = layer.transport
        written: int = len(socket.dataBuffer) - socket.offset + socket._tempDataLen
    except AttributeError:
        return 0
    return sum(map(len, plain)) + written
