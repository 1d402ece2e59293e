# -*- test-case-name: tests.tap -*-
"""
What the options of all commands of C{twistd} here have in common.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from twisted.python import usage

import muxd
from muxd.tap.journal import OBSERVER_NAME, leadsToJournal
from muxd.tap.journalsocket import OBSERVER, hasJournal
from muxd.tap.logfields import JSON_OBSERVER
from muxd.tap.pidfile import DEFAULT, removeStalePidFile
from muxd.tap.twistedfiles import complaintAboutFiles, printAndExit

OBSERVERS = {"json": JSON_OBSERVER, "journal": OBSERVER}
"""What C{twistd} logs with, by the word of C{--log-format}."""

LOG_FORMATS = ("text", *OBSERVERS)

_ELSEWHERE = ("logger", "logfile", "syslog")
"""Options of C{twistd} that lead the log elsewhere."""

LONGEST_GRACE = 86400
"""A day, in seconds."""


class CommandOptions(usage.Options):
    """
    Options that build a service, on a reactor that has been chosen by then.

    @cvar examples: How it is used.
    @cvar pidFile: What its pid file is called instead of C{twistd}'s own name, which two
        commands in one directory would share.
    @ivar reactor: What to build the service on; C{None} means the global one,
        once the options of C{twistd} have chosen it.
    """

    examples = ""
    pidFile: str | None = None
    reactor: Any = None

    def __init__(self) -> None:
        super().__init__()
        # usage wraps these, but leaves the indentation of docstrings in them.
        self.docs = {name: " ".join((text or "").split()) for name, text in self.docs.items()}

    def opt_version(self) -> NoReturn:
        """
        Print the version and exit.
        """
        printAndExit(self._name, f"muxd {muxd.__version__}")

    def opt_help(self) -> NoReturn:
        """
        Display this help and exit.
        """
        printAndExit(self._name, str(self))

    @property
    def _name(self) -> str:
        """
        What the person has started.
        """
        return "muxd" if self.parent is None else str(self.parent.subCommand)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """
        Parse, and prepare what runs us.

        C{twistd} and C{twist} answer a usage error with all of their own options; one
        that is run by them ends the process with the line that matters.

        @raise usage.UsageError: Something is wrong; the text is one line.
        """
        try:
            super().parseOptions(self.arranged(options))
            runner = self.parent
            if runner is not None and "pidfile" in runner:
                _expectUsable(runner)
        except usage.UsageError as wrong:
            error = usage.UsageError(f"{wrong}{self.getRemedy(wrong)}")
            if self.parent is None:
                raise error from wrong
            name = self.parent.subCommand
            print(f"{name}: {error} ({name} --help shows all options)", file=sys.stderr)
            sys.exit(1)
        if self.parent is not None and "pidfile" in self.parent:
            prepareTwistd(self.parent, self.pidFile, self.get("log-format"))

    def arranged(self, words: list[str] | None) -> list[str] | None:
        """
        The words of a command line as C{usage} wants them, which takes no option behind
        the first argument.

        @raise usage.UsageError: They make no sense.
        """
        return words

    def getRemedy(self, error: usage.UsageError) -> str:
        """
        What to write behind the text of a usage error: that an option is the runner's, as
        C{twistd usbmuxd --nodaemon} has it.
        """
        words = str(error).split()
        if self.parent is None or words[:1] != ["option"] or words[2:] != ["not", "recognized"]:
            return ""
        name = words[1].lstrip("-").replace("-", "_")
        long = {each.rstrip("=").replace("-", "_") for each in self.parent.longOpt}
        if name not in long | set(self.parent.shortOpt.replace(":", "")):
            return ""
        return f"; it belongs before the word {self.parent.subCommand}"

    def getUsage(self, width: int | None = None) -> str:
        """
        The options, and what is behind them.
        """
        return f"{super().getUsage(width)}\n{self.epilogue()}"

    def epilogue(self) -> str:
        """
        What the usage ends with.
        """
        return self.examples

    def parseArgs(self, *arguments: str) -> None:
        """
        @raise usage.UsageError: There are arguments; none are expected.
        """
        if arguments:
            raise usage.UsageError(
                f"unexpected argument {arguments[0]!r}; a value belongs right behind its option"
            )

    def chooseReactor(self) -> None:
        """
        Use the global one, if none was given.
        """
        if self.reactor is None:
            from twisted.internet import reactor

            self.reactor = reactor

    @property
    def hasLogLevel(self) -> bool:
        """
        Whether what runs us has a log level of its own: C{twist} has, and C{twistd}
        has not.
        """
        runner = self.parent
        return runner is not None and "logLevel" in runner


def graceFromOption(text: str) -> float:
    """
    The seconds of C{--grace}.

    @raise usage.UsageError: They are none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_GRACE:
        raise usage.UsageError(f"--grace: expected seconds from 0 to {LONGEST_GRACE}, got {text!r}")
    return seconds


def logFormatFromOption(text: str) -> str:
    """
    The name in C{--log-format}.

    @raise usage.UsageError: There is no such format.
    """
    if text not in LOG_FORMATS:
        raise usage.UsageError(f"--log-format: expected {', '.join(LOG_FORMATS)}, got {text!r}")
    return text


def checkLogFormat(text: str | None, runner: usage.Options | None) -> None:
    """
    See that a format for the log makes sense.

    @param text: A word of L{LOG_FORMATS}, or None.
    @param runner: The options of what runs the command.
    @raise usage.UsageError: It does not.
    """
    if runner is None or text is None or text == "text":
        return
    if "pidfile" not in runner:
        raise usage.UsageError(
            "--log-format: twist has one of its own, which belongs before the word usbmuxd"
        )
    if any(runner.get(name) for name in _ELSEWHERE):
        raise usage.UsageError(
            f"--log-format {text} is for what is written to standard output: leave out --logfile,"
            " --syslog and --logger"
        )
    if text == "journal" and not hasJournal():
        raise usage.UsageError("--log-format journal: there is no journal of systemd's here")
    if text == "json" and not runner.get("nodaemon"):
        raise usage.UsageError("--log-format json: write twistd -n, it goes to standard output")


def _expectUsable(twistd: usage.Options) -> None:
    """
    @raise usage.UsageError: C{twistd} cannot write the files that it is told to.
    """
    if complaint := complaintAboutFiles(twistd):
        raise usage.UsageError(complaint)


def prepareTwistd(twistd: usage.Options, pidFile: str | None, logFormat: str | None = None) -> None:
    """
    Have C{twistd} start where it would refuse to for no good reason, and log as the journal
    wants it.

    @param twistd: Its options.
    @param pidFile: What to call its pid file if the operator has not.
    @param logFormat: A word of L{LOG_FORMATS}; None for what is right here.
    """
    if pidFile is not None and twistd["pidfile"] == DEFAULT:
        twistd["pidfile"] = pidFile
    if twistd["pidfile"]:
        removeStalePidFile(twistd["pidfile"])
    if logFormat in OBSERVERS:
        twistd["logger"] = OBSERVERS[logFormat]
        return
    isPlain = not any(twistd.get(name) for name in _ELSEWHERE)
    if isPlain and twistd.get("nodaemon") and leadsToJournal(sys.stdout):
        isNative = logFormat is None and hasJournal()
        twistd["logger"] = OBSERVERS["journal"] if isNative else OBSERVER_NAME
