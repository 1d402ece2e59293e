# -*- test-case-name: tests.fleet.test_source -*-
"""
The phones of a fleet as a source of devices: what the clients of a hub's socket see.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from muxd.fleet.hub import Hub
from muxd.fleet.interfaces import IFleetWatcher
from muxd.fleet.phone import FleetPhone
from muxd.fleet.values import Change, PhoneCame, PhoneGone, PhoneRecord, Snapshot
from muxd.fleet.ways import Ways
from muxd.interfaces import IDeviceReceiver, IDeviceSource


@implementer(IDeviceSource, IFleetWatcher)
class FleetSource(Service):
    """
    Attaches every phone of a fleet.
    """

    description = "fleet"

    def __init__(self, reactor: Any, receiver: IDeviceReceiver, hub: Hub, ways: Ways) -> None:
        """
        @param ways: To hosts' doors.
        """
        self._reactor = reactor
        self._receiver = receiver
        self._hub = hub
        self._ways = ways
        self._phones: dict[str, FleetPhone] = {}

    def startService(self) -> None:
        """
        Attach what there is.
        """
        super().startService()
        self._hub.registry.watch(self)

    def stopService(self) -> Deferred[None]:
        """
        Detach everything.
        """
        super().stopService()
        self._hub.registry.unwatch(self)
        for key in list(self._phones):
            self._detach(key)
        return succeed(None)

    # IFleetWatcher

    def began(self, snapshot: Snapshot) -> None:
        """
        See L{IFleetWatcher}.
        """
        there = {phone.key: phone for phone in snapshot.phones}
        for key in self._phones.keys() - there.keys():
            self._detach(key)
        for phone in there.values():
            self._attach(phone)

    def changed(self, change: Change) -> None:
        """
        See L{IFleetWatcher}.
        """
        match change.what:
            case PhoneCame(phone):
                self._attach(phone)
            case PhoneGone(phone):
                self._detach(phone.key)

    def stale(self, why: str) -> None:
        """
        See L{IFleetWatcher}: what is known is served on.
        """

    def fresh(self) -> None:
        """
        See L{IFleetWatcher}.
        """

    def _attach(self, record: PhoneRecord) -> None:
        known = self._phones.get(record.key)
        if known is not None:
            if known.record.host == record.host:
                return
            self._detach(record.key)
        way = _WayToHost(self._hub, self._ways, record.host)
        phone = FleetPhone(self._reactor, way, record, self._hub.keyOf(record.host))
        self._phones[record.key] = phone
        self._receiver.deviceAttached(phone)

    def _detach(self, key: str) -> None:
        phone = self._phones.pop(key, None)
        if phone is not None:
            self._receiver.deviceDetached(phone)


@implementer(IStreamClientEndpoint)
class _WayToHost:
    """
    The way to a host's door, wherever it is at the time.
    """

    def __init__(self, hub: Hub, ways: Ways, host: str) -> None:
        self._hub = hub
        self._ways = ways
        self._host = host

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.
        """
        door = self._hub.doors.get(self._host)
        if door is None:
            return fail(ConnectError(string=f"host {self._host} is gone"))
        try:
            return self._ways.to(door).connect(protocolFactory)
        except ValueError as error:
            return fail(ConnectError(string=str(error)))
