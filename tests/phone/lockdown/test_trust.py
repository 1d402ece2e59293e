"""
Tests of L{muxd.phone.lockdown.trust} and L{muxd.phone.services.notices}.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.trust import (
    DENIED,
    LOCKED,
    MOST_HOSTS,
    MOST_PAIRINGS,
    PENDING,
    TAP,
    Owner,
    Pairing,
    Trust,
)
from muxd.phone.services.notices import REQUEST_PAIR, NoticeCentre


def pairing(hostID: str = "H", host: str = "B") -> Pairing:
    """
    What a host asks with.
    """
    return Pairing(hostID, host, b"root", b"device")


class MemoryTests(SynchronousTestCase):
    """
    How much a phone remembers.
    """

    def test_strangers(self) -> None:
        """
        Hosts that ask under ever new names are forgotten, the oldest first.
        """
        trust = Trust(Clock(), NoticeCentre(), Owner.ASK)
        for number in range(3 * MOST_HOSTS):
            self.assertEqual(trust.requested(pairing(host=f"B{number}")), PENDING)
        trust.accept()
        self.assertLessEqual(len(trust._hosts), MOST_HOSTS)
        self.assertIsNone(trust.requested(pairing(host=f"B{3 * MOST_HOSTS - 1}")))
        self.assertEqual(trust.requested(pairing(host="B0")), PENDING)


class TrustTests(SynchronousTestCase):
    """
    Hosts, and the owner.
    """

    def setUp(self) -> None:
        """
        A phone that nobody has been plugged into.
        """
        self.clock = Clock()
        self.notices = NoticeCentre()
        self.noticed: list[str] = []
        self.notices.observe(self.noticed.append)
        self.trust = Trust(self.clock, self.notices, Owner.ASK)

    def test_accepted(self) -> None:
        """
        One dialog, however often a host asks; a pairing when it was accepted.
        """
        self.assertEqual([self.trust.requested(pairing()) for _ in range(3)], [PENDING] * 3)
        self.assertEqual(self.trust.dialogs, 1)
        self.assertIsNone(self.trust.pairing("H"))
        self.trust.accept()
        self.assertEqual(self.noticed, [REQUEST_PAIR])
        self.assertIsNone(self.trust.requested(pairing()))
        self.assertEqual(self.trust.pairing("H"), pairing())
        self.assertIsNone(self.trust.pairing(7))

    def test_isAsking(self) -> None:
        """
        The dialog is on the screen from a host's asking until the answer, but not
        while the phone is locked.
        """
        seen = [self.trust.isAsking]
        self.trust.requested(pairing())
        seen.append(self.trust.isAsking)
        self.trust.lock()
        seen.append(self.trust.isAsking)
        self.trust.unlock()
        seen.append(self.trust.isAsking)
        self.trust.deny()
        seen.append(self.trust.isAsking)
        self.assertEqual(seen, [False, True, False, True, False])

    def test_unpluggedBeforeTheTap(self) -> None:
        """
        A phone that is pulled out is not tapped any more, and leaves no timer; one
        tap answers all dialogs.
        """
        self.trust.owner = Owner.ACCEPT
        self.trust.requested(pairing())
        self.trust.unplugged()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for host in ("B", "C"):
            self.trust.requested(pairing(host, host))
        self.clock.advance(TAP)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for host in ("B", "C"):
            self.assertIsNone(self.trust.requested(pairing(host, host)))

    def test_lockedMeanwhile(self) -> None:
        """
        On a phone that was locked while its dialog was shown nothing is tapped; the
        same dialog is there when it is unlocked.
        """
        self.trust.owner = Owner.ACCEPT
        self.trust.requested(pairing())
        self.trust.lock()
        self.clock.advance(TAP)
        self.trust.accept()
        self.assertEqual(self.trust.requested(pairing()), LOCKED)
        self.trust.unlock(Owner.ACCEPT)
        self.assertEqual(self.trust.requested(pairing()), PENDING)
        self.clock.advance(TAP)
        self.assertIsNone(self.trust.requested(pairing()))
        self.assertEqual(self.trust.dialogs, 1)

    def test_noDialog(self) -> None:
        """
        Tapping where nothing is asked does nothing.
        """
        self.trust.accept()
        self.trust.deny()
        self.assertEqual(self.noticed, [])

    def test_owners(self) -> None:
        """
        An owner may tap either at once.
        """
        for owner, outcome in ((Owner.ACCEPT, None), (Owner.DENY, DENIED)):
            self.setUp()
            self.trust.owner = owner
            self.trust.requested(pairing())
            self.clock.advance(TAP)
            self.assertEqual(self.trust.requested(pairing()), outcome)

    def test_denied(self) -> None:
        """
        A host that is denied is told so until the cable has been out.
        """
        self.trust.requested(pairing())
        self.trust.deny()
        self.assertEqual(self.trust.requested(pairing()), DENIED)
        self.trust.unplugged()
        self.assertEqual(self.trust.requested(pairing()), PENDING)
        self.assertEqual(self.trust.dialogs, 2)

    def test_locked(self) -> None:
        """
        A locked phone shows no dialog, and trusts whom it trusts.
        """
        self.trust.requested(pairing("H", "known"))
        self.trust.accept()
        self.trust.lock()
        self.assertEqual(self.trust.requested(pairing()), LOCKED)
        self.assertIsNone(self.trust.requested(pairing("H", "known")))
        self.trust.unlock()
        self.assertEqual(self.trust.requested(pairing()), PENDING)

    def test_unpair(self) -> None:
        """
        A host that unpairs is a stranger.
        """
        self.trust.requested(pairing())
        self.trust.accept()
        self.trust.requested(pairing())
        self.assertTrue(self.trust.unpair("H"))
        self.assertFalse(self.trust.unpair("H"))
        self.assertEqual(self.trust.requested(pairing()), PENDING)

    def test_erase(self) -> None:
        """
        An erased phone knows nobody; one that was unplugged does.
        """
        self.trust.requested(pairing())
        self.trust.accept()
        self.trust.requested(pairing())
        self.trust.unplugged()
        self.assertIsNotNone(self.trust.pairing("H"))
        self.trust.erase()
        self.assertIsNone(self.trust.pairing("H"))

    def test_most(self) -> None:
        """
        Pairings without end are forgotten, the oldest first.
        """
        self.trust.requested(pairing())
        self.trust.accept()
        for number in range(MOST_PAIRINGS + 1):
            self.trust.requested(pairing(str(number)))
        self.assertIsNone(self.trust.pairing("0"))
        self.assertIsNotNone(self.trust.pairing(str(MOST_PAIRINGS)))

    def test_values(self) -> None:
        """
        What a host sends has to be complete.
        """
        values = {
            "HostID": "H",
            "SystemBUID": "B",
            "RootCertificate": b"r",
            "DeviceCertificate": b"d",
        }
        self.assertEqual(Pairing.fromValues(values), Pairing("H", "B", b"r", b"d"))
        for name in values:
            self.assertIsNone(Pairing.fromValues({**values, name: 7}))
        self.assertIsNone(Pairing.fromValues("text"))

    @example(["ask", "lock", "accept", "ask"])
    @given(st.lists(st.sampled_from(("ask", "accept", "deny", "lock", "unlock", "unplug"))))
    def test_whatever(self, steps: list[str]) -> None:
        """
        No host is trusted without a tap, and the owner never sees two dialogs at once.
        """
        self.setUp()
        asked = accepted = False
        for step in steps:
            if step == "ask":
                answer = self.trust.requested(pairing())
                self.assertEqual(answer is None, accepted)
                asked = asked or answer == PENDING
            elif step == "accept":
                accepted = accepted or (asked and self.trust.requested(pairing()) == PENDING)
                self.trust.accept()
            elif step == "unplug":
                self.trust.unplugged()
                asked = False
            else:
                getattr(self.trust, step)()


class NoticeCentreTests(SynchronousTestCase):
    """
    Who hears.
    """

    def test_observers(self) -> None:
        """
        Whoever observes, until it does not; leaving while being told is no harm.
        """
        notices = NoticeCentre()
        told: list[str] = []

        def once(name: str) -> None:
            told.append("once " + name)
            notices.forget(once)

        notices.observe(once)
        notices.observe(told.append)
        notices.post("a")
        notices.post("b")
        notices.forget(told.append)
        notices.forget(told.append)
        notices.post("c")
        self.assertEqual(told, ["once a", "a", "b"])
