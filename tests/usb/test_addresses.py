# -*- test-case-name: tests.usb.test_addresses -*-
"""
Tests of phones whose address on the bus was another's a moment ago.

Linux counts addresses up before it uses one again; other systems do not, and the link
of the phone before may need seconds to close.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.testing import fakeIdentity
from muxd.usb.opening import OpenedPhone, OpenToken
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from tests.device.links import RecordingLink
from tests.usb.phones import Receiver
from tests.usb.reactors import ThreadedClock


class SlowLink(RecordingLink):
    """
    One that closes when the test says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closed: Deferred[None] = Deferred()

    def lose(self, reason: Failure) -> None:
        """
        The phone is gone.
        """
        if self.receiver is not None:
            self.receiver.linkLost(reason)

    def close(self) -> Deferred[None]:
        """
        Takes its time.
        """
        return self.closed


class ToldDiscovery:
    """
    Finds what the test says.

    @ivar released: What is to be opened again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.released: list[OpenToken] = []

    def start(self) -> None:
        """
        There is nothing to start.
        """

    def stop(self) -> Deferred[None]:
        """
        Nor to stop.
        """
        return succeed(None)

    def release(self, opening: OpenToken) -> None:
        """
        Write it down.
        """
        self.released.append(opening)


class AddressTests(SynchronousTestCase):
    """
    Two phones after each other at one address.
    """

    def test_usedAgain(self) -> None:
        """
        The late end of the first one does not have the second opened twice; when
        that has ended as well, the address is looked at again.
        """
        clock, discovery = ThreadedClock(), ToldDiscovery()
        links = [SlowLink(), SlowLink()]
        coming = iter(links)
        source = USBSource(
            clock,
            Receiver(),
            "usb",
            loadBackend=lambda: None,
            settings=USBSettings(),
            makeDiscovery=lambda *args, **kwargs: discovery,  # type: ignore[arg-type]
            makeLink=lambda *args: next(coming),  # type: ignore[arg-type]
        )
        source.startService()
        phones = [
            OpenedPhone(
                device=None,
                identity=fakeIdentity(1),
                interface=None,  # type: ignore[arg-type]
                location=(1, 1),
                number=number,
            )
            for number in range(2)
        ]
        source.phoneFound(phones[0])
        source.phoneGone(phones[0].location)
        source.phoneFound(phones[1])
        links[0].closed.callback(None)
        self.assertEqual(discovery.released, [])
        links[1].lose(Failure(ConnectionError("for this test")))
        links[1].closed.callback(None)
        self.assertEqual(discovery.released, [phones[1].opening])
        self.successResultOf(source.stopService())
        self.assertEqual(clock.getDelayedCalls(), [])
