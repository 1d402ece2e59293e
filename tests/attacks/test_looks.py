"""
A phone whose dialog is never answered and which tells of news all the time, and a program
that stores one record after the other: each had the daemon begin a conversation each time,
hundreds a second.
"""

from __future__ import annotations

from muxd.phone.lockdown.trust import Owner
from muxd.phone.services.notices import REQUEST_PAIR
from muxd.server.preflight import SHORTEST_PAUSE
from muxd.server.preflightmachine import Stage
from tests.lockdown.phones import recordOf
from tests.server.preflights import TICK, Plugged, PreflightCase


class LookTests(PreflightCase):
    """
    How often a phone is looked at.
    """

    def looks(self, phone: Plugged, seconds: float) -> list[float]:
        """
        When conversations begin, in some time.
        """
        times: list[float] = []
        for _ in range(round(seconds / TICK)):
            before = phone.device.ports.count(62078)
            phone.wait(TICK)
            times += [phone.clock.seconds()] * (phone.device.ports.count(62078) - before)
        return times

    def assertRare(self, times: list[float], least: int, most: int) -> None:
        """
        There are so many, and in no second more than one that is asked for and one that it
        is time for.
        """
        self.assertTrue(least <= len(times) <= most, times)
        for before, after in zip(times, times[2:], strict=False):
            self.assertGreaterEqual(after - before, SHORTEST_PAUSE)

    def test_newsAllTheTime(self) -> None:
        """
        A phone that tells of something at each moment is looked at again and again, but
        less and less.
        """
        phone = self.plugged(Owner.ASK)
        notices = phone.device.phone.trust._notices

        def tell() -> None:
            notices.post(REQUEST_PAIR)
            phone.clock.callLater(TICK, tell)

        phone.plug()
        tell()
        times = self.looks(phone, 60)
        self.assertIs(phone.preflight.stage, Stage.WAITING)
        self.assertRare(times[1:], 5, 15)

    def test_recordsAllTheTime(self) -> None:
        """
        The same with a program that stores records which do not work, in turn; and each of
        two lines is logged as seldom.
        """
        phone = self.plugged(Owner.ASK)
        phone.paired()
        good = phone.record
        assert good is not None
        bad = [good.having(HostPrivateKey=key).toBytes() for key in (b"1", b"2")]
        bad[1] = good.having(HostCertificate=b"2").toBytes()
        phone.store.records[phone.udid] = bad[0]
        logged = self.logged()
        phone.plug()

        def save(number: int) -> None:
            phone.store.records[phone.udid] = bad[number % 2]
            phone.preflight.recordSaved(phone.udid)
            phone.clock.callLater(TICK, save, number + 1)

        save(0)
        times = self.looks(phone, 60)
        self.assertIs(phone.preflight.stage, Stage.UNSURE)
        self.assertRare(times[1:], 5, 12)
        self.assertLessEqual(len(logged), 14)

    def test_changes(self) -> None:
        """
        A phone that is locked and unlocked all the time, too.
        """
        phone = self.plugged(Owner.LOCKED)
        phone.plug()

        def turn() -> None:
            trust = phone.device.phone.trust
            trust.owner = Owner.ASK if trust.owner is Owner.LOCKED else Owner.LOCKED
            phone.preflight.recordSaved(phone.udid)
            phone.clock.callLater(0.9, turn)

        turn()
        self.assertRare(self.looks(phone, 60)[1:], 5, 120)

    def test_honest(self) -> None:
        """
        A tap and a program's record are noticed at once where nothing else has happened.
        """
        phone = self.plugged(Owner.ASK)
        phone.plug()
        phone.wait(0.25)
        phone.device.phone.trust.accept()
        phone.wait(TICK)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
        phone = self.plugged(Owner.ASK)
        phone.plug()
        phone.wait(100)
        phone.device.phone.trust.accept()
        phone.store.records[phone.udid] = recordOf("NOT KNOWN").toBytes()
        phone.preflight.recordSaved(phone.udid)
        phone.wait(10)
        self.assertIs(phone.preflight.stage, Stage.TRUSTED)
