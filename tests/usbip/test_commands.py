"""
Tests of L{muxd.usbip.commands}.
"""

from __future__ import annotations

import contextlib
import errno
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.usbip.commands import (
    COMMAND,
    COMMAND_SIZE,
    SUBMIT,
    Command,
    Direction,
    Errno,
    HostCommand,
    ReturnSubmit,
    ReturnUnlink,
    Submit,
    Unlink,
    decodeHostCommand,
    decodeReply,
    hostCommandSize,
)
from muxd.usbip.requests import InvalidUsbip

words = st.integers(0, 0xFFFFFFFF)
signed = st.integers(-(1 << 31), (1 << 31) - 1)


def _submit(direction: Direction, data: bytes, length: int, **fields: Any) -> Submit:
    isOut = direction == Direction.OUT
    return Submit(
        direction=direction,
        data=data if isOut else b"",
        length=len(data) if isOut else length,
        **fields,
    )


submits = st.builds(
    _submit,
    st.sampled_from(Direction),
    st.binary(max_size=100),
    st.integers(0, (1 << 31) - 1),
    seqnum=words,
    deviceID=words,
    endpoint=st.integers(0, 15),
    flags=words,
    startFrame=signed,
    packets=st.sampled_from((0, -1)),
    interval=words,
)
unlinks = st.builds(Unlink, seqnum=words, deviceID=words, victim=words)


class HostCommandTests(SynchronousTestCase):
    """
    Tests of what a host sends.
    """

    def test_submitOnTheWire(self) -> None:
        """
        A submitted transfer, as Linux' documentation has it.
        """
        command = Submit(
            seqnum=0x0D05,
            deviceID=0x0001000F,
            direction=Direction.IN,
            endpoint=1,
            length=64,
            flags=0x200,
            packets=-1,
            interval=4,
        )
        self.assertEqual(
            command.encode(),
            bytes.fromhex(
                "00000001 00000d05 0001000f 00000001 00000001"
                "00000200 00000040 00000000 ffffffff 00000004 0000000000000000"
            ),
        )

    def test_unlinkOnTheWire(self) -> None:
        """
        And one that is taken back.
        """
        self.assertEqual(
            Unlink(seqnum=0x0D1E, deviceID=0x0001000F, victim=0x0D05).encode(),
            bytes.fromhex("00000002 00000d1e 0001000f 00000000 00000000 00000d05") + bytes(24),
        )

    @given(st.one_of(submits, unlinks))
    def test_roundTrip(self, command: HostCommand) -> None:
        """
        What was encoded is decoded, and its header says how long it is.
        """
        data = command.encode()
        self.assertEqual(hostCommandSize(data[:COMMAND_SIZE]), len(data))
        self.assertEqual(decodeHostCommand(data), command)

    def test_everyCommand(self) -> None:
        """
        Of all small numbers two are commands of a host.
        """
        found = []
        for number in range(0x10000):
            with contextlib.suppress(InvalidUsbip):
                hostCommandSize(COMMAND.pack(number, 1, 1, 0, 0, bytes(28)))
                found.append(number)
        self.assertEqual(found, [Command.SUBMIT, Command.UNLINK])

    def test_everyEndpoint(self) -> None:
        """
        There are sixteen endpoints and two directions.
        """
        for endpoint in range(256):
            for direction in range(4):
                data = COMMAND.pack(1, 1, 1, direction, endpoint, bytes(28))
                if endpoint < 16 and direction < 2:
                    decodeHostCommand(data)
                else:
                    self.assertRaises(InvalidUsbip, decodeHostCommand, data)

    def test_lengths(self) -> None:
        """
        A length below 0 is invalid, whichever way the transfer goes.
        """
        for length in (-1, -(1 << 31)):
            for direction in Direction:
                rest = SUBMIT.pack(0, length, 0, 0, 0, bytes(8))
                header = COMMAND.pack(1, 1, 1, direction, 1, rest)
                error = self.assertRaises(InvalidUsbip, hostCommandSize, header)
                self.assertEqual(str(error), f"transfer of {length} bytes")

    def test_isochronous(self) -> None:
        """
        No phone has an isochronous endpoint.
        """
        for packets in (1, 1024, -2):
            rest = SUBMIT.pack(0, 0, 0, packets, 0, bytes(8))
            header = COMMAND.pack(1, 1, 1, 0, 1, rest)
            self.assertRaises(InvalidUsbip, hostCommandSize, header)

    def test_wrongSize(self) -> None:
        """
        A command that is not whole, or longer than it says, is invalid.
        """
        data = Submit(
            seqnum=1, deviceID=1, direction=Direction.OUT, endpoint=4, length=3, data=b"abc"
        ).encode()
        for size in (*range(len(data)), len(data) + 1):
            self.assertRaises(InvalidUsbip, decodeHostCommand, (data + b"x")[:size])

    @given(st.binary(min_size=COMMAND_SIZE - 4, max_size=COMMAND_SIZE + 20))
    def test_garbage(self, data: bytes) -> None:
        """
        Whatever comes is a command or invalid.
        """
        for number in (1, 2):
            try:
                decodeHostCommand(number.to_bytes(4, "big") + data)
            except InvalidUsbip as problem:
                self.assertNotIn("\n", str(problem))


class ReplyTests(SynchronousTestCase):
    """
    Tests of the answers.
    """

    def test_onTheWire(self) -> None:
        """
        A transfer that has brought four bytes, and one that was taken back.
        """
        self.assertEqual(
            ReturnSubmit(seqnum=0x0D05, actual=4, data=b"abcd").encode(),
            bytes.fromhex("00000003 00000d05 00000000 00000000 00000000 00000000 00000004")
            + bytes(20)
            + b"abcd",
        )
        self.assertEqual(
            ReturnUnlink(seqnum=0x0D1E, status=-104).encode(),
            bytes.fromhex("00000004 00000d1e 00000000 00000000 00000000 ffffff98") + bytes(24),
        )

    @given(words, signed, st.integers(0, 1000))
    def test_roundTrip(self, seqnum: int, status: int, actual: int) -> None:
        """
        What was encoded is decoded, without the data.
        """
        submitted = ReturnSubmit(seqnum=seqnum, status=status, actual=actual)
        self.assertEqual(decodeReply(submitted.encode()), submitted)
        unlinked = ReturnUnlink(seqnum=seqnum, status=status)
        self.assertEqual(decodeReply(unlinked.encode()), unlinked)

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """
        Whatever comes is an answer or invalid.
        """
        for number in (3, 4, 5):
            header = number.to_bytes(4, "big") + data
            if number < 5 and len(header) == COMMAND_SIZE:
                decodeReply(header)
            else:
                self.assertRaises(InvalidUsbip, decodeReply, header)


class ErrnoTests(SynchronousTestCase):
    """
    Tests of L{Errno}.
    """

    def test_thereAndBack(self) -> None:
        """
        Each number stands for the error of its name on this system.
        """
        for number in Errno:
            self.assertEqual(number.local, getattr(errno, number.name))
            self.assertIdentical(Errno.fromLocal(number.local), number)

    def test_others(self) -> None:
        """
        Errors that no transfer has are told as such of the protocol.
        """
        self.assertIdentical(Errno.fromLocal(errno.ENOENT), Errno.EPROTO)
        self.assertIdentical(Errno.fromLocal(99999), Errno.EPROTO)
