"""
Tests of L{muxd.server.preflight}: when it goes wrong.
"""

from __future__ import annotations

from errno import EACCES, EMFILE

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from muxd.lockdown.client import LOCKDOWN_PORT
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflight import NORMAL_TYPE
from muxd.server.preflightmachine import FINAL, Outcome, Stage
from tests.running.properties import examples
from tests.server.preflights import PreflightCase


class TroubleTests(PreflightCase):
    """
    When it goes wrong.
    """

    def test_mute(self) -> None:
        """
        A phone that answers nothing is visible after 5 s.
        """
        phone = self.plugged()
        phone.device.phone.mute()
        phone.plug()
        phone.wait(4.9)
        self.assertEqual(phone.listener.told, [])
        phone.wait(20)
        self.assertEqual(phone.listener.told, [(5.0, "Attached")])

    def test_deaf(self) -> None:
        """
        So is one that neither accepts nor refuses, and that is given up after a
        while, and tried again.
        """
        phone = self.plugged()
        phone.device.isDeaf = True
        logged = self.logged()
        phone.plug()
        phone.wait(30.5)
        self.assertEqual(phone.listener.told, [(5.0, "Attached")])
        self.assertIn("did not help within 30 s", logged[-1])
        phone.device.isDeaf = False
        phone.wait(2)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_refused(self) -> None:
        """
        Without lockdownd it is tried again, ever more seldom, and the log says so
        once.
        """
        phone = self.plugged()
        phone.device.refused.add(62078)
        logged = self.logged()
        phone.plug()
        phone.wait(200)
        self.assertEqual(phone.listener.told, [(5.0, "Attached")])
        # At 0, 1, 3, 7, 15, 31, 63, 123, 183.
        self.assertEqual(len(phone.device.ports), 9)
        self.assertEqual(len(logged), 1)

    def test_noType(self) -> None:
        """
        A phone that does not say what answers is no phone that is being restored: it
        is tried again.
        """
        phone = self.plugged()
        phone.device.phone.lockdown.type = ""
        phone.plug()
        phone.wait(0.5)
        self.assertIs(phone.preflight.stage, Stage.RESTING)
        phone.device.phone.lockdown.type = NORMAL_TYPE
        phone.wait(3)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_storeFails(self) -> None:
        """
        A record that cannot be stored is no pairing; it is tried again.
        """
        phone = self.plugged()
        phone.plug()
        phone.store.trouble = OSError(EACCES, "read-only")
        phone.wait(1)
        self.assertEqual(self.told(phone), ["Attached"])
        self.assertIs(phone.preflight.stage, Stage.RESTING)
        phone.store.trouble = None
        phone.wait(3)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_outOfDescriptors(self) -> None:
        """
        A phone whose record cannot be looked at just now is not asked for its trust:
        that is tried again.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()

        def read(recordID: str) -> bytes:
            raise OSError(EMFILE, "too many open files")

        patched = self.patch(phone.store, "read", read)
        phone.plug()
        phone.wait(0.5)
        self.assertIs(phone.preflight.stage, Stage.RESTING)
        self.assertEqual(phone.device.phone.trust.dialogs, 0)
        patched.restore()
        phone.wait(3)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_storeCannotReplace(self) -> None:
        """
        A record that cannot be replaced is told, and the phone is asked again.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        phone.device.phone.trust.erase()
        phone.device.phone.trust.owner = Owner.ACCEPT

        def supersede(recordID: str, data: bytes) -> None:
            raise OSError(EACCES, "read-only")

        patched = self.patch(phone.store, "supersede", supersede)
        logged = self.logged()
        phone.plug()
        phone.wait(10)
        self.assertIs(phone.preflight.stage, Stage.RESTING)
        for words in ("does not know its pair record", "read-only"):
            self.assertEqual(len([line for line in logged if words in line]), 1)
        patched.restore()
        phone.wait(61)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)

    def test_unpluggedAnywhere(self) -> None:
        """
        A phone that is pulled out at any moment leaves nothing.
        """
        for owner in Owner:
            for moment in (0, 0.2, 0.4, 1, 5, 12):
                phone = self.plugged(owner)
                phone.plug()
                phone.wait(moment)
                phone.unplug()
                phone.device.flush()
                phone.clock.advance(0.3)
                self.assertOver(phone)
                self.assertEqual(self.told(phone)[-1], "Detached")

    def test_unpluggedWhileHidden(self) -> None:
        """
        One that was never visible is not seen to leave.
        """
        phone = self.plugged()
        phone.device.isDeaf = True
        phone.plug()
        phone.unplug()
        self.assertEqual(self.told(phone), [])
        self.assertOver(phone)

    def test_lateNews(self) -> None:
        """
        What is told when nobody waits for it any more does no harm, and an
        observer that is not there in time is not waited for.
        """
        phone = self.plugged(Owner.ASK)
        ended: list[object] = []
        connect = phone.device.connect
        self.patch(
            phone.device,
            "connect",
            lambda port, factory: (
                connect(port, factory) if port == LOCKDOWN_PORT else Deferred(ended.append)
            ),
        )
        phone.plug()
        phone.wait(15)
        self.assertEqual(len(ended), 1)
        phone.unplug()
        self.assertEqual(len(ended), 2)
        phone.preflight._news()
        phone.preflight._came(Outcome.NEWS)
        self.assertIs(phone.preflight.stage, Stage.WAITING)

    def test_closed(self) -> None:
        """
        However a connection ends, it is tried again.
        """
        phone = self.plugged()
        connect = phone.device.connect
        reasons: list[Exception] = [ConnectionDone(), ConnectionAborted(), ConnectionLost()]
        self.patch(
            phone.device,
            "connect",
            lambda port, factory: fail(reasons.pop()) if reasons else connect(port, factory),
        )
        phone.plug()
        phone.wait(9)
        self.assertEqual(self.told(phone), ["Attached", "Paired"])

    def test_defect(self) -> None:
        """
        A mistake of ours hides no phone.
        """
        phone = self.plugged()

        def readBUID() -> str:
            raise ZeroDivisionError

        self.patch(phone.store, "readBUID", readBUID)
        phone.plug()
        self.assertEqual(self.told(phone), ["Attached"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(phone.preflight._lockdown)

    @settings(deadline=None, max_examples=examples(60))
    @given(st.data())
    def test_whatever(self, data: st.DataObject) -> None:
        """
        Whatever an owner and a phone do, and when: the phone is visible by 5 s,
        there is one dialog each time it is plugged in and one more each time that
        it has been erased, a pairing is told once, and a record is removed only if
        the phone does not know it.
        """
        phone = self.plugged(data.draw(st.sampled_from(Owner)))
        trust = phone.device.phone.trust
        if data.draw(st.booleans()):
            phone.paired()
        erasures = 0
        phone.plug()
        steps = {
            "accept": trust.accept,
            "deny": trust.deny,
            "lock": trust.lock,
            "unlock": trust.unlock,
            "mute": phone.device.phone.mute,
            "erase": trust.erase,
            "wait": lambda: None,
            "refuse": lambda: phone.device.refused.add(62078),
            "allow": phone.device.refused.clear,
        }
        for name in data.draw(st.lists(st.sampled_from(sorted(steps)), max_size=6)):
            before = phone.record
            steps[name]()
            erasures += name == "erase"
            phone.wait(data.draw(st.sampled_from((0.1, 0.5, 3, 11))))
            if before is not None and phone.record is None:
                self.assertTrue(erasures)
        phone.wait(5.1)
        told = self.told(phone)
        self.assertEqual(told.count("Attached"), 1)
        self.assertLessEqual(min(t for t, event in phone.listener.told if event == "Attached"), 5)
        self.assertLessEqual(told.count("Paired"), 1)
        self.assertLessEqual(trust.dialogs, 1 + erasures)
        if phone.preflight.stage in FINAL:
            self.assertIn("Attached", told)
        phone.unplug()
        phone.clock.advance(1)
        self.assertOver(phone)
        self.assertEqual(self.flushLoggedErrors(), [])
