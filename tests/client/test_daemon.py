"""
Tests for L{muxd.client.daemon}: which protocol is spoken, what daemons answer,
how long they may take.
"""

from __future__ import annotations

from dataclasses import replace

from muxd.client.answers import Attached, Device, DeviceTable
from muxd.client.daemon import Daemon, completed
from muxd.client.socketerrors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NotSupported,
    PhoneGone,
    PortRefused,
)
from muxd.limits import Limits
from muxd.wire.messages import Message, MessageType, plistMessage
from tests.client.fakedaemon import (
    OTHER,
    UDID,
    DaemonCase,
    FakeDaemon,
    Peer,
    Script,
    answering,
    attached,
    binaryAttached,
    detached,
    deviceEntry,
    listening,
    listOf,
    paired,
    result,
    untilClosed,
)
from tests.wire.results import resultMessage

PHONE = Device(deviceID=1, udid=UDID)


class CommandTests(DaemonCase):
    """
    L{Daemon.commands} and what they are answered with.
    """

    def buid(self, *scripts: Script) -> str:
        """
        What ReadBUID of a daemon with these scripts gives.
        """
        return completed(self.daemon(*scripts).commands(self.deadline()).readBUID())

    def save(self, script: Script) -> None:
        """
        Save a record.
        """
        commands = self.daemon(script).commands(self.deadline())
        completed(commands.savePairRecord(UDID, b"record"))

    def test_request(self) -> None:
        """
        A command says who asks, in a version that Apple's daemon shows phones on
        the network to.
        """
        requests: list[dict[str, object]] = []
        self.assertEqual(self.buid(answering({"BUID": "x"}, requests)), "x")
        (request,) = requests
        self.assertEqual(request["MessageType"], "ReadBUID")
        self.assertEqual(request["ProgName"], "tests")
        self.assertEqual(request["kLibUSBMuxVersion"], 3)

    def test_succeeded(self) -> None:
        """
        Result 0 is success.
        """
        self.save(result(0))

    def test_eventsBetween(self) -> None:
        """
        Events that come ahead of the answer are passed over, even with the
        command's own tag (protocol 9, edge 57).
        """

        def script(peer: Peer) -> None:
            peer.request()
            event = replace(paired(), tag=1)
            peer.send(event, binaryAttached(), attached(), resultMessage(1, 1, 0))

        self.save(script)

    def test_eventsWithoutEnd(self) -> None:
        """
        A daemon that sends events and never answers does not fill our memory.
        """

        def script(peer: Peer) -> None:
            peer.request()
            event = plistMessage({"MessageType": "Paired", "X": bytes(50000)}, 0).encode()
            try:
                while True:
                    peer.socket.sendall(event)
            except ConnectionError:
                return

        address = FakeDaemon(self, script).address
        daemon = Daemon(address, "tests", limits=Limits(replySize=1 << 20))
        commands = daemon.commands(self.deadline())
        error = self.assertRaises(DaemonNonsense, completed, commands.readBUID())
        self.assertIn("events without end", str(error))

    def test_unknownCommand(self) -> None:
        """
        A daemon that does not know a command, by our number or Apple's, is said
        not to.
        """
        for number in (1, 5):
            error = self.assertRaises(NotSupported, self.buid, result(number))
            self.assertIn("is too old for ReadBUID", str(error))

    def test_otherFailure(self) -> None:
        """
        Any other Result is told.
        """
        error = self.assertRaises(DaemonRefused, self.buid, result(4))
        self.assertIn("answered ReadBUID with Result 4", str(error))
        self.assertEqual(error.result, 4)

    def test_nonsense(self) -> None:
        """
        An answer that cannot be read is the daemon's fault, and told as that.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(Message(1, MessageType.PLIST, 1, b"HTTP/1.1 400"))

        error = self.assertRaises(DaemonNonsense, self.buid, script)
        self.assertIn("makes no sense: expected a property list", str(error))

    def test_diesBeforeReading(self) -> None:
        """
        A daemon that accepts and dies is gone.
        """
        self.assertRaises(DaemonLost, self.buid, lambda peer: None)

    def test_diesBeforeAnswering(self) -> None:
        """
        So is one that dies with the command.
        """

        def script(peer: Peer) -> None:
            peer.request()

        self.assertRaises(DaemonLost, self.buid, script)

    def test_diesWithinAnswer(self) -> None:
        """
        So is one that dies within its answer.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.socket.sendall(resultMessage(1, 1, 0).encode()[:30])

        self.assertRaises(DaemonLost, self.buid, script)


class ListenTests(DaemonCase):
    """
    L{Daemon.listen}.
    """

    def test_refused(self) -> None:
        """
        A Listen that is refused is an error, and its connection closed.
        """

        def script(peer: Peer) -> None:
            result(1)(peer)
            untilClosed(peer)

        self.assertRaises(DaemonRefused, self.daemon(script).listen, self.deadline(), DeviceTable())

    def test_answeredOddly(self) -> None:
        """
        An answer that is no Result is not one.
        """
        daemon = self.daemon(answering({"DeviceList": []}))
        error = self.assertRaises(DaemonNonsense, daemon.listen, self.deadline(), DeviceTable())
        self.assertIn("the answer to Listen makes no sense: expected a Result, got", str(error))

    def test_attachedFirst(self) -> None:
        """
        Devices that are announced ahead of the Result are not lost, and stay in
        order (protocol 9, edge 42).
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(attached(1), attached(2, OTHER), resultMessage(1, 1, 0), attached(3, "x"))
            untilClosed(peer)

        with self.daemon(script).listen(self.deadline(), DeviceTable()) as listener:
            events = [listener.next(self.deadline()) for _ in range(3)]
        self.assertEqual([event.device.deviceID for event in events], [1, 2, 3])

    def test_uninteresting(self) -> None:
        """
        Events about devices that were never announced are passed over.
        """
        daemon = self.daemon(listening(paired(9), detached(9), attached(1), then=untilClosed))
        with daemon.listen(self.deadline(), DeviceTable()) as listener:
            self.assertIsInstance(listener.next(self.deadline()), Attached)

    def test_nonsense(self) -> None:
        """
        An event that cannot be read is left out, the others are not.
        """
        bad = Message(1, MessageType.PLIST, 0, b"nonsense")
        daemon = self.daemon(listening(bad, attached(1), then=untilClosed))
        with daemon.listen(self.deadline(), DeviceTable()) as listener:
            self.assertIsInstance(listener.next(self.deadline()), Attached)

    def test_impossibleLength(self) -> None:
        """
        One whose length cannot be ends it.
        """

        def script(peer: Peer) -> None:
            listening()(peer)
            peer.socket.sendall(bytes(16))

        with self.daemon(script).listen(self.deadline(), DeviceTable()) as listener:
            self.assertRaises(DaemonNonsense, listener.next, self.deadline())


class ConnectTests(DaemonCase):
    """
    L{Daemon.connect}.
    """

    def errorOf(self, number: int) -> OSError:
        """
        The error of a Connect that this Result answers.
        """
        daemon = self.daemon(result(number))
        error: OSError = self.assertRaises(OSError, daemon.connect, PHONE, 7777, self.deadline())
        return error

    def test_keys(self) -> None:
        """
        The port is byte-swapped (protocol 4.8).
        """
        requests: list[dict[str, object]] = []
        daemon = self.daemon(answering({"MessageType": "Result", "Number": 0}, requests))
        daemon.connect(PHONE, 62078, self.deadline()).close()
        self.assertEqual(requests[0]["DeviceID"], 1)
        self.assertEqual(requests[0]["PortNumber"], 32498)

    def test_refused(self) -> None:
        """
        Result 3 is a refusal, as Python knows it.
        """
        error = self.errorOf(3)
        self.assertIsInstance(error, PortRefused)
        self.assertIsInstance(error, ConnectionRefusedError)
        self.assertEqual(str(error), f"the phone {UDID} refused port 7777: nothing listens there")

    def test_gone(self) -> None:
        """
        Result 2 means that the phone is gone.
        """
        error = self.errorOf(2)
        self.assertIsInstance(error, PhoneGone)
        self.assertIn(f"the phone {UDID} went away while port 7777 was being connected", str(error))

    def test_otherwise(self) -> None:
        """
        Other Results are told: a daemon that does not know Connect is none.
        """
        for number in (1, 4, 5):
            self.assertIsInstance(self.errorOf(number), DaemonRefused)


class ListOfManyTests(DaemonCase):
    """
    L{Daemon.devices} with a modern daemon.
    """

    def test_many(self) -> None:
        """
        A list longer than clients may send is read.
        """
        entries = [deviceEntry(number, f"phone-{number}") for number in range(1, 501)]
        devices = self.daemon(answering(listOf(*entries))).devices(self.deadline())
        self.assertEqual(len(devices), 500)

    def test_noList(self) -> None:
        """
        An answer without a list is the daemon's fault.
        """
        self.assertRaises(DaemonNonsense, self.daemon(answering({"X": 1})).devices, self.deadline())
