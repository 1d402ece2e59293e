"""
A client that listens for phones.
"""

from __future__ import annotations

from muxd.server.factory import ControlFactory
from muxd.testing import BudgetTransport
from muxd.wire.messages import (
    BINARY_VERSION,
    DeviceRecord,
    Message,
    MessageReader,
    MessageType,
    Result,
)
from tests.faults.clients import Wrong
from tests.wire.results import resultMessage

TAG = 7


class Listener:
    """
    Keeps a list of what it was told.

    @ivar present: The serial numbers of the phones that are there, by device id.
    """

    def __init__(self, factory: ControlFactory) -> None:
        self.present: dict[int, str] = {}
        self._seen: set[int] = set()
        self._isWelcome = False
        self._reader = MessageReader(1 << 16)
        self._socket = BudgetTransport.connect(factory.clock, factory)
        self._socket.deliver(Message(BINARY_VERSION, MessageType.LISTEN, TAG).encode())

    def read(self) -> None:
        """
        Look at what has come.

        @raise Wrong: It cannot be.
        """
        self._reader.feed(self._socket.value())
        for message in self._reader:
            if not self._isWelcome:
                if message != resultMessage(BINARY_VERSION, TAG, Result.OK):
                    raise Wrong(f"Listen was answered by {message}")
                self._isWelcome = True
            elif message.type == MessageType.DEVICE_ADD:
                self._attached(DeviceRecord.decode(message.body))
            elif message.type == MessageType.DEVICE_REMOVE:
                deviceID = int.from_bytes(message.body, "little")
                if self.present.pop(deviceID, None) is None:
                    raise Wrong(f"device {deviceID} was detached, and was not there")
            else:
                raise Wrong(f"a listener was sent {message}")
        if self._socket.disconnected or self._socket.aborted:
            raise Wrong("a listener was hung up on")

    def close(self) -> None:
        """
        Go.
        """
        self._socket.lose()

    def _attached(self, record: DeviceRecord) -> None:
        if record.deviceID in self._seen:
            raise Wrong(f"device id {record.deviceID} was used again")
        if record.serial in self.present.values():
            raise Wrong(f"{record.serial} was attached twice")
        self._seen.add(record.deviceID)
        self.present[record.deviceID] = record.serial
