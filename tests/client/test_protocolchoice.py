"""
Tests for which protocol L{muxd.client.daemon} speaks, and how long it takes.
"""

from __future__ import annotations

import socket
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import Address, UnixAddress
from muxd.client.answers import Attached, Device, DeviceTable
from muxd.client.daemon import Daemon, completed
from muxd.client.requests import Dialect
from muxd.client.socketerrors import (
    DaemonLost,
    NotSupported,
    TimedOut,
)
from muxd.client.socketio import Deadline, Sleep
from muxd.limits import LIMITS
from muxd.wire.messages import MessageType, plistMessage
from tests.client.fakedaemon import (
    UDID,
    DaemonCase,
    FakeTime,
    Peer,
    SlowSocket,
    attached,
    binaryAttached,
    binaryEvent,
    binaryListening,
    listening,
    refusingPlists,
    result,
    untilClosed,
)
from tests.wire.results import resultMessage

PHONE = Device(deviceID=1, udid=UDID)


class ProtocolChoiceTests(DaemonCase):
    """
    Property lists first, binary where they are refused.
    """

    def test_binaryList(self) -> None:
        """
        A binary daemon is listened to until it has named all its phones.
        """
        daemon = self.daemon(
            refusingPlists,
            binaryListening(
                binaryAttached(1),
                binaryAttached(2, "other"),
                binaryEvent(MessageType.DEVICE_REMOVE, 2),
                then=untilClosed,
            ),
        )
        (device,) = daemon.devices(self.deadline())
        self.assertEqual((device.deviceID, device.udid, device.productID), (1, UDID, 0x12A8))

    def test_listWithoutCommand(self) -> None:
        """
        So is one that speaks property lists and has no ListDevices.
        """
        daemon = self.daemon(result(1), listening(attached(), then=untilClosed))
        (device,) = daemon.devices(self.deadline())
        self.assertEqual(device.udid, UDID)

    def test_binaryConnect(self) -> None:
        """
        A binary Connect has the port in network order.
        """

        def script(peer: Peer) -> None:
            message = peer.read()
            assert message.type == MessageType.CONNECT
            assert message.body == b"\1\0\0\0\0\x16\0\0", message
            peer.socket.sendall(resultMessage(0, 1, 0).encode() + b"SSH-")
            untilClosed(peer)

        daemon = self.daemon(refusingPlists, script)
        with daemon.connect(PHONE, 22, self.deadline()) as phone:
            self.assertEqual(phone.recv(100), b"SSH-")

    def test_remembered(self) -> None:
        """
        A daemon that was found to be binary is asked in binary from then on.
        """
        daemon = self.daemon(
            refusingPlists,
            binaryListening(binaryAttached(), then=untilClosed),
            binaryListening(binaryAttached(), then=untilClosed),
        )
        for _ in range(2):
            with daemon.listen(self.deadline(), DeviceTable()) as listener:
                self.assertIsInstance(listener.next(self.deadline()), Attached)
        self.assertIs(Dialect.BINARY, daemon.choice.dialect)

    def test_replacedByNewer(self) -> None:
        """
        If a binary daemon has made way for one that refuses binary, that one is
        asked in its own way.
        """

        def refusingBinary(peer: Peer) -> None:
            peer.read()
            peer.send(resultMessage(1, 1, 6))

        daemon = self.daemon(refusingBinary, listening(attached(), then=untilClosed))
        daemon.choice.dialect = Dialect.BINARY
        with daemon.listen(self.deadline(), DeviceTable()) as listener:
            self.assertIsInstance(listener.next(self.deadline()), Attached)
        self.assertIs(Dialect.PLIST, daemon.choice.dialect)

    def test_forgotten(self) -> None:
        """
        What was remembered of a daemon that dies is forgotten.
        """

        def dying(peer: Peer) -> None:
            peer.read()

        daemon = self.daemon(dying)
        daemon.choice.dialect = Dialect.BINARY
        self.assertRaises(DaemonLost, daemon.listen, self.deadline(), DeviceTable())
        self.assertIs(Dialect.PLIST, daemon.choice.dialect)

    def test_noBinaryForm(self) -> None:
        """
        A command that does not exist in binary fails with a reason.
        """
        commands = self.daemon(refusingPlists).commands(self.deadline())
        error = self.assertRaises(NotSupported, completed, commands.readBUID())
        self.assertIn("is too old for ReadBUID", str(error))

    def test_neither(self) -> None:
        """
        A daemon that refuses both protocols is given up.
        """

        def refusing(peer: Peer) -> None:
            peer.read()
            peer.send(resultMessage(0, 1, 6))

        daemon = self.daemon(refusing, refusing)
        self.assertRaises(NotSupported, daemon.listen, self.deadline(), DeviceTable())


class TimeTests(SynchronousTestCase):
    """
    Daemons that take their time, by a clock of ours.
    """

    def setUp(self) -> None:
        """
        Make a daemon whose sockets come from a list.
        """
        self.time = FakeTime()
        self.sockets: list[SlowSocket] = []
        self.opened: list[SlowSocket] = []
        self.daemon = Daemon(
            UnixAddress("/slow"),
            "tests",
            clock=self.time.clock,
            sleep=self.time.sleep,
            opener=self.open,
        )

    def open(self, address: Address, deadline: Deadline, sleep: Sleep) -> socket.socket:
        """
        The next socket.
        """
        self.opened.append(self.sockets.pop(0))
        return cast(socket.socket, self.opened[-1])

    def buid(self, seconds: float) -> str:
        """
        Ask for the BUID.
        """
        return completed(self.daemon.commands(self.daemon.deadline(seconds)).readBUID())

    def test_silence(self) -> None:
        """
        A daemon that does not answer is a time-out that says so, after exactly
        the time given.
        """
        self.sockets = [SlowSocket(self.time)]
        error = self.assertRaises(TimedOut, self.buid, 5)
        self.assertEqual(
            str(error),
            "time-out after 5 s while waiting for the daemon's answer (ReadBUID, usbmuxd at /slow)",
        )
        self.assertEqual(self.time.now, 1005)
        self.assertTrue(self.opened[0].closed)

    def test_bothProtocolsTogether(self) -> None:
        """
        Trying the other protocol does not get the time anew.
        """
        refusal = resultMessage(0, 1, 6).encode()
        self.sockets = [SlowSocket(self.time, refusal, pace=0.2), SlowSocket(self.time)]
        self.assertRaises(TimedOut, self.daemon.listen, self.daemon.deadline(5), DeviceTable())
        self.assertAlmostEqual(self.time.now, 1005)
        self.assertTrue(all(opened.closed for opened in self.opened))

    def test_listeningBriefly(self) -> None:
        """
        Listing phones by listening ends after a short silence.
        """
        events = resultMessage(0, 1, 0).encode() + binaryAttached().encode()
        self.daemon.choice.dialect = Dialect.BINARY
        self.sockets = [
            SlowSocket(self.time, events),
        ]
        self.assertEqual(len(self.daemon.devices(self.daemon.deadline(5))), 1)
        self.assertAlmostEqual(self.time.now, 1000 + LIMITS.listSilence)

    def test_listeningToChatter(self) -> None:
        """
        It ends with the deadline even if there is no silence.
        """
        flapping = (
            binaryAttached().encode() + binaryEvent(MessageType.DEVICE_REMOVE).encode()
        ) * 60
        self.daemon.choice.dialect = Dialect.BINARY
        self.sockets = [
            SlowSocket(self.time, resultMessage(0, 1, 0).encode() + flapping, pace=0.0003),
        ]
        self.daemon.devices(self.daemon.deadline(5))
        self.assertAlmostEqual(self.time.now, 1005)

    def test_lateAnswer(self) -> None:
        """
        A late answer goes to nobody: the next command has a connection of its
        own.
        """
        answer = plistMessage({"BUID": "second"}, 1).encode()
        self.sockets = [SlowSocket(self.time), SlowSocket(self.time, answer)]
        self.assertRaises(TimedOut, self.buid, 1)
        self.assertEqual(self.buid(1), "second")
