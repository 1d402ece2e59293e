"""
Tests of L{muxd.phone.usbip.server}: what becomes of those who do not speak USB/IP.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost

from muxd.usbip.commands import COMMAND, SUBMIT, Direction, Submit
from tests.phone.usbip.onusbip import UsbipTestCase
from tests.running.properties import examples


class BadInputTests(UsbipTestCase):
    """
    Those who do not speak USB/IP.
    """

    def refused(self, data: bytes) -> str:
        """
        The one line about a host that has a phone and sends this.
        """
        connected = self.importPhone()
        before = len(self.complaints())
        connected.transport.deliver(data)
        connected.turn()
        self.assertTrue(connected.transport.disconnected)
        self.assertEqual(len(self.factory.connections), 0)
        self.assertFalse(self.exports.devices() == [])
        export = self.exports.find("1-1")
        assert export is not None
        self.assertFalse(export.isTaken)
        (line,) = self.complaints()[before:]
        self.assertNotIn("\n", line)
        return line

    def submit(self, length: int, **fields: int) -> bytes:
        """
        The header of a transfer to endpoint 4.
        """
        rest = SUBMIT.pack(0, length, 0, fields.get("packets", 0), 0, bytes(8))
        device = fields.get("device", 0x10002)
        return COMMAND.pack(fields.get("command", 1), 1, device, 0, fields.get("endpoint", 4), rest)

    def test_beforeImport(self) -> None:
        """
        A browser, say, is disconnected, and costs one line.
        """
        connected = self.connect()
        connected.transport.deliver(b"GET / HTTP/1.1\r\n")
        self.clock.turn()
        self.assertTrue(connected.transport.disconnected)
        self.assertEqual(self.complaints(), ["version 0x4745, expected 0x0111"])
        self.assertEqual(self.factory.refusals, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_commands(self) -> None:
        """
        Commands that there are not, lengths that lie, endpoints and devices that
        cannot be: each is named, and the phone can be imported again.
        """
        for data, expected in (
            (self.submit(0, command=5), "command 0x5, expected SUBMIT or UNLINK"),
            (self.submit(-1), "transfer of -1 bytes"),
            (self.submit(65537), "transfer of 65537 bytes, at most 65536"),
            (self.submit(0, packets=3), "isochronous transfer of 3 packets, which no phone takes"),
            (self.submit(0, endpoint=16), "endpoint 16, direction 0"),
            (self.submit(0, device=0x10009), "device 0x10009, expected 0x10002"),
        ):
            self.assertEqual(self.refused(data), expected)
            self.clock.advance(60)
            # Its address is the one that it has kept.
            self.assertEqual(self.exports.devices()[0].address, 2)

    def test_cutShort(self) -> None:
        """
        A connection that ends within a message is told in one line.
        """
        connected = self.importPhone()
        connected.transport.deliver(self.submit(100) + bytes(50))
        connected.transport.lose(ConnectionLost())
        self.clock.turn()
        self.assertEqual(self.complaints(), ["it ended within a message, after 98 bytes of it"])

    def test_cleanEnd(self) -> None:
        """
        One that ends between two is none; one that breaks is.
        """
        self.importPhone().transport.finish()
        self.assertEqual(self.complaints(), [])
        self.clock.turn()
        self.importPhone().transport.lose(ConnectionLost())
        self.assertEqual(len(self.complaints()), 1)
        self.clock.turn()

    def test_twice(self) -> None:
        """
        A transfer with the number of one that waits is refused.
        """
        connected = self.configured()
        command = Submit(
            seqnum=9, deviceID=0x10002, direction=Direction.IN, endpoint=5, length=512
        ).encode()
        connected.transport.deliver(command * 2)
        connected.turn()
        self.assertEqual(self.complaints(), ["transfer 9 is submitted twice"])
        self.assertTrue(connected.transport.disconnected)

    def test_tooMuch(self) -> None:
        """
        A host that submits more than can be kept is disconnected.
        """
        connected = self.configured()
        for _ in range(3):
            connected.host.read(65536)
        connected.turn()
        self.assertEqual(self.complaints(), ["3 transfers of 196608 bytes wait at once"])
        self.assertTrue(connected.transport.disconnected)

    def test_logIsBounded(self) -> None:
        """
        A host that comes again and again fills neither the log nor memory.
        """
        for _ in range(50):
            transport = self.connect().transport
            transport.deliver(b"garbage!")
            self.clock.turn()
            self.assertTrue(transport.disconnected)
        self.assertEqual((len(self.complaints()), self.factory.refusals), (5, 50))
        self.factory.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=examples(80))
    @given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, 5)), max_size=12))
    def test_garbage(self, pieces: list[bytes | int]) -> None:
        """
        Whatever comes after an import, the end is clean: no error in the log, no
        timer, and the phone can be imported again.
        """
        connected = self.configured()
        for piece in pieces:
            if isinstance(piece, bytes):
                connected.transport.deliver(piece)
            else:
                connected.transport.deliver(self.submit(1 << piece, command=piece % 3)[: 8 * piece])
            connected.turn()
        connected.transport.lose()
        self.clock.turn()
        self.assertEqual([e for e in self.log if "log_failure" in e], [])
        self.configured().transport.lose()
        self.clock.turn()
