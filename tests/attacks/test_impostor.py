"""
A gadget with a victim's UDID, which any device can read and show: it had the daemon
delete the victim's pair record, and then store its own.
"""

from __future__ import annotations

from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflightmachine import Stage
from tests.attacks.claimants import ClaimCase
from tests.lockdown.phones import recordOf


class ImpostorTests(ClaimCase):
    """
    A gadget and the phone that it passes itself off as.
    """

    def setUp(self) -> None:
        """
        The phone has paired.
        """
        super().setUp()
        self.victim = self.device(Owner.ACCEPT)
        self.assertIs(self.plug(self.victim).stage, Stage.TRUSTED)
        self.udid = self.victim.identity.udid
        self.stored = self.store.records[self.udid]
        self.thief = self.device(Owner.ASK)

    def test_alone(self) -> None:
        """
        A word of the gadget's removes no record; when its owner has tapped, the victim's
        is still there, as the one before.
        """
        self.unplug(self.victim)
        self.assertIs(self.plug(self.thief).stage, Stage.WAITING)
        self.wait(60)
        self.assertEqual(self.store.records, {self.udid: self.stored})
        self.thief.phone.trust.accept()
        self.wait(5)
        self.assertEqual(self.store.previous, {self.udid: self.stored})

    def test_victimComesBack(self) -> None:
        """
        When the phone itself is there again, its own record is, without a tap.
        """
        self.unplug(self.victim)
        self.victim.phone.trust.owner = Owner.ASK
        self.thief.phone.trust.owner = Owner.ACCEPT
        self.plug(self.thief)
        self.wait(5)
        self.assertNotEqual(self.store.records, {self.udid: self.stored})
        self.unplug(self.thief)
        victim = self.plug(self.victim)
        self.assertIs(victim.stage, Stage.TRUSTED)
        self.assertEqual(self.store.records, {self.udid: self.stored})
        self.assertEqual(self.victim.phone.trust.dialogs, 1)
        self.assertEqual(len(self.lines("it is back")), 1)

    def test_previousIsNotProved(self) -> None:
        """
        A gadget that says it knows the record that was kept, and has not the phone's key, does
        not bring it back.
        """
        self.unplug(self.victim)
        other = recordOf("OTHER").toBytes()
        self.store.supersede(self.udid, other)
        values = dict(PairRecord.fromBytes(self.stored).values)
        del values["DeviceCertificate"]
        self.store.previous[self.udid] = PairRecord(values).toBytes()
        self.assertIs(self.plug(self.victim).stage, Stage.UNPROVED)
        self.assertEqual(self.store.records, {self.udid: other})

    def test_removedOnPurpose(self) -> None:
        """
        A record that was kept does not come back where the one after it was removed.
        """
        self.unplug(self.victim)
        self.store.supersede(self.udid, recordOf("OTHER").toBytes())
        self.store.delete(self.udid)
        self.victim.phone.trust._hosts.clear()
        self.victim.phone.trust.owner = Owner.ASK
        self.assertIs(self.plug(self.victim).stage, Stage.WAITING)
        self.assertEqual(self.store.records, {})

    def test_besideIt(self) -> None:
        """
        Beside the victim it is not even asked, which is said once; and it is when the
        victim has gone.
        """
        thief = self.plug(self.thief)
        self.assertIs(thief.stage, Stage.DISPUTED)
        self.thief.phone.trust.accept()
        self.wait(300)
        self.assertIs(thief.stage, Stage.DISPUTED)
        self.assertEqual(self.store.records, {self.udid: self.stored})
        self.assertEqual(self.store.previous, {})
        self.assertEqual(self.thief.phone.trust.dialogs, 0)
        self.assertEqual(len(self.lines("two devices that are attached")), 1)
        self.unplug(self.victim)
        self.wait(61)
        self.assertIs(thief.stage, Stage.WAITING)
        self.assertEqual(self.store.records, {self.udid: self.stored})

    def test_victimComesWhileItAsks(self) -> None:
        """
        Nor is the record replaced if the victim comes while the gadget's dialog is shown.
        """
        self.unplug(self.victim)
        thief = self.plug(self.thief)
        self.assertIs(thief.stage, Stage.WAITING)
        self.assertIs(self.plug(self.victim).stage, Stage.TRUSTED)
        self.thief.phone.trust.accept()
        self.wait(60)
        self.assertIs(thief.stage, Stage.DISPUTED)
        self.assertEqual(self.store.records, {self.udid: self.stored})
        self.assertEqual(self.store.previous, {})

    def test_bothNew(self) -> None:
        """
        Of two without a record one is paired, and its record is not replaced by the
        other's.
        """
        self.unplug(self.victim)
        self.store.records.clear()
        self.victim.phone.trust.erase()
        self.victim.phone.trust.owner = Owner.ASK
        self.plug(self.victim)
        thief = self.plug(self.thief)
        self.victim.phone.trust.accept()
        self.wait(1)
        record = self.store.records[self.udid]
        self.thief.phone.trust.accept()
        self.wait(60)
        self.assertIs(thief.stage, Stage.DISPUTED)
        self.assertEqual(self.store.records, {self.udid: record})
