"""
Tests of L{muxd.server.fastlane}, with a phone that the test plays and real sockets.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from errno import EMFILE
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from muxd.limits import LIMITS
from muxd.net.eventloop import READABLE, Watched
from muxd.server import fastlane
from muxd.server.factory import Entrance
from muxd.server.fastlane import LaneClient
from muxd.server.quickplist import KEPT, LONGEST_KEPT
from muxd.server.view import View
from muxd.server.vieweddevices import ViewedDevices
from muxd.wire.messages import (
    BINARY_VERSION,
    HEADER,
    PLIST_VERSION,
    Message,
    Result,
    plistMessage,
    swapPort,
)
from tests.device.links import ACK, LOCKDOWN, RST, SYN, SYN_ACK
from tests.server.lanes import LaneCase
from tests.server.serving import connectRequest, observeLog
from tests.server.viewing import only, view


class ConnectTests(LaneCase):
    """
    Connects that are served on it.
    """

    def test_stream(self) -> None:
        """
        A whole Connect becomes a stream: the Result first, then the phone's bytes.
        """
        client = self.client(connectRequest(1, LOCKDOWN, tag=7).encode())
        self.assertRaises(BlockingIOError, client.recv, 1)
        self.answer(SYN_ACK)
        self.assertEqual(self.result(client), (7, Result.OK))
        self.phone.deliver(self.phone.segment(LOCKDOWN, self.source, 1, 1, ACK, b"hello"))
        self.assertEqual(client.recv(100), b"hello")
        client.send(b"world")
        self.loop.doRead()
        self.assertEqual([one.payload for one in self.phone.take() if one.payload], [b"world"])

    def test_counted(self) -> None:
        """
        It is counted as one on the other way is.
        """
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.assertEqual(len(self.server.clients), 1)
        self.answer(SYN_ACK)
        self.phone.deliver(
            self.phone.segment(LOCKDOWN, self.source, 1, 1, ACK, b"hello"),
            self.phone.segment(LOCKDOWN, self.source, 6, 1, RST),
        )
        self.result(client)
        counters = self.counters
        self.assertEqual((counters.connections, counters.connects), (1, 1))
        self.assertEqual(counters.commands, {"Connect": 1})
        self.assertEqual((counters.bytesToPhones, counters.bytesFromPhones), (0, 5))

    def test_later(self) -> None:
        """
        One that connects before it speaks is waited for.
        """
        client = self.client()
        self.loop.doRead()
        client.send(connectRequest(1, LOCKDOWN, tag=3).encode())
        self.loop.doRead()
        self.answer(SYN_ACK)
        self.assertEqual(self.result(client), (3, Result.OK))

    def test_remembered(self) -> None:
        """
        The same request is parsed once, whatever its tag is; and not too many are kept.
        """
        for port in (LOCKDOWN, LOCKDOWN, *range(1, 2 * KEPT)):
            for tag in (1, 2):
                self.client(connectRequest(1, port, tag).encode())
        self.assertEqual(len(self.lane._known), KEPT)
        self.assertEqual(self.counters.commands["Connect"], 2 * (2 * KEPT + 1))
        self.phone.take()

    def test_again(self) -> None:
        """
        The very same request once more gets what the first has got, and its answer has the tag
        of its own.
        """
        clients = [
            (tag, self.client(connectRequest(1, port, tag).encode()))
            for port, tag in ((22, 7), (22, 7), (22, 8), (80, 8), (80, 8), (22, 7))
        ]
        synced = self.phone.take()
        self.assertEqual([one.destinationPort for one in synced], [22, 22, 22, 80, 80, 22])
        for syn in synced:
            self.phone.deliver(
                self.phone.segment(syn.destinationPort, syn.sourcePort, 0, 1, SYN_ACK)
            )
        for tag, client in clients:
            self.assertEqual(self.result(client), (tag, Result.OK))

    def test_unplugged(self) -> None:
        """
        What was remembered does not outlive the phone.
        """
        request = connectRequest(1, LOCKDOWN).encode()
        self.client(request)
        self.registry.deviceDetached(self.device)
        self.client(request)
        self.assertEqual(self.adopted(), [request])

    def test_refused(self) -> None:
        """
        A client is told of a refusal, and is an ordinary one then.
        """
        events = observeLog(self)
        client = self.client(connectRequest(1, LOCKDOWN, tag=9).encode())
        self.answer(RST, b"no such service")
        self.assertEqual(self.result(client), (9, Result.CONNECTION_REFUSED))
        self.assertEqual(self.adopted(), [b""])
        self.assertEqual(self.counters.refusedConnects, 1)
        self.assertTrue(any("no such service" in str(event.get("reason")) for event in events))

    def test_refusedAndRemembered(self) -> None:
        """
        It has spoken in property lists then, and is answered in them whatever it says
        next; and what it has said about itself is known.
        """
        values = {"MessageType": "Connect", "DeviceID": 1, "PortNumber": swapPort(LOCKDOWN)}
        request = plistMessage({**values, "ProgName": "tests", "kLibUSBMuxVersion": 3}, 9)
        self.client(request.encode())
        self.answer(RST, b"no such service")
        (protocol,) = self.reactor.protocols
        self.assertEqual(protocol.version, PLIST_VERSION)
        self.assertEqual(protocol.details.programName, "tests")
        self.assertEqual(protocol.details.libraryVersion, 3)
        # One that has only asked is as any other.
        self.client(plistMessage({"MessageType": "ListDevices"}, 1).encode())
        self.assertEqual(self.reactor.protocols[1].version, BINARY_VERSION)

    def test_refusedAtOnce(self) -> None:
        """
        So it is when the phone is not even asked.
        """
        self.phone.muxer.stop()
        client = self.client(connectRequest(1, LOCKDOWN, tag=9).encode())
        self.assertEqual(self.result(client), (9, Result.BAD_DEVICE))
        self.assertEqual(self.adopted(), [b""])

    def test_timedOut(self) -> None:
        """
        So it is when the phone does not answer.
        """
        client = self.client(connectRequest(1, LOCKDOWN, tag=9).encode())
        self.clock.advance(LIMITS.connectTimeout)
        self.assertEqual(self.result(client), (9, Result.CONNECTION_REFUSED))

    def test_gone(self) -> None:
        """
        One that goes before the phone answers is counted, and the phone told.
        """
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.phone.take()
        client.close()
        self.loop.doRead()
        self.assertEqual([one.flags for one in self.phone.take()], [RST])
        self.assertEqual((self.counters.cancelledConnects, self.counters.connects), (1, 0))

    def test_logged(self) -> None:
        """
        An operator who looks for a fault is told who it was.
        """
        self.server.connectWatchers.append(self.server.logConnect)
        events = observeLog(self)
        self.client(connectRequest(1, LOCKDOWN).encode())
        self.phone.take()
        (told,) = [formatEvent(event) for event in events if "client" in event]
        self.assertIn(f"pid {os.getpid()}", told)

    def test_loggedTCP(self) -> None:
        """
        With its address, if it is not on a UNIX socket.
        """
        self.server.connectWatchers.append(self.server.logConnect)
        events = observeLog(self)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            self.addCleanup(client.close)
            ours, address = listening.accept()
        client.sendall(connectRequest(1, LOCKDOWN).encode())
        self.letIn(ours.detach(), socket.AF_INET)
        self.phone.take()
        (told,) = [formatEvent(event) for event in events if "client" in event]
        self.assertIn(f"127.0.0.1:{address[1]}", told)


class OthersTests(LaneCase):
    """
    Clients that the lane is not for.
    """

    def test_others(self) -> None:
        """
        They become ordinary clients with what they have said.
        """
        connect = connectRequest(1, LOCKDOWN).encode()
        for said in (
            plistMessage({"MessageType": "ListDevices"}, 1).encode(),
            plistMessage({"MessageType": "Listen", "ProgName": "Connect"}, 1).encode(),
            plistMessage({"MessageType": "Connect", "DeviceID": 1}, 1).encode(),
            plistMessage({"MessageType": "Connect", "DeviceID": True, "PortNumber": 1}, 1).encode(),
            connectRequest(2, LOCKDOWN).encode(),
            Message(0, 2, 1, b"\1\0\0\0\xf2\x7e\0\0").encode(),
            Message(1, 8, 1, b"Connect is no property list").encode(),
            connect[:-1],
            connect[:5],
            connect + b"x",
            connect + connect,
            b"GET / HTTP/1.0\r\n\r\n",
            bytes(4096),
        ):
            self.client(said)
            self.assertEqual(self.adopted()[-1], said)
        self.assertEqual(self.counters.connections, 0, "they are counted where they go")
        self.assertEqual(self.counters.commands, {})
        self.assertEqual(self.phone.take(), [])

    def test_anotherKindOfDevice(self) -> None:
        """
        So do those of a device that is no muxer's.
        """
        from muxd.testing import FakeDevice

        self.registry.deviceAttached(FakeDevice(self.clock))
        request = connectRequest(2, LOCKDOWN).encode()
        self.client(request)
        self.assertEqual(self.adopted(), [request])

    def test_number(self) -> None:
        """
        Its descriptor keeps its number, by which clients are counted.
        """
        client, ours = socket.socketpair()
        self.addCleanup(client.close)
        number = ours.detach()
        client.send(b"anything")
        self.letIn(number)
        self.assertEqual(self.reactor.numbers, [number])

    def test_noDescriptor(self) -> None:
        """
        One for whom there is no descriptor is closed.
        """
        self.reactor.refusal = OSError(EMFILE, "too many")
        client = self.client(b"anything")
        self.assertEqual(client.recv(1), b"")

    def test_silent(self) -> None:
        """
        One that goes without a word is gone, and counted.
        """
        self.client().close()
        self.loop.doRead()
        self.assertEqual(self.counters.connections, 1)
        client, ours = socket.socketpair()
        client.close()
        self.letIn(ours.detach())
        self.assertEqual(self.counters.connections, 2)

    def test_mistake(self) -> None:
        """
        A mistake of ours costs one client.
        """
        client = self.client()
        (owner,) = self.loop.owners
        owner.failed(Failure(ValueError()))
        self.assertEqual(client.recv(1), b"")


class BoundaryTests(LaneCase):
    """
    Where one more or less makes the difference.
    """

    limits = dataclasses.replace(LIMITS, streamsPerUser=2, connectionsPerUser=7)

    def noteClosed(self) -> list[int]:
        """
        The descriptors that are closed from now on.
        """
        closed: list[int] = []
        close = os.close

        def noting(descriptor: int) -> None:
            closed.append(descriptor)
            close(descriptor)

        self.patch(os, "close", noting)
        return closed

    def test_keptAreTheLatest(self) -> None:
        """
        Of more requests than are kept the first are forgotten.
        """
        requests = [connectRequest(1, port).encode()[HEADER.size :] for port in range(1, KEPT + 3)]
        for request in requests:
            self.assertIsNotNone(self.lane.target(request))
        self.assertEqual(list(self.lane._known), requests[2:])

    def test_longestKept(self) -> None:
        """
        One of just the greatest length is kept, and a longer one is understood each time.
        """
        values = {"MessageType": "Connect", "DeviceID": 1, "PortNumber": 2}
        least = len(plistMessage({**values, "ProgName": ""}, 1).body)
        for more in (0, 1):
            name = "x" * (LONGEST_KEPT - least + more)
            body = plistMessage({**values, "ProgName": name}, 1).body
            self.assertEqual(len(body), LONGEST_KEPT + more)
            self.assertEqual(self.lane.target(body), (1, swapPort(2)))
            self.assertEqual(body in self.lane._known, not more)

    def test_headers(self) -> None:
        """
        A Connect in a message of another kind or version is no Connect of this kind.
        """
        body = connectRequest(1, LOCKDOWN).body
        for version, kind in ((0, 8), (2, 8), (1, 3), (1, 2), (1, 9)):
            self.client(Message(version, kind, 1, body).encode())
        self.client(Message(1, 8, 1, b"").encode())
        self.assertEqual(len(self.adopted()), 6)
        self.assertEqual(self.phone.take(), [])

    def test_descriptors(self) -> None:
        """
        Those that are closed on the way to an ordinary client are its own, and no other.
        """
        client, ours = socket.socketpair()
        self.addCleanup(client.close)
        number = ours.detach()
        closed = self.noteClosed()
        client.send(b"anything")
        self.letIn(number)
        copy = closed.pop()
        self.assertEqual(closed, [number])
        self.assertNotIn(copy, (0, 1, 2, number))

    def test_noCopy(self) -> None:
        """
        So it is where there is none for its copy.
        """

        def dup(number: int) -> int:
            raise OSError(EMFILE, "too many")

        client, ours = socket.socketpair()
        self.addCleanup(client.close)
        number = ours.detach()
        client.send(b"anything")
        self.patch(os, "dup", dup)
        closed = self.noteClosed()
        self.letIn(number)
        self.assertEqual(closed, [number])
        self.assertEqual(client.recv(1), b"")

    def test_streams(self) -> None:
        """
        A user has as many streams as it may have, and each that ends makes room for another;
        one too many is an ordinary client, which is told.
        """
        (one, other), request = (
            [self.client(connectRequest(1, LOCKDOWN).encode()) for _ in range(2)],
            connectRequest(1, LOCKDOWN).encode(),
        )
        (account,) = self.server.accounts._accounts.values()
        self.assertEqual((account.streams, account.connections, self.adopted()), (2, 2, []))
        self.client(request)
        self.assertEqual((account.streams, account.connections), (2, 3))
        self.assertEqual(self.adopted(), [request])
        other.close()
        self.loop.doRead()
        self.assertEqual((account.streams, account.connections), (1, 2))
        self.client(request)
        self.assertEqual((account.streams, account.connections, self.adopted()), (2, 3, [request]))
        one.close()

    def test_noneToLookWith(self) -> None:
        """
        One that nobody can look at, as there is no descriptor for that, is let go of, and was
        no stream.
        """

        def dup(number: int) -> int:
            raise OSError(EMFILE, "too many")

        request = connectRequest(1, LOCKDOWN).encode()
        first, later = self.client(request), self.client()
        (account,) = self.server.accounts._accounts.values()
        self.server.connectWatchers.append(self.server.logConnect)
        with patch.object(os, "dup", dup):
            others = [self.client(request), later]
            later.send(request)
            self.loop.doRead()
        for each in others:
            self.assertEqual(each.recv(1), b"")
        self.assertEqual((account.streams, account.connections), (1, 1))
        first.close()

    def test_machine(self) -> None:
        """
        Over TCP a user is a machine.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            self.addCleanup(client.close)
            ours, _ = listening.accept()
        self.letIn(ours.detach(), socket.AF_INET)
        self.assertEqual(list(self.server.accounts.sizes()), ["127.0.0.1"])
        self.successResultOf(self.server.stop())

    def test_refusedStream(self) -> None:
        """
        One that the phone refuses is none, and its client is counted once.
        """
        self.client(connectRequest(1, LOCKDOWN).encode())
        (account,) = self.server.accounts._accounts.values()
        self.assertEqual(self.counters.connections, 1)
        self.answer(RST)
        self.assertEqual((account.streams, account.connections), (0, 1))
        self.assertEqual(self.counters.connections, 0, "the ordinary client counts itself")

    def test_connections(self) -> None:
        """
        A user's client that is one too many is closed, and counted as one that has come.
        """
        clients = [self.client() for _ in range(8)]
        self.assertEqual((self.counters.connections, self.counters.refusedClients), (1, 1))
        self.assertEqual(clients[7].recv(1), b"")
        self.assertEqual(len(self.server.clients), 7)
        for each in clients:
            each.close()
        self.loop.doRead()
        self.assertEqual(self.server.accounts.sizes(), {})

    def test_silent(self) -> None:
        """
        One that says nothing is known as silent until it speaks.
        """
        client = self.client()
        (account,) = self.server.accounts._accounts.values()
        (silent,) = self.server.clients
        self.assertIs(account.longestSilent(self.clock.seconds()), silent)
        client.send(connectRequest(1, LOCKDOWN).encode())
        self.loop.doRead()
        self.assertIsNone(account.longestSilent(self.clock.seconds()))
        self.assertTrue(silent.hasStream)

    def test_dropSilent(self) -> None:
        """
        One that goes because descriptors are short is told of, and has no account then.
        """
        client = self.client()
        (silent,) = self.server.clients
        assert isinstance(silent, LaneClient)
        silent.dropSilent()
        self.assertEqual((self.counters.droppedSilent, self.server.accounts.sizes()), (1, {}))
        self.assertEqual(client.recv(1), b"")

    def test_notWatched(self) -> None:
        """
        One whose socket cannot be watched is told that it has no stream, as is the phone, and
        is an ordinary one.
        """
        client, ours = socket.socketpair()
        self.addCleanup(client.close)
        number = ours.detach()
        # There is no second watch for a descriptor.
        self.loop.watch(number, READABLE, Bystander())
        client.sendall(connectRequest(1, LOCKDOWN).encode())
        self.letIn(number)
        self.assertEqual([one.flags for one in self.phone.take()], [SYN, RST])
        self.assertEqual(self.result(client)[1], Result.CONNECTION_REFUSED)
        self.assertEqual((self.adopted(), self.counters.refusedConnects), ([b""], 1))

    def test_turn(self) -> None:
        """
        While others have theirs, a request waits for its user's turn, once.
        """
        before = Bystander()
        self.lane.turns.wait(before)
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.assertEqual(self.phone.take(), [])
        (one,) = self.server.clients
        assert isinstance(one, LaneClient)
        self.assertEqual(one.owner, ("newcomers", os.getuid()))
        self.clock.advance(0)
        self.assertEqual((before.turns, [each.flags for each in self.phone.take()]), (1, [SYN]))
        self.clock.advance(0)
        self.assertEqual((self.phone.take(), self.lane.turns.isBusy), ([], False))
        client.close()

    def test_turnOfOneThatHasGone(self) -> None:
        """
        One that is disconnected before its turn has none.
        """
        self.lane.turns.wait(Bystander())
        self.client(connectRequest(1, LOCKDOWN).encode())
        (one,) = self.server.clients
        one.disconnect()
        self.clock.advance(0)
        self.assertEqual((self.phone.take(), self.server.accounts.sizes()), ([], {}))

    def test_described(self) -> None:
        """
        A client's address is said where it means something.
        """
        self.assertEqual(
            fastlane._Described(peer(socket.AF_INET, "192.0.2.1", 7)).getPeer(),
            IPv4Address("TCP", "192.0.2.1", 7),
        )
        self.assertEqual(
            fastlane._Described(peer(socket.AF_INET6, "2001:db8::1", 7, 0, 0)).getPeer(),
            IPv6Address("TCP", "2001:db8::1", 7),
        )
        self.assertEqual(fastlane._Described(peer(socket.AF_UNIX)).getPeer(), UNIXAddress(None))


class Bystander(Watched):
    """
    Anything else that is watched, or waits for its turn.
    """

    owner = "another user"

    def __init__(self) -> None:
        self.turns = 0

    def takeTurn(self) -> None:
        """
        Count.
        """
        self.turns += 1

    def happened(self, events: int) -> None:
        """
        Nothing.
        """

    def failed(self, failure: Failure) -> None:
        """
        Nothing.
        """


def peer(family: int, *address: object) -> Any:
    """
    A socket, as far as its family and its peer's address.
    """
    return SimpleNamespace(family=family, getpeername=lambda: address)


class StopTests(LaneCase):
    """
    The daemon stops.
    """

    def test_silent(self) -> None:
        """
        A client that has said nothing yet is closed.
        """
        client = self.client()
        self.successResultOf(self.server.stop())
        self.assertEqual(client.recv(1), b"")

    def test_connecting(self) -> None:
        """
        A client that waits for a phone, too.
        """
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.successResultOf(self.server.stop())
        self.assertEqual(client.recv(1), b"")

    def test_stream(self) -> None:
        """
        A stream whose phone goes on is cut.
        """
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.answer(SYN_ACK)
        self.result(client)
        self.successResultOf(self.server.stop())
        self.assertEqual(client.recv(1), b"")

    def test_phoneGone(self) -> None:
        """
        The last words of a phone that has gone are still read.
        """
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.answer(SYN_ACK)
        self.result(client)
        said = 0
        (session,) = self.phone.muxer.sessions
        while not session.isHolding():
            packet = self.phone.segment(LOCKDOWN, self.source, 1 + said, 1, ACK, bytes(32768))
            self.phone.deliver(packet)
            said += 32768
        self.phone.muxer.stop()
        stopped = self.server.stop()
        self.assertNoResult(stopped)
        got = 0
        while got < said:
            got += len(client.recv(1 << 20))
            self.loop.doRead()
        self.successResultOf(stopped)


class LaneViewTests(LaneCase):
    """
    Clients on the lane of an address with a view.
    """

    def see(self, seen: View) -> None:
        """
        Let the next clients in with this view.
        """
        self.entrance = Entrance(self.server, self.server.audienceOf(seen, "x"))

    def test_permitted(self) -> None:
        """
        A Connect that the view permits is served on the lane, under the number that the
        phone has there.
        """
        self.registry.deviceDetached(self.device)
        self.registry.deviceAttached(self.device)
        uid = str(os.getuid())
        for each in (View(), only(1), view(ports=str(LOCKDOWN), uid=uid)):
            self.see(each)
            client = self.client(connectRequest(1, LOCKDOWN).encode())
            self.assertEqual(len(self.phone.take()), 1)
            client.close()
            self.loop.doRead()
            self.phone.take()
        self.assertEqual((self.reactor.adopted, self.counters.denials), ([], {}))

    def test_denied(self) -> None:
        """
        One that it denies becomes an ordinary client's, which is told.
        """
        uid = str(os.getuid() + 1)
        for each in (only(2), view(ports="1"), view(commands="list"), view(uid=uid)):
            self.see(each)
            self.client(connectRequest(1, LOCKDOWN).encode())
            self.assertEqual(self.phone.take(), [])
        self.assertEqual(len(self.reactor.adopted), 4)

    def test_changed(self) -> None:
        """
        A stream ends when another view does not permit it, and not before.
        """
        self.see(View())
        client = self.client(connectRequest(1, LOCKDOWN).encode())
        self.answer(SYN_ACK)
        (lane,) = self.server.clients
        devices = self.entrance.audience.devices
        assert isinstance(devices, ViewedDevices)
        for each, ends in ((only(1), False), (view(ports=str(LOCKDOWN)), False), (only(2), True)):
            devices.changeView(each)
            lane.checkAccess()
            self.loop.doRead()
            self.assertEqual(self.server.clients == set(), ends)
        client.close()
