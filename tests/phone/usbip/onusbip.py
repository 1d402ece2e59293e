"""
What tests of phones that hosts import need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.phone.bus.interfaces import IGadget
from muxd.phone.iphone import Phone
from muxd.phone.usbip.exports import Exports
from muxd.phone.usbip.server import UsbipFactory
from muxd.testing import BudgetTransport
from muxd.testing.packets import Packet
from muxd.usbip.commands import ReturnSubmit
from muxd.usbip.requests import ImportRequest
from muxd.wire.mux import SETUP_BODY, MuxProtocol, encodePacketV2, encodeVersion
from tests.phone.usbip.host import ManualUsbipHost


class TurnClock(Clock):
    """
    A clock for what calls from threads: the calls are made in the next turn.
    """

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        """
        Make a call in the next turn.
        """
        self.callLater(0, call, *arguments)

    def turn(self) -> None:
        """
        Do what is due, and what follows from that.
        """
        while any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            self.advance(0)


class Connected:
    """
    A host's connection.

    @ivar host: The host.
    @ivar transport: The server's end.
    """

    def __init__(self, clock: TurnClock, factory: UsbipFactory) -> None:
        self._clock = clock
        self.transport = BudgetTransport.connect(clock, factory)
        self.host = ManualUsbipHost(self.transport.deliver)

    def turn(self) -> None:
        """
        Let everything happen that will by itself.
        """
        while True:
            self._clock.turn()
            data = self.transport.value()
            if not data:
                return
            self.host.dataReceived(data)

    def returned(self, seqnum: int) -> ReturnSubmit | None:
        """
        What has become of a transfer, if anything.
        """
        self.turn()
        reply = self.host.take(seqnum)
        assert reply is None or isinstance(reply, ReturnSubmit), reply
        return reply

    def result(self, seqnum: int) -> ReturnSubmit:
        """
        What has become of a transfer that has finished.
        """
        reply = self.returned(seqnum)
        assert reply is not None, f"transfer {seqnum} has not finished"
        return reply

    def read(self, length: int = 16384) -> bytes:
        """
        Read from the mux interface.
        """
        return self.result(self.host.read(length)).data


class UsbipTestCase(SynchronousTestCase):
    """
    A phone that can be imported.
    """

    gadget: IGadget

    def setUp(self) -> None:
        """
        Plug it in.
        """
        self.limits = replace(LIMITS, usbipConnections=4, usbipTransfer=65536, usbipPending=131072)
        self.clock = TurnClock()
        self.exports = Exports()
        self.factory = UsbipFactory(self.clock, self.exports, self.limits)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.gadget = self.phone = Phone(self.clock)
        self.addCleanup(self.phone.stop)
        self.phone.plug(self.exports)

    def connect(self) -> Connected:
        """
        A host connects.
        """
        return Connected(self.clock, self.factory)

    def importPhone(self) -> Connected:
        """
        A host has the phone.
        """
        connected = self.connect()
        connected.transport.deliver(ImportRequest("1-1").encode())
        connected.turn()
        self.assertEqual(connected.host.status, 0)
        return connected

    def configured(self, value: int = 4) -> Connected:
        """
        A host has it and has set a configuration.
        """
        connected = self.importPhone()
        self.assertEqual(connected.result(connected.host.configure(value)).status, 0)
        return connected

    def complaints(self) -> list[str]:
        """
        What the log tells of hosts that were not served any further.
        """
        return [event["problem"] for event in self.log if "problem" in event]


class MuxHost:
    """
    The mux protocol over a host's connection, version 2.

    @ivar counter: The next tx_seq.
    """

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self._seen = 0xFFFF
        self.counter = 0

    def handshake(self) -> None:
        """
        VERSION and SETUP.
        """
        self._write(encodeVersion(2))
        answer = self._connected.read()
        assert answer == encodeVersion(2), answer
        self.send(MuxProtocol.SETUP, SETUP_BODY)

    def send(self, protocol: int, body: bytes) -> None:
        """
        Any packet, with an empty transfer behind it where one is needed.
        """
        data = encodePacketV2(protocol, body, self.counter, self._seen)
        self.counter = (self.counter + 1) & 0xFFFF
        self._write(data)
        if len(data) % 512 == 0:
            self._write(b"")

    def receive(self) -> Packet:
        """
        The next packet, in whatever pieces.
        """
        data = b""
        while not data or len(data) < int.from_bytes(data[4:8], "big"):
            data += self._connected.read()
        packet = Packet.decode(data, 2)
        assert packet.transmitted is not None
        self._seen = packet.transmitted
        return packet

    def _write(self, data: bytes) -> None:
        reply = self._connected.result(self._connected.host.write(data))
        assert (reply.status, reply.actual) == (0, len(data)), reply
