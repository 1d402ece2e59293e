# -*- test-case-name: tests.muxctl.test_relay -*-
"""
C{muxctl relay}: the C{tcprelay} service without C{twistd}.

It needs a reactor, which is imported when it is used: most commands do without.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from muxd.client.socketerrors import UsbmuxError
from muxd.muxctl.errors import WRONG_USAGE
from muxd.muxctl.options import Usage
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from twisted.application.service import IService


class CannotRelay(UsbmuxError):
    """
    A relay cannot start; the text says why.
    """


def relay(options: Namespace, terminal: Terminal) -> int:
    """
    Relay until interrupted.

    @raise CannotRelay: It cannot start.
    """
    service = makeRelay(words(options))
    from twisted.internet import reactor

    return run(service, reactor, terminal)


def words(options: Namespace) -> list[str]:
    """
    What is for the relay: its own words, and what came before its name.

    @raise Usage: What came before does not concern it.
    """
    if options.timeout is not None:
        raise Usage(
            2, "muxctl relay: it has no --timeout; see timeout= and wait= of --to usbmux:...\n"
        )
    given = (("--socket", options.socket), ("--udid", options.udid))
    found = [word for name, value in given if value for word in (name, str(value))]
    json = ["--json"] if options.json else []
    return [*found, *json, *options.arguments]


def makeRelay(arguments: Sequence[str]) -> IService:
    """
    The service that these words describe.

    @raise Usage: They are wrong, or ask for help.
    """
    from twisted.python.usage import UsageError

    from muxd.tap import tcprelay

    options = tcprelay.Options()
    options.synopsis = f"Usage: muxctl relay {tcprelay.Options.synopsis}"
    options.examples = options.examples.replace("twistd -n tcprelay", "muxctl relay")
    try:
        options.parseOptions(list(arguments))
    except UsageError as error:
        raise Usage(WRONG_USAGE, f"muxctl relay: {error} (see muxctl relay --help)\n") from error
    except SystemExit as error:
        # usage.Options prints its help and version itself, and leaves.
        raise Usage(error.code if isinstance(error.code, int) else 0, "") from error
    return tcprelay.makeService(options)


def run(service: IService, reactor: Any, terminal: Terminal) -> int:
    """
    Run a service until the reactor stops.

    @raise CannotRelay: It cannot start.
    """
    from twisted.logger import globalLogBeginner

    from muxd.muxctl.relaylog import RelayLog
    from muxd.tap.process import StartFailure

    globalLogBeginner.beginLoggingTo([RelayLog(terminal)], redirectStandardIO=False)
    try:
        service.privilegedStartService()
    except StartFailure as failure:
        raise CannotRelay(failure.reason) from failure
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    return 0
