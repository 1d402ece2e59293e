# -*- test-case-name: tests.lockdown.test_client -*-
"""
A host's conversation with a phone's lockdownd (protocol 5.3).

Requests are answered one after the other, so a conversation has one request under
way at a time.  One that is not answered in time ends the conversation: there is no
telling which request a late answer would belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from muxd.importing.extras import installing
from muxd.lockdown.errors import (
    LockdownTLSError,
    LockdownUnavailable,
    UnprovedPhone,
    refusal,
)
from muxd.lockdown.pairrecord import PairRecord
from muxd.lockdown.plists import Message, PlistProtocol
from muxd.lockdown.rsakeys import certificateDER, certificateKey
from muxd.net.turns import Turns
from muxd.wire.messages import writePlist
from muxd.wire.text import printable

if TYPE_CHECKING:
    from muxd.lockdown.starttls import Upgradable

LOCKDOWN_PORT = 62078
LABEL = "muxd"
TIMEOUT = 10.0
"""Seconds for an answer.  A phone that has just been plugged in takes its time."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """
    Where a service that was started listens.

    @ivar port: On the phone.
    @ivar ssl: Whether it speaks TLS, with the certificates of the pairing.
    """

    port: int
    ssl: bool


class ILockdown(Interface):
    """
    A conversation with lockdownd.

    Each Deferred fails with a L{LockdownError} if the phone refuses, and with
    L{LockdownUnavailable} if there is no answer.
    """

    def queryType() -> Deferred[str]:
        """
        What answers: C{com.apple.mobile.lockdown} unless the phone is being
        restored.
        """

    def getValue(key: str | None = None, domain: str | None = None) -> Deferred[Any]:
        """
        One value, or without a key all of a domain.
        """

    def setValue(key: str, value: Any, domain: str | None = None) -> Deferred[None]:
        """
        Change one.
        """

    def pair(record: PairRecord) -> Deferred[bytes | None]:
        """
        Ask for trust.

        @return: fires with the escrow bag, if the phone gives one.
        """

    def validatePair(record: PairRecord) -> Deferred[None]:
        """
        Ask whether the phone knows a pairing.
        """

    def unpair(record: PairRecord) -> Deferred[None]:
        """
        Have the phone forget a pairing.
        """

    def startSession(record: PairRecord) -> Deferred[bool]:
        """
        Show that we are paired; TLS from then on if the phone wants it.

        @return: fires with whether the phone has proved that it is the one that the
            record is of: in TLS it shows that it has the private key of its certificate.
            An old record or an old phone may leave that open.  It fails with
            L{LockdownTLSError} if TLS does not come about, and with L{UnprovedPhone} if this
            is another device.
        """

    def stopSession() -> Deferred[None]:
        """
        End the session, and the conversation with it where there was TLS.
        """

    def startService(name: str, record: PairRecord | None = None) -> Deferred[ServiceAddress]:
        """
        Have a service listen.

        @param record: Whose escrow bag opens the phone's data while it is locked.
        """

    def close() -> None:
        """
        End the conversation.
        """


@implementer(ILockdown)
class LockdownClient(PlistProtocol):
    """
    See L{ILockdown}.
    """

    upgradable: Upgradable | None = None

    def __init__(self, clock: IReactorTime, label: str = LABEL, timeout: float = TIMEOUT) -> None:
        """
        @param label: What we call ourselves.
        @param timeout: Seconds for an answer.
        """
        self._clock = clock
        self._label = label
        self._timeout = timeout
        self._request = ""
        self._answer: Deferred[Message] | None = None
        self._securing: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._session: str | None = None
        self._ended: Exception | None = None

    # Requests

    def queryType(self) -> Deferred[str]:
        """
        See L{ILockdown.queryType}.
        """
        return self._ask("QueryType").addCallback(lambda answer: str(answer.get("Type", "")))

    def getValue(self, key: str | None = None, domain: str | None = None) -> Deferred[Any]:
        """
        See L{ILockdown.getValue}.
        """
        asked = self._ask("GetValue", Key=key, Domain=domain)
        return asked.addCallback(lambda answer: answer.get("Value"))

    def setValue(self, key: str, value: Any, domain: str | None = None) -> Deferred[None]:
        """
        See L{ILockdown.setValue}.
        """
        return self._ask("SetValue", Key=key, Value=value, Domain=domain).addCallback(_nothing)

    def pair(self, record: PairRecord) -> Deferred[bytes | None]:
        """
        See L{ILockdown.pair}.
        """
        asked = self._ask(
            "Pair",
            PairRecord=record.public(),
            PairingOptions={"ExtendedPairingErrors": True},
        )
        return asked.addCallback(_escrowBag)

    def validatePair(self, record: PairRecord) -> Deferred[None]:
        """
        See L{ILockdown.validatePair}.
        """
        return self._ask("ValidatePair", PairRecord=record.public()).addCallback(_nothing)

    def unpair(self, record: PairRecord) -> Deferred[None]:
        """
        See L{ILockdown.unpair}.
        """
        return self._ask("Unpair", PairRecord=record.public()).addCallback(_nothing)

    def startSession(self, record: PairRecord) -> Deferred[bool]:
        """
        See L{ILockdown.startSession}.
        """
        asked = self._ask("StartSession", HostID=record.hostID, SystemBUID=record.systemBUID)
        return asked.addCallback(self._sessionStarted, record)

    def stopSession(self) -> Deferred[None]:
        """
        See L{ILockdown.stopSession}.
        """
        return self._ask("StopSession", SessionID=self._session).addCallback(_nothing)

    def startService(self, name: str, record: PairRecord | None = None) -> Deferred[ServiceAddress]:
        """
        See L{ILockdown.startService}.
        """
        bag = None if record is None else record.values.get("EscrowBag")
        return self._ask("StartService", Service=name, EscrowBag=bag).addCallback(_address)

    # The conversation

    def _ask(self, request: str, **values: Any) -> Deferred[Message]:
        if self._ended is not None:
            return fail(self._ended)
        if self._answer is not None:
            return fail(RuntimeError(f"{request} while {self._request} is not answered"))
        given = {name: value for name, value in values.items() if value is not None}
        message = {"Label": self._label, "Request": request, "ProtocolVersion": "2", **given}
        try:
            data = writePlist(message)
        except (TypeError, ValueError) as error:
            return fail(LockdownUnavailable(f"{request} cannot be asked: {error}"))
        self._request = request
        self._answer = answer = Deferred[Message]()
        self._startTimer()
        self.sendString(data)
        return answer

    def plistReceived(self, message: Message) -> None:
        """
        The answer to what was asked, if it is one.
        """
        answer = self._answer
        if answer is None or message.get("Request", self._request) != self._request:
            return
        self._answer = None
        self._stopTimer()
        error = message.get("Error")
        if error is None and message.get("Result") == "Failure":
            error = "Failure"
        if error is not None:
            answer.errback(refusal(self._request, str(error)))
        else:
            answer.callback(message)

    def _sessionStarted(self, answer: Message, record: PairRecord) -> bool | Deferred[bool]:
        session = answer.get("SessionID")
        self._session = session if isinstance(session, str) else None
        if not answer.get("EnableSessionSSL"):
            if record.hasEscrowBag:
                return fail(UnprovedPhone("it wants no TLS, which the phone of the record has"))
            return False
        if self.upgradable is None:
            return fail(LockdownTLSError(f"the phone wants TLS; {installing('pairing')}"))
        from muxd.lockdown.certificates import clientContext

        try:
            context = clientContext(record)
        except ValueError as error:
            return fail(LockdownTLSError(str(error)))
        self._securing = securing = Deferred[None]()
        self._startTimer()
        self.upgradable.startTLS(context, isClient=True)
        return securing.addCallback(lambda _: self._isProved(record))

    def _isProved(self, record: PairRecord) -> bool:
        """
        Compare the key that the other side has with that of the phone.

        @return: Whether it is the same; false if the record does not tell.
        @raise UnprovedPhone: It is another one.
        """
        assert self.upgradable is not None
        known = record.values.get("DeviceCertificate")
        if known is None:
            return False
        try:
            expected = certificateKey(certificateDER(known))
        except ValueError as error:
            raise UnprovedPhone(f"the record's DeviceCertificate is unusable: {error}") from error
        try:
            isSame = certificateKey(self.upgradable.peerCertificate()) == expected
        except ValueError as error:
            raise UnprovedPhone(f"the certificate that it shows is unusable: {error}") from error
        if not isSame:
            raise UnprovedPhone("it has another key than the phone of the record")
        return True

    def secured(self) -> None:
        """
        TLS is there.
        """
        securing, self._securing = self._securing, None
        self._stopTimer()
        if securing is not None:
            securing.callback(None)

    def malformed(self, reason: str) -> None:
        """
        What answers is no lockdownd.
        """
        self._end(LockdownUnavailable(f"lockdownd does not answer in its language: {reason}"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        There will be no answer.
        """
        self._end(LockdownUnavailable(f"lockdownd has closed: {reason.getErrorMessage()}"))

    def close(self) -> None:
        """
        See L{ILockdown.close}.
        """
        self._end(LockdownUnavailable("the conversation with lockdownd was ended here"))

    def _timedOut(self) -> None:
        self._timer = None
        self._end(LockdownUnavailable(f"no answer to {self._request} within {self._timeout:g} s"))

    def _startTimer(self) -> None:
        self._stopTimer()
        self._timer = self._clock.callLater(self._timeout, self._timedOut)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _end(self, error: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._stopTimer()
        super().close()
        answer, self._answer = self._answer, None
        securing, self._securing = self._securing, None
        if answer is not None:
            answer.errback(error)
        if securing is not None:
            securing.errback(LockdownTLSError(f"no TLS with the phone: {error}"))


class _ClientFactory(Factory):
    """
    Makes one conversation.
    """

    noisy = False

    def __init__(self, make: Callable[[], LockdownClient], turns: Turns | None) -> None:
        self._make = make
        self._turns = turns

    def buildProtocol(self, addr: object) -> Any:
        """
        One that can be made secure, if TLS is installed.
        """
        client = self._make()
        try:
            from muxd.lockdown.starttls import Upgradable
        except ImportError:
            return client
        client.upgradable = Upgradable(client, self._turns)
        return client.upgradable


def connectLockdown(
    endpoint: IStreamClientEndpoint,
    clock: IReactorTime,
    label: str = LABEL,
    timeout: float = TIMEOUT,
    turns: Turns | None = None,
) -> Deferred[LockdownClient]:
    """
    Begin a conversation.

    @param endpoint: Of port 62078 of a device.
    @param turns: Those that handshakes have.
    @return: fails as the endpoint does.
    """
    factory = _ClientFactory(lambda: LockdownClient(clock, label, timeout), turns)
    return endpoint.connect(factory).addCallback(
        lambda protocol: getattr(protocol, "inner", protocol)
    )


def _nothing(answer: Message) -> None:
    """
    There is nothing to an answer but that it came.
    """


def _escrowBag(answer: Message) -> bytes | None:
    bag = answer.get("EscrowBag")
    return bag if isinstance(bag, bytes) else None


def _address(answer: Message) -> ServiceAddress:
    port = answer.get("Port")
    if type(port) is not int or not 0 < port < 65536:
        raise LockdownUnavailable(f"expected the port of a service, got {printable(repr(port))}")
    return ServiceAddress(port, bool(answer.get("EnableServiceSSL")))
