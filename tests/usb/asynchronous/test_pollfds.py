"""
Tests of L{muxd.usb.asynchronous.pollfds} with an event loop, in which clients come first.
"""

from __future__ import annotations

import os
import socket
import sys
from unittest import skipUnless

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.eventloop import GONE, READABLE, WRITABLE, Watched
from muxd.usb.asynchronous.pollfds import LibusbDescriptor, LibusbDescriptors
from tests.net.eventloops import handDrivenLoop
from tests.usb.transfers import FDReactor


class Client(Watched):
    """
    Anything else that the loop watches.
    """

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def happened(self, events: int) -> None:
        """
        Write it down.
        """
        self.told.append("client")

    def failed(self, failure: Failure) -> None:
        """
        Write it down.
        """
        self.told.append("failed")


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class LoopTests(SynchronousTestCase):
    """
    Descriptors of libusb's in a loop.
    """

    def setUp(self) -> None:
        """
        One that the test writes to.
        """
        self.told: list[str] = []
        self.loop = handDrivenLoop()
        self.descriptors = LibusbDescriptors(
            FDReactor(), happened=self.happen, lost=lambda: self.told.append("lost"), loop=self.loop
        )
        self.ours, self.other = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.other.close)
        self.fd = self.ours.fileno()

    def tearDown(self) -> None:
        """
        Nothing is watched.
        """
        self.descriptors.forget()
        self.assertEqual(self.loop.owners, [])

    def happen(self) -> None:
        """
        Events are handled: read what there is.
        """
        self.told.append("usb")
        os.read(self.fd, 100)

    def test_readable(self) -> None:
        """
        One that is watched for being readable is told of once it is, after all clients.
        """
        self.descriptors.change(self.fd, True)
        client, peer = socket.socketpair()
        self.addCleanup(client.close)
        self.addCleanup(peer.close)
        self.loop.watch(client.fileno(), READABLE, Client(self.told))
        self.loop.doRead()
        self.assertEqual(self.told, [])
        self.other.send(b"x")
        peer.send(b"x")
        peer.close()
        self.loop.doRead()
        self.loop.forget(client.fileno())
        self.assertEqual(self.told[:2], ["client", "usb"])
        self.assertEqual(self.told.count("usb"), 1)

    def test_writable(self) -> None:
        """
        One that is watched for being writable is told of when it is.
        """
        self.other.send(bytes(1000))
        self.descriptors.change(self.fd, False)
        self.loop.doRead()
        self.assertEqual(set(self.told), {"usb"})

    def test_paused(self) -> None:
        """
        Nothing is told while they are paused, of new ones neither; and everything after that.
        """
        self.descriptors.change(self.fd, True)
        self.descriptors.pause()
        self.assertEqual(self.loop.owners, [])
        self.descriptors.change(self.fd, True)
        self.assertEqual(self.loop.owners, [])
        self.other.send(b"x")
        self.loop.doRead()
        self.assertEqual(self.told, [])
        self.descriptors.resume()
        self.loop.doRead()
        self.assertEqual(self.told, ["usb"])

    def test_forgotten(self) -> None:
        """
        One that libusb closes is watched no more.
        """
        self.descriptors.change(self.fd, True)
        self.descriptors.change(self.fd, None)
        self.assertEqual(self.loop.owners, [])
        self.descriptors.change(self.fd, True)
        self.descriptors.change(self.fd, True)
        self.assertEqual(len(self.loop.owners), 1)

    def test_hungUp(self) -> None:
        """
        One that has hung up is watched no more, and the phone is lost, once.
        """
        self.descriptors.change(self.fd, True)
        (descriptor,) = self.loop.owners
        descriptor.happened(GONE)
        self.assertEqual((self.told, self.loop.owners), (["lost"], []))
        descriptor.happened(GONE)
        self.assertEqual(self.told, ["lost"])

    def test_eventsFirst(self) -> None:
        """
        One that has hung up and has events to handle has them handled.
        """
        self.descriptors.change(self.fd, True)
        (descriptor,) = self.loop.owners
        for events in (GONE | READABLE, READABLE, WRITABLE):
            descriptor.happened(events)
        self.assertEqual((self.told, len(self.loop.owners)), ([], 1))
        self.other.send(b"x")
        self.loop.doRead()
        self.assertEqual(self.told, ["usb"])

    def test_mistake(self) -> None:
        """
        A mistake of ours in handling them loses the phone, which is watched no more.
        """
        self.descriptors.happened = self.fail
        self.descriptors.change(self.fd, True)
        self.other.send(b"x")
        self.loop.doRead()
        self.assertEqual((self.told, self.loop.owners), (["lost"], []))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_letGo(self) -> None:
        """
        So it does when one of them cannot be told, or the reactor lets go of it.
        """
        for letGo in ("failed", "connectionLost"):
            self.descriptors.change(self.fd, True)
            (descriptor,) = self.loop.owners
            assert isinstance(descriptor, LibusbDescriptor)
            getattr(descriptor, letGo)(Failure(ConnectionLost()))
            self.assertEqual((self.told, self.loop.owners), (["lost"], []))
            self.told.clear()

    def test_unwatchable(self) -> None:
        """
        One that cannot be watched is told of in the log, as libusb cannot hear of it.
        """
        self.descriptors.change(self.ours.detach() + 1000, True)
        os.close(self.fd)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.ours, other = socket.socketpair()
        self.addCleanup(self.ours.close)
        other.close()
        self.fd = self.ours.fileno()
