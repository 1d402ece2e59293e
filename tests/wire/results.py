"""
Results as messages, as a daemon would send them.
"""

from __future__ import annotations

from muxd.wire.messages import BINARY_VERSION, RESULT_BODY, Message, MessageType, plistMessage


def resultMessage(version: int, tag: int, number: int) -> Message:
    """
    A Result in the format of the connection (protocol 4.3, 4.4).
    """
    if version == BINARY_VERSION:
        return Message(BINARY_VERSION, MessageType.RESULT, tag, RESULT_BODY.pack(number))
    return plistMessage({"MessageType": "Result", "Number": int(number)}, tag)
