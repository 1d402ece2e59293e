# -*- test-case-name: tests.muxctl.test_waiting -*-
"""
C{muxctl wait}: until phones are there.
"""

from __future__ import annotations

from argparse import Namespace
from contextlib import closing
from time import monotonic

from muxd.client import blocking
from muxd.client.answers import Attached, Detached, Device, Event
from muxd.client.blocking import NoPairRecord, UsbmuxError
from muxd.client.problems import Stage
from muxd.client.selection import Network, fits
from muxd.client.socketerrors import TimedOut
from muxd.muxctl.phones import showDevices
from muxd.muxctl.terminal import Terminal

RECHECK = 5.0
"""
Seconds after which pair records are looked for again: a daemon tells of those only that
are saved together with the number of a phone that is there.
"""


def waitForPhones(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl wait}: print the phones that were waited for.

    @raise TimedOut: C{--timeout} is over, and they are not there.
    """
    end = None if options.timeout is None else monotonic() + options.timeout
    watch = _Watch(options, terminal)
    while not watch.look(end):
        if end is not None and monotonic() >= end:
            raise TimedOut(Stage.WAIT, options.timeout, watch.progress)
    showDevices(watch.counting, terminal)
    return 0


class _Watch:
    """
    The phones that are there, and those of them that count.
    """

    def __init__(self, options: Namespace, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._network = Network.YES if options.network else Network.NO
        self._present: dict[int, Device] = {}
        self._paired: dict[str, bool] = {}
        self._trouble = ""

    @property
    def counting(self) -> list[Device]:
        """
        One device for each phone that counts, in the order of their coming.
        """
        phones: dict[str, Device] = {}
        for device in self._present.values():
            if self._counts(device):
                phones.setdefault(device.udid, device)
        return list(phones.values())

    @property
    def progress(self) -> str:
        """
        What there is, for the error's text.
        """
        count = self._options.count
        kind = ("paired " if self._options.paired else "") + ("phone" if count == 1 else "phones")
        there = len({device.udid for device in self._present.values()})
        text = f"{count} {kind} wanted, {there} attached"
        return f"{text}; {self._trouble}" if self._trouble else text

    def look(self, end: float | None) -> bool:
        """
        Listen to the daemon for a while.

        @param end: When there is no more time, by the monotonic clock.
        @return: whether there are enough phones.
        """
        seconds = None if end is None else max(0.0, end - monotonic())
        if self._options.paired:
            seconds = RECHECK if seconds is None else min(RECHECK, seconds)
        self._present.clear()
        self._paired.clear()
        events = blocking.watch(
            seconds, reconnect=True, lost=self._lost, address=self._terminal.address
        )
        with closing(events):
            for event in events:
                self._take(event)
                if len(self.counting) >= self._options.count:
                    return True
        return False

    def _take(self, event: Event) -> None:
        device = event.device
        match event:
            case Attached():
                self._trouble = ""
                if fits(device, self._options.udid, self._network):
                    self._present[device.deviceID] = device
            case Detached():
                self._present.pop(device.deviceID, None)
            case _:
                self._paired[device.udid] = True

    def _lost(self, error: UsbmuxError) -> None:
        """
        Say once what is wrong with the daemon.
        """
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._terminal.remark(f"{error}; waiting for it")

    def _counts(self, device: Device) -> bool:
        return not self._options.paired or self._isPaired(device.udid)

    def _isPaired(self, udid: str) -> bool:
        if udid not in self._paired:
            try:
                blocking.readPairRecord(udid, address=self._terminal.address)
            except NoPairRecord:
                self._paired[udid] = False
            else:
                self._paired[udid] = True
        return self._paired[udid]
