# -*- test-case-name: tests.phone.services.test_features -*-
"""
Tests of L{muxd.phone.services.features} and L{muxd.phone.services.processes}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.iphone import Phone
from muxd.phone.services.apps import Apps
from muxd.phone.services.features import FEATURE, AppService, DeviceInfo, FeatureError
from muxd.phone.services.processes import (
    FIRST,
    LAST,
    MOST_WATCHES,
    Processes,
    TooManyWatches,
)
from tests.phone.services.packages import makePackage

ONE = "com.example.one"
KILL, STOP = 9, 17


class ProcessesTests(SynchronousTestCase):
    """
    Processes.
    """

    def setUp(self) -> None:
        """
        Those of a phone that was just switched on.
        """
        self.processes = Processes()

    def numbers(self, bundle: str = "") -> list[int]:
        """
        The numbers of an app's, or of the system's.
        """
        return [one.number for one in self.processes if one.bundle == bundle]

    def test_launch(self) -> None:
        """
        An app that runs is found, unless it is to be launched anew.
        """
        first = self.processes.launch("a", "/a", False)
        self.assertEqual(self.processes.launch("a", "/a", False), first)
        second = self.processes.launch("a", "/a", True)
        self.assertGreater(second.number, first.number)
        self.assertEqual(self.numbers("a"), [second.number])
        self.processes.end("a")
        self.assertEqual(self.numbers("a"), [])

    def test_system(self) -> None:
        """
        A program of the system that is killed comes back, and process 1 cannot be.
        """
        before = self.numbers()
        self.processes.signal(FIRST, KILL)
        after = self.numbers()
        self.assertEqual(after[:1] + after[1:-1], before[:1] + before[2:])
        self.assertNotIn(FIRST, after)
        self.processes.signal(1, 0)

    def test_survived(self) -> None:
        """
        Not every signal ends a process.
        """
        process = self.processes.launch("a", "/a", False)
        self.processes.signal(process.number, STOP)
        self.assertEqual(self.numbers("a"), [process.number])

    def test_whenEnded(self) -> None:
        """
        It is told of once when a process ends, however that comes, and at once if there is none.
        """
        self.assertEqual(self.successResultOf(self.processes.whenEnded(9999)), 0)
        for end, signal in (
            (lambda number: self.processes.signal(number, 15), 15),
            (lambda number: self.processes.end("a"), KILL),
            (lambda number: self.processes.launch("a", "/a", True), KILL),
            (lambda number: self.processes.restart(), KILL),
        ):
            number = self.processes.launch("a", "/a", False).number
            ended = [self.processes.whenEnded(number) for _ in range(2)]
            self.processes.signal(number, STOP)
            self.assertNoResult(ended[0])
            end(number)
            self.assertEqual([self.successResultOf(each) for each in ended], [signal, signal])

    def test_watches(self) -> None:
        """
        No more than so many are waited for, and one that is given up makes room.
        """
        ended = [self.processes.whenEnded(1) for _ in range(MOST_WATCHES)]
        self.assertRaises(TooManyWatches, self.processes.whenEnded, 1)
        ended[0].cancel()
        self.failureResultOf(ended[0])
        self.assertNoResult(self.processes.whenEnded(1))

    def test_around(self) -> None:
        """
        Behind the highest number they begin again, with those that are free.
        """
        self.processes._next = LAST
        found = [self.processes.launch(str(each), "/a", False).number for each in range(3)]
        first = FIRST + len(self.numbers()) - 1
        self.assertEqual(found, [LAST, first, first + 1])


class FeatureCase(SynchronousTestCase):
    """
    A phone with an app.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        directory = self.mktemp()
        FilePath(directory).makedirs()
        makePackage(f"{directory}/one.ipa", ONE, CFBundleDisplayName="One")
        self.posted: list[str] = []
        self.phone = Phone(Clock(), values={"ProductVersion": "17.6"})
        self.addCleanup(self.phone.stop)
        apps = Apps(lambda: FilePath(directory))
        self.services = (
            DeviceInfo(self.phone.values, self.phone.trust),
            AppService(apps, Processes(), self.posted.append),
        )

    def ask(self, name: str, **asked: Any) -> Any:
        """
        Ask for a feature.
        """
        features = {key: one for service in self.services for key, one in service.features.items()}
        return features[FEATURE + name](asked)

    def refused(self, name: str, **asked: Any) -> tuple[str, int]:
        """
        Why it is not to be had.
        """
        problem = self.assertRaises(FeatureError, self.ask, name, **asked)
        return problem.domain, problem.code

    def launch(self, name: str = ONE, isAnew: bool = True) -> int:
        """
        Launch an app.
        """
        specifier = {"bundleIdentifier": {"_0": name}}
        options = {"terminateExisting": isAnew}
        found = self.ask("launchapplication", applicationSpecifier=specifier, options=options)
        number: int = found["processToken"]["processIdentifier"]
        return number


class DeviceInfoTests(FeatureCase):
    """
    What the phone is.
    """

    def test_info(self) -> None:
        """
        It is what lockdownd says.
        """
        info = self.ask("getdeviceinfo")
        self.assertEqual((info["udid"], info["osVersionNumber"]), (self.phone.udid, "17.6"))

    def test_displays(self) -> None:
        """
        There is one, and its size is lockdownd's.
        """
        (display,) = self.ask("getdisplayinfo")["displays"]
        self.assertEqual(display["bounds"], [[0.0, 0.0], [1170.0, 2532.0]])

    def test_lock(self) -> None:
        """
        Its passcode is asked for when it is locked.
        """
        self.assertFalse(self.ask("getlockstate")["passcodeRequired"])
        self.phone.trust.lock()
        self.assertTrue(self.ask("getlockstate")["passcodeRequired"])

    def test_gestalt(self) -> None:
        """
        What it does not know is left out, and what is no list is refused.
        """
        found = self.ask("querymobilegestalt", keys=["ProductVersion", "Unknown", 7])
        self.assertEqual(found, {"ProductVersion": "17.6"})
        self.assertEqual(self.refused("querymobilegestalt", keys="x")[1], 22)


class AppServiceTests(FeatureCase):
    """
    Apps and processes.
    """

    def names(self, **asked: bool) -> list[str]:
        """
        What is listed.
        """
        return [app["bundleIdentifier"] for app in self.ask("listapps", **asked)]

    def test_list(self) -> None:
        """
        Apps are listed of the kinds that are asked for.
        """
        self.assertIn(ONE, self.names())
        self.assertEqual(self.names(includeDefaultApps=False), [ONE])
        self.assertNotIn(ONE, self.names(includeRemovableApps=False))

    def test_launch(self) -> None:
        """
        An app that was launched is a process, until a signal ends it.
        """
        number = self.launch()
        tokens = {
            token["processIdentifier"]: token["executableURL"]["relative"]
            for token in self.ask("listprocesses")["processTokens"]
        }
        self.assertTrue(tokens[number].startswith("file:///private/var/containers/"))
        self.assertEqual(self.launch(isAnew=False), number)
        self.ask("sendsignaltoprocess", process={"processIdentifier": number}, signal=KILL)
        self.assertNotEqual(self.launch(isAnew=False), number)

    def test_refused(self) -> None:
        """
        What is not there is said to be so.
        """
        self.assertRaises(FeatureError, self.launch, "com.example.none")
        self.assertEqual(self.refused("monitorprocesstermination", processToken={})[1], 22)
        self.assertEqual(self.refused("launchapplication", applicationSpecifier=7)[1], 1)
        for number, signal, code in ((9999, 9, 3), (1, 9, 1), (1, 99, 22), ("x", 9, 22)):
            asked = {"process": {"processIdentifier": number}, "signal": signal}
            self.assertEqual(self.refused("sendsignaltoprocess", **asked)[1], code)

    def test_uninstall(self) -> None:
        """
        An app that is removed ends, and is told of.
        """
        number = self.launch()
        self.ask("uninstallapp", bundleIdentifier=ONE)
        self.assertNotIn(ONE, self.names())
        asked = {"process": {"processIdentifier": number}, "signal": 0}
        self.assertEqual(self.refused("sendsignaltoprocess", **asked)[1], 3)
        self.assertEqual(self.posted, ["com.apple.mobile.application_uninstalled"])
        self.ask("uninstallapp", bundleIdentifier=ONE)
        self.assertEqual(len(self.posted), 1)
        for name in ("com.apple.Preferences", None):
            self.refused("uninstallapp", bundleIdentifier=name)

    def test_monitor(self) -> None:
        """
        A host that waits for an app to end is told with what; no more than so many wait.
        """
        token = {"processIdentifier": self.launch()}
        ended = self.ask("monitorprocesstermination", processToken=token)
        self.assertNoResult(ended)
        self.ask("sendsignaltoprocess", process=token, signal=KILL)
        status = {"exitCode": KILL, "wasCoreDumpCreated": False}
        self.assertEqual(self.successResultOf(ended), {"status": status})
        token = {"processIdentifier": 1}
        for _ in range(MOST_WATCHES):
            self.ask("monitorprocesstermination", processToken=token)
        self.refused("monitorprocesstermination", processToken=token)
