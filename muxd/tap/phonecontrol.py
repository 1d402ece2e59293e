# -*- test-case-name: tests.tap.test_phonecontrol -*-
"""
What an operator does with a daemon's simulated phones: C{POST /api/phone}, with a command of
their control socket (L{muxd.phone.console}).
"""

from __future__ import annotations

from muxd.service import MuxService
from muxd.status.actions import Action, Answer, Values
from muxd.status.answers import RequestError


def phoneControl(service: MuxService) -> Action:
    """
    The action on the simulated phones of a service.
    """

    def perform(values: Values) -> Answer:
        # Not needed for parsing options, and they import pyusb.
        from muxd.phone.console import Console
        from muxd.phone.source import SimulatedSource

        command = values.text("command")
        stations = [
            station
            for source in service.sources
            if isinstance(source, SimulatedSource)
            for station in source.stations
        ]
        if not stations:
            raise RequestError(
                404, "this daemon has no simulated phones", "start it with --source simulated"
            )
        answer = Console(stations, None).execute(command)
        if isinstance(answer, dict) and isinstance(answer.get("error"), str):
            raise RequestError(409, answer["error"], "muxctl phone help shows all commands")
        return {"answer": answer}

    return Action(
        name="phone",
        summary="do something with simulated phones, such as trust, unplug 1 or stats",
        takes=("command",),
        perform=perform,
    )
