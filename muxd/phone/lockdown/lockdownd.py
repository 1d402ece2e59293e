# -*- test-case-name: tests.phone.lockdown.test_lockdownd,tests.phone.lockdown.test_pairing -*-
"""
The phone's lockdownd: the phone's identity, the hosts that it trusts, and its services
(protocol 5.3).

A host without a session sees what any host may see.  One that is paired starts a
session, over TLS from then on, in which it may see and change more and start
services.  Without the extra C{pairing} there is no TLS, and so no host is ever
trusted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from twisted.internet.interfaces import IReactorTime

from muxd.lockdown.plists import AnsweringProtocol, Message
from muxd.phone.lockdown.key import PRIVATE_KEY
from muxd.phone.lockdown.trust import PENDING, Pairing, Trust
from muxd.phone.lockdown.values import BY_NAME, PhoneValues
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.notices import NAME_CHANGED, TIME_ZONE_CHANGED, NoticeCentre
from muxd.phone.services.ports import ServicePorts
from muxd.wire.text import printable

if TYPE_CHECKING:
    from muxd.lockdown.starttls import Upgradable

LOCKDOWN_PORT = 62078
LOCKDOWN = "com.apple.mobile.lockdown"
RESTORE = "com.apple.mobile.restored"
HOST_ID_KEY = "UntrustedHostBUID"
"""What a host may set before it is paired."""

ESCROW_SIZE = 32

TOLD = {"DeviceName": NAME_CHANGED, "TimeZone": TIME_ZONE_CHANGED}
"""What is posted when a value without a domain has been changed."""


class LockdownState:
    """
    What all conversations with one phone's lockdownd share.

    @ivar values: What it tells.
    @ivar trust: The hosts that the phone trusts.
    @ivar ports: Opens ports for services.
    @ivar notices: What happens.
    @ivar syslog: Where it is written down.
    @ivar type: What it says it is.
    @ivar isMute: Whether it answers nothing.
    @ivar enterRecovery: Has the phone leave the bus and come back in recovery mode.
    @ivar isStrict: Whether a session is refused to a host whose BUID is another than when it was
        paired.  What phones do is not known; hosts that share a pair record have been seen to
        rely on their not minding.
    @ivar untrustedHost: The last host that has named itself without a pairing.
    """

    def __init__(
        self,
        clock: IReactorTime,
        values: PhoneValues,
        trust: Trust,
        ports: ServicePorts,
        notices: NoticeCentre,
        syslog: SyslogBook,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        @param random: Makes that many random bytes.
        """
        self.clock = clock
        self.values = values
        self.trust = trust
        self.ports = ports
        self.notices = notices
        self.syslog = syslog
        self.random = random
        self.type = LOCKDOWN
        self.isMute = False
        self.isStrict = False
        self.enterRecovery: Callable[[], object] = lambda: None
        self.untrustedHost = ""

    def factory(self) -> ServiceFactory:
        """
        Makes conversations.
        """
        return ServiceFactory(self._conversation)

    def remoteConversation(self, isTrusted: bool) -> RemoteLockdownd:
        """
        One within a tunnel.

        @param isTrusted: Whether the host has a session from the beginning, which needs no TLS.
        """
        return RemoteLockdownd(self, isTrusted)

    def _conversation(self) -> Any:
        lockdownd = Lockdownd(self)
        try:
            from muxd.lockdown.starttls import Upgradable
        except ImportError:
            return lockdownd
        lockdownd.upgradable = Upgradable(lockdownd)
        return lockdownd.upgradable


class Lockdownd(AnsweringProtocol):
    """
    One conversation.

    It produces answers for its transport, so a host that asks and does not read
    is not listened to.
    """

    upgradable: Upgradable | None = None

    def __init__(self, state: LockdownState) -> None:
        self._state = state
        self._session: Pairing | None = None
        self._answers: dict[str, Callable[[Message], Message]] = {
            "QueryType": lambda _: {"Type": self._state.type},
            "GetValue": self._getValue,
            "SetValue": self._setValue,
            "StartSession": self._startSession,
            "StopSession": self._stopSession,
            "Pair": self._pair,
            "ValidatePair": self._validatePair,
            "Unpair": self._unpair,
            "StartService": self._startService,
            "RemoveValue": self._removeValue,
            "EnterRecovery": self._enterRecovery,
            "Goodbye": lambda _: {"Result": "Success"},
        }

    def plistReceived(self, message: Message) -> None:
        """
        Answer a request.
        """
        if self._state.isMute:
            return
        name = message.get("Request")
        answer = self._answers.get(name) if isinstance(name, str) else None
        body = answer(message) if answer else {"Error": "InvalidRequest"}
        outcome = body.get("Error", "success")
        head = {"Request": name} if isinstance(name, str) else {}
        self._state.syslog.write("lockdownd", "Notice", f"{head!r:.40}: {outcome}")
        try:
            self.sendPlist({**head, **body})
        except (TypeError, ValueError):
            # A request in binary may hold what XML cannot say.
            self.sendPlist({"Error": "InvalidRequest"})
        if name == "Goodbye":
            self.close()
        elif "SessionID" in body and self._session is not None:
            self._startTLS(self._session)

    # Values

    def _getValue(self, request: Message) -> Message:
        """
        One value, or without a key all of a domain.
        """
        echoed = _named(request)
        domain, key = request.get("Domain", ""), request.get("Key")
        values = self._state.values.domain(domain, isTrusted=self._session is not None)
        if key is None and (values or domain == ""):
            shown = {k: v for k, v in values.items() if domain or k not in BY_NAME}
            return {**echoed, "Value": shown}
        if isinstance(key, str) and key in values:
            return {**echoed, "Value": values[key]}
        return {**echoed, "Error": "MissingValue"}

    def _setValue(self, request: Message) -> Message:
        """
        All but one are for paired hosts.
        """
        domain, key, value = request.get("Domain", ""), request.get("Key"), request.get("Value")
        if domain == "" and key == HOST_ID_KEY:
            self._state.untrustedHost = printable(str(value))
            return {"Key": HOST_ID_KEY, "Value": request.get("Value", "")}
        if self._session is None or not self._state.values.change(domain, key, value):
            return {"Error": "SetProhibited"}
        if domain == "" and key in TOLD:
            self._state.notices.post(TOLD[key])
        return {**_named(request), "Value": value}

    def _removeValue(self, request: Message) -> Message:
        domain, key = request.get("Domain", ""), request.get("Key")
        if self._session is None or not self._state.values.mayRemove(domain, key):
            return {"Error": "RemoveProhibited"}
        if not self._state.values.remove(domain, str(key)):
            return {**_named(request), "Error": "MissingValue"}
        return _named(request)

    def _enterRecovery(self, _: Message) -> Message:
        if self._session is None:
            return {"Error": "SessionInactive"}
        self._state.enterRecovery()
        return {"Result": "Success"}

    # Trust

    def _pair(self, request: Message) -> Message:
        pairing = Pairing.fromValues(request.get("PairRecord"))
        if pairing is None:
            return {"Error": "InvalidPairRecord"}
        if self.upgradable is None:
            return {"Error": PENDING}
        error = self._state.trust.requested(pairing)
        if error is not None:
            return {"Error": error}
        return {"EscrowBag": self._state.random(ESCROW_SIZE)}

    def _validatePair(self, request: Message) -> Message:
        record = request.get("PairRecord")
        hostID = record.get("HostID") if isinstance(record, dict) else None
        known = self._state.trust.pairing(hostID) is not None
        return {"Result": "Success"} if known else {"Error": "InvalidHostID"}

    def _unpair(self, request: Message) -> Message:
        record = request.get("PairRecord")
        hostID = record.get("HostID") if isinstance(record, dict) else None
        if not self._state.trust.unpair(hostID):
            return {"Error": "InvalidHostID"}
        return {"Result": "Success"}

    # Sessions

    def _startSession(self, request: Message) -> Message:
        if self._session is not None:
            return {"Error": "SessionActive"}
        pairing = self._state.trust.pairing(request.get("HostID"))
        if pairing is None:
            return {"Error": "InvalidHostID"}
        if self._state.isStrict and pairing.systemBUID != request.get("SystemBUID"):
            return {"Error": "InvalidHostID"}
        self._session = pairing
        return {"SessionID": str(uuid4()).upper(), "EnableSessionSSL": True}

    def _startTLS(self, pairing: Pairing) -> None:
        from muxd.lockdown.certificates import serverContext

        try:
            context = serverContext(PRIVATE_KEY, pairing.deviceCertificate, pairing.rootCertificate)
        except ValueError as error:
            self.malformed(str(error))
            return
        assert self.upgradable is not None
        # The answers go through TLS now, and so does what holds them back.
        transport: Any = self.transport
        transport.unregisterProducer()
        self.upgradable.startTLS(context, isClient=False)
        self.connectionMade()

    def _stopSession(self, request: Message) -> Message:
        if self._session is None:
            return {"Error": "SessionInactive"}
        self._session = None
        return {"Result": "Success"}

    def _startService(self, request: Message) -> Message:
        state = self._state
        service = state.ports.find(request.get("Service"))
        if service is None:
            return {"Error": "InvalidService"}
        pairing = self._session
        if pairing is None and service.secure:
            return {"Error": "SessionInactive"}
        factory: Any = service.factory
        if service.ssl and pairing is not None:
            factory = _secured(factory, pairing, state.clock)
        port = state.ports.open(factory)
        if port is None:
            return {"Error": "ServiceLimit"}
        answer: Message = {"Service": request["Service"], "Port": port}
        if service.ssl and pairing is not None:
            answer["EnableServiceSSL"] = True
        return answer


class RemoteLockdownd(Lockdownd):
    """
    A conversation within a tunnel, where hosts find services by RSD.
    """

    def __init__(self, state: LockdownState, isTrusted: bool) -> None:
        super().__init__(state)
        if isTrusted:
            self._session = Pairing("", "", b"", b"")
        elsewhere = ("Pair", "StartSession", "StopSession", "StartService", "Unpair")
        for name in elsewhere:
            self._answers[name] = lambda _: {"Error": "InvalidRequest"}


def _named(request: Message) -> Message:
    """
    The value that a request is about, as its answer repeats it.
    """
    return {key: request[key] for key in ("Domain", "Key") if key in request}


def _secured(factory: Any, pairing: Pairing, clock: IReactorTime) -> Any:
    from muxd.lockdown.certificates import serverContext
    from muxd.lockdown.starttls import securedFactory

    context = serverContext(PRIVATE_KEY, pairing.deviceCertificate, pairing.rootCertificate)
    return securedFactory(factory, context, clock)
