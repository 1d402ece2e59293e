# -*- test-case-name: tests.muxctl.test_relay -*-
"""
C{muxctl relay}: the C{tcprelay} service without C{twistd}.

The only command that needs a reactor, so it alone imports one, when it is used.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from muxd.muxctl.options import Usage
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from twisted.application.service import IService

MODULE = "muxd.tap.tcprelay"


def relay(options: Namespace, terminal: Terminal) -> int:
    """
    Relay until interrupted.
    """
    service = makeRelay(words(options), MODULE)
    from twisted.internet import reactor

    return run(service, reactor, terminal)


def words(options: Namespace) -> list[str]:
    """
    What is for the relay: its own words, and what came before its name.
    """
    given = (("--socket", options.socket), ("--udid", options.udid))
    found = [word for name, value in given if value for word in (name, str(value))]
    return [*found, *options.arguments]


def makeRelay(arguments: Sequence[str], module: str) -> IService:
    """
    The service that these words describe.

    @raise Usage: They are wrong, ask for help, or this installation has no relay.
    """
    try:
        tap: Any = import_module(module)
    except ImportError as error:
        raise Usage(2, f"muxctl relay: not part of this installation ({error})\n") from error
    from twisted.python.usage import UsageError

    options = tap.Options()
    options.synopsis = "Usage: muxctl relay [options] PORT[:LOCAL]..."
    try:
        options.parseOptions(list(arguments))
    except UsageError as error:
        raise Usage(2, f"muxctl relay: {error} (see muxctl relay --help)\n") from error
    except SystemExit as error:
        # usage.Options prints its help and version itself, and leaves.
        raise Usage(error.code if isinstance(error.code, int) else 0, "") from error
    service: IService = tap.makeService(options)
    return service


def run(service: IService, reactor: Any, terminal: Terminal) -> int:
    """
    Run a service until the reactor stops.
    """
    from twisted.logger import globalLogBeginner, textFileLogObserver

    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(terminal.stderr)], redirectStandardIO=False
    )
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    return 0
