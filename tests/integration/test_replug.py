# -*- test-case-name: tests.integration.test_replug -*-
"""
A phone that is pulled out and plugged in, again and again.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from dataclasses import dataclass

from twisted.internet.defer import gatherResults

from tests.integration.inprocess import PhoneStream, ServiceTestCase
from tests.integration.test_tools import CHARGEN, DISCARD, ECHO
from tests.running.unit import takesSeconds

TIMES = 200
WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Belongings:
    """
    What the process has.

    @ivar threads: Their number.
    @ivar files: The number of file descriptors.
    @ivar objects: Of muxd's classes, by name.
    """

    threads: int
    files: int
    objects: Counter[str]

    @classmethod
    def count(cls) -> Belongings:
        """
        Count them.
        """
        gc.collect()
        names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
        return cls(
            threads=threading.active_count(),
            files=len(os.listdir("/proc/self/fd")),
            objects=Counter(name for name in names if name.startswith("muxd.")),
        )

    def more(self, before: Belongings) -> dict[str, int]:
        """
        What there is more of than before.
        """
        counts = Counter({"threads": self.threads, "files": self.files, **self.objects}) - Counter(
            {"threads": before.threads, "files": before.files, **before.objects}
        )
        return dict(counts)


class ReplugTests(ServiceTestCase):
    """
    One phone, and three sessions open whenever it is pulled out.
    """

    timeout = 110
    if not os.path.exists("/proc/self/fd"):
        skip = "there is no /proc to count file descriptors in"

    async def replug(self) -> None:
        """
        Open sessions, pull the phone out, and plug it in again.
        """
        (phone,) = self.phones
        (deviceID,) = self.attendance.present.values()
        clients = [PhoneStream(deviceID, port) for port in (ECHO, DISCARD, CHARGEN)]
        await gatherResults([self.stream(client) for client in clients], consumeErrors=True)
        for client in clients[:2]:
            assert client.transport is not None
            client.transport.write(bytes(100_000))
        phone.unplug()
        await gatherResults([client.lost for client in clients])
        await self.attendance.count(0)
        phone.plug(self.bus)
        await self.attendance.count(1)

    @takesSeconds
    async def test_nothingLeft(self) -> None:
        """
        After 200 times there are no more threads, file descriptors or objects
        than after ten, no session was left hanging, and each stay had a device
        id of its own.
        """
        identifiers: set[int] = set()
        for _ in range(WARM_UP):
            await self.replug()
        # Links of the last stays may still be closing.
        before = Belongings.count()
        self.assertGreater(before.objects["muxd.device.muxer.Muxer"], 0)
        for _ in range(TIMES):
            await self.replug()
            identifiers.update(self.attendance.present.values())
        await self.until(lambda: not Belongings.count().more(before), attempts=50)
        self.assertEqual(Belongings.count().more(before), {})
        self.assertEqual(len(identifiers), TIMES)
        self.assertEqual(self.phones[0].violations, [])
