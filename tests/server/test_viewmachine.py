# -*- test-case-name: tests.server.test_viewmachine -*-
"""
Any order of phones that come and go, of clients, and of other views: no client ever sees or
reaches what its view forbids, what it has been told is what is listed, and a stream ends when
it is not permitted any more, and not before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.limits import LIMITS
from muxd.server.factory import ControlFactory
from muxd.server.places import ListeningAddress, ListeningPlaces
from muxd.server.registry import DeviceRegistry
from muxd.server.view import EVERYTHING, View
from muxd.server.viewgrammar import NamedView
from muxd.testing import (
    BudgetTransport,
    FakeAddress,
    FakeDevice,
    ImmediateRecords,
    MemoryRecordStore,
)
from muxd.wire.messages import Result, plistMessage
from tests.running.properties import examples
from tests.running.unit import takesSeconds
from tests.server.serving import Client, connectRequest, plist
from tests.server.test_access import RECORD
from tests.server.viewing import identity, listed, udid, view

PORTS = (80, 81)
PHONES = range(1, 5)
VIEWS = (
    View(),
    view(only=udid(1)),
    view(only=f"{udid(2)},1-3", ports="80"),
    view(only="1-1,1-2"),
    view(deny=udid(1), commands="list,listen,connect"),
    view(deny="1-4", ports="81", commands="list,listen,connect,read-record"),
    view(only="network"),
)
NAMED = st.one_of(
    st.none(),
    st.sampled_from(VIEWS).map(lambda each: NamedView(each, "of the place", True)),
    st.just(NamedView(View(), "shared")),
)


@implementer(IListeningPort)
class Port:
    """
    A port that is open.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        factory.doStart()

    def startListening(self) -> None:
        """
        It does.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Let nobody in any more.
        """
        self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """
        Nowhere in particular.
        """
        return FakeAddress()


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    A place where clients connect.

    @ivar port: Open, if it is.
    """

    port: Port | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Let clients in.
        """
        self.port = Port(protocolFactory)
        return succeed(self.port)


@dataclass(eq=False)
class Listening:
    """
    A client that is told of devices.

    @ivar here: What it has been told is there, by number.
    @ivar numbers: All that it has ever been told.
    """

    client: Client
    place: int
    here: dict[int, str] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Stream:
    """
    A client with a stream to a phone.
    """

    client: Client
    place: int
    phone: int
    port: int


class ViewMachine(RuleBasedStateMachine):
    """
    A server with up to three places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.registry = DeviceRegistry()
        self.store = MemoryRecordStore()
        for number in PHONES:
            self.store.save(udid(number), RECORD)
        self.factory = ControlFactory(self.clock, self.registry, ImmediateRecords(self.store))
        self.base = len(self.registry._listeners)
        self.places = ListeningPlaces(self.clock, self.factory, LIMITS)
        self.places.open(None)
        self.endpoints = [Endpoint() for _ in range(3)]
        self.views: dict[int, NamedView | None] = {}
        self.phones: dict[int, FakeDevice] = {}
        self.listening: list[Listening] = []
        self.streams: list[Stream] = []
        for number in PHONES:
            self.plugOrPull(number)

    # What the model knows

    def viewOf(self, place: int) -> View:
        """
        What there is at a place.
        """
        named = self.views[place]
        return EVERYTHING if named is None else named.view

    def shown(self, place: int) -> set[str]:
        """
        The phones that its clients should see.
        """
        seen = self.viewOf(place)
        return {phone.identity.udid for phone in self.phones.values() if seen.shows(phone.identity)}

    def isPermitted(self, place: int, number: int, port: int) -> bool:
        """
        Whether there may be such a stream.
        """
        if place not in self.views or number not in self.phones:
            return False
        seen = self.viewOf(place)
        isShown = seen.shows(self.phones[number].identity)
        return isShown and seen.permitsPort(port) and seen.permitsCommand("Connect")

    def come(self, place: int) -> Client:
        """
        A client comes.
        """
        port = self.endpoints[place].port
        assert port is not None
        return Client(BudgetTransport.connect(self.clock, port.factory))

    def settle(self) -> None:
        """
        Let happen what waits for the next turn.
        """
        for _ in range(5):
            self.clock.advance(0)

    # What happens

    @rule(number=st.sampled_from(PHONES))
    def plugOrPull(self, number: int) -> None:
        """
        A phone comes, or goes.
        """
        phone = self.phones.get(number)
        if phone is None:
            phone = self.phones[number] = FakeDevice(
                self.clock, identity(number, f"1-{number}"), dict.fromkeys(PORTS, FakeDevice.ACCEPT)
            )
            self.registry.deviceAttached(phone)
            return
        for stream in list(self.streams):
            if stream.phone == number:
                self.streams.remove(stream)
                stream.client.transport.lose()
        del self.phones[number]
        self.registry.deviceDetached(phone)

    @rule(
        views=st.lists(st.tuples(st.booleans(), NAMED), min_size=3, max_size=3),
        shared=st.sampled_from(VIEWS),
    )
    def reload(self, views: list[tuple[bool, NamedView | None]], shared: View) -> None:
        """
        Other places and other views are there.
        """
        self.change(
            {
                place: NamedView(shared, "shared") if named and not named.isOfPlace else named
                for place, (isThere, named) in enumerate(views)
                if isThere
            }
        )

    @precondition(lambda self: self.streams or self.listening)
    @rule(data=st.data(), seen=st.sampled_from(VIEWS))
    def changeView(self, data: st.DataObject, seen: View) -> None:
        """
        One of the places that have clients has another view, and nothing else changes.
        """
        places = {one.place for one in self.streams} | {one.place for one in self.listening}
        place = data.draw(st.sampled_from(sorted(places)))
        named = self.views[place]
        if named is None or named.isOfPlace:
            self.change({**self.views, place: NamedView(seen, "of the place", True)})
            return
        shared = NamedView(seen, "shared")
        self.change(
            {
                each: shared if view is not None and not view.isOfPlace else view
                for each, view in self.views.items()
            }
        )

    def change(self, views: dict[int, NamedView | None]) -> None:
        """
        Have the places that there are, and what they show, be these.
        """
        before, self.views = self.views, views
        self.places.change(
            [ListeningAddress(self.endpoints[place], named) for place, named in self.views.items()]
        )
        self.settle()
        for listening in list(self.listening):
            place = listening.place
            goesOn = (
                place in self.views
                and self.keeps(before[place], self.views[place])
                and self.viewOf(place).permitsCommand("Listen")
            )
            assert listening.client.transport.disconnected is not goesOn
            if not goesOn:
                self.listening.remove(listening)
        for stream in list(self.streams):
            goesOn = self.isPermitted(stream.place, stream.phone, stream.port)
            assert stream.client.transport.disconnected is not goesOn, stream
            if not goesOn:
                self.streams.remove(stream)

    def keeps(self, before: NamedView | None, after: NamedView | None) -> bool:
        """
        Whether phones keep their numbers at a place with another view.
        """
        if before is None or after is None:
            return before is after
        return before.isOfPlace == after.isOfPlace

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def listen(self, data: st.DataObject) -> None:
        """
        A client wants to be told of devices.
        """
        place = data.draw(st.sampled_from(sorted(self.views)))
        listening = Listening(self.come(place), place)
        listening.client.send(plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 1))
        self.listening.append(listening)

    @precondition(lambda self: self.views)
    @rule(data=st.data(), port=st.sampled_from(PORTS), isThere=st.booleans())
    def connect(self, data: st.DataObject, port: int, isThere: bool) -> None:
        """
        A client asks for a stream, to a number that is there or to any.
        """
        place = data.draw(st.sampled_from(sorted(self.views)))
        names = listed(self.come(place))
        numbers = sorted(names) if isThere and names else range(7)
        deviceID = data.draw(st.sampled_from(numbers))
        client = self.come(place)
        client.send(connectRequest(deviceID, port))
        (answer,) = client.messages()
        number = next((n for n in PHONES if udid(n) == names.get(deviceID)), 0)
        if not number:
            expected = Result.BAD_DEVICE
        elif self.isPermitted(place, number, port):
            expected = Result.OK
            self.streams.append(Stream(client, place, number, port))
        else:
            expected = Result.CONNECTION_REFUSED
        assert plist(answer)["Number"] == expected

    @precondition(lambda self: self.views)
    @rule(data=st.data(), number=st.sampled_from(PHONES))
    def readRecord(self, data: st.DataObject, number: int) -> None:
        """
        A client asks for a pair record.
        """
        place = data.draw(st.sampled_from(sorted(self.views)))
        seen = self.viewOf(place)
        answer = plist(
            self.come(place).ask(MessageType="ReadPairRecord", PairRecordID=udid(number))
        )
        isShown = udid(number) in self.shown(place)
        if "PairRecordData" in answer:
            assert seen.permitsCommand("ReadPairRecord")
            assert isShown or (number not in self.phones and seen.names(udid(number)))
        else:
            assert answer["Number"] == 2
            assert not isShown or not seen.permitsCommand("ReadPairRecord")

    # What holds

    @invariant()
    def listsAreRight(self) -> None:
        """
        The list at each place has what the view shows.
        """
        for place in self.views:
            assert set(listed(self.come(place)).values()) == self.shown(place)

    @invariant()
    def eventsAreRight(self) -> None:
        """
        What a listener has been told is what is listed, and no number was used twice.
        """
        for listening in self.listening:
            for event in listening.client.plists():
                number = event.get("DeviceID", 0)
                if event["MessageType"] == "Attached":
                    assert number not in listening.numbers
                    listening.numbers.add(number)
                    listening.here[number] = event["Properties"]["UDID"]
                elif event["MessageType"] == "Detached":
                    del listening.here[number]
            assert listening.here == listed(self.come(listening.place))

    @invariant()
    def nothingIsLeft(self) -> None:
        """
        What was for views that are gone is gone.
        """
        audiences = {
            ("at", place) if named.isOfPlace else named.name
            for place, named in self.views.items()
            if named is not None
        }
        # Each has devices, which listen to the registry.
        assert len(self.registry._listeners) == self.base + len(audiences)

    def teardown(self) -> None:
        """
        The end.
        """
        self.places.change([])
        self.settle()
        assert all(one.client.transport.disconnected for one in self.listening)
        assert all(one.client.transport.disconnected for one in self.streams)


@takesSeconds
class ViewMachineTests(SynchronousTestCase):
    """
    Runs of the machine.
    """

    def test_machine(self) -> None:
        """
        Nothing forbidden is seen, and nothing permitted ends.
        """
        run_state_machine_as_test(
            ViewMachine,
            settings=settings(deadline=None, max_examples=examples(60), stateful_step_count=25),
        )
