# -*- test-case-name: tests.bench.test_attack -*-
"""
The victim: a program of another user, which asks what phones there are.

It has a connection that stays, and makes new ones; and prints how long each took::

    python -m bench.attack.victim SOCKET SECONDS USER
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence

from bench.attack.requests import ask, become, connect

ASKED_EVERY = 0.010
CONNECTED_EVERY = 0.050
REQUEST = {"MessageType": "ListDevices"}


def percentiles(times: Sequence[float]) -> list[float]:
    """
    The median, the 99th percentile and the maximum, in milliseconds.
    """
    ordered = sorted(times)
    if not ordered:
        return [0.0, 0.0, 0.0]
    last = len(ordered) - 1
    places = (last // 2, last * 99 // 100, last)
    return [round(ordered[place] * 1000, 1) for place in places]


class Probe(threading.Thread):
    """
    Asks from time to time.

    @ivar times: How long each answer took, in seconds.
    @ivar failures: How often there was none.
    """

    def __init__(self, path: str, pause: float, end: float, stays: bool) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self.failures = 0
        self._path = path
        self._pause = pause
        self._end = end
        self._stays = stays

    def run(self) -> None:
        """
        Ask until the end.
        """
        connection = None
        while time.monotonic() < self._end:
            began = time.monotonic()
            try:
                if connection is None:
                    connection = connect(self._path)
                ask(connection, REQUEST)
            except OSError as error:
                print(f"the victim has no answer: {error!r}", file=sys.stderr)
                self.failures += 1
                connection = None
            self.times.append(time.monotonic() - began)
            if connection is not None and not self._stays:
                connection.close()
                connection = None
            time.sleep(self._pause)


def main(arguments: list[str]) -> None:
    """
    Ask, and say how long it took.
    """
    path, seconds, user = arguments
    become(int(user))
    end = time.monotonic() + float(seconds)
    probes = (
        Probe(path, ASKED_EVERY, end, True),
        Probe(path, CONNECTED_EVERY, end, False),
    )
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.join()
    asking, coming = probes
    print(
        json.dumps(
            {
                "asking": percentiles(asking.times),
                "coming": percentiles(coming.times),
                "failures": asking.failures + coming.failures,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
