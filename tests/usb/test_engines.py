"""
Tests for L{muxd.usb.engines}.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget
from muxd.usb import engines
from muxd.usb.engines import EngineError, linkFactory
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded.link import ThreadedLink
from tests.usb.devices import deviceOn
from tests.usb.reactors import ThreadedClock


def unusable(*args: object) -> Any:
    """
    An engine that finds out with the phone that it cannot be used.
    """
    raise EngineError("not with this phone")


class LinkFactoryTests(SynchronousTestCase):
    """
    Tests for L{linkFactory}.
    """

    def linkOf(self, engine: str) -> object:
        """
        A link that an engine makes, closed at the end of the test.
        """
        bus = SimulatedBus()
        bus.plug(RecordingGadget(iPhone()))
        phone = PhoneOpener(USBSettings()).open(deviceOn(bus))
        reactor = ThreadedClock()
        link = linkFactory(engine)(reactor, phone, LIMITS)

        def close() -> None:
            closed = link.close()
            reactor.pumpUntil(lambda: closed.called)

        self.addCleanup(close)
        return link

    def test_threads(self) -> None:
        """
        The engine that works everywhere.
        """
        self.assertIsInstance(self.linkOf("threads"), ThreadedLink)

    def test_asynchronous(self) -> None:
        """
        The one that needs libusb says so on another bus.
        """
        error = self.assertRaises(EngineError, self.linkOf, "async")
        self.assertIn("watch file descriptors", str(error))

    def test_autoTakesTheFirst(self) -> None:
        """
        An engine that works is not passed over.
        """
        self.patch(engines, "_AUTOMATIC", ("threads", "no"))
        self.patch(engines, "_ENGINES", {"no": (__name__, "unusable"), **engines._ENGINES})
        self.assertIsInstance(self.linkOf("auto"), ThreadedLink)

    def test_auto(self) -> None:
        """
        There is always an engine; on a bus that is no libusb's it is this one.
        """
        self.assertIsInstance(self.linkOf("auto"), ThreadedLink)

    def test_unknown(self) -> None:
        """
        An engine that does not exist is refused with the names of those that
        do.
        """
        error = self.assertRaises(EngineError, linkFactory, "steam")
        self.assertIn("'steam' does not exist: expected auto, threads", str(error))

    def test_notHere(self) -> None:
        """
        An engine that cannot be imported is refused with the reason; C{auto}
        passes it over.
        """
        self.patch(engines, "_ENGINES", {"no": ("muxd.usb.nosuch", "X"), **engines._ENGINES})
        self.patch(engines, "_AUTOMATIC", ("no", "threads"))
        error = self.assertRaises(EngineError, linkFactory, "no")
        self.assertIn("'no' cannot be used here: No module named", str(error))
        self.assertIsInstance(self.linkOf("auto"), ThreadedLink)

    def test_notWithThisPhone(self) -> None:
        """
        The same if it shows only with a phone.
        """
        self.patch(engines, "_ENGINES", {"no": (__name__, "unusable"), **engines._ENGINES})
        self.patch(engines, "_AUTOMATIC", ("no", "threads"))
        error = self.assertRaises(EngineError, self.linkOf, "no")
        self.assertEqual("not with this phone", str(error))
        with capturedLogs() as events:
            self.assertIsInstance(self.linkOf("auto"), ThreadedLink)
        [event] = [each for each in events if each["log_namespace"] == "muxd.usb.engines"]
        self.assertEqual("debug", event["log_level"].name)
        self.assertEqual("not with this phone", event["reason"])
