# -*- test-case-name: tests.phone.services.test_featureserver -*-
"""
CoreDevice's way of asking for features, by RemoteXPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from muxd.phone.services.features import (
    ACTION_ERROR,
    FAILED,
    NOT_IMPLEMENTED,
    Feature,
    FeatureError,
)
from muxd.tunnel.remotexpc import RemoteXPC
from muxd.tunnel.xpc import WANTS_REPLY, MalformedXPC, Message
from muxd.wire.text import printable

OUTPUT, ERROR = "CoreDevice.output", "CoreDevice.error"
INVOCATION = "CoreDevice.invocationIdentifier"


class FeatureServer(RemoteXPC):
    """
    The phone's end of one connection to a service of CoreDevice.
    """

    _log = Logger()
    isHost = False

    def __init__(self, features: Mapping[str, Feature]) -> None:
        """
        @param features: By their names.
        """
        super().__init__()
        self._features = features

    def messageReceived(self, message: Message) -> None:
        """
        Do what is asked for, and answer if an answer is wanted.
        """
        if not isinstance(message.body, dict):
            self.close("expected a dictionary")
            return
        answer = self._answer(message.body)
        if message.flags & WANTS_REPLY:
            try:
                self._reply(message, answer)
            except MalformedXPC as problem:
                # An app's or a dump's own values need not be XPC's.
                self._reply(message, _refusal(FeatureError(ACTION_ERROR, FAILED, str(problem))))

    def _reply(self, message: Message, answer: dict[str, Any]) -> None:
        asked = message.body.get(INVOCATION)
        self.reply(message, answer if asked is None else {**answer, INVOCATION: asked})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        name, asked = request.get("CoreDevice.featureIdentifier"), request.get("CoreDevice.input")
        feature = self._features.get(name) if isinstance(name, str) else None
        try:
            if feature is None:
                text = f"{printable(str(name))[:80]} is not implemented"
                raise FeatureError(ACTION_ERROR, NOT_IMPLEMENTED, text)
            return {OUTPUT: feature(asked if isinstance(asked, dict) else {})}
        except FeatureError as problem:
            self._log.info("a host's feature: {why}", why=str(problem))
            return _refusal(problem)


def _refusal(problem: FeatureError) -> dict[str, Any]:
    return {
        ERROR: {
            "code": problem.code,
            "domain": problem.domain,
            "userInfo": {"NSLocalizedDescription": str(problem)},
        }
    }
