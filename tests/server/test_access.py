"""
Tests of L{muxd.server.access}: what clients of a view are told.
"""

from __future__ import annotations

import os
import plistlib
import socket
from collections.abc import Callable
from errno import ENOENT, EPERM
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.factory import ControlFactory, Entrance
from muxd.server.registry import DeviceRegistry
from muxd.server.view import ALL_COMMANDS, Peers, View
from muxd.server.vieweddevices import ViewedDevices
from muxd.testing import BudgetTransport, FakeDevice, ImmediateRecords, MemoryRecordStore
from muxd.wire.messages import BINARY_VERSION, Message, MessageType, Result, plistMessage
from tests.server.laterecords import LateRecords
from tests.server.serving import Client, connectRequest, observeLog, plist
from tests.server.viewing import ViewTestCase, events, identity, listed, only, udid, view

RECORD = plistlib.dumps({"HostID": "A"})
NOBODY = View(peers=Peers(uids=frozenset((4000000,))))


def connect(client: Client, deviceID: int, port: int = 80) -> int:
    """
    Ask for a stream, and take the Result's number.
    """
    client.send(connectRequest(deviceID, port))
    (answer,) = client.messages()
    return int(plist(answer)["Number"])


class PhonesTests(ViewTestCase):
    """
    What there is for clients.
    """

    def test_list(self) -> None:
        """
        The list has the phones of the view, numbered as if there were no others.
        """
        self.assertEqual(listed(self.viewer(self.entrance(only(2, 3)))), {1: udid(2), 2: udid(3)})
        self.assertEqual(listed(self.client()), {2: udid(1), 3: udid(2), 4: udid(3)})

    def test_events(self) -> None:
        """
        So have events.
        """
        listener = self.listens(self.entrance(only(2)))
        self.assertEqual(events(listener), [("Attached", 1)])
        self.registry.deviceDetached(self.phones[1])
        self.plug(4)
        self.assertEqual(events(listener), [])
        self.registry.deviceDetached(self.phones[2])
        self.registry.deviceAttached(self.phones[2])
        self.assertEqual(events(listener), [("Detached", 1), ("Attached", 2)])

    def test_connect(self) -> None:
        """
        A phone of the view is connected to under its number there; other numbers are of no
        phone.
        """
        entrance = self.entrance(only(2))
        self.assertEqual(connect(self.viewer(entrance), 1), Result.OK)
        self.assertEqual(len(self.phones[2].connections), 1)
        for number in (0, 2, 3, 4):
            self.assertEqual(connect(self.viewer(entrance), number), Result.BAD_DEVICE)
        self.assertEqual([len(self.phones[n].connections) for n in (1, 2, 3)], [0, 1, 0])

    def test_records(self) -> None:
        """
        The record of a phone that is not in the view is answered for as one that is not
        there, and stays.
        """
        for number in (1, 2):
            self.store.save(udid(number), RECORD)
        client = self.viewer(self.entrance(only(2)))
        answer = client.ask(MessageType="ReadPairRecord", PairRecordID=udid(2))
        self.assertEqual(plist(answer), {"PairRecordData": RECORD})
        for name in ("ReadPairRecord", "DeletePairRecord"):
            for number in (1, 9):
                self.assertEqual(client.result(MessageType=name, PairRecordID=udid(number)), ENOENT)
        for number in (1, 9):
            values = {"PairRecordID": udid(number), "PairRecordData": RECORD}
            self.assertEqual(client.result(MessageType="SavePairRecord", **values), EPERM)
        self.assertEqual(self.store.read(udid(1)), RECORD)
        self.assertEqual(client.result(MessageType="DeletePairRecord", PairRecordID=udid(2)), 0)
        self.assertEqual(
            self.counters.denials, {"ReadPairRecord": 2, "DeletePairRecord": 2, "SavePairRecord": 2}
        )

    def test_recordByPlace(self) -> None:
        """
        The record of a device that has not proved itself, and is in the view for its place
        only, may be saved, and not be read.
        """
        device = FakeDevice(self.clock, identity(4, "1-4"))
        self.registry.attach(device, proved=False)
        client = self.viewer(self.entrance(view(only="1-4")))
        values = {"PairRecordID": udid(4), "PairRecordData": RECORD}
        self.assertEqual(client.result(MessageType="SavePairRecord", **values), 0)
        self.assertEqual(client.result(MessageType="ReadPairRecord", PairRecordID=udid(4)), ENOENT)
        self.assertEqual(self.store.read(udid(4)), RECORD)

    def test_allListeners(self) -> None:
        """
        The server knows the listeners of all views, in the order in which they came.
        """
        first, second = self.listens(self.entrance(only(2))), self.listener()
        third = self.listens(self.entrance(only(1)))
        numbers = [one.number for one in self.factory.listeners()]
        self.assertEqual((len(numbers), numbers), (3, sorted(numbers)))
        for each in (first, second, third):
            each.transport.loseConnection()

    def test_audienceStops(self) -> None:
        """
        An audience that has no clients any more hears of no devices, and has none kept for it.
        """
        audience = self.factory.audienceOf(only(2), "x")
        assert isinstance(audience.devices, ViewedDevices)
        listening, hearing = self.registry._listeners, audience.devices._listeners
        self.assertIn(audience.devices, listening)
        self.assertIn(audience.feed, hearing)
        audience.stop()
        self.assertNotIn(audience.devices, listening)
        self.assertNotIn(audience.feed, hearing)

    def test_paired(self) -> None:
        """
        A client that saves a record under a phone's number in one view has that told in all
        that show it.
        """
        entrance = self.entrance(only(2))
        listener, other, all_ = (
            self.listens(entrance),
            self.listens(self.entrance(only(1))),
            self.listener(),
        )
        for each in (listener, other, all_):
            each.messages()
        saved = self.viewer(entrance).result(
            MessageType="SavePairRecord", PairRecordID=udid(2), PairRecordData=RECORD, DeviceID=1
        )
        self.assertEqual(saved, 0)
        self.assertEqual(events(listener), [("Paired", 1)])
        self.assertEqual(events(other), [])
        self.assertEqual(events(all_), [("Paired", 3)])

    def test_listeners(self) -> None:
        """
        The list of listeners has those of the same view.
        """
        mine, others = self.entrance(only(1)), self.entrance(only(2))
        self.listens(mine)
        self.listens(others)
        self.listens(others)
        self.listener()
        for client, count in ((self.viewer(mine), 1), (self.viewer(others), 2), (self.client(), 1)):
            found = plist(client.ask(MessageType="ListListeners"))["ListenerList"]
            self.assertEqual(len(found), count)


class RestrictionTests(ViewTestCase):
    """
    What clients may ask.
    """

    def test_commands(self) -> None:
        """
        A command that a view has not is answered with a number that clients know.
        """
        asked: dict[str, dict[str, Any]] = {
            "ListListeners": {},
            "Listen": {},
            "ReadBUID": {},
            "ReadPairRecord": {"PairRecordID": udid(1)},
            "DeletePairRecord": {"PairRecordID": udid(1)},
            "SavePairRecord": {"PairRecordID": udid(1), "PairRecordData": RECORD},
        }
        expected = {"ReadPairRecord": ENOENT, "DeletePairRecord": ENOENT}
        for name, values in asked.items():
            self.store.save(udid(1), RECORD)
            client = self.viewer(self.entrance(View(commands=ALL_COMMANDS - {name})))
            number = client.result(5, MessageType=name, **values)
            self.assertEqual(number, expected.get(name, Result.BAD_COMMAND), name)
            self.assertEqual(self.counters.denials[name], 1)
            # The connection stays.
            for other in asked.keys() - {name, "Listen"}:
                client.ask(MessageType=other, **asked[other])
        self.assertEqual(self.counters.denials.total(), len(asked))

    def test_noList(self) -> None:
        """
        Without the command ListDevices there are no devices, but those that are announced.
        """
        entrance = self.entrance(View(commands=ALL_COMMANDS - {"ListDevices"}))
        self.assertEqual(listed(self.viewer(entrance)), {})
        self.assertEqual(len(events(self.listens(entrance))), 3)
        self.assertEqual(self.counters.denials, {"ListDevices": 1})

    def test_noConnect(self) -> None:
        """
        Without the command Connect, phones refuse; one that is not there is not there.
        """
        client = self.viewer(self.entrance(View(commands=ALL_COMMANDS - {"Connect"})))
        self.assertEqual(connect(client, 1), Result.CONNECTION_REFUSED)
        self.assertEqual(connect(client, 9), Result.BAD_DEVICE)
        self.assertEqual(self.phones[1].connections, [])

    def test_ports(self) -> None:
        """
        A port that a view has not is one that the phone refuses, in both formats.
        """
        entrance = self.entrance(view(ports="80-90"))
        client = self.viewer(entrance)
        self.assertEqual(connect(client, 1, 79), Result.CONNECTION_REFUSED)
        client.send(
            Message(BINARY_VERSION, MessageType.CONNECT, 3, bytes((1, 0, 0, 0, 0, 91, 0, 0)))
        )
        (answer,) = client.messages()
        self.assertEqual(plist(answer)["Number"], Result.CONNECTION_REFUSED)
        self.assertEqual(connect(client, 1, 80), Result.OK)
        self.assertEqual(self.counters.denials, {"Connect": 2})

    def test_peers(self) -> None:
        """
        For a client that the view is not for there is nothing.
        """
        entrance = self.entrance(NOBODY)
        for message, number in (
            (plistMessage({"MessageType": "ListListeners"}, 1), Result.BAD_COMMAND),
            (plistMessage({"MessageType": "Listen"}, 1), Result.BAD_COMMAND),
            (connectRequest(1, 80), Result.BAD_DEVICE),
            (connectRequest(9, 80), Result.BAD_DEVICE),
            (plistMessage({"MessageType": "ReadBUID"}, 1), EPERM),
            (plistMessage({"MessageType": "ReadPairRecord", "PairRecordID": udid(1)}, 1), ENOENT),
        ):
            client = self.viewer(entrance)
            client.send(message)
            (answer,) = client.messages()
            self.assertEqual(plist(answer)["Number"], number, message)
        client = self.viewer(entrance)
        client.send(Message(BINARY_VERSION, MessageType.LISTEN, 3, b""))
        (answer,) = client.messages()
        self.assertEqual((answer.type, answer.body[:1]), (MessageType.RESULT, b"\1"))
        self.assertEqual(listed(self.viewer(entrance)), {})
        self.assertEqual(self.counters.denials.total(), 8)
        self.assertEqual(self.phones[1].connections, [])

    def test_log(self) -> None:
        """
        Denials are told with the client, a few of them each minute.
        """
        told = observeLog(self)
        client = self.viewer(self.entrance(view(ports="80")))
        for _ in range(50):
            connect(client, 1, 22)
        lines = [formatEvent(event) for event in told if "view" in event]
        self.assertEqual(len(lines), 5)
        self.assertTrue(
            lines[0].startswith(f"Connect to port 22 of {udid(1)} denied to "), lines[0]
        )
        self.assertIn("in view of the test: the view has no such command or port", lines[0])
        self.clock.advance(60)
        self.assertIn(
            "... and 45 more requests denied by views.", [formatEvent(event) for event in told]
        )
        self.assertEqual(self.counters.denials, {"Connect": 50})


class ChangeTests(ViewTestCase):
    """
    Another view comes while clients are connected.
    """

    def change(self, entrance: Entrance, changed: View) -> None:
        """
        Have it come.
        """
        devices = entrance.audience.devices
        assert isinstance(devices, ViewedDevices)
        devices.changeView(changed)
        for client in tuple(self.factory.clients):
            client.checkAccess()
        self.settle()

    def test_streams(self) -> None:
        """
        A stream that is still permitted goes on; one to a phone, or a port, that is not in
        the view any more ends.
        """
        entrance = self.entrance(View())
        stays, goes = self.viewer(entrance), self.viewer(entrance)
        self.assertEqual((connect(stays, 1), connect(goes, 2)), (0, 0))
        self.change(entrance, only(1))
        self.assertEqual((stays.transport.disconnected, goes.transport.disconnected), (False, True))
        self.change(entrance, view(ports="80"))
        self.assertFalse(stays.transport.disconnected)
        self.change(entrance, view(ports="81"))
        self.assertTrue(stays.transport.disconnected)

    def test_connecting(self) -> None:
        """
        So does one that has not begun yet.
        """
        entrance = self.entrance(View())
        client = self.viewer(entrance)
        client.send(connectRequest(1, 4711))
        (attempt,) = self.phones[1].connections
        self.change(entrance, only(2))
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.counters.cancelledConnects, 1)
        self.assertIsNotNone(attempt)

    def test_listeners(self) -> None:
        """
        A listener hears of what has changed, or ends if it may not listen.
        """
        entrance = self.entrance(only(1))
        listener = self.listens(entrance)
        listener.messages()
        self.change(entrance, only(2))
        self.assertEqual(events(listener), [("Detached", 1), ("Attached", 2)])
        self.change(entrance, View(commands=ALL_COMMANDS - {"Listen"}))
        self.assertTrue(listener.transport.disconnected)

    def test_nextUse(self) -> None:
        """
        What is asked on a connection that is there is asked of the new view.
        """
        entrance = self.entrance(View())
        client = self.viewer(entrance)
        self.assertEqual(len(listed(client)), 3)
        self.change(entrance, NOBODY)
        self.assertEqual(listed(client), {})


class LateRecordTests(SynchronousTestCase):
    """
    A view that changes while a record is read.
    """

    def test_changed(self) -> None:
        """
        The record is not told if it may not be read any more.
        """
        store = MemoryRecordStore()
        store.save(udid(1), RECORD)
        clock, records = Clock(), LateRecords(store)
        factory = ControlFactory(clock, DeviceRegistry(), records)
        audience = factory.audienceOf(only(1), "x")
        assert isinstance(audience.devices, ViewedDevices)
        client = Client(BudgetTransport.connect(clock, Entrance(factory, audience)))
        client.send(plistMessage({"MessageType": "ReadPairRecord", "PairRecordID": udid(1)}, 1))
        self.assertEqual(client.messages(), [])
        audience.devices.changeView(only(2))
        records.finish()
        (answer,) = client.messages()
        self.assertEqual(plist(answer)["Number"], ENOENT)


class SocketTests(ViewTestCase):
    """
    Clients on a socket, of which the kernel tells which they are.
    """

    def test_user(self) -> None:
        """
        The client's user decides.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        for uid, expected in ((os.getuid(), None), (os.getuid() + 1, Result.BAD_COMMAND)):
            entrance = self.entrance(View(peers=Peers(uids=frozenset((uid,)))))
            access = entrance.audience.access
            assert access is not None
            connection = _Connected(ours)
            self.assertEqual(access.refusalOf(connection, "ListDevices"), expected)


class _Connected:
    """
    A transport, as far as its socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected


class World:
    """
    A daemon with a view, and a client of each kind, whose every byte is written down.

    @ivar heard: All that they have heard.
    """

    def __init__(self, seen: View) -> None:
        self.clock = Clock()
        self.registry = DeviceRegistry()
        self.store = MemoryRecordStore()
        self.factory = ControlFactory(self.clock, self.registry, ImmediateRecords(self.store))
        self.entrance = Entrance(self.factory, self.factory.audienceOf(seen, "x"))
        self.phones: dict[int, FakeDevice] = {}
        self.heard = b""
        self.listener = self._client()
        self.listener.send(plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 1))

    def _client(self) -> Client:
        return Client(BudgetTransport.connect(self.clock, self.entrance))

    def plug(self, number: int, isProved: bool) -> None:
        """
        A phone comes, or goes.
        """
        phone = self.phones.pop(number, None)
        if phone is None:
            phone = self.phones[number] = FakeDevice(
                self.clock, identity(number % 4, f"1-{number}"), {80: FakeDevice.ACCEPT}
            )
            self.registry.attach(phone, proved=isProved)
        else:
            self.registry.deviceDetached(phone)

    def pair(self, number: int) -> None:
        """
        A phone is paired.
        """
        if number in self.phones:
            attached = self.registry.attach(self.phones[number])
            assert attached is not None
            self.registry.announcePaired(attached)

    def ask(self, message: Message) -> None:
        """
        A client says something.
        """
        client = self._client()
        client.send(message)
        self.heard += b"|" + client.stream() + b"|" + self.listener.stream()


PORTS_SEEN = (1, 2, 6)
"""The ports of the phones that a view by ports shows."""

NUMBERS = st.integers(0, 9)
PLUGS = st.tuples(st.just("plug"), NUMBERS, st.booleans())
PAIRS = st.tuples(st.just("pair"), NUMBERS)
ASKS = st.tuples(
    st.just("ask"),
    st.one_of(
        st.sampled_from(("ListDevices", "ListListeners", "ReadBUID")).map(
            lambda name: plistMessage({"MessageType": name}, 1)
        ),
        st.builds(connectRequest, NUMBERS, st.sampled_from((22, 80))),
    ),
)


class NonInterferenceTests(SynchronousTestCase):
    """
    Clients cannot tell that there are phones outside of their view.
    """

    @given(st.lists(st.one_of(PLUGS, PAIRS, ASKS), max_size=30))
    def test_nothingTells(self, steps: list[Any]) -> None:
        """
        Whatever happens, they hear, to the byte, what they would hear if those phones did
        not exist.
        """
        seen = view(only=",".join(f"1-{port}" for port in PORTS_SEEN))
        whole, part = World(seen), World(seen)
        for name, *arguments in steps:
            for world in (whole, part):
                if world is part and name != "ask" and arguments[0] not in PORTS_SEEN:
                    continue
                cast("Callable[..., None]", getattr(world, name))(*arguments)
        for world in (whole, part):
            world.ask(plistMessage({"MessageType": "ListDevices"}, 1))
        self.assertEqual(whole.heard, part.heard)
