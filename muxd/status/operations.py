# -*- test-case-name: tests.status.test_operations -*-
"""
What an operator does with phones: C{POST /api/release} and C{POST /api/take}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muxd.service import MuxService
from muxd.status.actions import Action, Answer, Values
from muxd.status.answers import RequestError


def phoneActions(service: MuxService) -> list[Action]:
    """
    The actions on the phones of a service.
    """

    def release(values: Values) -> Deferred[Answer]:
        udid = values.text("udid")
        try:
            released = service.release(udid)
        except ValueError as error:
            raise RequestError(400, str(error)) from error

        def done(count: int) -> dict[str, Any]:
            return {"udid": udid, "attached": count, "released": service.released}

        return released.addCallback(done)

    def take(values: Values) -> Answer:
        udid = values.text("udid")
        try:
            wasReleased = service.take(udid)
        except ValueError as error:
            raise RequestError(400, str(error)) from error
        if not wasReleased:
            names = ", ".join(service.released) or "none"
            raise RequestError(404, f"{udid} was not released", f"released are: {names}")
        return {"udid": udid, "released": service.released}

    return [
        Action(
            name="release",
            summary="let go of a phone, for another program, until it is taken back",
            takes=("udid",),
            perform=release,
        ),
        Action(
            name="take",
            summary="take a phone back that was released",
            takes=("udid",),
            perform=take,
        ),
    ]
