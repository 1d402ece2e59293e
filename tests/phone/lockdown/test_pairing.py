"""
Tests of L{muxd.phone.lockdown.lockdownd} where a pairing is involved; the host's side is
L{muxd.lockdown.client}.
"""

from __future__ import annotations

import builtins
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.errors import LockdownError, LockdownUnavailable
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.iphone import FAREWELL
from muxd.phone.lockdown.lockdownd import Lockdownd
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.notices import NAME_CHANGED
from muxd.phone.services.ports import MOST_WAITING, NamedService
from tests.lockdown.phones import Conversation, recordOf


class SessionCase(SynchronousTestCase):
    """
    A host that is trusted.
    """

    def setUp(self) -> None:
        """
        Pair.
        """
        self.talk = Conversation()
        self.record = recordOf("H")
        self.talk.trust(self.record)

    def answer(self, asked: Deferred[Any]) -> Any:
        """
        What comes of a request.
        """
        self.talk.device.flush()
        return self.successResultOf(asked)

    def error(self, asked: Deferred[Any]) -> str:
        """
        The phone's word for why not.
        """
        self.talk.device.flush()
        return str(self.failureResultOf(asked, LockdownError).value.code)


class SessionTests(SessionCase):
    """
    Sessions and what is different in them.
    """

    def test_values(self) -> None:
        """
        A host sees more, and changes what it may; a new name is told.
        """
        client = self.talk.client
        noticed: list[str] = []
        self.talk.phone.notices.observe(noticed.append)
        self.answer(client.startSession(self.record))
        self.answer(client.setValue("DeviceName", "mine"))
        self.assertEqual(noticed, [NAME_CHANGED])
        self.assertEqual(self.answer(client.getValue("DeviceName")), "mine")
        self.answer(client.setValue("TimeZone", "Asia/Tokyo"))
        self.assertEqual(self.answer(client.getValue("TimeZone")), "Asia/Tokyo")
        now: Any = self.answer(client.getValue("TimeIntervalSince1970"))
        self.assertLessEqual(abs(now - time.time()), 3600)
        self.talk.clock.advance(5)
        self.answer(client.setValue("TimeIntervalSince1970", 1000))
        self.talk.clock.advance(5)
        self.assertEqual(self.answer(client.getValue("TimeIntervalSince1970")), 1005)
        for key, value in (("DeviceName", 7), ("UniqueDeviceID", "x"), ("DeviceName", "x" * 2000)):
            self.assertEqual(self.error(client.setValue(key, value)), "SetProhibited")

    def ask(self, request: str, **values: Any) -> dict[str, Any]:
        """
        The answer to a request, whatever it is.
        """
        client: Any = self.talk.client
        heard: list[dict[str, Any]] = []
        self.patch(client, "plistReceived", heard.append)
        client.sendPlist({"Request": request, **values})
        self.talk.device.flush()
        (answer,) = heard
        return answer

    def test_domains(self) -> None:
        """
        Values are set and removed in their domain; a foreign domain's name is not the phone's.
        """
        domain = "com.apple.mobile.wireless_lockdown"
        self.answer(self.talk.client.startSession(self.record))
        key = "EnableWifiConnections"
        answer = self.ask("SetValue", Domain=domain, Key=key, Value=True)
        self.assertEqual(
            answer, {"Request": "SetValue", "Domain": domain, "Key": key, "Value": True}
        )
        self.assertIs(self.ask("GetValue", Domain=domain, Key=key)["Value"], True)
        answer = self.ask("SetValue", Domain=domain, Key="DeviceName", Value="x")
        self.assertEqual(answer["Error"], "SetProhibited")
        self.assertNotIn("Error", self.ask("RemoveValue", Domain=domain, Key=key))
        for request in ("RemoveValue", "GetValue"):
            answer = self.ask(request, Domain=domain, Key=key)
            self.assertEqual(answer["Error"], "MissingValue")
        answer = self.ask("RemoveValue", Key="DeviceName")
        self.assertEqual(answer["Error"], "RemoveProhibited")

    def test_recovery(self) -> None:
        """
        A host can have the phone restart into recovery mode.
        """
        self.answer(self.talk.client.startSession(self.record))
        self.assertEqual(self.ask("EnterRecovery")["Result"], "Success")
        self.assertFalse(self.talk.phone.isInRecovery)
        self.talk.clock.advance(FAREWELL)
        self.assertTrue(self.talk.phone.isInRecovery)

    def test_twice(self) -> None:
        """
        There is one session in a conversation, and after it none.
        """
        client = self.talk.client
        self.answer(client.startSession(self.record))
        self.assertEqual(self.error(client.startSession(self.record)), "SessionActive")
        self.answer(client.stopSession())
        self.assertEqual(self.error(client.stopSession()), "SessionInactive")

    def test_otherHost(self) -> None:
        """
        The name of a pairing is good for any host that has its keys; for the one that it was
        made with alone if the phone is strict.
        """
        stranger = recordOf("H", "OTHER")
        self.answer(self.talk.client.startSession(stranger))
        self.answer(self.talk.client.stopSession())
        self.talk.phone.lockdown.isStrict = True
        self.assertEqual(self.error(self.talk.client.startSession(stranger)), "InvalidHostID")

    def test_unusableCertificate(self) -> None:
        """
        A host that has given the phone no certificate it could use gets no
        session.
        """
        broken = recordOf("X").having(DeviceCertificate=b"none")
        self.talk.trust(broken)
        asked = self.talk.client.startSession(broken)
        self.talk.device.flush()
        self.failureResultOf(asked, LockdownUnavailable)

    def test_restore(self) -> None:
        """
        A phone in restore mode says so.
        """
        self.talk.phone.restore()
        self.assertEqual(self.answer(self.talk.client.queryType()), "com.apple.mobile.restored")

    def test_withoutTLS(self) -> None:
        """
        Without the extra nobody is ever trusted, and everything else goes on.
        """
        usual = builtins.__import__

        def refuse(name: str, *arguments: Any, **others: Any) -> Any:
            if name == "muxd.lockdown.starttls":
                raise ImportError(name)
            return usual(name, *arguments, **others)

        self.patch(builtins, "__import__", refuse)
        talk = Conversation()
        self.assertIsInstance(talk.device.phone.lockdown.factory().buildProtocol(None), Lockdownd)
        asked = talk.client.pair(self.record)
        talk.device.flush()
        self.failureResultOf(asked, LockdownError)
        self.assertEqual(talk.phone.trust.dialogs, 0)


class ServiceTests(SessionCase):
    """
    Starting services.
    """

    def setUp(self) -> None:
        """
        Pair, and have services.
        """
        super().setUp()
        echo = ServiceFactory(Echo)
        self.talk.phone.ports._services = {
            "plain": NamedService(echo),
            "ssl": NamedService(echo, ssl=True),
            "insecure": NamedService(echo, ssl=True, secure=False),
        }

    def start(self, name: str, record: PairRecord | None = None) -> Any:
        """
        Where a service listens.
        """
        return self.answer(self.talk.client.startService(name, record))

    def test_stranger(self) -> None:
        """
        Without a session a host starts what anybody may, in plain text.
        """
        client = self.talk.client
        self.assertEqual(self.error(client.startService("plain")), "SessionInactive")
        self.assertEqual(self.error(client.startService("none")), "InvalidService")
        address = self.start("insecure")
        self.assertFalse(address.ssl)
        self.assertIn(address.port, self.talk.phone.services)

    def test_trusted(self) -> None:
        """
        In a session it starts everything, with TLS where the service has it.
        """
        self.answer(self.talk.client.startSession(self.record))
        plain, secret = self.start("plain"), self.start("ssl", self.record)
        self.assertEqual((plain.ssl, secret.ssl), (False, True))
        self.assertNotEqual(plain.port, secret.port)
        service: Any = self.talk.phone.services[plain.port].buildProtocol(None)  # type: ignore[arg-type]
        transport = StringTransport()
        service.makeConnection(transport)
        service.dataReceived(b"hello")
        self.assertEqual(transport.value(), b"hello")

    def test_tooMany(self) -> None:
        """
        Ports that nobody comes to are not opened without end.
        """
        self.answer(self.talk.client.startSession(self.record))
        for _ in range(MOST_WAITING):
            self.start("plain")
        self.assertEqual(self.error(self.talk.client.startService("plain")), "ServiceLimit")
