# -*- test-case-name: tests.tap.test_logformat -*-
"""
Tests of the option C{--log-format}.
"""

from __future__ import annotations

import json
import sys

from twisted.python import usage

from muxd.tap import options
from muxd.tap.journal import OBSERVER_NAME
from muxd.tap.options import OBSERVERS, checkLogFormat, prepareTwistd
from tests.integration.daemon import DaemonTestCase
from tests.tap.options import Runner, UsbmuxdTestCase


class OptionTests(UsbmuxdTestCase):
    """
    What it takes.
    """

    def twistd(self, **values: object) -> Runner:
        """
        The options of a C{twistd} in the foreground.
        """
        given = {"pidfile": "", "nodaemon": True, "logfile": None, "syslog": False, "logger": None}
        return Runner(**{**given, **values})

    def wrong(self, text: str, runner: Runner) -> str:
        """
        Why a format is refused.
        """
        return str(self.assertRaises(usage.UsageError, checkLogFormat, text, runner))

    def test_unknown(self) -> None:
        """
        There are three, and no other.
        """
        text = self.refused("--log-format", "xml")
        self.assertEqual(text, "--log-format: expected text, json, journal, got 'xml'")

    def test_elsewhere(self) -> None:
        """
        It makes no sense where the log goes elsewhere, or the runner has one of its own.
        """
        self.assertIn("leave out --logfile", self.wrong("json", self.twistd(logfile="x")))
        self.assertIn("twistd -n", self.wrong("json", self.twistd(nodaemon=False)))
        self.assertIn("twist has one", self.wrong("json", Runner(logLevel=1)))
        checkLogFormat("text", self.twistd(logfile="x"))
        checkLogFormat(None, self.twistd(logfile="x"))

    def test_noJournal(self) -> None:
        """
        Without a journal there is none to log to.
        """
        self.patch(options, "hasJournal", lambda: False)
        self.assertIn("no journal", self.wrong("journal", self.twistd()))
        self.patch(options, "hasJournal", lambda: True)
        checkLogFormat("journal", self.twistd())

    def test_chosen(self) -> None:
        """
        C{twistd} logs with what was chosen; without a word, with the journal's fields where
        its output leads to a journal.
        """
        for isJournal, hasSocket, chosen, expected in (
            (False, True, None, None),
            (False, False, "json", OBSERVERS["json"]),
            (False, True, "journal", OBSERVERS["journal"]),
            (True, True, None, OBSERVERS["journal"]),
            (True, False, None, OBSERVER_NAME),
            (True, True, "text", OBSERVER_NAME),
        ):
            self.patch(options, "leadsToJournal", lambda stream, found=isJournal: found)
            self.patch(options, "hasJournal", lambda found=hasSocket: found)
            twistd = self.twistd()
            prepareTwistd(twistd, None, chosen)
            self.assertEqual(twistd["logger"], expected, (isJournal, hasSocket, chosen))

    def test_configuration(self) -> None:
        """
        A configuration file may choose it; that it has been chosen is no reason not to read
        the file again.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write('log-format = "json"\nlisten = ["tcp:5"]\nsource = ["simulated"]')
        self.options.parent = self.twistd()
        self.options.parseOptions(["--config", path])
        self.assertEqual(self.options.parent["logger"], OBSERVERS["json"])
        settings, _ = self.options.reread()
        self.assertEqual(len(settings["listen"]), 1)

    def test_names(self) -> None:
        """
        C{twistd} finds what is named.
        """
        for name in OBSERVERS.values():
            module, _, function = name.rpartition(".")
            __import__(module)
            self.assertTrue(callable(getattr(sys.modules[module], function)))


class ProcessTests(DaemonTestCase):
    """
    A daemon in a process of its own.
    """

    def test_json(self) -> None:
        """
        Every line that it writes is an object.
        """
        daemon = self.startDaemon("--log-format", "json")
        self.stop(daemon)
        lines = [json.loads(line) for line in daemon.log().splitlines()]
        attached = [line for line in lines if "attached as device" in line["message"]]
        self.assertEqual(attached[0]["fields"]["deviceID"], 1)
        self.assertEqual({line["level"] for line in lines}, {"info"})
