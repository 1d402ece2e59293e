"""
Tests of L{muxd.lockdown.client}, with a simulated phone's lockdownd.
"""

from __future__ import annotations

import plistlib
from struct import pack
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.lockdown.certificates import makePairRecord
from muxd.lockdown.client import ILockdown, LockdownClient, ServiceAddress
from muxd.lockdown.errors import (
    DialogPending,
    LockdownError,
    LockdownTLSError,
    LockdownUnavailable,
    UnknownHost,
    UnprovedPhone,
)
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.key import PUBLIC_KEY
from tests.lockdown.phones import BUID, Conversation, anyRecord, recordOf


class ConversationTests(SynchronousTestCase):
    """
    What a host can ask.
    """

    def setUp(self) -> None:
        """
        Begin to talk.
        """
        self.talk = Conversation()
        self.client = self.talk.client

    def answer(self, asked: Deferred[Any]) -> Any:
        """
        What comes of a request.
        """
        self.talk.device.flush()
        return self.successResultOf(asked)

    def refused(self, asked: Deferred[Any], kind: type[Exception] = LockdownError) -> str:
        """
        What a request is refused with.
        """
        self.talk.device.flush()
        return str(self.failureResultOf(asked, kind).value)

    def test_interface(self) -> None:
        """
        It is an L{ILockdown}.
        """
        verifyObject(ILockdown, self.client)

    def test_stranger(self) -> None:
        """
        Any host may ask which phone it is.
        """
        self.assertEqual(self.answer(self.client.queryType()), "com.apple.mobile.lockdown")
        self.assertEqual(self.answer(self.client.getValue("DeviceClass")), "iPhone")
        self.assertIn("ProductType", self.answer(self.client.getValue()))
        domain = "com.apple.mobile.battery"
        self.assertEqual(self.answer(self.client.getValue("BatteryCurrentCapacity", domain)), 80)
        self.assertIsNone(self.answer(self.client.setValue("UntrustedHostBUID", "B")))

    def test_unsayable(self) -> None:
        """
        What XML cannot say is not asked, and the conversation goes on.
        """
        text = self.refused(self.client.getValue("\x1b"), LockdownUnavailable)
        self.assertIn("GetValue cannot be asked", text)
        self.refused(self.client.setValue("x", object()), LockdownUnavailable)
        self.assertEqual(self.answer(self.client.queryType()), "com.apple.mobile.lockdown")

    def test_refusal(self) -> None:
        """
        A refusal has the phone's word for it, and the conversation goes on.
        """
        text = self.refused(self.client.setValue("DeviceName", "x"))
        self.assertEqual(text, "the phone answered SetProhibited to SetValue")
        self.assertEqual(self.answer(self.client.queryType()), "com.apple.mobile.lockdown")

    def test_pairing(self) -> None:
        """
        Pairing asks for the dialog, and succeeds when somebody has tapped.
        """
        record = recordOf("H")
        self.refused(self.client.pair(record), DialogPending)
        self.talk.phone.trust.accept()
        self.assertEqual(len(self.answer(self.client.pair(record))), 32)
        self.assertIsNone(self.answer(self.client.validatePair(record)))
        self.assertIsNone(self.answer(self.client.unpair(record)))
        self.refused(self.client.validatePair(record), UnknownHost)

    def test_session(self) -> None:
        """
        In a session, which is over TLS, a host may see and change more, and
        start services.
        """
        record = recordOf("H")
        self.talk.trust(record)
        self.assertIs(self.answer(self.client.startSession(record)), True)
        self.assertEqual(self.answer(self.client.getValue("ActivationState")), "Activated")
        self.assertIsNone(self.answer(self.client.setValue("DeviceName", "mine")))
        address = self.answer(self.client.startService("com.apple.afc", record))
        self.assertEqual(address, ServiceAddress(49152, True))
        self.assertIsNone(self.answer(self.client.stopSession()))

    def test_strangersSession(self) -> None:
        """
        A host that is not paired has none.
        """
        self.refused(self.client.startSession(recordOf("H")), UnknownHost)

    def test_otherPhone(self) -> None:
        """
        A device that accepts the session and has another key than the phone of the record is
        another one, and so is one whose record does not say which.
        """
        for certificate in (anyRecord().values["HostCertificate"], b"garbage"):
            talk = Conversation()
            record = recordOf("H").having(DeviceCertificate=certificate)
            talk.trust(recordOf("H"))
            asked = talk.client.startSession(record)
            talk.device.flush()
            self.failureResultOf(asked, UnprovedPhone)

    def test_recordWithoutPhone(self) -> None:
        """
        A record without the phone's certificate leaves open which phone it is of.
        """
        values = dict(recordOf("H").values)
        del values["DeviceCertificate"]
        self.talk.trust(recordOf("H"))
        self.assertIs(self.answer(self.client.startSession(PairRecord(values))), False)

    def test_otherKey(self) -> None:
        """
        A host that knows the name of a pairing and not its key has none, and that
        is no word of the phone about the pairing.
        """
        record = recordOf("H")
        self.talk.trust(record)
        other = makePairRecord(PUBLIC_KEY, record.hostID, BUID)
        self.refused(self.client.startSession(other), LockdownTLSError)

    def test_unusableRecord(self) -> None:
        """
        A record whose key is none is found out here.
        """
        record = recordOf("H")
        self.talk.trust(record)
        broken = record.having(HostPrivateKey=b"no key")
        self.assertIn("unusable", self.refused(self.client.startSession(broken), LockdownTLSError))

    def test_phoneCloses(self) -> None:
        """
        What was asked fails, and so does what is asked later.
        """
        self.talk.phone.mute()
        asked = self.client.queryType()
        self.talk.device.flush()
        self.client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asked, LockdownUnavailable)
        self.refused(self.client.queryType(), LockdownUnavailable)

    def test_timeout(self) -> None:
        """
        A phone that does not answer ends the conversation.
        """
        self.talk.phone.mute()
        asked = self.client.queryType()
        self.talk.clock.advance(9.9)
        self.assertNoResult(asked)
        self.talk.clock.advance(0.1)
        self.assertIn("within 10 s", self.refused(asked, LockdownUnavailable))
        self.assertEqual(self.talk.clock.getDelayedCalls(), [])

    def test_oneAtATime(self) -> None:
        """
        A second request before the answer is a mistake.
        """
        asked = self.client.queryType()
        self.failureResultOf(self.client.queryType(), RuntimeError)
        self.assertEqual(self.answer(asked), "com.apple.mobile.lockdown")

    def test_close(self) -> None:
        """
        Closing fails what is asked, once.
        """
        asked = self.client.queryType()
        self.client.close()
        self.client.close()
        self.refused(asked, LockdownUnavailable)

    def test_closeTLS(self) -> None:
        """
        A phone that does not agree to the end of TLS is not waited for, and what it
        goes on saying is not kept.
        """
        record = recordOf("H")
        self.talk.trust(record)
        self.answer(self.client.startSession(record))
        tls: Any = self.client.transport
        pump = self.talk.device._pumps[-1]
        self.patch(pump.server, "dataReceived", lambda data: None)
        self.client.close()
        self.assertTrue(pump.clientIO.disconnecting)
        self.client.dataReceived(bytes(100000))
        self.assertEqual(self.client._unprocessed, b"")
        self.assertIs(tls.transport, pump.clientIO)


class AnswerTests(SynchronousTestCase):
    """
    What no phone should answer.
    """

    def setUp(self) -> None:
        """
        A phone that the test plays.
        """
        self.clock = Clock()
        self.transport = StringTransport()
        self.client = LockdownClient(self.clock)
        self.client.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """
        Answer.
        """
        self.client.dataReceived(pack(">I", len(data)) + data)

    def tell(self, **values: Any) -> None:
        """
        Answer with a property list.
        """
        self.say(plistlib.dumps(values))

    def test_garbage(self) -> None:
        """
        What is no property list ends the conversation.
        """
        asked = self.client.queryType()
        self.say(b"garbage")
        text = str(self.failureResultOf(asked, LockdownUnavailable).value)
        self.assertIn("does not answer in its language", text)
        self.assertTrue(self.transport.disconnecting)

    def test_unasked(self) -> None:
        """
        What nobody has asked for is passed over, as is the answer to something
        else.
        """
        self.tell(Type="x")
        asked = self.client.queryType()
        self.tell(Request="GetValue", Value=1)
        self.assertNoResult(asked)
        self.tell(Request="QueryType", Type="t")
        self.assertEqual(self.successResultOf(asked), "t")

    def test_failure(self) -> None:
        """
        Old phones say Failure, and not why.
        """
        asked = self.client.queryType()
        self.tell(Result="Failure")
        self.assertEqual(self.failureResultOf(asked, LockdownError).value.code, "Failure")

    def test_ports(self) -> None:
        """
        A service on no port is none.
        """
        for port in (None, 0, 70000, "80", True):
            asked = self.client.startService("x")
            self.tell(**({} if port is None else {"Port": port}))
            self.failureResultOf(asked, LockdownUnavailable)

    def test_plain(self) -> None:
        """
        A session may be without TLS; where it is not, it has to be installed
        here.
        """
        record = PairRecord({"HostID": "h", "SystemBUID": "b"})
        asked = self.client.startSession(record)
        self.tell(Request="StartSession", SessionID="s")
        self.assertIs(self.successResultOf(asked), False)
        asked = self.client.startSession(record.having(EscrowBag=b"bag"))
        self.tell(Request="StartSession", SessionID="s")
        self.failureResultOf(asked, UnprovedPhone)
        asked = self.client.startSession(record)
        self.tell(Request="StartSession", EnableSessionSSL=True)
        self.failureResultOf(asked, LockdownTLSError)

    def test_noBag(self) -> None:
        """
        Old phones give no escrow bag.
        """
        asked = self.client.pair(recordOf("H"))
        self.tell(Request="Pair")
        self.assertIsNone(self.successResultOf(asked))

    def test_lateTLS(self) -> None:
        """
        Word of a handshake that nobody waits for is no harm.
        """
        self.client.secured()
