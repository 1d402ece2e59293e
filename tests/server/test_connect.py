# -*- test-case-name: tests.server.test_connect -*-
"""
Tests of L{muxd.server.connect}: from a client's request to a stream and its end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.logger import formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.errors import NoFreePort, ProtocolViolation
from muxd.net.peers import Presence
from muxd.net.pipe import PipeState
from muxd.server import protocol as protocolModule
from muxd.server.connect import ConnectAttempt, resultOf
from muxd.server.states import State
from muxd.testing import FakeAddress, FakeDevice
from muxd.wire.messages import Message, Result, connectMessage, plistMessage, swapPort
from tests.server.serving import ServingTestCase, connectRequest, observeLog, plist


class ResultTests(SynchronousTestCase):
    """
    L{resultOf} failures.
    """

    def test_mapping(self) -> None:
        """
        A phone that has gone, or has no free port, is a bad device; all that
        it, or the way to it, answers is a refusal (protocol 4.4).
        """
        for error, expected in (
            (ConnectionRefusedError(), Result.CONNECTION_REFUSED),
            (TimeoutError(), Result.CONNECTION_REFUSED),
            (OSError(113, "no route"), Result.CONNECTION_REFUSED),
            (ProtocolViolation("not SYN|ACK"), Result.CONNECTION_REFUSED),
            (NoFreePort(), Result.BAD_DEVICE),
            (ConnectionLost(), Result.BAD_DEVICE),
        ):
            self.assertEqual(resultOf(Failure(error)), expected)

    def test_unexpected(self) -> None:
        """
        Anything else is a refusal, and is logged for whoever can mend it.
        """
        self.assertEqual(resultOf(Failure(KeyError("x"))), Result.CONNECTION_REFUSED)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class AttemptTests(SynchronousTestCase):
    """
    L{ConnectAttempt}.
    """

    def test_notConnected(self) -> None:
        """
        A pipe that no phone's end has come to is over, and refers to nothing any more.
        """

        def endpoint() -> IStreamClientEndpoint:
            raise ConnectionRefusedError

        attempt = ConnectAttempt(Clock(), 5, self.fail)
        self.failureResultOf(attempt.start(endpoint), ConnectionRefusedError)
        self.assertIs(attempt.pipe.state, PipeState.CLOSED)


class ConnectTests(ServingTestCase):
    """
    A Connect until its Result.
    """

    def test_logged(self) -> None:
        """
        Each Connect is a line with its phone, its port and its client, if that is wanted.
        """
        self.client().send(connectRequest(1, 62078))
        events = observeLog(self)
        self.factory.connectWatchers.append(self.factory.logConnect)
        self.client().send(connectRequest(1, 62078))
        [line] = [formatEvent(event) for event in events]
        udid = self.phone.identity.udid
        self.assertEqual(line, f"connect to port 62078 of {udid}: a client")

    def test_plist(self) -> None:
        """
        A Connect in plist form reaches its port, which is swapped once, and is
        answered when the phone has answered.
        """
        client = self.client()
        client.send(connectRequest(1, 62078, tag=5))
        (connection,) = self.phone.connections
        self.assertEqual((connection.port, client.messages()), (62078, []))
        connection.accept()
        (answer,) = client.messages()
        self.assertEqual((answer.tag, plist(answer)["Number"]), (5, 0))
        self.assertIs(client.protocol.state, State.CONNECTED)
        self.assertEqual(self.counters.connects, 1)

    def test_binary(self) -> None:
        """
        A binary Connect is answered in binary, as in protocol 4.13.
        """
        client = self.client()
        client.send(connectMessage(1, 22, 2))
        self.phone.connections[0].accept()
        self.assertEqual(self.phone.connections[0].port, 22)
        self.assertEqual(client.stream().hex(), "1400000000000000010000000200000000000000")

    def test_ports(self) -> None:
        """
        Ports are swapped exactly once in both formats, also when written as a
        signed number (protocol 9, edge 39).
        """
        client = self.client()
        wanted = [22, 62078, 0x0101, 8100, 1, 0xFFFF]
        for port in wanted:
            self.phone.answers[port] = ConnectionRefusedError()
            client.send(connectMessage(1, port, 1), connectRequest(1, port))
        client.send(
            plistMessage({"MessageType": "Connect", "DeviceID": 1, "PortNumber": -23521}, 1)
        )
        asked = [connection.port for connection in self.phone.connections]
        self.assertEqual(asked, [port for port in wanted for _ in range(2)] + [8100])

    def test_unknownDevice(self) -> None:
        """
        An unknown device is Result 2, whatever number it has.
        """
        client = self.client()
        for deviceID in (0, 2, -1, 1 << 40):
            answer = client.result(MessageType="Connect", DeviceID=deviceID, PortNumber=22)
            self.assertEqual(answer, Result.BAD_DEVICE)
        client.send(connectMessage(99, 22, 3))
        self.assertEqual(client.plists(), [{"MessageType": "Result", "Number": 2}])

    def test_missingAndWrong(self) -> None:
        """
        DeviceID missing or of another type is Result 2, PortNumber Result 1;
        true is no number (protocol 4.6).
        """
        client = self.client()
        wrongIDs: list[Any] = [None, "1", 1.0, True, b"1", [1], {}]
        for deviceID in wrongIDs:
            values: dict[str, Any] = {"MessageType": "Connect", "PortNumber": 22}
            if deviceID is not None:
                values["DeviceID"] = deviceID
            self.assertEqual(client.result(**values), Result.BAD_DEVICE, values)
        wrongPorts: list[Any] = [None, "22", 22.0, True, b"22"]
        for port in wrongPorts:
            values = {"MessageType": "Connect", "DeviceID": 1}
            if port is not None:
                values["PortNumber"] = port
            self.assertEqual(client.result(**values), Result.BAD_COMMAND, values)
        for values, result in (
            ({}, Result.BAD_DEVICE),
            ({"DeviceID": "1"}, Result.BAD_COMMAND),
            ({"DeviceID": "1", "PortNumber": "22"}, Result.BAD_DEVICE),
        ):
            self.assertEqual(client.result(MessageType="Connect", **values), result, values)
        self.assertEqual(self.phone.connections, [])

    def test_wideNumbers(self) -> None:
        """
        Of numbers that are wider than the protocol's the lower bits count, as for the
        C daemon.
        """
        port = swapPort(22)
        self.phone.answers[22] = FakeDevice.ACCEPT
        for number, wide in ((1, port + 0x10000), (1, port - 0x10000), ((1 << 32) + 1, port)):
            client = self.client()
            values = {"MessageType": "Connect", "DeviceID": number, "PortNumber": wide}
            self.assertEqual(client.result(**values), Result.OK, values)
        self.assertEqual([connection.port for connection in self.phone.connections], [22] * 3)

    def test_hiddenDevice(self) -> None:
        """
        A client that knows the number of a hidden device can connect to it (protocol 4.7).
        """
        hidden = FakeDevice(self.clock, answers={22: FakeDevice.ACCEPT})
        self.registry.attach(hidden, visible=False)
        client = self.client()
        client.send(connectRequest(2, 22))
        self.assertEqual(client.plists(), [{"MessageType": "Result", "Number": 0}])

    def test_refused(self) -> None:
        """
        After Result 3 the socket takes another command, and may connect
        (protocol 9, edge 44).
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        self.phone.connections[0].refuse(ConnectionRefusedError("no such service"))
        self.assertEqual([reply["Number"] for reply in client.plists()], [3])
        self.assertEqual(self.counters.refusedConnects, 1)
        self.assertIn("BUID", plist(client.ask(MessageType="ReadBUID")))
        client.send(connectRequest(1, 62078))
        self.phone.connections[1].accept()
        self.assertEqual([reply["Number"] for reply in client.plists()], [0])

    def test_manyRefusedInOneWrite(self) -> None:
        """
        Any number of Connects that fail at once are answered one by one, and
        not inside each other.
        """
        self.phone.answers[22] = ConnectionRefusedError()
        client = self.client()
        client.send(*(connectRequest(1, 22, tag) for tag in range(1000)))
        self.settle()
        self.assertEqual([message.tag for message in client.messages()], list(range(1000)))

    def test_endpointThatRaises(self) -> None:
        """
        A device whose C{endpoint} raises is a refusal too.
        """

        def endpoint(port: int) -> object:
            raise ValueError(f"no port {port}")

        self.patch(self.phone, "endpoint", endpoint)
        client = self.client()
        client.send(connectRequest(1, 0))
        self.assertEqual([reply["Number"] for reply in client.plists()], [3])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_deviceRemovedWhileConnecting(self) -> None:
        """
        A phone that is unplugged while connecting is a bad device from now on,
        and the socket goes on.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        self.phone.connections[0].refuse(ConnectionLost())
        self.registry.deviceDetached(self.phone)
        self.assertEqual([reply["Number"] for reply in client.plists()], [2])
        self.assertEqual(plist(client.ask(MessageType="ListDevices")), {"DeviceList": []})

    def test_clientGoneWhileConnecting(self) -> None:
        """
        Nothing connects to a phone for a client that has gone.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        client.transport.lose()
        (connection,) = self.phone.connections
        self.assertTrue(connection.cancelled)
        self.assertEqual(self.counters.cancelledConnects, 1)
        self.assertIsNone(connection.factory.buildProtocol(FakeAddress()))
        self.assertEqual(self.factory.clients, set())

    def test_endOfFileWhileConnecting(self) -> None:
        """
        A client that ends without having sent anything for the phone is gone.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        client.transport.finish()
        self.settle()
        self.assertTrue(self.phone.connections[0].cancelled)
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(client.messages(), [])
        self.assertEqual(self.counters.cancelledConnects, 1)

    def test_requestAndEndOfFileWhileConnecting(self) -> None:
        """
        A client that has sent its request for the phone and its end of file
        with it gets its answer, and the phone the end of file.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        client.transport.deliver(b"GET")
        client.transport.finish()
        phone = self.phone.connections[0].accept()
        self.assertEqual(phone.value(), b"GET")
        self.assertTrue(phone.writeClosed)
        phone.deliver(b"answer")
        phone.lose(ConnectionDone())
        self.settle()
        self.assertTrue(client.stream().endswith(b"answer"))
        self.assertTrue(client.transport.disconnected)

    def test_onlyReads(self) -> None:
        """
        A client that finishes sending right behind its request, and has nothing to say to
        the phone, is connected if it is known to be there: it may want to read.
        """
        for presence, goesOn in ((Presence.HELD, True), (Presence.UNKNOWN, False)):
            self.patch(protocolModule, "peerOf", lambda transport, one=presence: one)
            client = self.client()
            client.send(connectRequest(1, 22))
            client.transport.finish()
            attempt = self.phone.connections[-1]
            self.assertEqual(attempt.cancelled, not goesOn)
        attempt = self.phone.connections[0]
        phone = attempt.accept()
        self.assertTrue(phone.writeClosed)

    def test_killedWhileConnecting(self) -> None:
        """
        A client that is known to be gone altogether is not waited for.
        """
        self.patch(protocolModule, "peerOf", lambda transport: Presence.GONE)
        client = self.client()
        client.send(connectRequest(1, 22))
        client.transport.deliver(b"GET")
        client.transport.finish()
        self.assertTrue(self.phone.connections[0].cancelled)

    def test_requestAndEndOfFileBeforeARefusal(self) -> None:
        """
        After a refusal the bytes behind it were commands, and then the client
        had finished.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        client.send(plistMessage({"MessageType": "ReadBUID"}, 2))
        client.transport.finish()
        self.phone.connections[0].refuse(ConnectionRefusedError())
        self.assertEqual([message.tag for message in client.messages()], [1, 2])
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_pipelinedBytes(self) -> None:
        """
        What is sent behind a Connect reaches the phone, whole and in order.
        """
        client = self.client()
        client.transport.deliver(connectRequest(1, 22).encode() + b"one")
        client.transport.deliver(b"two")
        phone = self.phone.connections[0].accept()
        client.transport.deliver(b"three")
        self.assertEqual(phone.value(), b"onetwothree")

    def test_pipelinedCommands(self) -> None:
        """
        After a refusal what was sent behind the Connect is read as commands.
        """
        client = self.client()
        client.send(connectRequest(1, 22), connectRequest(1, 80, tag=2), Message(0, 99, 3))
        self.phone.connections[0].refuse(ConnectionRefusedError())
        self.assertEqual([message.tag for message in client.messages()], [1])
        self.phone.connections[1].refuse(ConnectionRefusedError())
        self.assertEqual([message.tag for message in client.messages()], [2, 3])

    def test_pipelinedBytesAreBounded(self) -> None:
        """
        A client that sends too much behind a Connect is paused until the phone
        has answered, either way.
        """
        for accept in (True, False):
            client = self.client()
            client.send(connectRequest(1, 22))
            client.transport.deliver(b"x" * 100)
            self.assertFalse(client.transport.paused)
            client.transport.deliver(b"x")
            self.assertTrue(client.transport.paused)
            client.transport.deliver(b"y" * 1000)
            client.transport.deliver(b"y" * 1000)
            connection = self.phone.connections[-1]
            if accept:
                phone = connection.accept()
                self.settle()
                self.assertEqual(phone.value(), b"x" * 101 + b"y" * 2000)
            else:
                connection.refuse(ConnectionRefusedError())
                self.settle()
                self.assertTrue(client.transport.disconnected)

    def test_noTimerWhileConnecting(self) -> None:
        """
        What is sent behind a Connect is no incomplete message.
        """
        client = self.client()
        client.transport.deliver(connectRequest(1, 22).encode() + b"x")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_incompleteCommandAfterARefusal(self) -> None:
        """
        After a refusal it may be one, and then has its time.
        """
        client = self.client()
        client.transport.deliver(connectRequest(1, 22).encode() + b"x")
        self.phone.connections[0].refuse(ConnectionRefusedError())
        self.clock.advance(30)
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_refusalThatOverflows(self) -> None:
        """
        A client that never reads is disconnected by a Result, too.
        """
        client = self.client(budget=0)
        client.transport.bufferSize = 10
        client.send(connectRequest(1, 22))
        client.protocol._output.write(b"x" * 11)
        client.protocol._output.write(b"x" * 4096)
        self.phone.connections[0].refuse(ConnectionRefusedError())
        self.settle()
        self.assertTrue(client.transport.aborted)
        self.assertIs(client.protocol.state, State.CLOSED)

    def test_endpointWithoutCancel(self) -> None:
        """
        An endpoint that knows no cancelling, and connects too late, finds
        nobody.
        """
        ended: list[object] = []
        attempt = ConnectAttempt(self.clock, 15, ended.append)

        class Stubborn:
            """
            Connects when it likes.
            """

            factory: Any

            def connect(self, factory: Any) -> Deferred[Any]:
                """
                Not yet.
                """
                self.factory = factory
                return Deferred()

        stubborn = Stubborn()
        connecting = attempt.start(lambda: stubborn)  # type: ignore[arg-type,return-value]  # a fake
        attempt.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertIsNone(stubborn.factory.buildProtocol(FakeAddress()))
        self.assertEqual(ended, [])

    def test_cancelBeforeStart(self) -> None:
        """
        An attempt that was never started may be cancelled.
        """
        attempt = ConnectAttempt(self.clock, 15, lambda pipe: None)
        attempt.cancel()
        self.assertTrue(attempt.cancelled)
