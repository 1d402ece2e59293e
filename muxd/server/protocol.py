# -*- test-case-name: tests.server.test_protocol,tests.server.test_badinput -*-
"""
One client's connection, from its first command to its last byte.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.interfaces import AttachedDevice
from muxd.net.credentials import UNKNOWN, nameOf, ownerOf
from muxd.net.hangup import hasHungUp, peerOf
from muxd.net.peers import Presence
from muxd.net.pipe import Joinable
from muxd.net.sockets import letGo, readAtOnce, readPlainly
from muxd.server.accounts import Account
from muxd.server.audience import Audience
from muxd.server.clients import ClientDetails, Introduction
from muxd.server.commands import Reply
from muxd.server.connect import ConnectAttempt, resultOf
from muxd.server.input import InputQueue
from muxd.server.listeners import EventBroadcaster
from muxd.server.output import OutputQueue
from muxd.server.quickplist import parseRequest
from muxd.server.replies import encodeResult, plistParts
from muxd.server.states import TRANSITIONS, State
from muxd.wire.messages import (
    BINARY_VERSION,
    PLIST_VERSION,
    MalformedMessage,
    Message,
    MessageType,
    Result,
)

if TYPE_CHECKING:
    from muxd.server.factory import ControlFactory, Entrance


@implementer(IHalfCloseableProtocol)
class ControlProtocol(Protocol):
    """
    Reads requests and sends replies and events, until the connection becomes a
    stream: then a L{muxd.net.pipe.Pipe} has it, and nothing here touches a byte.

    @ivar server: What all clients share.
    @ivar entrance: Where this one has come in.
    @ivar number: This client's, unique within its factory.
    @ivar version: The format of replies and events: binary, until the first
        property list arrives (protocol 4.3).
    @ivar state: See L{State}.
    @ivar account: What its user has; C{None} before it is let in.
    @ivar early: What had been read from the client before it was connected here.
    """

    _log = Logger()

    def __init__(self, server: ControlFactory, number: int, entrance: Entrance) -> None:
        self.server = server
        self.entrance = entrance
        self.number = number
        self.version = BINARY_VERSION
        self.early = b""
        self.account: Account | None = None
        self._introduction = Introduction()
        self.state = State.COMMAND
        self._input: InputQueue
        self._output: OutputQueue
        self._attempt: ConnectAttempt | None = None
        self._target: tuple[AttachedDevice, int] | None = None
        self._flushTimer: IDelayedCall | None = None
        self._processing = False
        self._hasLeftBehind = False
        self._held = 0
        self._underWay = 0
        self._isWaiting = False
        self._inputEnded = False
        self._isNamed = False
        self._feed: EventBroadcaster | None = None
        # As long as it has not been told of all that is here: until it has to take some of it.
        self._greeting: IDelayedCall | None = None

    @property
    def audience(self) -> Audience:
        """
        The clients that share its view.
        """
        return self.entrance.audience

    @property
    def owner(self) -> Hashable:
        """
        Whose client it is, as far as is known (L{muxd.net.credentials.ownerOf}).
        """
        return UNKNOWN if self.account is None else self.account.owner

    @property
    def details(self) -> ClientDetails:
        """
        What the client has told us about itself.
        """
        return self._introduction.details

    def requestAnswered(self, body: bytes) -> None:
        """
        Take note of a property list that has been answered before the client was
        connected here: it decides about the format of replies, and introduces the client.
        """
        self.version = PLIST_VERSION
        self._introduction.add(parseRequest(body))

    @property
    def hasTaken(self) -> bool:
        """
        Whether the client has taken all that was sent to it.
        """
        return not self._output.isHeld

    # What the transport calls.

    def connectionMade(self) -> None:
        """
        A client is here.
        """
        server, transport = self.server, cast("Joinable", self.transport)
        limits = server.limits
        self._input = InputQueue(transport, server.clock, limits, self._messageTimedOut)
        self._output = OutputQueue(
            transport,
            limits.clientQueue,
            self._outputOverflowed,
            self._outputTaken,
            server.unread,
            self,
        )
        readPlainly(transport)
        if self.account is None:
            self.account = server.enter(ownerOf(transport))
        server.clientConnected(self)
        if self.account is None:
            self._enter(State.CLOSING)
            self._abort()
            return
        self.account.silent(self, server.clock.seconds())
        early, self.early = self.early, b""
        if early:
            self.dataReceived(early)
        if self.state in (State.COMMAND, State.CONNECTING):
            readAtOnce(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Read requests, or hold what was sent behind a Connect.
        """
        if self.state is State.CLOSING or self._inputEnded:
            return
        if not self._isNamed:
            self._learnName()
        self._input.add(data)
        if self.state in (State.COMMAND, State.LISTENING) and not self._isWaiting:
            self._process()
        else:
            self._input.hold()
            self._countHeld()
        if (
            self._held
            and self.account is not None
            and self.server.accounts.holdsTooMuch(self.account)
            and len(self._input)
        ):
            self._dropHeld()

    def readConnectionLost(self) -> None:
        """
        The client has finished sending, or is gone altogether.

        Replies to what it has asked are still sent.  A Connect goes on if the
        client is still there to read, or may be and has sent something for the phone
        already; otherwise the stream would never be used.
        """
        self._inputEnded = True
        if self.state is State.CONNECTED:
            assert self._attempt is not None
            self._attempt.clientFinished()
            return
        if self.state is State.WAITING:
            self._leaveBehind()
            return
        if self._greeting is not None:
            # It has all to read that it has asked for.
            return
        if self._isWaiting or (self._isHeld and len(self._input)):
            return
        presence = peerOf(self.transport)
        isThere = presence is Presence.HELD or (
            presence is Presence.UNKNOWN and len(self._input) > 0
        )
        if self.state is not State.CONNECTING or not isThere:
            self._close()

    def writeConnectionLost(self) -> None:
        """
        The client takes no more; the loss of the connection follows.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client is gone: so is its interest in events and in a phone.
        """
        state, attempt = self.state, self._attempt
        self._enter(State.CLOSED)
        self._attempt = None
        self._stopGreeting()
        self._waitNoLonger()
        if self._flushTimer is not None:
            self._flushTimer.cancel()
            self._flushTimer = None
        self._output.stopProducing()
        self._input.stop()
        self._countHeld()
        letGo(self.transport)
        vars(self).pop("dataReceived", None)
        if state is State.WAITING:
            self._leaveBehind()
        self.server.clientGone(self)
        if attempt is None:
            return
        if state is State.CONNECTED:
            attempt.clientLost(reason)
        else:
            self.server.counters.cancelledConnects += 1
            attempt.cancel()

    # What commands and the event feed call.

    def sendResult(self, tag: int, number: int) -> None:
        """
        Answer with a Result in the connection's format.
        """
        self._output.write(encodeResult(self.version, tag, number))

    def sendPlist(self, tag: int, *body: bytes) -> None:
        """
        Answer with a property list, which may be in parts.
        """
        self._output.write(*plistParts(tag, *body))

    def sendEvent(self, event: bytes) -> None:
        """
        Send a whole event, or several.
        """
        self._output.write(event)

    def startWaiting(self, tag: int, working: Deferred[Reply]) -> None:
        """
        Have what the client sends wait until there is a reply.
        """
        self._enter(State.WAITING)
        if self._inputEnded:
            self._leaveBehind()
        working.addErrback(self._failed, tag)
        working.addCallback(self._replied)

    def startListening(self, tag: int) -> None:
        """
        Answer, and send events from now on.
        """
        assert self.account is not None
        if not self.server.mayListen(self.account):
            self.sendResult(tag, Result.CONNECTION_REFUSED)
            return
        self._enter(State.LISTENING)
        self.sendResult(tag, Result.OK)
        self._feed = self.audience.feed
        self._greeted(self._feed.add(self))

    def startConnecting(self, tag: int, attached: AttachedDevice, port: int) -> None:
        """
        Ask a phone for a stream.
        """
        server = self.server
        assert self.account is not None
        if not server.mayStream(self.account):
            self.sendResult(tag, Result.CONNECTION_REFUSED)
            return
        self._enter(State.CONNECTING)
        self._target = attached, port
        server.connecting(self.transport, attached, port)
        attempt = ConnectAttempt(
            server.clock,
            server.limits.flushTimeout,
            server.streamEnded,
            server.hangUps,
            server.halfClosed,
        )
        self._attempt = attempt
        connecting = attempt.start(lambda: attached.device.endpoint(port))
        connecting.addCallbacks(
            self._phoneConnected,
            self._phoneFailed,
            callbackArgs=(attempt, tag),
            errbackArgs=(attempt, tag, attached, port),
        )

    @property
    def hasStream(self) -> bool:
        """
        Whether it is connected to a phone, or about to be.
        """
        return self.state in (State.CONNECTING, State.CONNECTED)

    def checkAccess(self) -> None:
        """
        Another view is there: a listener or a stream that it does not permit ends.  What is
        asked next is asked of the new one anyway.
        """
        access = self.audience.access
        if access is None:
            return
        if self.state is State.LISTENING:
            if not access.permitsListening(self.transport):
                self._close()
        elif self.hasStream:
            assert self._target is not None
            if not access.permitsConnect(self.transport, *self._target):
                self.disconnect()

    def disconnect(self) -> None:
        """
        The daemon wants this client to go: what is on its way to it is
        delivered first, but a stream whose phone goes on is cut.
        """
        if self.state is State.WAITING:
            self._input.take()
            self._inputEnded = True
        elif self.state is not State.CONNECTED:
            self._close()
        elif self._attempt is not None and self._attempt.isJoined:
            self._abort()

    def cut(self) -> None:
        """
        The daemon wants this client to be gone by now: of what it has sent, nothing reaches
        its phone any more.
        """
        if self.state is State.CONNECTED and self._attempt is not None:
            self._attempt.cut()
        else:
            self.disconnect()

    # The life of a request.

    def _process(self) -> None:
        """
        Perform every request that has arrived completely; if there are many, or others have
        much to ask, some of them now, and the rest when all owners have had their turns.

        A Connect that fails at once comes back here while this loop is still
        running: the loop goes on, rather than nest as deep as a client likes.

        A client that has not taken its last reply gets no other: it would have
        memory filled by asking.
        """
        if self._processing or self._isWaiting:
            return
        turns = self.server.turns
        if not turns.begin():
            self._wait()
            self._input.pause()
            self._countHeld()
            return
        self._processing = True
        if self.state is State.COMMAND and self.account is not None:
            self.account.silent(self, turns.began)
        limits = self.server.limits
        requests, size = limits.requestsAtOnce, limits.requestBytesAtOnce
        isFirst, isLate = True, False
        try:
            while self.state in (State.COMMAND, State.LISTENING) and not self._isHeld:
                if not isFirst:
                    if not len(self._input):
                        break
                    isLate = turns.isOver()
                isFirst = False
                if isLate or requests <= 0 or size <= 0:
                    self._wait()
                    break
                message = self._input.next()
                if message is None:
                    break
                requests -= 1
                size -= len(message.body)
                self._underWay = len(message.body)
                self._perform(message)
        except MalformedMessage as error:
            # There is no telling where the next message begins.
            self.server.malformed(error, self.owner)
            self._close()
        finally:
            self._processing = False
            turns.end()
        if self.state is not State.WAITING:
            self._underWay = 0
        self._countHeld()
        isBusy = self.state in (State.WAITING, State.CONNECTING) or self._isHeld
        if isLate and self._isWaiting:
            self._input.pause()
        elif isBusy or self._isWaiting:
            self._input.hold()
        elif self.state in (State.COMMAND, State.LISTENING):
            if self._inputEnded:
                if self._greeting is None:
                    self._close()
            else:
                self._input.flow()

    @property
    def _isHeld(self) -> bool:
        return self.state is State.COMMAND and self._output.isHeld

    def takeTurn(self) -> None:
        """
        Go on with what the client has asked.
        """
        self._isWaiting = False
        self._process()

    def _wait(self) -> None:
        self._isWaiting = True
        self.server.turns.wait(self)

    def _waitNoLonger(self) -> None:
        if self._isWaiting:
            self._isWaiting = False
            self.server.turns.forget(self)

    def _perform(self, message: Message) -> None:
        server = self.server
        if self.state is State.LISTENING:
            server.counters.malformedMessages += 1
            self.sendResult(message.tag, Result.BAD_COMMAND)
            self._close()
        elif message.version not in (BINARY_VERSION, PLIST_VERSION):
            server.counters.badVersions += 1
            self.sendResult(message.tag, Result.BAD_VERSION)
        elif message.type == MessageType.PLIST:
            self.version = PLIST_VERSION
            self._performPlist(message)
        else:
            commands = self.audience.commands
            self._performSafely(lambda: commands.performBinary(self, message), message.tag)

    def _performPlist(self, message: Message) -> None:
        try:
            values = parseRequest(message.body)
        except MalformedMessage as error:
            self.server.malformed(error, self.owner)
            self.sendResult(message.tag, Result.BAD_COMMAND)
            return
        self._introduction.add(values)
        commands = self.audience.commands
        self._performSafely(lambda: commands.performPlist(self, message.tag, values), message.tag)

    def _performSafely(self, command: Callable[[], None], tag: int) -> None:
        """
        A mistake of ours costs a client its answer, and nothing else.
        """
        try:
            command()
        except Exception:
            reply = self._failed(Failure(), tag)
            if self.state is State.COMMAND:
                reply()

    def _failed(self, failure: Failure, tag: int) -> Reply:
        self._log.failure("A command of client {number} failed", failure, number=self.number)
        return lambda: self.sendResult(tag, Result.BAD_COMMAND)

    def _replied(self, reply: Reply) -> None:
        """
        The reply is there, though perhaps the client is not.
        """
        self._underWay = 0
        self._countHeld()
        self._catchUp()
        if self.state is State.WAITING:
            self._enter(State.COMMAND)
            reply()
            self._process()

    def _messageTimedOut(self) -> None:
        self.server.counters.timeouts += 1
        self._close()

    # The life of a Connect.

    def _phoneConnected(self, phone: IProtocol, attempt: ConnectAttempt, tag: int) -> None:
        """
        Send the Result, then leave the transport to the pipe.

        The pipe's first end takes the place of this protocol's methods, so that
        a byte goes from the client's transport to the session directly.
        """
        self.server.counters.connects += 1
        self._enter(State.CONNECTED)
        client = attempt.clientEnd
        client.consumer = self._output.release()
        client.consumer.write(encodeResult(self.version, tag, Result.OK))
        # An instance attribute on purpose: one call less for every read.
        self.dataReceived = client.dataReceived  # type: ignore[method-assign]
        held = self._input.take()
        self._countHeld()
        self._input.resume()
        assert self.transport is not None
        attempt.join(self.transport, held)
        if self._inputEnded:
            client.readConnectionLost()

    def _phoneFailed(
        self,
        reason: Failure,
        attempt: ConnectAttempt,
        tag: int,
        attached: AttachedDevice,
        port: int,
    ) -> None:
        """
        Tell the client, which may go on with other commands.
        """
        if attempt.cancelled:
            return
        self._attempt = None
        self.server.connectRefused(attached, port, reason, self.owner)
        self._enter(State.COMMAND)
        self.sendResult(tag, resultOf(reason))
        if self._input.isPaused and hasHungUp(self.transport):
            # That it is gone has not been read, and would not be until all it wants is refused.
            self._close()
        self._process()

    def _outputTaken(self) -> None:
        """
        The client has read everything: go on with what it has asked meanwhile.
        """
        if self.state is State.COMMAND:
            self._process()
        elif self._greeting is not None and self._feed is not None:
            self._greeted(self._feed.goOn(self))

    def _greeted(self, isMore: bool) -> None:
        """
        It has been told of some of what is here.

        @param isMore: Whether there is more, for when it has taken that.
        """
        self._stopGreeting()
        if self.state is not State.LISTENING:
            return
        if isMore:
            server = self.server
            timeout = server.limits.greetingTimeout
            self._greeting = server.clock.callLater(timeout, self._greetingTimedOut)
        elif self._inputEnded:
            self._close()

    def _stopGreeting(self) -> None:
        timer, self._greeting = self._greeting, None
        if timer is not None and timer.active():
            timer.cancel()

    def _greetingTimedOut(self) -> None:
        self._output.stopProducing()
        self.server.clientDeaf(self)
        self._leave()
        self._abort()

    # The end.

    def dropUnread(self) -> None:
        """
        Too much waits for the clients of this one's user.
        """
        self._output.stopProducing()
        self.server.clientOverBudget(self)
        if self.state not in (State.CLOSING, State.CLOSED):
            self._leave()
        self._abort()

    def dropSilent(self) -> None:
        """
        Descriptors are short, and this client has been silent for the longest.
        """
        self.server.clientSilent(self.owner)
        if self.state not in (State.CLOSING, State.CLOSED):
            self._leave()
        self._abort()

    def _outputOverflowed(self) -> None:
        self.server.clientDropped(self)
        self._leave()
        self._abort()

    def _close(self) -> None:
        """
        Close once every reply has been sent; soon, in any case.
        """
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self._leave()
        self._input.resume()
        timeout = self.server.limits.flushTimeout
        self._flushTimer = self.server.clock.callLater(timeout, self._flushTimedOut)
        self._output.finish()

    def _leave(self) -> None:
        """
        From here on nothing is read, and no event or phone is waited for.
        """
        attempt, self._attempt = self._attempt, None
        self._enter(State.CLOSING)
        self._stopGreeting()
        self._waitNoLonger()
        self._input.take()
        self._countHeld()
        self.audience.feed.remove(self)
        if attempt is not None:
            self.server.counters.cancelledConnects += 1
            attempt.cancel()

    def _flushTimedOut(self) -> None:
        self._flushTimer = None
        self.server.counters.flushTimeouts += 1
        self._abort()

    def _abort(self) -> None:
        """
        Drop everything, now.
        """
        transport: Any = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()

    def _leaveBehind(self) -> None:
        """
        The client has said everything, and perhaps gone, before all of it is done.
        """
        if not self._hasLeftBehind:
            self._hasLeftBehind = True
            if self.account is not None:
                self.server.accounts.orphaned(self.account)

    def _catchUp(self) -> None:
        if self._hasLeftBehind:
            self._hasLeftBehind = False
            if self.account is not None:
                self.server.accounts.orphanDone(self.account)

    def _countHeld(self) -> None:
        """
        Count what the client has sent and what is not done yet.
        """
        held = len(self._input) + self._underWay
        if held != self._held:
            change, self._held = held - self._held, held
            if self.account is not None:
                self.server.accounts.hold(self.account, change)

    def _dropHeld(self) -> None:
        """
        This client has sent more than its user's clients may, before what they had sent is done.
        """
        self.server.clientHeldTooMuch(self.owner)
        if self.state not in (State.CLOSING, State.CLOSED):
            self._leave()
        self._abort()

    def _enter(self, state: State) -> None:
        """
        Change the state; every change happens here.
        """
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"client {self.number}: {self.state.value} to {state.value}")
        if self.account is not None:
            self.account.uses(self, self.state, state, self.server.turns.began)
        self.state = state

    def _learnName(self) -> None:
        """
        The user is the one that a certificate names: TLS has asked for it before the first
        byte came.
        """
        self._isNamed = True
        name = nameOf(self.transport)
        if name is None or self.account is None:
            return
        account = self.server.enter(name)
        if account is None:
            self._leave()
            self._abort()
            return
        self.account.forget(self)
        self.server.accounts.leave(self.account)
        self.account = account
        account.silent(self, self.server.clock.seconds())
