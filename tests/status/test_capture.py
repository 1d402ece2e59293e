# -*- test-case-name: tests.status.test_capture -*-
"""
Tests of L{muxd.status.capture}.
"""

from __future__ import annotations

import os

from twisted.web.server import Request

from muxd.device.device import MuxedDevice
from muxd.identity import DeviceIdentity
from muxd.net.credentials import Peer
from muxd.status import capture as module
from muxd.status.capture import CaptureResource, peerOfRequest
from muxd.testing import BudgetTransport
from tests.capture.reader import CaptureFile
from tests.device.links import LOCKDOWN, ScriptedPhone
from tests.running.unit import takesSeconds
from tests.status.asking import Reply, StatusTestCase, request

UDID = "00008030-00000000000000AA"


def chunks(data: bytes) -> bytes:
    """
    The body of an answer that came in chunks.
    """
    _, _, rest = data.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


class CaptureTests(StatusTestCase):
    """
    A capture over HTTP.
    """

    def setUp(self) -> None:
        """
        A daemon with a phone, asked by its own user.
        """
        super().setUp()
        self.peer: Peer | None = Peer(1, os.geteuid(), 0)
        self.server.addResource("capture", CaptureResource(self.service, self.peerOf))
        self.phone = ScriptedPhone.ready()
        identity = DeviceIdentity(udid=UDID, serial=UDID, productID=1, locationID=1)
        self.device = MuxedDevice(identity, self.phone.muxer)
        self.source.receiver.deviceAttached(self.device)

    def peerOf(self, request: Request) -> Peer | None:
        """
        Who asks.
        """
        return self.peer

    def capture(self, query: str = "", budget: int | None = None) -> BudgetTransport:
        """
        A client that has asked for one.
        """
        client = self.client(budget)
        client.deliver(request(f"/api/capture{query}"))
        return client

    def file(self, client: BudgetTransport) -> CaptureFile:
        """
        What it was sent.
        """
        data = client.value()
        self.assertIn(b"Content-Type: application/x-pcapng", data)
        return CaptureFile(chunks(data))

    def refusal(self, query: str = "") -> Reply:
        """
        What one is answered that gets none.
        """
        client = self.capture(query)
        reply = Reply.parse(client.value())
        self.assertIsNone(self.phone.muxer.observer)
        client.lose()
        return reply

    def test_live(self) -> None:
        """
        What a phone says is there when it has been said; a reader that goes ends the capture.
        """
        client = self.capture()
        side = self.phone.open()
        side.say(b"hello")
        file = self.file(client)
        self.assertEqual(file.streams(), {(0, side.hostPort, LOCKDOWN): (b"", b"hello")})
        client.lose()
        self.assertIsNone(self.phone.muxer.observer)

    def test_wanted(self) -> None:
        """
        One phone and one port can be chosen, the phone by its UDID however it is spelt.
        """
        client = self.capture(f"?port=7&udid={UDID.lower().replace('-', '')}")
        for port in (7, 8):
            self.phone.open(port=port)
        other = self.capture("?udid=OTHER")
        self.phone.open(port=7)
        self.assertEqual(
            {port for one in self.file(client).packets for port in one.ports} & {7, 8}, {7}
        )
        self.assertEqual(self.file(other).packets, [])
        client.lose()
        other.lose()

    @takesSeconds
    def test_slow(self) -> None:
        """
        A reader that does not read loses packets of the capture, and costs the daemon no more
        than its share of memory; the stream loses nothing.
        """
        client = self.capture(budget=1000)
        side = self.phone.open()
        for _ in range(1000):
            side.say(b"x" * 50_000)
        self.assertEqual(len(side.recorder.data), 50_000_000)
        client.allow()
        side.say(b"the end")
        packets = self.file(client).packets
        self.assertGreater(sum(each.missing for each in packets), 500)
        self.assertEqual([each.payload for each in packets[-2:]], [b"the end", b""])
        client.lose()

    def test_others(self) -> None:
        """
        Other users get none, whatever the mode of the socket; nor do those that are not known.
        """
        self.peer = Peer(1, os.geteuid() + 1, 0)
        reply = self.refusal()
        self.assertEqual(reply.status, 403)
        self.assertIn(f"not for user {os.geteuid() + 1}", reply.values["error"])
        self.peer = None
        reply = self.refusal()
        self.assertEqual(
            (reply.status, reply.values["remedy"]), (403, "ask at the UNIX socket of --status")
        )

    def test_unknownPeer(self) -> None:
        """
        A transport whose peer the kernel does not tell is not known.
        """
        self.server.addResource("capture", CaptureResource(self.service, peerOfRequest))
        self.assertEqual(self.refusal().status, 403)

    def test_root(self) -> None:
        """
        Root gets one.
        """
        self.patch(os, "geteuid", lambda: 54321)
        self.peer = Peer(1, 0, 0)
        client = self.capture()
        self.assertIsNotNone(self.phone.muxer.observer)
        client.lose()

    def test_wrong(self) -> None:
        """
        What makes no sense is refused, and nothing is captured.
        """
        ports = ("port=0", "port=65536", "port=x", "port=1&port=2")
        for wrong in (*ports, "udid=", "udid=%01", f"udid={'a' * 300}", "x=1"):
            query = f"?{wrong}"
            self.assertEqual(self.refusal(query).status, 400, query)

    def test_tooMany(self) -> None:
        """
        There is an end to how many there are at once.
        """
        self.patch(module, "MOST", 1)
        client = self.capture()
        reply = Reply.parse(self.capture().value())
        self.assertEqual((reply.status, reply.values["remedy"]), (503, "end one of them"))
        client.lose()
        self.capture().lose()

    def test_end(self) -> None:
        """
        When the daemon ends, so does the capture, with the last words of each phone.
        """
        client = self.capture()
        self.phone.open()
        self.service._taps.endAll()
        data = client.value()
        self.assertTrue(data.endswith(b"0\r\n\r\n"))
        self.assertEqual(CaptureFile(chunks(data)).statistics(0), [(3, 0)])
