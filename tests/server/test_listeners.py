# -*- test-case-name: tests.server.test_listeners -*-
"""
Tests of L{muxd.server.listeners}: what clients in Listen mode are told.
"""

from __future__ import annotations

import plistlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.logger import LogLevel, formatEvent
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceListener
from muxd.server import descriptions, devicelist, output, replies
from muxd.testing import FakeDevice, fakeIdentity
from muxd.wire import messages as wire
from muxd.wire.messages import Message, MessageReader, MessageType, plistMessage, writePlist
from tests.running.properties import examples
from tests.server.serving import TINY, Client, ServingTestCase, connectRequest, observeLog

LISTEN = plistMessage({"MessageType": "Listen"}, 33)


class ListenTests(ServingTestCase):
    """
    Protocol 4.5, 4.9 and edges 40 to 42, 56 to 60.
    """

    def binaryListener(self) -> Client:
        """
        A binary listener that has seen all that is there.
        """
        client = self.client()
        client.send(Message(0, MessageType.LISTEN, 5))
        client.messages()
        return client

    def test_interface(self) -> None:
        """
        The feed is a listener of the registry's.
        """
        verifyObject(IDeviceListener, self.factory.feed)

    def test_order(self) -> None:
        """
        First the Result, then every phone that is here, then what happens; all
        events have tag 0 (protocol 9, edges 40 and 42).
        """
        self.attach(2)
        client = self.client()
        client.send(LISTEN)
        third = self.attach(3)
        self.registry.deviceDetached(third)
        received = client.messages()
        self.assertEqual([message.tag for message in received], [33, 0, 0, 0, 0])
        values = [plistlib.loads(message.body) for message in received]
        self.assertEqual(
            [(one["MessageType"], one.get("DeviceID")) for one in values],
            [("Result", None), ("Attached", 1), ("Attached", 2), ("Attached", 3), ("Detached", 3)],
        )
        self.assertEqual(values[4], {"MessageType": "Detached", "DeviceID": 3})

    def test_binary(self) -> None:
        """
        A binary listener gets binary events (protocol 9, edge 41).
        """
        client = self.client()
        client.send(Message(0, MessageType.LISTEN, 5))
        self.registry.deviceDetached(self.phone)
        received = client.messages()
        self.assertEqual(
            [(message.version, message.type, message.tag) for message in received],
            [(0, 1, 5), (0, 4, 0), (0, 5, 0)],
        )
        self.assertEqual([len(message.body) for message in received], [4, 268, 4])

    def test_hiddenDevices(self) -> None:
        """
        A hidden phone is neither told nor listed until it is shown; if it never
        is, its end is not told either (protocol 9, edge 59).
        """
        client = self.listener()
        shown, never = (FakeDevice(self.clock, fakeIdentity(number)) for number in (2, 3))
        self.registry.attach(shown, visible=False)
        self.registry.attach(never, visible=False)
        self.assertEqual(client.messages(), [])
        self.registry.show(shown)
        self.registry.deviceDetached(never)
        self.registry.deviceDetached(shown)
        self.assertEqual(
            [(one["MessageType"], one["DeviceID"]) for one in client.plists()],
            [("Attached", 2), ("Detached", 2)],
        )

    def test_paired(self) -> None:
        """
        Listeners that speak in property lists and have a library hear of a
        pairing, before the Result of the request that was its cause; binary and
        other old listeners and other clients do not (protocol 9, edges 56 and 57).
        """
        modern, old, other = self.listener(), self.binaryListener(), self.client()
        older = self.listener(library=0)
        udid = self.phone.identity.udid
        data = plistlib.dumps({"HostID": "x"})
        number = other.result(
            MessageType="SavePairRecord", PairRecordID=udid, PairRecordData=data, DeviceID=1
        )
        self.assertEqual(number, 0)
        (event,) = modern.messages()
        self.assertEqual((event.tag, event.version), (0, 1))
        self.assertEqual(plistlib.loads(event.body), {"MessageType": "Paired", "DeviceID": 1})
        self.assertEqual(old.messages() + older.messages(), [])

    def test_neverReads(self) -> None:
        """
        A listener that never reads is disconnected when too much is waiting for
        it; others do not notice (protocol 9, edge 60).
        """
        deaf, good = self.client(budget=0), self.listener()
        deaf.transport.bufferSize = 100
        deaf.send(LISTEN)
        for number in range(2, 12):
            self.attach(number)
        self.settle()
        self.assertTrue(deaf.transport.aborted and deaf.transport.disconnected)
        self.assertEqual(self.counters.droppedClients, 1)
        self.assertEqual(len(good.messages()), 10)
        self.assertEqual(self.factory.clients, {good.protocol})

    def test_droppedAtOnce(self) -> None:
        """
        If the phones that are here are too many already, the listener is
        dropped before it is one.
        """
        for number in range(2, 12):
            self.attach(number)
        deaf = self.client(budget=0)
        deaf.transport.bufferSize = 100
        deaf.send(LISTEN)
        self.settle()
        self.assertTrue(deaf.transport.disconnected)
        self.assertEqual(self.counters.droppedClients, 1)

    def test_listensLater(self) -> None:
        """
        A client that has not taken its last reply becomes a listener when it has.
        """
        late = self.client(budget=0)
        late.transport.bufferSize = 1
        late.protocol._output.write(b"xx")
        late.send(LISTEN)
        self.attach(2)
        self.assertEqual(list(self.factory.feed._listeners), [])
        late.transport.allow()
        self.assertEqual(late.stream()[:2], b"xx")
        self.settle()
        self.assertEqual(list(self.factory.feed._listeners), [late.protocol])

    def test_listOfListeners(self) -> None:
        """
        The list of listeners says the same of each, with all others, after some have come or
        gone, as a list that is written at once.
        """
        listeners = []
        for name in ("a", "<&>", "\u4e2d", ""):
            client = self.client()
            client.send(plistMessage({"MessageType": "Listen", "ProgName": name}, 1))
            listeners.append(client)
            self.assertWholeList(listeners)
        listeners.pop(1).transport.lose()
        self.assertWholeList(listeners)
        while listeners:
            listeners.pop().transport.lose()
            self.assertWholeList(listeners)

    def assertWholeList(self, listeners: list[Client]) -> None:
        """
        These are listed.
        """
        protocols = [one.protocol for one in listeners]
        values = [one.details.listenerValues(one.number) for one in protocols]
        body = self.factory.feed.listenerListBody()
        self.assertEqual(plistlib.loads(body), {"ListenerList": values})
        if values:
            self.assertEqual(body, writePlist({"ListenerList": values}))

    def test_slowListener(self) -> None:
        """
        A listener that is merely slow loses nothing.
        """
        slow = self.client(budget=0)
        slow.transport.bufferSize = 100
        slow.send(LISTEN)
        self.attach(2)
        reader = MessageReader(65536)
        received: list[Message] = []
        while slow.transport.pending:
            reader.feed(slow.transport.take(7))
            received.extend(reader)
        self.assertEqual(len(received), 3)

    def test_encodedOncePerFormat(self) -> None:
        """
        However many listeners there are, an event is encoded once for each
        format.
        """
        made: list[int] = []

        def writePlist(values: dict[str, object]) -> bytes:
            made.append(1)
            return wire.writePlist(values)

        def listEntry(values: dict[str, object]) -> bytes:
            made.append(1)
            return replies.listEntry(values)

        listeners = [self.listener() for _ in range(50)]
        binary = [self.binaryListener() for _ in range(50)]
        self.patch(descriptions, "writePlist", writePlist)
        self.patch(descriptions, "listEntry", listEntry)
        device = self.attach(2)
        self.registry.deviceDetached(device)
        self.assertEqual(len(made), 2)
        for client in listeners + binary:
            self.assertEqual(len(client.messages()), 2)

    def test_lastInLastOut(self) -> None:
        """
        A listener that goes while others are being told harms nobody.
        """
        first, second = self.listener(), self.listener()

        def sendEvent(event: bytes) -> None:
            second.transport.lose()

        self.patch(first.protocol, "sendEvent", sendEvent)
        self.attach(2)
        self.attach(3)
        self.assertEqual(self.factory.clients, {first.protocol})

    def test_failingListener(self) -> None:
        """
        A listener that cannot be told is logged, and harms no other.
        """
        first, second = self.listener(), self.listener()

        def sendEvent(event: bytes) -> None:
            raise RuntimeError("a bad transport")

        self.patch(first.protocol, "sendEvent", sendEvent)
        self.attach(2)
        self.assertEqual(len(second.messages()), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_eventTwice(self) -> None:
        """
        What the feed knows already it does not tell again.
        """
        client = self.listener()
        (attached,) = self.registry.attached()
        self.factory.feed.deviceAttached(attached)
        self.factory.feed.deviceDetached(attached)
        self.factory.feed.deviceDetached(attached)
        self.assertEqual([one["MessageType"] for one in client.plists()], ["Detached"])

    def test_stop(self) -> None:
        """
        A feed that was stopped hears no more of devices.
        """
        client = self.listener()
        self.factory.feed.stop()
        self.attach(2)
        self.assertEqual(client.messages(), [])

    def test_connectedClientsHearNothing(self) -> None:
        """
        Events go to listeners only.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        self.phone.connections[0].accept()
        client.messages()
        self.attach(2)
        self.assertEqual(client.stream(), b"")


class GreetingTests(ServingTestCase):
    """
    What is here when a client begins to listen, of which there is more than may wait for it.
    """

    def setUp(self) -> None:
        """
        Have two phones in a block.
        """
        super().setUp()
        self.patch(devicelist, "BLOCK", 2)
        self.patch(output, "SLICE", 100)
        self.devices = [self.attach(number) for number in range(2, 13)]

    def slow(self) -> Client:
        """
        A listener that takes a little at a time.
        """
        client = self.client(budget=0)
        client.transport.bufferSize = 100
        client.send(plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 33))
        return client

    def told(self, client: Client, step: int = 1500) -> list[tuple[str, int]]:
        """
        What a client is told from now on, as it takes it.
        """
        reader = MessageReader(65536)
        found: list[tuple[str, int]] = []
        while client.transport.pending and not client.transport.disconnected:
            self.assertLess(client.protocol._output.size, TINY.clientQueue)
            reader.feed(client.transport.take(step))
            for message in reader:
                values = plistlib.loads(message.body)
                found.append((values["MessageType"], values.get("DeviceID", 0)))
        return found

    def test_reads(self) -> None:
        """
        One that reads, however slowly, is told of all and not disconnected.
        """
        slow = self.slow()
        self.assertFalse(slow.protocol.hasTaken)
        self.assertEqual(
            self.told(slow), [("Result", 0), *(("Attached", number) for number in range(1, 13))]
        )
        self.assertTrue(slow.protocol.hasTaken)
        self.clock.advance(2 * TINY.greetingTimeout)
        self.assertFalse(slow.transport.disconnected)

    def test_sharesMemory(self) -> None:
        """
        What waits for many is there once.
        """
        slow = [self.slow() for _ in range(5)]
        for each in slow:
            each.transport.take(1000)
        (size,) = {each.protocol._output.size for each in slow}
        self.assertGreater(size, 0)
        waiting = {id(part) for each in slow for part in each.protocol._output._waiting}
        self.assertEqual(len(waiting), 1)

    def test_changesMeanwhile(self) -> None:
        """
        Of what happens meanwhile it hears where it has been told of the device.
        """
        slow = self.slow()
        (first, last) = self.devices[0], self.devices[-1]
        self.registry.deviceDetached(first)
        self.registry.deviceDetached(last)
        self.attach(13)
        self.registry.devicePaired(self.devices[-2])
        heard = self.told(slow)
        self.assertEqual(
            heard[:4], [("Result", 0), ("Attached", 1), ("Attached", 2), ("Detached", 2)]
        )
        rest = [*range(3, 12), 13]
        self.assertEqual(heard[4:], [("Attached", number) for number in rest])
        self.attach(14)
        self.registry.devicePaired(self.devices[-2])
        self.assertEqual(self.told(slow), [("Attached", 14), ("Paired", 11)])

    def test_order(self) -> None:
        """
        What has happened, and what it has not been told yet as others have their turns, comes
        before what is here by now.
        """
        slow = self.slow()
        feed = self.factory.feed
        self.patch(feed._teller, "takeTurn", lambda: None)
        self.registry.deviceDetached(self.phone)
        self.registry.deviceAttached(self.phone)
        heard = self.told(slow)
        self.assertLess(heard.index(("Detached", 1)), heard.index(("Attached", 13)))
        self.assertEqual(len(heard), len(set(heard)))
        feed._teller.finish()
        self.assertEqual(self.told(slow), [])

    @settings(deadline=None, max_examples=examples(20))
    @given(some.lists(some.integers(0, 9), max_size=15), some.sampled_from([300, 1500, 9000]))
    def test_sum(self, steps: list[int], step: int) -> None:
        """
        Whatever happens and is taken when, the sum of what it is told is what is here.
        """
        slow = self.slow()
        reader = MessageReader(65536)
        here: set[int] = set()
        self.added = getattr(self, "added", 20)

        def take(count: int | None) -> None:
            reader.feed(slow.transport.take(count))
            for message in reader:
                values = plistlib.loads(message.body)
                number = values.get("DeviceID")
                if values["MessageType"] == "Attached":
                    self.assertNotIn(number, here)
                    here.add(number)
                elif number is not None:
                    here.remove(number)

        for each in steps:
            attached = self.registry.attached()
            if each < 3 and attached:
                self.registry.deviceDetached(attached[each % len(attached)].device)
            elif each < 6:
                self.added += 1
                self.attach(self.added)
            else:
                take(step)
        take(None)
        self.assertEqual(here, {each.deviceID for each in self.registry.attached()})
        slow.transport.lose()

    def test_deaf(self) -> None:
        """
        One that takes nothing more is disconnected after a while, and not before.
        """
        logged = observeLog(self)
        slow = self.slow()
        slow.transport.take(1000)
        for _ in range(3):
            self.clock.advance(TINY.greetingTimeout - 1)
            slow.transport.take(1500)
        self.assertFalse(slow.transport.disconnected)
        self.clock.advance(TINY.greetingTimeout)
        self.settle()
        self.assertTrue(slow.transport.aborted and slow.transport.disconnected)
        self.assertEqual(self.counters.droppedClients, 1)
        self.assertEqual(self.factory.clients, set())
        (line,) = [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]
        self.assertIn(
            f"has taken nothing of what phones there are for {TINY.greetingTimeout}", line
        )

    def test_goes(self) -> None:
        """
        One that goes before it has been told of all leaves nothing.
        """
        self.slow().transport.lose()
        self.assertEqual(self.factory.feed._greeted, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finishedSending(self) -> None:
        """
        One that sends nothing more is told of all, and closed then.
        """
        slow = self.slow()
        slow.transport.finish()
        self.assertEqual(len(self.told(slow)), 13)
        self.settle()
        self.assertTrue(slow.transport.disconnecting)


class ListTests(ServingTestCase):
    """
    C{ListDevices} and C{ListListeners}.
    """

    def test_devices(self) -> None:
        """
        The list has the same dictionaries as the events, and no MessageType of
        its own.
        """
        watcher = self.client()
        watcher.send(LISTEN)
        events = watcher.plists()[1:]
        client = self.client()
        answer = plistlib.loads(client.ask(MessageType="ListDevices").body)
        self.assertEqual(answer, {"DeviceList": events})

    def test_devicesChange(self) -> None:
        """
        The list is always that of now.
        """
        client = self.client()
        for expected in ([1], [1, 2], [2], []):
            answer = plistlib.loads(client.ask(MessageType="ListDevices").body)
            self.assertEqual([one["DeviceID"] for one in answer["DeviceList"]], expected)
            if expected == [1]:
                second = self.attach(2)
            elif expected == [1, 2]:
                self.registry.deviceDetached(self.phone)
            elif expected == [2]:
                self.registry.deviceDetached(second)

    def test_networkLast(self) -> None:
        """
        Phones on the network come behind those on cables, in lists and for new listeners:
        some programs take the first entry of a UDID.
        """
        wireless = replace(
            fakeIdentity(1), connectionType="Network", networkAddress=b"\x10\x02".ljust(128)
        )
        self.registry.deviceDetached(self.phone)
        self.registry.deviceAttached(FakeDevice(self.clock, wireless))
        self.registry.deviceAttached(FakeDevice(self.clock, fakeIdentity(1)))
        client = self.client()
        answer = plistlib.loads(client.ask(MessageType="ListDevices").body)
        kinds = [one["Properties"]["ConnectionType"] for one in answer["DeviceList"]]
        self.assertEqual(kinds, ["USB", "Network"])
        client.send(LISTEN)
        kinds = [one["Properties"]["ConnectionType"] for one in client.plists()[-2:]]
        self.assertEqual(kinds, ["USB", "Network"])

    def test_listeners(self) -> None:
        """
        The list has one entry for each listener, under its own number and with
        the latest that it has said (protocol 9, edge 55).
        """
        asking, first, second = self.client(), self.client(), self.client()
        second.ask(MessageType="ReadBUID", ProgName="Xcode", BundleID="com.apple.dt")
        for client in (second, first):
            client.send(plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 1))
        answer = plistlib.loads(asking.ask(MessageType="ListListeners", ProgName="asker").body)
        entries = answer["ListenerList"]
        self.assertEqual([one["ID String"] for one in entries], ["3-Xcode", "2-unknown"])
        self.assertEqual(entries[0]["BundleID"], "com.apple.dt")
        self.assertEqual([one["kLibUSBMuxVersion"] for one in entries], [3, 3])
        first.transport.lose()
        answer = plistlib.loads(asking.ask(MessageType="ListListeners").body)
        self.assertEqual(len(answer["ListenerList"]), 1)
