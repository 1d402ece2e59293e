# -*- test-case-name: tests.client.test_client -*-
"""
Tests for the commands of L{muxd.client.client}.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from muxd.client.answers import Device, ListenerRecord
from muxd.client.errors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoPairRecord,
    NotSupported,
    PairRecordError,
    TimedOut,
)
from muxd.wire.messages import plistMessage
from tests.client.clients import ClientCase
from tests.client.daemons import (
    UDID,
    BinaryOnlyConnection,
    ChattyConnection,
    ClosingConnection,
    CrashingConnection,
    DaemonConnection,
    DyingConnection,
    PlistOnlyConnection,
    SilentConnection,
    lying,
)
from tests.wire.results import resultMessage


class ListDevicesTests(ClientCase):
    """
    Tests for L{UsbmuxClient.listDevices}.
    """

    def test_devices(self) -> None:
        """
        Devices are values with all that the daemon tells.
        """
        self.start()
        self.host.daemon.attach(7)
        address = (b"\x10\x02\0\0" + bytes([10, 0, 0, 9])).ljust(128, b"\0")
        self.host.daemon.attach(8, kind="Network", NetworkAddress=address)
        self.assertEqual(
            [
                Device(
                    deviceID=7,
                    udid=UDID,
                    connectionType="USB",
                    productID=0x12A8,
                    locationID=0x10004,
                    speed=480_000_000,
                ),
                Device(
                    deviceID=8,
                    udid=UDID,
                    connectionType="Network",
                    productID=0x12A8,
                    locationID=0x10004,
                    speed=480_000_000,
                    networkAddress="10.0.0.9",
                ),
            ],
            self.result(self.client.listDevices()),
        )

    def test_none(self) -> None:
        """
        No phones are an empty list, from any daemon that knows the command.
        """
        for kind in (DaemonConnection, PlistOnlyConnection, ChattyConnection):
            self.start(kind)
            self.assertEqual([], self.result(self.client.listDevices()))

    def test_malformedEntry(self) -> None:
        """
        An entry that makes no sense does not hide the others.
        """
        self.start()
        self.host.daemon.attach(1)
        self.host.daemon.devices[2] = {"ProductID": 1}
        self.assertEqual([UDID], [d.udid for d in self.result(self.client.listDevices())])

    def test_binary(self) -> None:
        """
        An old daemon is listened to instead, the next time without trying
        anything else first.
        """
        self.start(BinaryOnlyConnection)
        self.host.daemon.attach(1)
        for _ in range(2):
            listing = self.client.listDevices()
            self.host.advance(0.1)
            self.assertEqual([UDID], [device.udid for device in self.result(listing)])
            self.assertEqual([], self.host.openSockets())
        self.assertEqual(["ListDevices", "binary Listen", "binary Listen"], self.host.daemon.heard)

    def test_plistWithoutCommand(self) -> None:
        """
        So is one that speaks in property lists and lacks the command.
        """

        class Lacking(DaemonConnection):
            def requestReceived(self, name: str, values: Any, tag: int) -> None:
                super().requestReceived("?" if name == "ListDevices" else name, values, tag)

        self.start(Lacking)
        self.host.daemon.attach(1)
        listing = self.client.listDevices()
        self.host.advance(0.1)
        self.assertEqual([UDID], [device.udid for device in self.result(listing)])

    def test_otherRefusal(self) -> None:
        """
        Any other Result is an error.
        """
        self.start(lying(lambda tag: resultMessage(1, tag, 4).encode()))
        self.assertEqual(4, self.failure(self.client.listDevices(), DaemonRefused).result)

    def test_noList(self) -> None:
        """
        An answer without a list is nonsense.
        """
        self.start(lying(lambda tag: plistMessage({"DeviceList": 1}, tag).encode()))
        self.failure(self.client.listDevices(), DaemonNonsense)


class CommandTests(ClientCase):
    """
    The other commands.
    """

    def test_readBUID(self) -> None:
        """
        The host's identity is text.
        """
        self.start()
        self.assertEqual("THE-BUID", self.result(self.client.readBUID()))

    def test_listListeners(self) -> None:
        """
        Listeners are values.
        """
        self.start()
        self.assertEqual(
            [ListenerRecord(listenerID="", program="somebody")],
            self.result(self.client.listListeners()),
        )

    def test_await(self) -> None:
        """
        All of them can be awaited.
        """
        self.start()

        async def program() -> tuple[str, list[Device]]:
            return await self.client.readBUID(), await self.client.listDevices()

        coroutine: Coroutine[Deferred[Any], Any, Any] = program()
        self.assertEqual(("THE-BUID", []), self.result(Deferred.fromCoroutine(coroutine)))

    def test_pairRecord(self) -> None:
        """
        A pair record is saved, read and deleted, byte for byte.
        """
        self.start()
        self.assertIsNone(self.result(self.client.savePairRecord(UDID, b"<plist/>")))
        self.assertEqual(b"<plist/>", self.result(self.client.readPairRecord(UDID)))
        self.assertIsNone(self.result(self.client.deletePairRecord(UDID)))
        self.assertEqual({}, self.host.daemon.records)

    def test_pairedEvent(self) -> None:
        """
        A record is saved for a phone that is there by naming its device id; an
        event that comes before the Result does not disturb.
        """
        self.start(ChattyConnection)
        paired: list[int] = []
        self.patch(self.host.daemon, "pair", paired.append)
        self.assertIsNone(self.result(self.client.savePairRecord(UDID, b"<plist/>", 7)))
        self.assertEqual([7], paired)

    def test_noPairRecord(self) -> None:
        """
        A record that does not exist is an error of its own.
        """
        self.start()
        for asked in (self.client.readPairRecord(UDID), self.client.deletePairRecord(UDID)):
            self.assertIn(UDID, str(self.failure(asked, NoPairRecord)))

    def test_badPairRecord(self) -> None:
        """
        What the daemon does not want to store is an error with its number.
        """
        self.start()
        error = self.failure(self.client.savePairRecord(UDID, b""), PairRecordError)
        self.assertEqual(22, error.result)
        self.assertIn("EINVAL", str(error))

    def test_strangeErrno(self) -> None:
        """
        A number that is no errno of this system is shown as it is.
        """
        self.start(lying(lambda tag: resultMessage(1, tag, 2**32 - 1).encode()))
        error = self.failure(self.client.deletePairRecord(UDID), PairRecordError)
        self.assertIn("4294967295", str(error))

    def test_missingKey(self) -> None:
        """
        An answer without what was asked for is nonsense.
        """
        self.start(lying(lambda tag: plistMessage({"Other": 1}, tag).encode()))
        self.failure(self.client.readBUID(), DaemonNonsense)
        self.failure(self.client.listListeners(), DaemonNonsense)
        self.failure(self.client.readPairRecord(UDID), DaemonNonsense)
        self.failure(self.client.deletePairRecord(UDID), DaemonNonsense)

    def test_binary(self) -> None:
        """
        An old daemon has none of them.
        """
        self.start(BinaryOnlyConnection)
        self.failure(self.client.readBUID(), NotSupported)
        self.failure(self.client.readPairRecord(UDID), NotSupported)

    def test_dying(self) -> None:
        """
        A daemon that dies before a request, on it or within an answer is an
        error.
        """
        for kind in (ClosingConnection, DyingConnection, CrashingConnection):
            self.start(kind)
            self.failure(self.client.readBUID(), DaemonLost)
            self.failure(self.client.listDevices(), DaemonLost)
            self.failure(self.client.listen(Factory()), DaemonLost)

    def test_late(self) -> None:
        """
        A daemon that is slow has five seconds.
        """
        self.start(SilentConnection)
        asked = self.client.readBUID()
        self.host.advance(4.9)
        connection = self.host.daemon.connections[0]
        assert isinstance(connection, SilentConnection)
        connection.answer()
        self.assertEqual("THE-BUID", self.result(asked))
        asked = self.client.readBUID()
        self.host.advance(5)
        self.failure(asked, TimedOut)
