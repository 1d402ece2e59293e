# -*- test-case-name: tests.status.test_overview -*-
"""
Tests of L{muxd.status.overview}.
"""

from __future__ import annotations

from muxd.identity import Selection
from muxd.server.places import ListeningAddress
from muxd.server.viewgrammar import NamedView
from muxd.status import overview
from muxd.testing import BudgetTransport
from muxd.wire.messages import plistMessage
from tests.server.viewing import only, udid
from tests.status.asking import TINY
from tests.status.phones import PhoneTestCase


class OverviewTests(PhoneTestCase):
    """
    What C{/api/status} tells.
    """

    def test_phone(self) -> None:
        """
        A phone is told with its place, its trust, since when it is there, and what it has
        carried.
        """
        self.ownSession()
        (phone,) = self.get("/api/status").values["phones"]
        identity = self.device.identity
        self.assertEqual((phone["udid"], phone["portPath"]), (identity.udid, identity.portPath))
        self.assertEqual((phone["trust"], phone["listed"], phone["mux"]), ("", True, 2))
        self.assertEqual(phone["sessions"], 1)
        self.assertEqual(phone["counters"]["sessionsOpened"], 1)
        self.assertGreater(phone["since"], 1e9)

    def test_parts(self) -> None:
        """
        What else there is to be told is told, and phones are not where they are too many.
        """
        overview = self.server.overview
        overview.parts["fleet"] = lambda: {"hosts": 3}
        self.assertEqual(overview.values()["fleet"], {"hosts": 3})
        self.assertEqual(len(overview.values()["phones"]), 1)
        overview.showsPhones = False
        self.assertEqual(overview.values()["phones"], [])

    def test_labels(self) -> None:
        """
        A phone is told with what operators call it.
        """
        self.service.labels = {
            "bench": Selection.fromWords([self.device.identity.udid]),
            "other": Selection.fromWords(["3-9"]),
        }
        (phone,) = self.get("/api/status").values["phones"]
        self.assertEqual(phone["labels"], ["bench"])

    def test_counters(self) -> None:
        """
        Bytes of clients' streams count while they go on; those of our own do not.
        """
        _, session = self.twistedClient()
        session.bytesSent, session.bytesReceived = 10, 20
        self.ownSession().session.session.bytesSent = 1000
        counters = self.get("/api/status").values["counters"]
        self.assertEqual((counters["bytesToPhones"], counters["bytesFromPhones"]), (10, 20))
        self.assertEqual((counters["connects"], counters["commands"]), (1, {"Connect": 1}))

    def test_listeners(self) -> None:
        """
        Programs that listen are told.
        """
        client = BudgetTransport.connect(self.reactor, self.service.server)
        request = {"MessageType": "Listen", "ProgName": "farm", "kLibUSBMuxVersion": 3}
        client.deliver(plistMessage(request, 1).encode())
        values = self.get("/api/status").values
        self.assertEqual(
            [(one["program"], one["library"]) for one in values["listeners"]], [("farm", 3)]
        )
        self.assertEqual(
            values["listening"],
            [
                {
                    "place": "tcp:27015",
                    "path": None,
                    "exposed": False,
                    "view": "",
                    "shows": "everything",
                }
            ],
        )

    def test_views(self) -> None:
        """
        Listeners of all views are told, and what there is for them.
        """
        place = ListeningAddress("tcp:27016", NamedView(only(1), "ci"))
        self.service.changeListening(["tcp:27015", place])
        entrance = self.service._places._places[place.key].entrance
        client = BudgetTransport.connect(self.reactor, entrance)
        client.deliver(plistMessage({"MessageType": "Listen", "ProgName": "ci"}, 1).encode())
        values = self.get("/api/status").values
        self.assertEqual([one["program"] for one in values["listeners"]], ["ci"])
        (_, seen) = values["listening"]
        self.assertEqual((seen["view"], seen["shows"]), ("ci", f"only {udid(1)}"))

    def test_limits(self) -> None:
        """
        It is told how near each limit is.
        """
        self.ownSession()
        limits = {one["name"]: one for one in self.get("/api/status").values["limits"]}
        self.assertEqual(limits["sessions of one phone"]["used"], 1)
        self.assertEqual(limits["sessions of one phone"]["most"], TINY.sessionsPerPhone)
        self.assertEqual(limits["connections to the status socket"]["used"], 1)
        self.assertGreater(limits["file descriptors"]["used"], 2)

    def test_noFiles(self) -> None:
        """
        Where the system does not tell which files are open, there are none.
        """
        self.patch(overview, "FILES", "/nonexistent")
        self.assertEqual(overview.openFiles(), 0)
