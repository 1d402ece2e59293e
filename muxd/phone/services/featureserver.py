# -*- test-case-name: tests.phone.services.test_featureserver -*-
"""
CoreDevice's way of asking for features, by RemoteXPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

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

MOST_AWAITED = 16
"""Answers that one connection waits for at once."""


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
        self._awaited: set[Deferred[None]] = set()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nothing is waited for any more.
        """
        for each in tuple(self._awaited):
            each.cancel()

    def messageReceived(self, message: Message) -> None:
        """
        Do what is asked for, and answer if an answer is wanted.
        """
        if not isinstance(message.body, dict):
            self.close("expected a dictionary")
            return
        answer = self._answer(message.body)
        if not isinstance(answer, Deferred):
            self._answered(answer, message)
        elif len(self._awaited) >= MOST_AWAITED:
            answer.addErrback(Failure.trap, CancelledError).cancel()
            text = f"{MOST_AWAITED} answers are waited for already"
            self._answered(_refusal(FeatureError(ACTION_ERROR, FAILED, text)), message)
        else:
            awaited = answer.addCallback(self._answered, message)
            self._awaited.add(awaited)
            awaited.addErrback(Failure.trap, CancelledError)
            awaited.addBoth(lambda result: self._awaited.discard(awaited))

    def _answered(self, answer: dict[str, Any], message: Message) -> None:
        if message.flags & WANTS_REPLY:
            try:
                self._reply(message, answer)
            except MalformedXPC as problem:
                # An app's or a dump's own values need not be XPC's.
                self._reply(message, _refusal(FeatureError(ACTION_ERROR, FAILED, str(problem))))

    def _reply(self, message: Message, answer: dict[str, Any]) -> None:
        asked = message.body.get(INVOCATION)
        self.reply(message, answer if asked is None else {**answer, INVOCATION: asked})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any] | Deferred[dict[str, Any]]:
        name, asked = request.get("CoreDevice.featureIdentifier"), request.get("CoreDevice.input")
        feature = self._features.get(name) if isinstance(name, str) else None
        try:
            if feature is None:
                text = f"{printable(str(name))[:80]} is not implemented"
                raise FeatureError(ACTION_ERROR, NOT_IMPLEMENTED, text)
            output = feature(asked if isinstance(asked, dict) else {})
        except FeatureError as problem:
            self._log.info("a host's feature: {why}", why=str(problem))
            return _refusal(problem)
        if isinstance(output, Deferred):
            return output.addCallback(lambda value: {OUTPUT: value})
        return {OUTPUT: output}


def _refusal(problem: FeatureError) -> dict[str, Any]:
    return {
        ERROR: {
            "code": problem.code,
            "domain": problem.domain,
            "userInfo": {"NSLocalizedDescription": str(problem)},
        }
    }
