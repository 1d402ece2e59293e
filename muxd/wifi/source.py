# -*- test-case-name: tests.wifi.test_source -*-
"""
Phones on the networks of this machine as a source of devices.

Of all that is announced, phones whose pair record is here are tried, those that the
announcement speaks for; which one it is, a session decides.  There is no pairing by the
network: records come from a cable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IPairRecords,
    IRecordReader,
    ISourceHealth,
    SourceHealth,
)
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord
from muxd.wifi.adverts import Advert, AdvertObserver, candidates, tagKey
from muxd.wifi.phone import PhoneState, WifiPhone
from muxd.wifi.session import PhoneReach
from muxd.wifi.settings import WifiSettings

AGAIN = 15.0
"""Seconds between two attempts to reach phones that are announced and not listed."""

BURST = 0.1
"""Seconds in which one announcement follows another when a phone comes."""

PAUSE = 1.0
"""Seconds between two looks because of announcements: all of them are compared in each."""

MOST_RECORDS = 4096
"""Records that are looked at: far more phones than any host has paired with."""

STATIC = "named by the operator"
"""The instance of a phone that was not looked for."""


class Browser:
    """
    What looks for announcements, in the form in which L{WifiSource} uses it; this one, for a
    phone whose host is known, does not.
    """

    def start(self) -> Deferred[None]:
        """
        Begin.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        End.
        """
        return succeed(None)


@implementer(IDeviceSource, IRecordReader, ISourceHealth)
class WifiSource(Service):
    """
    A source of phones on a network.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        settings: WifiSettings,
        endpoint: Callable[[str, int], IStreamClientEndpoint],
        makeBrowser: Callable[[AdvertObserver], Any],
    ) -> None:
        """
        @param endpoint: Makes the endpoint of an address and a port.
        @param makeBrowser: Makes what looks for announcements and tells this source; called at
            each start.
        """
        self.description = description
        self._reactor = reactor
        self._receiver = receiver
        self._settings = settings
        self._endpoint = endpoint
        self._makeBrowser = makeBrowser
        self._browser: Any = Browser()
        self._records: IPairRecords | None = None
        self._adverts: dict[str, Advert] = {}
        self._phones: dict[str, WifiPhone] = {}
        self._again = LoopingCall(self._look)
        self._again.clock = reactor
        self._soon: IDelayedCall | None = None
        self._looking: Deferred[None] | None = None
        self._isMissed = False
        self._looked = -math.inf
        self._told: set[str] = set()
        self._blind: tuple[str, ...] = ()

    @property
    def phones(self) -> list[WifiPhone]:
        """
        The phones that are listed or tried.
        """
        return list(self._phones.values())

    def useRecords(self, records: IPairRecords) -> None:
        """
        See L{IRecordReader}.
        """
        self._records = records

    def health(self) -> SourceHealth:
        """
        See L{ISourceHealth}.
        """
        return SourceHealth(troubles=self._blind)

    def startService(self) -> None:
        """
        Begin to look.
        """
        super().startService()
        self._blind = ()
        if self._settings.host:
            self._adverts[STATIC] = Advert(instance=STATIC, addresses=(self._settings.host,))
        self._browser = self._makeBrowser(self)
        self._browser.start().addErrback(self._notBrowsing)
        self._again.start(AGAIN, now=bool(self._adverts))

    def stopService(self) -> Deferred[None]:
        """
        Look no more, and let go of all phones.
        """
        super().stopService()
        if self._again.running:
            self._again.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        looking = self._looking
        if looking is not None:
            looking.cancel()
        self._adverts.clear()
        phones, self._phones = self._phones, {}
        for phone in phones.values():
            phone.stop()
        ends = [maybeDeferred(self._browser.stop)]
        return gatherResults(ends).addCallback(lambda _: None)

    def advertFound(self, advert: Advert) -> None:
        """
        A phone announces itself.
        """
        if not self.running:
            return
        self._adverts[advert.instance] = advert
        self._ask()

    def advertGone(self, instance: str) -> None:
        """
        It does not any more, which says nothing of a phone whose heart beats.
        """
        self._adverts.pop(instance, None)

    def _ask(self) -> None:
        """
        Have what was announced looked at: soon, or after the look that is going on, which may
        not see it.
        """
        if self._looking is not None:
            self._isMissed = True
        elif self._soon is None:
            # Announcements come in bursts, and some come all the time.
            pause = max(BURST, self._looked + PAUSE - self._reactor.seconds())
            self._soon = self._reactor.callLater(pause, self._lookSoon)

    def _lookSoon(self) -> None:
        self._soon = None
        if self._looking is None:
            self._look()
        else:
            self._isMissed = True

    def _look(self) -> Deferred[None] | None:
        """
        Try what is announced and not listed.
        """
        if self._looking is None and self._records is not None and self._adverts:
            looking = self._looking = Deferred.fromCoroutine(self._match(self._records))
            looking.addBoth(self._lookOver)
        return None

    def _lookOver(self, result: object) -> None:
        self._looking = None
        self._looked = self._reactor.seconds()
        if isinstance(result, Failure) and self.running:
            self._log.failure("looking for phones on the network failed", result)
        isMissed, self._isMissed = self._isMissed, False
        if isMissed and self.running:
            self._ask()

    async def _match(self, store: IPairRecords) -> None:
        records = await self._readRecords(store)
        names = await self._readNames(store)
        places: dict[str, dict[str, tuple[str, ...]]] = {}
        for advert in list(self._adverts.values()):
            if advert.instance == STATIC:
                udids, name = list(records), ""
            else:
                # Anyone on the network can make hundreds, and each is compared with all records.
                await deferLater(self._reactor, 0)
                udids, name = candidates(advert, records, names), advert.fullName
            for udid in udids:
                places.setdefault(udid, {})[name] = advert.addresses
        for udid, found in places.items():
            phone = self._phones.get(udid)
            if phone is None:
                phone = self._phones[udid] = WifiPhone(
                    self._reactor,
                    self._receiver,
                    self._settings,
                    PhoneReach(self._reactor, self._endpoint, udid, records[udid]),
                    self._idle,
                )
            phone.look(found)

    async def _readRecords(self, store: IPairRecords) -> dict[str, PairRecord]:
        """
        The records of the phones that are wanted, by UDID.
        """
        records: dict[str, PairRecord] = {}
        for udid in (await store.names())[:MOST_RECORDS]:
            if not self._settings.wants(udid):
                continue
            try:
                records[udid] = record = PairRecord.fromBytes(await store.read(udid))
                tagKey(record.hostID)
            except (OSError, BadPairRecord) as error:
                if udid not in self._told:
                    self._told.add(udid)
                    self._log.info(
                        "the pair record of {udid} cannot be used on the network: {error}",
                        udid=udid,
                        error=error,
                    )
        return records

    async def _readNames(self, store: IPairRecords) -> dict[str, str]:
        """
        By which name each phone announces itself, if it has told.
        """
        try:
            return await store.serviceNames()
        except OSError:
            # It is one hint of several.
            return {}

    def _idle(self, phone: WifiPhone) -> None:
        """
        A phone was not reached, or is gone: its record is read anew before the next attempt.
        """
        if self._phones.get(phone.udid) is phone and phone.state is PhoneState.IDLE:
            del self._phones[phone.udid]
            phone.stop()

    def _notBrowsing(self, failure: Failure) -> None:
        problem = (
            f"cannot look for phones on the network: {failure.getErrorMessage()}; name them by"
            " wifi:HOST, or see that this machine may use UDP port 5353"
        )
        self._log.error("{problem}", problem=problem)
        self._blind = (problem,)
