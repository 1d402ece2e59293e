# -*- test-case-name: tests.bench.test_attack -*-
"""
The daemon under attack: muxd with preflight and a simulated phone that has paired, which
notes the longest turn of its reactor::

    python -m bench.attack.daemon SOCKET RECORDS NOTES [hostile]

C{hostile} adds a phone whose lockdownd says that its dialog is open, tells of something new
at each moment, and which is plugged in anew each second.
"""

from __future__ import annotations

import plistlib
import signal
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.protocol import Factory
from twisted.logger import LogLevel, globalLogBeginner, textFileLogObserver
from twisted.protocols.basic import Int32StringReceiver

from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.tap.usbmuxd import UsbmuxdService

TICK = 0.005
LOCKDOWN = 62078
NOTICES = 5000
REPLUG = 1.0


class LongestTurn:
    """
    How late a timer was at most: nothing else was served meanwhile.

    @ivar longest: In seconds.
    """

    def __init__(self, clock: Any, notes: Path) -> None:
        self.longest = 0.0
        self._clock = clock
        self._notes = notes
        self._due = 0.0

    def start(self) -> None:
        """
        Begin, anew if it has begun.
        """
        self.longest = 0.0
        self._write()
        if not self._due:
            self._wait()

    def _wait(self) -> None:
        self._due = time.monotonic() + TICK
        self._clock.callLater(TICK, self._look)

    def _look(self) -> None:
        late = time.monotonic() - self._due
        if late > self.longest:
            self.longest = late
            self._write()
        self._wait()

    def _write(self) -> None:
        # As a whole: it is read while this goes on.
        whole = self._notes.with_suffix(".new")
        whole.write_text(f"{self.longest * 1000:.1f}")
        whole.replace(self._notes)


class HostileLockdownd(Int32StringReceiver):
    """
    One that never comes to an end.
    """

    def stringReceived(self, string: bytes) -> None:
        """
        Answer.
        """
        asked = plistlib.loads(string)
        request = asked.get("Request")
        answer: dict[str, Any] = {"Request": request}
        if request == "QueryType":
            answer["Type"] = "com.apple.mobile.lockdown"
        elif request == "GetValue":
            answer["Value"] = PUBLIC_KEY if asked.get("Key") == "DevicePublicKey" else "17.0"
        elif request == "Pair":
            answer["Error"] = "PairingDialogResponsePending"
        elif request == "SetValue":
            pass
        elif request == "StartService":
            answer |= {"Port": NOTICES, "Service": asked.get("Service")}
        else:
            answer["Error"] = "InvalidHostID"
        self.sendString(plistlib.dumps(answer))


class HostileNotices(Int32StringReceiver):
    """
    One that tells of what it is asked for at once.
    """

    def stringReceived(self, string: bytes) -> None:
        """
        Answer.
        """
        name = plistlib.loads(string).get("Name")
        self.sendString(plistlib.dumps({"Command": "RelayNotification", "Name": name}))


def makeHostile(source: Any) -> None:
    """
    Have the first phone of a source attack.
    """
    attacker = source.phones[0]
    for port, kind in ((LOCKDOWN, HostileLockdownd), (NOTICES, HostileNotices)):
        factory = Factory.forProtocol(kind)
        factory.noisy = False
        attacker.services[port] = factory

    def replug() -> None:
        attacker.unplug()
        task.deferLater(_reactor, REPLUG / 4, attacker.plug, source.bus)

    task.LoopingCall(replug).start(REPLUG, now=False)


_reactor: Any = reactor


def main(arguments: list[str]) -> None:
    """
    Run it.
    """
    path, records, notes, *more = arguments
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    sources = ["simulated:trust=accept"]
    if more:
        sources.append("simulated:udid=00008110-000A1B2C3D4E5FFF")
    service = UsbmuxdService(
        _reactor,
        listen=[f"unix:{path}:mode=666"],
        sources=sources,
        configDir=records,
        preflight=True,
    )
    service.logLevel = LogLevel.info
    service.privilegedStartService()
    service.startService()
    if more:
        _reactor.callLater(1, makeHostile, service.sources[-1])
    turns = LongestTurn(_reactor, Path(notes))
    signal.signal(signal.SIGUSR1, lambda *_: _reactor.callFromThread(turns.start))
    _reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    _reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
