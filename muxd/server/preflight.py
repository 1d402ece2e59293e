# -*- test-case-name: tests.server.test_preflight -*-
"""
Preflight: a phone that was plugged in is asked for its trust, once (protocol 5).

Each phone has a L{Preflight} of its own, which does what
L{muxd.server.preflightmachine} says.  A pair record is never removed: a UDID is a serial
number that any device can show, and what it says of a record is no proof.  Only a pairing
that was completed takes a record's place, and not while two devices claim its UDID.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from muxd.identity import sameUDID
from muxd.interfaces import IDevice, IPairRecords
from muxd.limits import Limits
from muxd.lockdown.client import LOCKDOWN_PORT, ILockdown, connectLockdown
from muxd.lockdown.errors import (
    DialogPending,
    LockdownError,
    LockdownTLSError,
    LockdownUnavailable,
    PairingDenied,
    PhoneLocked,
    UnknownHost,
    UnprovedPhone,
)
from muxd.lockdown.notifications import INSECURE_PROXY, ObserverFactory
from muxd.lockdown.pairing import MakeRecord, proposeRecord, requestTrust
from muxd.lockdown.pairrecord import PairRecord
from muxd.net.turns import Turns
from muxd.server.phonerecord import PhoneRecord
from muxd.server.preflightmachine import FINAL, SHOWN, TRANSITIONS, Outcome, Stage

NORMAL_TYPE = "com.apple.mobile.lockdown"
NOTIFICATIONS = (
    "com.apple.mobile.lockdown.request_pair",
    "com.apple.mobile.lockdown.request_host_buid",
)

MODERN = {"iPhone": 7, "iPad": 7, "iPod": 7, "Watch": 2, "AppleTV": 9}
"""
The first versions that show a dialog, and that want to know which host asks.  A class that is not
here is younger than all of these: RealityDevice, AudioAccessory, Mac.
"""

WIRELESS = "com.apple.mobile.wireless_lockdown"
"""The domain of what has to do with networks."""

NAME_PATIENCE = 3.0
"""Seconds for a value that is not needed: until then the phone is not listed."""

MAX_RECORDS_TRIED = 3
"""At most this many records are tried, if new ones keep being stored."""

EXPECTED_ERRORS = (
    LockdownError,
    LockdownUnavailable,
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    OSError,
    ValueError,
)
"""What may come of talking to a phone and of files."""

TAP = "unlock it and tap Trust to use it with this computer"
TAPPED_BY_ITSELF = "it is simulated, and its trust= says what its owner does"

_SAID: dict[Stage, tuple[LogLevel, str]] = {
    Stage.WAITING: (
        LogLevel.info,
        "{udid} shows a dialog: {remedy}",
    ),
    Stage.LOCKED: (
        LogLevel.info,
        "{udid} is locked: unlock it, and tap Trust when it asks",
    ),
    Stage.DENIED: (
        LogLevel.warn,
        "{udid} does not trust this computer: its owner has tapped Don't Trust; unplug it and"
        " plug it in again to be asked once more",
    ),
    Stage.UNSURE: (
        LogLevel.warn,
        "{udid}: whether its pair record is good cannot be told ({reason}); it is kept, and"
        " tried again; if programs cannot use the phone, remove it with: idevicepair unpair",
    ),
    Stage.DISPUTED: (
        LogLevel.error,
        "{udid}: two devices that are attached say that this is their UDID, and this one does"
        " not know the pair record; the record is kept, and this device is not trusted:"
        " unplug the one that is not yours",
    ),
    Stage.UNPROVED: (
        LogLevel.error,
        "{udid}: a device says that this is its UDID, and has not proved that it is the phone"
        " of the pair record ({reason}); the record is kept, and the device is not trusted;"
        " unplug it if it is not yours, and if it is, remove the record with: idevicepair unpair",
    ),
    Stage.RESTING: (
        LogLevel.warn,
        "{udid}: {reason}; pairing will be tried again, and the phone is listed all the same;"
        " if this goes on, unplug it and plug it in again",
    ),
    Stage.RESTORING: (LogLevel.info, "{udid} is in restore mode, and is not asked for trust"),
    Stage.TRUSTED: (LogLevel.info, "{udid} trusts this computer"),
}


def _ignoreExpected(failure: Failure) -> None:
    """
    Let go of what a phone that is locked, gone or broken makes fail.
    """
    failure.trap(CancelledError, *EXPECTED_ERRORS)


SHORTEST_PAUSE = 1.0
"""Seconds between two looks at a phone that are asked for."""


class LookPacing:
    """
    When a phone is looked at because the phone or a program asks for it.

    A look is a conversation, and both can ask for one as often as they like.  The first is
    had at once, so that a tap is noticed when it is made; the others are at least
    L{SHORTEST_PAUSE} apart, and twice as far each time that one has found what was known.
    Those by a timer have an interval of their own.
    """

    def __init__(self, longest: float) -> None:
        """
        @param longest: Seconds between two looks that change nothing.
        """
        self._longest = longest
        self._next = 0.0
        self._pause = 0.0
        self._isAsked = False
        self._found: Stage | None = None

    def remaining(self, now: float) -> float:
        """
        Seconds until the next one may begin.
        """
        return max(self._next - now, 0.0)

    def begins(self, now: float) -> None:
        """
        One that was asked for begins.
        """
        self._isAsked = True
        self._next = now + max(self._pause, SHORTEST_PAUSE)

    def finds(self, stage: Stage) -> None:
        """
        A look, of either kind, has ended so.
        """
        if self._isAsked:
            grown = min(max(2 * self._pause, SHORTEST_PAUSE), self._longest)
            self._pause = grown if stage is self._found else SHORTEST_PAUSE
        self._isAsked = False
        self._found = stage


@dataclass(frozen=True, slots=True)
class PreflightContext:
    """
    What all preflights share.

    @ivar clock: Makes timers.
    @ivar records: Where pair records are.
    @ivar limits: How long things may take.
    @ivar makeRecord: Makes keys and certificates, elsewhere than in this thread.
    @ivar randomUUID: Makes names of pairings.
    @ivar turns: Those that handshakes have; None if each step is done as it comes.
    """

    clock: IReactorTime
    records: IPairRecords
    limits: Limits
    makeRecord: MakeRecord
    randomUUID: Callable[[], UUID]
    turns: Turns | None = None


class Preflight:
    """
    One phone's.

    @ivar stage: How far it has got.
    """

    _log = Logger()

    def __init__(
        self,
        workshop: PreflightContext,
        device: IDevice,
        show: Callable[[], None],
        paired: Callable[[], None],
        proved: Callable[[], None],
        hasRival: Callable[[], bool],
    ) -> None:
        """
        @param show: Makes the phone visible; called at least once, and soon.
        @param paired: Tells that a record has been stored.
        @param proved: Tells that this is the phone of the record.
        @param hasRival: Whether another device with this UDID is attached.
        """
        self.stage = Stage.ASKING_TYPE
        self._shop = workshop
        self._device = device
        self._udid = device.identity.udid
        self._record = PhoneRecord(workshop.records, self._udid, self._warn)
        self._show = show
        self._paired = paired
        self._proved = proved
        self._hasRival = hasRival
        self._lockdown: ILockdown | None = None
        self._proposed: PairRecord | None = None
        self._work: Deferred[Outcome] | None = None
        self._observing: Deferred[None] | None = None
        self._observer: Any = None
        self._timer: IDelayedCall | None = None
        self._visible: IDelayedCall | None = None
        self._failures = 0
        self._pacing = LookPacing(workshop.limits.trustPoll)
        self._reason = ""
        self._said: tuple[Stage, str] | None = None
        self._warned: set[str] = set()
        self._isOver = False
        self._actions: dict[Stage, Callable[[], Awaitable[Outcome]]] = {
            Stage.ASKING_TYPE: self._askType,
            Stage.CHECKING: self._check,
            Stage.REQUESTING: self._request,
        }

    def start(self) -> None:
        """
        Begin.
        """
        self._visible = self._shop.clock.callLater(self._shop.limits.hiddenTime, self._showNow)
        self._enter(Stage.ASKING_TYPE)

    def stop(self) -> None:
        """
        The phone is gone, or we are.
        """
        self._isOver = True
        for timer in (self._timer, self._visible):
            if timer is not None and timer.active():
                timer.cancel()
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        self._hangUp()

    def recordSaved(self, recordID: str) -> None:
        """
        A program has stored a record: if it is this phone's, perhaps we need not
        ask it.
        """
        if sameUDID(recordID, self._udid):
            self._news()

    # From stage to stage

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self._say(stage)
        if stage in SHOWN:
            self._showNow()
        action = self._actions.get(stage)
        if action is not None:
            self._do(action)
            return
        self._pacing.finds(stage)
        if stage in FINAL:
            self._hangUp()
        elif stage is Stage.WAITING:
            self._failures = 0
            self._observe()
            self._wait(self._shop.limits.trustPoll)
        else:
            self._hangUp()
            self._failures += 1
            limits = self._shop.limits
            longest = limits.trustPoll if stage is Stage.LOCKED else limits.preflightRetry
            self._wait(min(2 ** (self._failures - 1), longest))

    def _came(self, outcome: Outcome) -> None:
        if not self._isOver:
            self._enter(TRANSITIONS[self.stage][outcome])

    def _wait(self, seconds: float) -> None:
        self._timer = self._shop.clock.callLater(seconds, self._look)

    def _news(self, _: object = None) -> None:
        """
        Look again, now or soon: the phone has told of something, or a program has.
        """
        clock = self._shop.clock
        pause = self._pacing.remaining(clock.seconds())
        if self._isOver or Outcome.NEWS not in TRANSITIONS[self.stage]:
            return
        if not pause:
            self._pacing.begins(clock.seconds())
            self._look()
        elif self._timer is None or not self._timer.active():
            self._timer = clock.callLater(pause, self._news)
        elif self._timer.getTime() > clock.seconds() + pause:
            self._timer.cancel()
            self._timer = clock.callLater(pause, self._news)

    def _look(self) -> None:
        """
        Begin from the beginning.
        """
        if self._isOver or Outcome.NEWS not in TRANSITIONS[self.stage]:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._hangUp()
        self._came(Outcome.NEWS)

    def _do(self, action: Callable[[], Awaitable[Outcome]]) -> None:
        async def attempt() -> Outcome:
            try:
                return await action()
            except EXPECTED_ERRORS as error:
                self._reason = f"lockdown did not help: {error}"
            # A phone that is pulled out loses its connections first, and is
            # detached, which stops this, before the turn is over.
            await deferLater(self._shop.clock, 0)
            return Outcome.FAILED

        self._work = work = Deferred.fromCoroutine(attempt())
        if self.stage is not Stage.REQUESTING:
            # There each request has a deadline, and keys wait for those of others.
            work.addTimeout(self._shop.limits.preflightStep, self._shop.clock, self._tooLate)
        work.addCallbacks(self._came, self._broken)

    def _tooLate(self, result: object, timeout: float) -> Outcome:
        self._reason = f"lockdown did not help within {timeout:g} s"
        return Outcome.FAILED

    def _broken(self, failure: Failure) -> None:
        """
        A defect of ours must not hide a phone.
        """
        if failure.check(CancelledError) is None:
            self._log.failure("preflight of {udid} failed", failure, udid=self._udid)
            self._hangUp()
            self._showNow()

    def _showNow(self) -> None:
        if self._visible is not None and self._visible.active():
            self._visible.cancel()
        self._show()

    def _say(self, stage: Stage) -> None:
        """
        Log one line for each thing that an operator may have to know, and not again
        while it stays as it is.
        """
        reason = self._reason if stage in (Stage.RESTING, Stage.UNSURE, Stage.UNPROVED) else ""
        if stage in _SAID and self._said != (stage, reason):
            self._said = (stage, reason)
            level, text = _SAID[stage]
            isSimulated = self._device.identity.isSimulated
            remedy = TAPPED_BY_ITSELF if isSimulated else TAP
            self._log.emit(level, text, udid=self._udid, reason=reason, remedy=remedy)

    def _warn(self, text: str, **values: Any) -> None:
        """
        Something is not as it should be, which is looked at again and again: said
        once while the phone is plugged in.
        """
        if text not in self._warned:
            self._warned.add(text)
            self._log.warn(text, udid=self._udid, **values)

    # What is tried

    async def _askType(self) -> Outcome:
        """
        Begin a conversation and see which service answers.
        """
        self._hangUp()
        connecting = connectLockdown(
            self._device.endpoint(LOCKDOWN_PORT), self._shop.clock, turns=self._shop.turns
        )
        lockdown = self._lockdown = await connecting
        kind = await lockdown.queryType()
        if not kind:
            raise LockdownUnavailable("lockdownd does not say what it is")
        return Outcome.NORMAL if kind == NORMAL_TYPE else Outcome.RESTORING

    async def _check(self) -> Outcome:
        """
        Try the record that we have.
        """
        assert self._lockdown is not None
        for _ in range(MAX_RECORDS_TRIED):
            record = await self._record.read()
            if record is None:
                return await self._checkPrevious()
            try:
                isProved = await self._startSession(self._lockdown, record)
            except UnknownHost:
                self._record.refuse()
                # A program may have paired meanwhile.
                continue
            except PhoneLocked:
                return Outcome.LOCKED
            except UnprovedPhone as error:
                self._reason = str(error)
                return Outcome.UNPROVED
            except (LockdownTLSError, LockdownError) as error:
                self._reason = str(error)
                return Outcome.UNSURE
            if isProved:
                self._proved()
                await self._remember(self._lockdown)
            return Outcome.TRUSTED
        self._reason = "there is always another one, which the phone does not know"
        return Outcome.UNSURE

    async def _checkPrevious(self) -> Outcome:
        """
        Try the record before the one that there is.  Another device may have paired under this
        UDID; the phone itself can prove that the record is its own, which nothing else can, and
        then it is that again.
        """
        assert self._lockdown is not None
        record = await self._record.previous()
        if record is None or self._hasRival():
            return Outcome.STRANGER
        try:
            isProved = await self._startSession(self._lockdown, record)
        except LockdownError:
            return Outcome.STRANGER
        except UnprovedPhone as error:
            self._reason = str(error)
            return Outcome.UNPROVED
        if not isProved:
            self._reason = "the record before the one that there is does not say whose it is"
            return Outcome.UNPROVED
        await self._record.supersede(record)
        self._warn("{udid} knows the pair record before the one that was there: it is back.")
        self._proved()
        self._paired()
        return Outcome.TRUSTED

    async def _startSession(self, lockdown: ILockdown, record: PairRecord) -> bool:
        """
        See L{ILockdown.startSession}; some tools leave the host's name out of a record.
        """
        if record.systemBUID is None:
            record = record.having(SystemBUID=await self._shop.records.readBUID())
        return await lockdown.startSession(record)

    async def _request(self) -> Outcome:
        """
        Ask for trust.  The phone shows its dialog when it is asked for the first
        time, and answers the same to all that ask while it does.
        """
        shop, lockdown = self._shop, self._lockdown
        assert lockdown is not None
        if await self._isDisputed():
            return Outcome.DISPUTED
        isModern = await self._isModern(lockdown)
        host = await shop.records.readBUID()
        if isModern:
            await self._introduce(lockdown, host)
        try:
            if self._proposed is None:
                self._proposed = await proposeRecord(
                    lockdown, host, shop.randomUUID, shop.makeRecord
                )
            record = await requestTrust(lockdown, self._proposed)
        except DialogPending:
            return Outcome.PENDING
        except PhoneLocked:
            return Outcome.LOCKED
        except PairingDenied:
            return Outcome.DENIED
        if await self._isDisputed():
            return Outcome.DISPUTED
        if await self._record.isAnother():
            self._reason = "a program has stored another pair record meanwhile"
            return Outcome.FAILED
        await self._record.supersede(record)
        self._proved()
        self._paired()
        if not isModern:
            await lockdown.validatePair(record)
        elif await self._isKnown(lockdown, record):
            await self._remember(lockdown)
        return Outcome.TRUSTED

    async def _isKnown(self, lockdown: ILockdown, record: PairRecord) -> bool:
        """
        Whether a session with a record that is new does well; the pairing is made in any case.
        """
        try:
            return await self._startSession(lockdown, record)
        except EXPECTED_ERRORS as error:
            self._log.debug("{udid}: {error}", udid=self._udid, error=str(error))
            return False

    async def _remember(self, lockdown: ILockdown) -> None:
        """
        Keep by which name the phone announces itself on networks: nothing else tells of one with
        a random address, before iOS 26.4.  It is no matter if it does not say.
        """
        if self._device.identity.connectionType != "USB":
            return
        try:
            asked = lockdown.getValue("BonjourFullServiceName", WIRELESS)
            name = await asked.addTimeout(NAME_PATIENCE, self._shop.clock)
            if isinstance(name, str):
                await self._shop.records.remember(self._udid, name)
        except (*EXPECTED_ERRORS, TimedOut) as error:
            self._log.debug("{udid}: {error}", udid=self._udid, error=str(error))

    async def _isDisputed(self) -> bool:
        """
        Whether a record of this device would take the place of one that may be another's.
        """
        return self._hasRival() and await self._record.exists()

    async def _introduce(self, lockdown: ILockdown, host: str) -> None:
        """
        Say which host asks, for the dialog.  A phone that does not want to hear it can be
        asked all the same.
        """
        try:
            await lockdown.setValue("UntrustedHostBUID", host)
        except LockdownError as error:
            self._log.debug("{udid}: {error}", udid=self._udid, error=str(error))

    async def _isModern(self, lockdown: ILockdown) -> bool:
        """
        Whether the phone shows a dialog.  One that does not say its version is an old one.
        """
        try:
            version = str(await lockdown.getValue("ProductVersion"))
            kind = str(await lockdown.getValue("DeviceClass"))
        except LockdownError:
            return False
        major = version.split(".")[0][:9]
        return major.isdecimal() and int(major) >= MODERN.get(kind, 0)

    def _observe(self) -> None:
        """
        Have the phone tell when its owner taps.  Where it does not, the timer
        finds out.
        """
        self._observing = observing = Deferred.fromCoroutine(self._connectObserver())
        observing.addErrback(_ignoreExpected)
        observing.addErrback(self._broken)

    async def _connectObserver(self) -> None:
        assert self._lockdown is not None
        address = await self._lockdown.startService(INSECURE_PROXY)
        endpoint = self._device.endpoint(address.port)
        connecting: Deferred[Any] = endpoint.connect(ObserverFactory(NOTIFICATIONS, self._news))
        self._observer = await connecting

    def _hangUp(self) -> None:
        observing, self._observing = self._observing, None
        if observing is not None:
            observing.cancel()
        lockdown, self._lockdown = self._lockdown, None
        observer, self._observer = self._observer, None
        for each in (lockdown, observer):
            if each is not None:
                each.close()
