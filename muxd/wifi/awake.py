# -*- test-case-name: tests.wifi.test_awake -*-
"""
Keeping a phone from sleep while it is in use.

A locked, idle phone on battery drops its connections when it sleeps, also those that are in
use.  It does not while a host holds a power assertion (C{com.apple.mobile.assertion_agent}), for
as long as the connection to that is open.  It costs the phone's battery, so that it is held while
there are streams and no longer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.lockdown.errors import LockdownError
from muxd.lockdown.plists import Message, PlistProtocol
from muxd.wire.text import printable

LOOK = 5.0
"""Seconds between two looks at whether there are streams."""

LASTS = 1200.0
"""Seconds that an assertion is asked for."""

RENEWED = 600.0
"""Seconds after which another one takes its place."""

TRY_AGAIN = 60.0
"""Seconds until a phone that has refused is asked again."""


class Assertion(Protocol):
    """
    What is held.
    """

    def close(self) -> None:
        """
        Let the phone sleep.
        """


class AssertionClient(PlistProtocol):
    """
    A host's side of the service.

    @ivar held: Fires when the phone has agreed; it fails with L{LockdownError} if it does not.
    """

    def __init__(self) -> None:
        self.held: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self.sendPlist(
            {
                "CommandKey": "CommandCreateAssertion",
                "AssertionTypeKey": "AMDPowerAssertionTypeWirelessSync",
                "AssertionNameKey": "muxd",
                "AssertionTimeoutKey": LASTS,
            }
        )

    def plistReceived(self, message: Message) -> None:
        """
        The phone's answer.
        """
        if self.held.called:
            return
        error = message.get("ErrorKey")
        if error is None:
            self.held.callback(None)
        else:
            self.held.errback(LockdownError("CreateAssertion", printable(str(error))))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is not held any more.
        """
        if not self.held.called:
            self.held.errback(reason)


class Wakefulness:
    """
    Holds an assertion while there are streams.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, udid: str, hold: Callable[[], Awaitable[Assertion]]
    ) -> None:
        """
        @param hold: Has the phone agree; what it gives is held until it is closed.
        """
        self._clock = clock
        self._udid = udid
        self._hold = hold
        self._streams: list[Any] = []
        self._held: Assertion | None = None
        self._next = 0.0
        self._asking: Deferred[None] | None = None
        self._trouble = ""
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    @property
    def isHeld(self) -> bool:
        """
        Whether the phone has agreed.
        """
        return self._held is not None

    def opened(self, protocol: IProtocol) -> IProtocol:
        """
        There is a stream.
        """
        self._streams.append(getattr(protocol, "transport", None))
        if not self._looking.running:
            self._next = self._clock.seconds()
            self._looking.start(LOOK)
        return protocol

    def stop(self) -> None:
        """
        Let it sleep.
        """
        self._streams.clear()
        if self._looking.running:
            self._looking.stop()
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _look(self) -> None:
        # Twisted's transports say it themselves.
        self._streams = [one for one in self._streams if getattr(one, "connected", False)]
        if not self._streams:
            self.stop()
        elif self._asking is None and self._clock.seconds() >= self._next:
            self._asking = Deferred.fromCoroutine(self._ask())
            self._asking.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def _ask(self) -> None:
        try:
            held = await self._hold()
        except CancelledError:
            raise
        except Exception as error:
            self._asking = None
            self._next = self._clock.seconds() + TRY_AGAIN
            trouble = str(error) or type(error).__name__
            if trouble != self._trouble:
                self._trouble = trouble
                self._log.warn(
                    "{udid} cannot be kept awake: {trouble}", udid=self._udid, trouble=trouble
                )
            return
        self._asking = None
        self._trouble = ""
        self._next = self._clock.seconds() + RENEWED
        before, self._held = self._held, held
        if before is not None:
            before.close()
