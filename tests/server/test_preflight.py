"""
Tests of L{muxd.server.preflight}, with a simulated phone.
"""

from __future__ import annotations

import plistlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.lockdownd import Lockdownd
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflight import NAME_PATIENCE, LookPacing
from muxd.server.preflightmachine import Stage
from tests.lockdown.phones import recordOf
from tests.server.laterecords import LateRecords
from tests.server.preflights import HOST, PreflightCase


class TrustTests(PreflightCase):
    """
    From being plugged in to being trusted.
    """

    def test_accepted(self) -> None:
        """
        The phone is visible while it asks, and paired when somebody has tapped.
        """
        phone = self.plugged()
        phone.plug()
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        self.assertIs(phone.preflight.stage, Stage.WAITING)
        phone.wait(0.5)
        self.assertEqual(phone.listener.told, [(0, "Attached"), (0.3, "Paired")])
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        assert phone.record is not None
        self.assertEqual(phone.record.hostID, str(HOST).upper())
        self.assertEqual(len(phone.record.values["EscrowBag"]), 32)
        self.assertIn("WiFiMACAddress", phone.record.values)
        self.assertEqual((phone.device.phone.trust.dialogs, phone.made), (1, 1))
        self.assertOver(phone)

    def test_acceptedMuchLater(self) -> None:
        """
        However long that takes, there is one dialog, and keys are made once.
        """
        phone = self.plugged(Owner.ASK)
        phone.plug()
        phone.wait(300)
        self.assertEqual(self.told(phone), ["Attached"])
        phone.device.phone.trust.accept()
        phone.wait(0.2)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])
        self.assertEqual((phone.device.phone.trust.dialogs, phone.made), (1, 1))

    def test_polled(self) -> None:
        """
        A phone that does not tell is asked again now and then.
        """
        phone = self.plugged(Owner.ASK)
        phone.device.refused.add(49152)
        phone.plug()
        phone.device.phone.trust.accept()
        phone.wait(9)
        self.assertEqual(self.told(phone), ["Attached"])
        phone.wait(2)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_trusted(self) -> None:
        """
        A phone that is paired already is visible when its record was tried.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        phone.plug()
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertEqual(phone.device.phone.trust.dialogs, 0)
        self.assertOver(phone)

    def test_remembered(self) -> None:
        """
        By which name a phone announces itself on networks is kept, when it is known by its
        record and when it has paired; one that does not say it is as good.
        """
        for isPaired in (True, False):
            phone = self.plugged(Owner.ACCEPT)
            if isPaired:
                phone.paired()
            phone.device.phone.values.announces("phone._apple-mobdev2._tcp.local.")
            phone.plug()
            phone.wait(10)
            self.assertIs(phone.preflight.stage, Stage.TRUSTED)
            self.assertEqual(phone.store.wireless, {phone.udid: "phone._apple-mobdev2._tcp.local."})
        phone.unplug()
        phone.device.phone.values.announces("")
        phone.store.wireless.clear()
        phone.plug()
        phone.wait(10)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertOver(phone)

    def test_namelessSilently(self) -> None:
        """
        One that does not answer the question for its name is trusted all the same, soon.
        """
        answer = Lockdownd.plistReceived

        def plistReceived(lockdownd: Lockdownd, message: Any) -> None:
            if message.get("Key") != "BonjourFullServiceName":
                answer(lockdownd, message)

        self.patch(Lockdownd, "plistReceived", plistReceived)
        phone = self.plugged(Owner.ASK)
        phone.paired()
        phone.plug()
        phone.wait(NAME_PATIENCE + 1)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertEqual((self.told(phone), phone.store.wireless), (["Attached"], {}))
        self.assertOver(phone)

    def test_denied(self) -> None:
        """
        A host that is denied does not ask again before the phone is plugged in anew.
        """
        phone = self.plugged(Owner.DENY)
        logged = self.logged()
        phone.plug()
        phone.wait(120)
        self.assertIs(phone.preflight.stage, Stage.DENIED)
        self.assertEqual(phone.device.phone.trust.dialogs, 1)
        self.assertIn("Don't Trust", logged[-1])
        self.assertOver(phone)
        phone.unplug()
        phone.device.phone.trust.owner = Owner.ACCEPT
        phone.plug()
        phone.wait(1)
        self.assertEqual(self.told(phone), ["Attached", "Detached", "Attached", "Paired"])

    def test_locked(self) -> None:
        """
        A locked phone is visible, and asked when it has been unlocked; that is
        said once.
        """
        phone = self.plugged(Owner.LOCKED)
        logged = self.logged()
        phone.plug()
        phone.wait(60)
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        self.assertEqual([line for line in logged if "is locked" in line], logged)
        self.assertEqual(len(logged), 1)
        phone.device.phone.trust.unlock(Owner.ACCEPT)
        phone.wait(70)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def until(self, phone: Any, stage: Stage) -> None:
        """
        Let as much time go by as a stage takes to come.
        """
        for _ in range(700):
            if phone.preflight.stage is stage:
                return
            phone.wait(0.1)
        self.fail(f"expected {stage}, got {phone.preflight.stage}")

    def test_lockedWhileWaiting(self) -> None:
        """
        A phone that was waited for in vain, and is locked then, is tried again a second later:
        what was before the waiting is forgotten.
        """
        phone = self.plugged(Owner.LOCKED)
        phone.plug()
        phone.wait(30)
        phone.device.phone.trust.unlock(Owner.ASK)
        self.until(phone, Stage.WAITING)
        phone.device.phone.trust.lock()
        self.until(phone, Stage.LOCKED)
        phone.device.phone.trust.unlock(Owner.ACCEPT)
        phone.wait(1.5)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_erased(self) -> None:
        """
        A record that the phone does not know is kept, and the phone asked; when its owner
        has tapped, there is a new record, and the old one is kept beside it.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        record = phone.store.records[phone.udid]
        phone.device.phone.trust.erase()
        logged = self.logged()
        phone.plug()
        phone.wait(60)
        self.assertEqual(phone.store.records[phone.udid], record)
        self.assertIs(phone.preflight.stage, Stage.WAITING)
        self.assertEqual(phone.device.phone.trust.dialogs, 1)
        self.assertEqual(len([line for line in logged if "is kept until" in line]), 1)
        phone.device.phone.trust.accept()
        phone.wait(1)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertNotEqual(phone.store.records[phone.udid], record)
        self.assertEqual(phone.store.previous, {phone.udid: record})

    def test_recordReplacedMeanwhile(self) -> None:
        """
        A record that a program has stored while the one before it was refused is
        tried.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        record = phone.record
        assert record is not None
        phone.store.records[phone.udid] = record.having(HostID="STALE").toBytes()
        start = Lockdownd._startSession

        def startSession(lockdownd: Lockdownd, request: Any) -> Any:
            phone.store.records[phone.udid] = record.toBytes()
            return start(lockdownd, request)

        self.patch(Lockdownd, "_startSession", startSession)
        phone.plug()
        self.assertEqual(phone.record, record)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_recordSavedMeanwhile(self) -> None:
        """
        So is one that is stored while the record is about to be looked at again.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        record = phone.record
        assert record is not None
        phone.store.records[phone.udid] = record.having(HostID="STALE").toBytes()
        records = phone.records = LateRecords(phone.store)
        phone.plug()
        records.finish()
        phone.device.flush()
        # The phone does not know the record, and the store has been told so.
        self.assertEqual(len(records.waiting), 1)
        records.save(phone.udid, record.toBytes())
        phone.preflight.recordSaved(phone.udid)
        while records.waiting:
            records.finish()
            phone.device.flush()
        self.assertEqual(phone.record, record)
        phone.wait(1)
        while records.waiting:
            records.finish()
            phone.device.flush()
        self.assertEqual(phone.record, record)

    def test_recordsForEver(self) -> None:
        """
        Where there is always another record that the phone does not know, only so many
        are tried, and what there is then stays.
        """
        phone = self.plugged(Owner.ASK)
        start = Lockdownd._startSession
        tried: list[str] = []

        def startSession(lockdownd: Lockdownd, request: Any) -> Any:
            tried.append(request["HostID"])
            phone.store.records[phone.udid] = recordOf(f"STALE-{len(tried)}").toBytes()
            return start(lockdownd, request)

        self.patch(Lockdownd, "_startSession", startSession)
        phone.store.records[phone.udid] = recordOf("STALE").toBytes()
        phone.plug()
        self.assertEqual(tried, ["STALE", "STALE-1", "STALE-2"])
        self.assertIs(phone.preflight.stage, Stage.UNSURE)
        assert phone.record is not None
        self.assertEqual(phone.record.hostID, "STALE-3")

    def test_lessRecord(self) -> None:
        """
        A record is good if the phone knows it, whatever it lacks that no session needs;
        it is one of another computer's tools, or of another computer.
        """
        for name in ("RootPrivateKey", "RootCertificate", "DeviceCertificate", "SystemBUID"):
            phone = self.plugged(Owner.ASK)
            phone.paired()
            assert phone.record is not None
            values = {key: value for key, value in phone.record.values.items() if key != name}
            phone.store.records[phone.udid] = plistlib.dumps(values)
            phone.plug()
            self.assertIs(phone.preflight.stage, Stage.TRUSTED)
            self.assertEqual(phone.record.values, values)

    def test_recordOfAnotherHost(self) -> None:
        """
        One that was copied from another computer and is not known leads to the dialog.
        """
        phone = self.plugged(Owner.ASK)
        record = recordOf("ELSE", "ANOTHER-BUID")
        phone.store.records[phone.udid] = record.toBytes()
        phone.plug()
        self.assertEqual(phone.record, record)
        self.assertIs(phone.preflight.stage, Stage.WAITING)

    def test_recordDeleted(self) -> None:
        """
        A record that somebody has deleted is asked for again; the phone need not
        be tapped for that.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        phone.store.records.clear()
        phone.plug()
        self.assertEqual(self.told(phone), ["Attached", "Paired"])
        self.assertEqual(phone.device.phone.trust.dialogs, 0)

    def test_introductionRefused(self) -> None:
        """
        A phone that does not want to hear who asks is asked all the same.
        """
        for error in ("SetProhibited", "InvalidConnection", "PasswordProtected"):
            self.patch(Lockdownd, "_setValue", lambda *_, error=error: {"Error": error})
            phone = self.plugged()
            with capturedLogs() as events:
                phone.plug()
                phone.wait(0.5)
            self.assertEqual(self.told(phone), ["Attached", "Paired"], error)
            self.assertTrue(any(error in formatEvent(event) for event in events), error)
            self.assertEqual(phone.device.phone.trust.dialogs, 1)

    def test_pacing(self) -> None:
        """
        A look that is asked for may come a second after the one before, twice as late each time
        that one has found what was known, and a second later again when it has found something
        else.  Looks that were not asked for change none of that.
        """
        pacing = LookPacing(5.0)
        pauses = []
        stages = [Stage.WAITING] * 5 + [Stage.LOCKED] * 2
        for now, stage in enumerate(stages):
            self.assertEqual(pacing.remaining(10.0 * now), 0)
            pacing.begins(10.0 * now)
            pauses.append(pacing.remaining(10.0 * now))
            pacing.finds(stage)
            pacing.finds(stage)
        self.assertEqual(pauses, [1, 1, 2, 4, 5, 5, 1])

    def test_lockedBeforeTheKey(self) -> None:
        """
        A phone that tells its key only when it is unlocked is locked.
        """
        answer = Lockdownd._getValue

        def getValue(lockdownd: Lockdownd, request: Any) -> Any:
            if request.get("Key") == "DevicePublicKey":
                return {"Error": "PasswordProtected"}
            return answer(lockdownd, request)

        patched = self.patch(Lockdownd, "_getValue", getValue)
        phone = self.plugged()
        phone.plug()
        self.assertIs(phone.preflight.stage, Stage.LOCKED)
        patched.restore()
        phone.wait(10)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_keysTakeTime(self) -> None:
        """
        A phone without a record is visible before there are keys to ask it with.
        """
        phone = self.plugged()
        keys: Deferred[PairRecord] = Deferred()

        async def makeRecord(key: bytes, hostID: str, systemBUID: str) -> PairRecord:
            return await keys

        phone.makeRecord = makeRecord  # type: ignore[method-assign]
        phone.plug()
        self.assertIs(phone.preflight.stage, Stage.REQUESTING)
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        # Those of many other phones are made first.
        logged = self.logged()
        phone.wait(100)
        self.assertEqual(logged, [])
        keys.callback(recordOf("SLOW"))
        phone.wait(1)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_lockedWithRecord(self) -> None:
        """
        A phone that is too locked to start a session keeps its record, which is
        tried again when somebody has unlocked it.
        """
        phone = self.plugged()
        phone.paired()
        record = phone.record
        refusing = self.patch(Lockdownd, "_startSession", lambda *_: {"Error": "PasswordProtected"})
        phone.plug()
        phone.wait(3)
        self.assertIs(phone.preflight.stage, Stage.LOCKED)
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        refusing.restore()
        phone.wait(10)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertEqual(phone.record, record)

    def test_tlsTrouble(self) -> None:
        """
        A record whose keys do not work is kept: that says nothing of what the
        phone thinks.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        record = phone.record
        assert record is not None
        broken = record.having(HostPrivateKey=b"no key").toBytes()
        phone.store.records[phone.udid] = broken
        logged = self.logged()
        phone.plug()
        self.assertIs(phone.preflight.stage, Stage.UNSURE)
        self.assertEqual(phone.store.records[phone.udid], broken)
        self.assertEqual(self.told(phone), ["Attached"])
        self.assertIn("it is kept", logged[-1])
        phone.wait(300)
        self.assertEqual(len(logged), 1)
        phone.store.save(phone.udid, record.toBytes())
        phone.wait(61)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_tlsTroubleMended(self) -> None:
        """
        A record that somebody saves in its place is tried at once, and one that is
        deleted leads to the dialog.
        """
        for mend in (True, False):
            phone = self.plugged(Owner.ASK)
            phone.paired()
            record = phone.record
            assert record is not None
            phone.store.records[phone.udid] = record.having(HostPrivateKey=b"no key").toBytes()
            phone.plug()
            phone.wait(300)
            if mend:
                phone.store.save(phone.udid, record.toBytes())
                phone.preflight.recordSaved(phone.udid)
                phone.device.flush()
            else:
                phone.store.records.clear()
                phone.device.phone.trust.erase()
                phone.wait(61)
            expected = Stage.TRUSTED if mend else Stage.WAITING
            self.assertIs(phone.preflight.stage, expected)

    def test_damagedRecord(self) -> None:
        """
        A record that cannot be read stays until there is a new one.
        """
        phone = self.plugged()
        phone.store.records[phone.udid] = b"garbage"
        phone.device.phone.trust.owner = Owner.ASK
        logged = self.logged()
        phone.plug()
        phone.wait(60)
        self.assertEqual(phone.store.records[phone.udid], b"garbage")
        self.assertEqual(len([line for line in logged if "is damaged" in line]), 1)
        phone.device.phone.trust.accept()
        phone.wait(1)
        assert phone.record is not None
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_restore(self) -> None:
        """
        A phone in restore mode is visible and left alone.
        """
        phone = self.plugged()
        phone.device.phone.restore()
        phone.plug()
        self.assertEqual(phone.listener.told, [(0, "Attached")])
        self.assertIs(phone.preflight.stage, Stage.RESTORING)
        self.assertOver(phone)

    def test_old(self) -> None:
        """
        An old phone has no dialog, and its pairing is validated; one that does not
        say how old it is is an old one, and a class that is not known is a new one.
        """
        for version, kind, isModern in (
            ("6.1.3", "iPhone", False),
            ("7.0", "iPod", True),
            ("9.0", "AppleTV", True),
            ("1.0", "Watch", False),
            ("1.0", "RealityDevice", True),
            ("2.1", "AudioAccessory", True),
            ("14.0", "Mac", True),
            ("1", "Teapot", True),
            ("x", "iPad", False),
            (None, None, False),
        ):
            phone = self.plugged()
            values = phone.device.phone.lockdown.values._values[""]
            values.update({"ProductVersion": version, "DeviceClass": kind})
            if version is None:
                del values["ProductVersion"]
            phone.plug()
            phone.wait(1)
            self.assertIs(phone.preflight.stage, Stage.TRUSTED)
            told = phone.device.phone.lockdown.untrustedHost
            self.assertEqual(told != "", isModern, (version, kind))

    def test_pairedByAnother(self) -> None:
        """
        When a program has paired, nobody waits any longer; other phones' records
        are no news.
        """
        phone = self.plugged(Owner.ASK)
        phone.plug()
        other = recordOf("OTHER")
        phone.device.phone.trust._hosts.clear()
        phone.device.phone.trust.requested(_pairing(other))
        phone.device.phone.trust._notices._observers.clear()
        phone.device.phone.trust.accept()
        phone.device.phone.trust.requested(_pairing(other))
        phone.preflight.recordSaved("somebody-else")
        self.assertIs(phone.preflight.stage, Stage.WAITING)
        phone.store.save(phone.udid, other.toBytes())
        phone.preflight.recordSaved(phone.udid.replace("-", ""))
        phone.device.flush()
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        self.assertEqual(phone.record, other)
        phone.preflight.recordSaved(phone.udid)
        self.assertOver(phone)


def _pairing(record: PairRecord) -> Any:
    from muxd.phone.lockdown.trust import Pairing

    return Pairing.fromValues(record.public())
