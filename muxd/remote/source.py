# -*- test-case-name: tests.remote.test_source,tests.remote.test_sourcemachine -*-
"""
The phones of another usbmuxd as a source of devices.

One connection listens to its events, as any client does; everything else has a connection of
its own.  The daemon at the other end may be any that speaks the protocol.

A source that has lost its daemon keeps the phones for a grace period, and compares when it
is back: a phone that is still there was never gone, as far as our clients are told, although
its daemon may have another number for it.  What the daemon at the other end says is believed
of its own phones alone, and bounded in number.  Phones that are yet another host's are left
out: two daemons that have each other as a source would pass a phone on forever after it was
pulled out.  One that tells of more changes than there can be is heard as slowly as needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from muxd.client.answers import Attached, Detached, Device, Event, Paired
from muxd.client.client import UsbmuxClient
from muxd.client.errors import UsbmuxError
from muxd.client.feedservice import FeedService
from muxd.identity import udidKey
from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IFirstLook,
    ISourceHealth,
    SourceHealth,
)
from muxd.ratelimit import Pace, RateLimit
from muxd.remote.phone import RemotePhone
from muxd.remote.settings import RemoteSettings

MOST_PHONES = 256
"""Of one daemon: more than a USB controller has addresses."""

AT_ONCE = 2 * MOST_PHONES
"""Changes that are passed on as they come: all phones go, and all come back."""

EACH_SECOND = 8
"""Changes in a second beyond these; nothing is heard of the daemon meanwhile."""

PROBE_INTERVAL = 20.0
"""Seconds between two questions to a daemon of which nothing is heard otherwise."""

PROBE_TIMEOUT = 10.0
"""Seconds that its answer may take.  A network that has swallowed it says nothing."""


@implementer(IDeviceSource, IFirstLook, ISourceHealth)
class RemoteSource(Service):
    """
    A source of another daemon's phones.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        client: UsbmuxClient,
        settings: RemoteSettings,
        retryPolicy: Callable[[int], float] | None = None,
    ) -> None:
        """
        @param client: Of the daemon.
        @param retryPolicy: As of L{FeedService}.
        """
        self.description = description
        self._reactor = reactor
        self._receiver = receiver
        self._client = client
        self._settings = settings
        self._feed = FeedService(client, self._opened, self._eventCame, self._lost, retryPolicy)
        self._far: dict[int, Device] = {}
        self._phones: dict[str, RemotePhone] = {}
        self._isCurrent = False
        self._grace: IDelayedCall | None = None
        self._comparing: Deferred[None] | None = None
        self._probing = LoopingCall(self._probe)
        self._probing.clock = reactor
        self._asked: Deferred[None] = succeed(None)
        self._looked = False
        self._waiting: list[Deferred[None]] = []
        self._limit = RateLimit(reactor, self._summarise, burst=1)
        self._pace = Pace(reactor, AT_ONCE, EACH_SECOND)
        self._late: dict[str, bool] = {}  # By key: whether it has been paired as well.
        self._catchingUp: IDelayedCall | None = None

    @property
    def trouble(self) -> str:
        """
        Why the daemon cannot be listened to at present, or nothing.
        """
        return self._feed.trouble

    @property
    def phones(self) -> list[RemotePhone]:
        """
        The phones that are attached.
        """
        return list(self._phones.values())

    def whenLooked(self) -> Deferred[None]:
        """
        See L{IFirstLook}.
        """
        looked: Deferred[None] = Deferred()
        if self._looked:
            looked.callback(None)
        else:
            self._waiting.append(looked)
        return looked

    def health(self) -> SourceHealth:
        """
        See L{ISourceHealth}.  That another host is away keeps this one from nothing, and is
        no reason to start it again.
        """
        trouble = self.trouble
        told = (f"not told of phones by {self._settings.name}: {trouble}",) if trouble else ()
        return SourceHealth(troubles=told)

    def startService(self) -> None:
        """
        Begin to listen.
        """
        super().startService()
        self._looked = False
        self._feed.startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening, and detach all phones.  Their streams end as their clients close.
        """
        super().stopService()
        if self._catchingUp is not None:
            # A feed that is not read does not hear the other end close.
            self._feed.resume()
        self._forgetLate()
        return self._feed.stopService().addCallback(self._stopped)

    def _stopped(self, _: None) -> None:
        self._lost()
        self._detachAll()
        self._lookedOnce()
        self._limit.stop()

    def _opened(self) -> None:
        """
        The daemon tells what there is.  It has told all of it by when it answers the next
        question.
        """
        self._far.clear()
        self._comparing = Deferred.fromCoroutine(self._compare())
        if not self._probing.running:
            self._probing.start(PROBE_INTERVAL, now=False)

    async def _compare(self) -> None:
        try:
            listed = await self._client.listDevices()
        except UsbmuxError as error:
            self._log.warn(
                "{owner} tells of phones and does not list them, trying again: {error}",
                owner=self._settings.name,
                error=error,
            )
            self._comparing = None
            self._feed.drop()
            return
        except Exception:
            # The feed was lost meanwhile, or something is wrong with us.
            self._comparing = None
            raise
        self._comparing = None
        for device in listed:
            self._know(device)
        self._isCurrent = True
        self._stopGrace()
        for key in dict.fromkeys([*self._phones, *map(_keyOf, self._far.values())]):
            best = self._best(key)
            phone = self._phones.get(key)
            if phone is not None and best is not None:
                phone.renumber(best)
            else:
                self._change(key)
        self._lookedOnce()

    def _lost(self) -> None:
        """
        The daemon is lost.  What was told of it holds for a while.
        """
        self._isCurrent = False
        self._far.clear()
        self._forgetLate()
        if self._comparing is not None:
            comparing, self._comparing = self._comparing, None
            comparing.addErrback(lambda _: None)
            comparing.cancel()
        if self._probing.running:
            self._probing.stop()
            self._asked.cancel()
        if self._phones and self._grace is None and self.running:
            self._grace = self._reactor.callLater(self._settings.grace, self._graceOver)
        self._lookedOnce()

    def _graceOver(self) -> None:
        self._grace = None
        self._log.warn(
            "{owner} has been lost for {grace} s: its {count} phones are gone",
            owner=self._settings.name,
            grace=self._settings.grace,
            count=len(self._phones),
        )
        self._detachAll()

    def _stopGrace(self) -> None:
        grace, self._grace = self._grace, None
        if grace is not None:
            grace.cancel()

    def _detachAll(self) -> None:
        self._stopGrace()
        for key in list(self._phones):
            self._detach(key)

    def _eventCame(self, event: Event) -> None:
        key = udidKey(event.device.udid)
        match event:
            case Attached(device):
                self._know(device)
            case Detached(device):
                self._far.pop(device.deviceID, None)
            case Paired():
                if key in self._phones or key in self._late:
                    self._change(key, isPaired=True)
                return
        if self._isCurrent:
            self._change(key)

    def _change(self, key: str, isPaired: bool = False) -> None:
        """
        Settle a phone, now or when it is its turn.
        """
        if not self.running:
            return
        if not self._late and self._pace.take():
            self._takeTurn(key, isPaired)
            return
        self._late[key] = isPaired or self._late.get(key, False)
        if self._catchingUp is None:
            self._feed.pause()
            self._catchingUp = self._reactor.callLater(1, self._catchUp)
            if self._limit.admit("changes"):
                self._log.warn(
                    "{owner} tells of phones that come and go faster than they can be plugged in;"
                    " {count} changes a second are taken from it now",
                    owner=self._settings.name,
                    count=EACH_SECOND,
                )

    def _catchUp(self) -> None:
        """
        Settle some of those whose turn has not come, and hear of others when there are no more.
        """
        self._catchingUp = None
        while self._late and self._pace.take():
            key = next(iter(self._late))
            self._takeTurn(key, self._late.pop(key))
        if self._late:
            self._catchingUp = self._reactor.callLater(1, self._catchUp)
        else:
            self._feed.resume()

    def _forgetLate(self) -> None:
        """
        Those whose turn has not come do not get one.
        """
        self._late.clear()
        catchingUp, self._catchingUp = self._catchingUp, None
        if catchingUp is not None:
            catchingUp.cancel()

    def _takeTurn(self, key: str, isPaired: bool) -> None:
        """
        Pass on what has become of a phone.  One change is counted already; others that come of
        it count as well.
        """
        before = self._phones.get(key)
        if self._isCurrent:
            self._settle(key)
        phone = self._phones.get(key)
        if before is not None and phone is not None and phone is not before:
            self._pace.spend()
        if phone is not None and isPaired:
            if phone is not before:
                self._pace.spend()
            self._receiver.devicePaired(phone)

    def _know(self, device: Device) -> None:
        """
        The daemon describes a phone.
        """
        if device.host:
            return
        if len(self._far) < MOST_PHONES or device.deviceID in self._far:
            self._far[device.deviceID] = device
        elif self._limit.admit("too many"):
            self._log.warn(
                "{owner} tells of more than {most} phones; not using {udid}",
                owner=self._settings.name,
                most=MOST_PHONES,
                udid=device.udid,
            )

    def _settle(self, key: str) -> None:
        """
        Attach, exchange or detach a phone, as its daemon has it now.
        """
        best = self._best(key)
        phone = self._phones.get(key)
        if phone is not None and best != phone.device:
            self._detach(key)
            phone = None
        if phone is None and best is not None:
            if not self._settings.wants(best.udid):
                return
            phone = RemotePhone(self._client, best, self._settings.name, lambda: self._isCurrent)
            self._phones[key] = phone
            self._receiver.deviceAttached(phone)

    def _best(self, key: str) -> Device | None:
        """
        The best way that the daemon has to a phone: by a cable, and the newest.
        """
        return max(
            (device for device in self._far.values() if _keyOf(device) == key),
            key=lambda device: (device.connectionType == "USB", device.deviceID),
            default=None,
        )

    def _detach(self, key: str) -> None:
        self._receiver.deviceDetached(self._phones.pop(key))

    def _probe(self) -> Deferred[None]:
        """
        Ask something, so that a daemon behind a network that has gone silent is noticed.
        Any answer will do.
        """

        async def ask() -> None:
            try:
                await self._client.listDevices(PROBE_TIMEOUT)
            except UsbmuxError as error:
                self._log.warn(
                    "{owner} does not answer any more: {error}",
                    owner=self._settings.name,
                    error=error,
                )
                self._feed.drop()
            except CancelledError:
                # The feed is lost already.
                pass

        asked = self._asked = Deferred.fromCoroutine(ask())
        return asked

    def _lookedOnce(self) -> None:
        self._looked = True
        waiting, self._waiting = self._waiting, []
        for looked in waiting:
            looked.callback(None)

    def _summarise(self, kind: str, count: int) -> None:
        if kind == "changes":
            return  # It is heard slowly still.
        self._log.warn(
            "{owner} told of {count} more phones than can be used",
            owner=self._settings.name,
            count=count,
        )


def _keyOf(device: Device) -> str:
    return udidKey(device.udid)
