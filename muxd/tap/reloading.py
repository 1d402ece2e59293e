# -*- test-case-name: tests.tap.test_reloading -*-
"""
The daemon whose configuration file is read again while it runs.

What changes at once is where clients connect and what they see there
(L{MuxService.changeListening}); the rest changes at the next start, which is said.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from twisted.python import usage

from muxd.net.socketfile import CannotListen
from muxd.service import MuxService
from muxd.status.actions import Action, Answer, Values
from muxd.status.answers import RequestError
from muxd.tap.process import Handler

NAMES = {
    "status": "status",
    "sources": "source",
    "configDir": "config-dir",
    "preflight": "no-preflight",
    "limits": "limits",
    "fleet": "hub",
}
"""What a service is made of, and the keys of a file for what changes at the next start."""


class CannotReload(Exception):
    """
    A configuration that has not been taken on: nothing has changed.  The text is one line.
    """


@dataclass(frozen=True, slots=True)
class Reloaded:
    """
    What has come of reading the configuration again.

    @ivar places: How many listening addresses there are.
    @ivar later: The keys of what changes at the next start.
    """

    places: int
    later: tuple[str, ...] = ()


class ReloadingService(MuxService):
    """
    A service that can be told to read its configuration again.

    @ivar reread: Gives what a service would be made of now, and the options of the process;
        None without a file.
    @ivar processOptions: Other options, by their names, which are those of the process.
    """

    reread: Callable[[], tuple[Mapping[str, Any], Mapping[str, object]]] | None = None
    processOptions: Mapping[str, object] = MappingProxyType({})

    def __init__(self, reactor: Any, **settings: Any) -> None:
        super().__init__(reactor, **settings)
        self._settings: Mapping[str, Any] = settings

    def reload(self) -> Reloaded:
        """
        Read the configuration again, and take on what can be taken on now.

        @raise CannotReload: It is wrong, or a place cannot be listened on: nothing has
            changed.
        """
        if self.reread is None:
            raise CannotReload("there is no configuration file to read: start with --config FILE")
        try:
            settings, options = self.reread()
            self.changeListening(settings["listen"])
            self.labels = settings["labels"]
        except (usage.UsageError, ValueError, CannotListen) as error:
            self._log.warn("the configuration stays as it was: {error}", error=error)
            raise CannotReload(str(error)) from error
        before = self.processOptions
        later = (
            *(key for name, key in NAMES.items() if settings.get(name) != self._settings.get(name)),
            *(key for key, value in options.items() if value != before.get(key)),
        )
        reloaded = Reloaded(len(settings["listen"]), later)
        self._log.info(
            "configuration read again, {places} listening addresses{later}",
            places=reloaded.places,
            later=f"; at the next start: {', '.join(later)}" if later else "",
        )
        return reloaded

    def reloadOnSignal(
        self, install: Callable[[signal.Signals, Handler], object] = signal.signal
    ) -> None:
        """
        Read it again at each SIGHUP, once the reactor runs.  Without a file, the signal
        is left to end the daemon (L{muxd.tap.process.stopOnSignals}).

        @param install: C{signal.signal}, but in tests.
        """
        if self.reread is None or not hasattr(signal, "SIGHUP"):
            return

        def hungUp() -> None:
            try:
                self.reload()
            except CannotReload:
                pass  # It has been said.

        def installAll() -> None:
            install(signal.SIGHUP, lambda number, frame: self.reactor.callFromThread(hungUp))

        self.reactor.callWhenRunning(installAll)


def reloadAction(service: ReloadingService) -> Action:
    """
    What has a service read its configuration again: C{POST /api/reload}.
    """

    def reload(values: Values) -> Answer:
        try:
            reloaded = service.reload()
        except CannotReload as error:
            raise RequestError(409, str(error), "nothing has changed") from error
        return {"listening": reloaded.places, "later": list(reloaded.later)}

    return Action(
        name="reload", summary="read the configuration file again", takes=(), perform=reload
    )
