"""
Requests that are nearly right, and are served by the C daemon.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterator

from muxd.server.records import PairRecordStore
from muxd.wire.messages import Message, MessageType, Result
from tests.server.records import UDID, RecordTestCase
from tests.server.serving import ServingTestCase


def writings(content: bytes) -> Iterator[bytes]:
    """
    A dictionary's content in all the ways that programs have been seen to write it.
    """
    declaration = b'<?xml version="1.0" encoding="UTF-8"?>'
    body = b"<dict>%s</dict>" % content
    plist = b'<plist version="1.0">%s</plist>' % body
    yield b"\n" + declaration + plist
    yield declaration + plist + b"\0"
    yield b"<!DOCTYPE plist>" + plist
    yield body
    yield b"\n" + body + b"\n\0"
    yield declaration + body
    yield declaration + plist.removesuffix(b"</plist>")
    yield declaration + plist + b"behind"
    yield plist.replace(b"</dict>", b"<key>Name</key><string>caf\xe9</string></dict>")
    yield plist.replace(b"</dict>", b"<key>Number</key><integer/></dict>")
    yield plist.replace(b"</dict>", b"<key>Number</key><integer>0x1</integer></dict>")


class OddRequestTests(ServingTestCase):
    """
    They are served here as well.
    """

    def test_requests(self) -> None:
        """
        Whatever way a request is written in.
        """
        client = self.client()
        content = b"<key>MessageType</key><string>ReadBUID</string>"
        for tag, body in enumerate(writings(content)):
            client.send(Message(1, MessageType.PLIST, tag, body))
            self.assertEqual(client.plists(), [{"BUID": self.store.buid}], body)
        self.assertEqual(self.counters.malformedMessages, 0)

    def test_emptyInteger(self) -> None:
        """
        An integer without digits is 0: no device has that number.
        """
        client = self.client()
        content = (
            b"<key>MessageType</key><string>Connect</string><key>DeviceID</key><integer/>"
            b"<key>PortNumber</key><integer>5632</integer>"
        )
        client.send(Message(1, MessageType.PLIST, 1, b"<dict>%s</dict>" % content))
        (answer,) = client.plists()
        self.assertEqual(answer["Number"], Result.BAD_DEVICE)


class OddRecordTests(RecordTestCase):
    """
    So are pair records, and files of them.
    """

    def test_saved(self) -> None:
        """
        Whatever way a pair record is written in, it is stored as it should have been.
        """
        for data in writings(b"<key>HostID</key><string>x</string>"):
            self.store.save(UDID, data)
            self.assertEqual(plistlib.loads(self.store.read(UDID))["HostID"], "x", data)

    def test_identity(self) -> None:
        """
        The host keeps an identity that another program has written oddly, as losing
        it would cost each phone its trust.
        """
        content = b"<key>SystemBUID</key><string>30142955-444094379208051516</string>"
        for data in writings(content):
            self.directory.makedirs(ignoreExistingDirectory=True)
            self.directory.child("SystemConfiguration.plist").setContent(data)
            store = PairRecordStore(self.directory)
            self.assertEqual(store.readBUID(), "30142955-444094379208051516", data)
            self.assertEqual(self.names(), ["SystemConfiguration.plist"])
