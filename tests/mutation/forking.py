"""
A function's answer from a process of its own, which knows what this one has imported.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

MEMORY = 4 << 30
"""Bytes that such a process may address: a defect may ask for any number."""


class Ended(Exception):
    """
    It ended without an answer, or was ended.
    """


def inFork(function: Callable[[], Any], seconds: float) -> Any:
    """
    Call a function in a process of its own.

    @param function: It returns what JSON can say.
    @param seconds: How long it may take, of the clock, and of a CPU a third of that.

    @raise Ended: It took longer, or did not return.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be(function, seconds, writing)
    os.close(writing)
    try:
        answer = _all(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        # It is a leader: what it started goes with it.
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                end(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer.endswith(b"\n"):
        raise Ended
    value, trouble = json.loads(answer)
    if trouble:
        raise AssertionError(trouble)
    return value


def _all(reading: int, end: float) -> bytes:
    answer = b""
    while not answer.endswith(b"\n"):
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        part = os.read(reading, 1 << 16) if ready else b""
        if not part:
            break
        answer += part
    return answer


def _be(function: Callable[[], Any], seconds: float, writing: int) -> None:
    try:
        os.setpgid(0, 0)
        cpu = int(seconds / 3) + 1
        for what, most in (
            (resource.RLIMIT_AS, MEMORY),
            (resource.RLIMIT_CPU, cpu),
            (resource.RLIMIT_CORE, 0),
        ):
            # Not every system has all of them.
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        try:
            answer = json.dumps([function(), None])
        except BaseException:
            answer = json.dumps([None, traceback.format_exc()])
        rest = answer.encode() + b"\n"
        while rest:
            rest = rest[os.write(writing, rest) :]
    finally:
        os._exit(0)
