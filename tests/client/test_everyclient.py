# -*- test-case-name: tests.client.test_everyclient -*-
"""
One set of tests for every kind of client: whatever a daemon does, each says the same
of it.  The answers are the table in F{docs/embedding.md}.
"""

from __future__ import annotations

import inspect
import plistlib
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.client import aio, blocking, errors, socketerrors
from muxd.client.address import UnixAddress
from muxd.client.answers import Attached, Detached, ListenerRecord, Paired
from muxd.client.client import UsbmuxClient
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.problems import Stage, UsbmuxError
from muxd.limits import LIMITS, Limits
from muxd.wire.messages import Message, MessageType, plistMessage
from tests.client.fakedaemon import (
    OTHER,
    PATIENCE,
    UDID,
    FakeDaemon,
    Peer,
    Script,
    StandingDaemon,
    answering,
    attached,
    binaryAttached,
    binaryListening,
    connecting,
    detached,
    deviceEntry,
    listening,
    listOf,
    paired,
    refusingPlists,
    result,
    untilClosed,
)
from tests.client.kinds import AsyncioKind, BlockingKind, Kind, TwistedKind
from tests.wire.results import resultMessage

NOWHERE = UnixAddress("/nonexistent/usbmuxd")
LISTED = answering(listOf(deviceEntry()))
OK = {"MessageType": "Result", "Number": 0}


def echo(peer: Peer) -> None:
    """
    A phone that says what it was told, when all of it has come.
    """
    peer.socket.sendall(peer.rest().upper())


def hangingUp(peer: Peer) -> None:
    """
    A daemon that closes instead of answering.
    """
    peer.read()


def refusingBoth(peer: Peer) -> None:
    """
    A daemon that likes this dialect as little as the other.
    """
    peer.read()
    peer.send(resultMessage(0, 1, 6))


def early(*messages: Message, answer: Message) -> Script:
    """
    A daemon that sends events ahead of its answer.
    """

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(*messages, answer)
        peer.untilGone()

    return script


if TYPE_CHECKING:
    Mixed = TestCase
else:
    Mixed = object


class EveryClient(Mixed):
    """
    The tests, for one kind of client.
    """

    kind: type[Kind]
    errors: ModuleType

    def start(self, *scripts: Script) -> Kind:
        """
        A client of a daemon that follows scripts.
        """
        fake = FakeDaemon(self, *scripts)
        # What a client closes, it may close a little later.
        self.addCleanup(deferToThread, fake.wait)
        return self.kind(fake.address)

    async def fails(self, name: str, doing: Awaitable[object]) -> Any:
        """
        The error that something fails with, of the kind that has this name for this
        kind of client.
        """
        try:
            value = await doing
        except UsbmuxError as error:
            if type(error) is not getattr(self.errors, name):
                raise
            assert "\n" not in str(error), error
            return error
        raise AssertionError(f"expected {name}, got {value!r}")

    async def test_devices(self) -> None:
        """
        The phones that are there are listed.
        """
        client = self.start(answering(listOf(deviceEntry(), deviceEntry(2, OTHER), "nonsense")))
        self.assertEqual([UDID, OTHER], [device.udid for device in await client.devices()])

    async def test_devicesOfOldDaemon(self) -> None:
        """
        A daemon that answers property lists with Result 6 is listened to in binary,
        and the next time at once.
        """
        heard = binaryListening(binaryAttached(), then=untilClosed)
        client = self.start(refusingPlists, heard, heard)
        for _ in range(2):
            self.assertEqual([UDID], [device.udid for device in await client.devices()])

    async def test_devicesWithoutCommand(self) -> None:
        """
        One that does not know ListDevices, by Result 1 or by Apple's 5, is listened
        to.
        """
        for number in (1, 5):
            client = self.start(result(number), listening(attached(), then=untilClosed))
            self.assertEqual([UDID], [device.udid for device in await client.devices()])

    async def test_unknownCommand(self) -> None:
        """
        Any other command that it does not know fails with C{NotSupported}, and so
        does one that it would only know as a property list.
        """
        for script in (result(1), result(5), refusingPlists):
            error = await self.fails("NotSupported", self.start(script).buid())
            assert "is too old for ReadBUID" in str(error), error

    async def test_otherResult(self) -> None:
        """
        Any other Result is told with its number.
        """
        for number in (2, 3, 4, 7, 4294967295):
            error = await self.fails("DaemonRefused", self.start(result(number)).buid())
            self.assertEqual(number, error.result)

    async def test_listeners(self) -> None:
        """
        Listeners are values, those that are odd as well.
        """
        full = {"ID String": "3-x", "ProgName": "x", "BundleID": "b", "kLibUSBMuxVersion": 3}
        odd = {"ID String": "4-y", "ProgName": "y", "kLibUSBMuxVersion": "?"}
        client = self.start(answering({"ListenerList": [full, "nonsense", odd]}))
        self.assertEqual(
            [
                ListenerRecord(listenerID="3-x", program="x", bundleID="b", version=3),
                ListenerRecord(listenerID="4-y", program="y"),
            ],
            await client.listeners(),
        )

    async def test_missingKeys(self) -> None:
        """
        An answer without what was asked for is the daemon's fault.
        """
        client = self.start(*[answering({"X": 1})] * 5)
        for asked in (
            client.devices(),
            client.listeners(),
            client.buid(),
            client.readPairRecord(UDID),
            client.deletePairRecord(UDID),
        ):
            await self.fails("DaemonNonsense", asked)

    async def test_introduction(self) -> None:
        """
        Every request says which program asks: that of C{sys.argv}.
        """
        self.patch(sys, "argv", ["/usr/bin/asking"])
        requests: list[dict[str, Any]] = []
        await self.start(answering({"BUID": "x"}, requests)).buid()
        (request,) = requests
        self.assertEqual(("asking", "muxd.client", 3), tuple(map(request.get, WHO)))

    async def test_pairRecords(self) -> None:
        """
        A pair record is read as it is, and saved as it is or from a dictionary, with
        the phone's number if that is given.
        """
        requests: list[dict[str, Any]] = []
        ok = answering(OK, requests)
        client = self.start(answering({"PairRecordData": b"bplist"}, requests), ok, ok, ok)
        self.assertEqual(b"bplist", await client.readPairRecord(UDID))
        await client.savePairRecord(UDID, b"raw", 4)
        await client.savePairRecord(UDID, {"HostID": "x"})
        await client.deletePairRecord(UDID)
        self.assertEqual([UDID] * 4, [request["PairRecordID"] for request in requests])
        self.assertEqual((b"raw", 4), (requests[1]["PairRecordData"], requests[1]["DeviceID"]))
        self.assertEqual({"HostID": "x"}, plistlib.loads(requests[2]["PairRecordData"]))
        assert "DeviceID" not in requests[2]

    async def test_pairRecordNames(self) -> None:
        """
        A record is asked for by the phone's UDID, however that was typed, and then by
        what was typed, if that is something else.
        """
        requests: list[dict[str, Any]] = []
        missing = answering({"MessageType": "Result", "Number": 2}, requests)
        found = answering({"PairRecordData": b"bplist"}, requests)
        plain = UDID.replace("-", "").lower()
        client = self.start(found, missing, found, missing, answering(OK, requests))
        self.assertEqual(b"bplist", await client.readPairRecord(plain))
        self.assertEqual(b"bplist", await client.readPairRecord(plain))
        await self.fails("NoPairRecord", client.readPairRecord(UDID))
        await client.savePairRecord(plain, b"raw")
        self.assertEqual(
            [UDID, UDID, plain, UDID, UDID], [request["PairRecordID"] for request in requests]
        )

    async def test_pairRecordErrors(self) -> None:
        """
        Results of commands about pair records are C{errno} values, those included
        that are a daemon's Results otherwise.
        """
        for number, words in (
            (1, "may not do that, or is too old for it"),
            (5, "(EIO)"),
            (13, "(EACCES)"),
            (22, "(EINVAL)"),
        ):
            client = self.start(*[result(number)] * 3)
            for asked in (
                client.readPairRecord(UDID),
                client.savePairRecord(UDID, b"x"),
                client.deletePairRecord(UDID),
            ):
                error = await self.fails("PairRecordError", asked)
                self.assertEqual(number, error.result)
                assert words in str(error), error
        client = self.start(result(2), result(2), refusingPlists)
        await self.fails("NoPairRecord", client.readPairRecord(UDID))
        await self.fails("NoPairRecord", client.deletePairRecord(UDID))
        await self.fails("NotSupported", client.savePairRecord(UDID, b"x"))

    async def test_noDaemon(self) -> None:
        """
        Where no daemon listens, the error says where that is.
        """
        client = self.kind(NOWHERE)
        for doing in (client.devices(), client.buid(), client.talk(b""), client.events(1)):
            error = await self.fails("NoDaemon", doing)
            self.assertEqual(
                "no usbmuxd at /nonexistent/usbmuxd (No such file or directory): start usbmuxd, "
                "or set USBMUXD_SOCKET_ADDRESS to where it listens",
                str(error),
            )

    async def test_lost(self) -> None:
        """
        A daemon that hangs up, before the request, upon it or within its answer, is
        lost.
        """

        def crashing(peer: Peer) -> None:
            peer.read()
            peer.socket.sendall(resultMessage(1, 1, 0).encode()[:30])

        for script in (lambda peer: None, hangingUp, crashing):
            client = self.start(script, script, script)
            for doing, name in (
                (client.devices(), "ListDevices"),
                (client.buid(), "ReadBUID"),
                (client.events(1), "Listen"),
            ):
                error = await self.fails("DaemonLost", doing)
                assert f"while waiting for the answer to {name}: look" in str(error), error

    async def test_nonsense(self) -> None:
        """
        What is no answer to the request is no usbmuxd's: another protocol, a length
        that cannot be, no property list, another one's tag.
        """
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x0f\0\0\0" + bytes(12),
            b"\xff\xff\xff\xff" + bytes(12),
            Message(1, MessageType.PLIST, 1, b"garbage").encode(),
            Message(1, 7, 1, b"").encode(),
            Message(0, MessageType.RESULT, 1, b"").encode(),
            plistMessage({"MessageType": "Result", "Number": "0"}, 1).encode(),
            plistMessage({"BUID": "x"}, 2).encode(),
        ):

            def script(peer: Peer, data: bytes = data) -> None:
                peer.read()
                peer.socket.sendall(data)
                peer.untilGone()

            error = await self.fails("DaemonNonsense", self.start(script).buid())
            assert "as the answer to ReadBUID makes no sense" in str(error), error
            assert "is it really a usbmuxd?" in str(error), error

    async def test_earlyEventsOfCommand(self) -> None:
        """
        Events ahead of the answer to a command are passed over, in either dialect.
        """
        answer = plistMessage({"BUID": "x"}, 1)
        script = early(attached(), binaryAttached(), paired(), answer=answer)
        self.assertEqual("x", await self.start(script).buid())

    async def test_earlyEventsOfListener(self) -> None:
        """
        Those ahead of the Result of a Listen are the first that the listener is
        told, be they very many.
        """
        # 1.6 MB.
        many = [attached(number, f"phone-{number}", Padding=bytes(10000)) for number in range(120)]
        script = early(*many, answer=resultMessage(1, 1, 0))
        events = await self.start(script).events(120)
        self.assertEqual(list(range(120)), [event.device.deviceID for event in events])

    async def test_earlyEventsWithoutEnd(self) -> None:
        """
        A daemon that sends nothing but events is given up after as many bytes as the
        longest answer may have.
        """

        def script(peer: Peer) -> None:
            peer.read()
            event = plistMessage({"MessageType": "Paired", "X": bytes(50000)}, 0).encode()
            try:
                while True:
                    peer.socket.sendall(event)
            except ConnectionError:
                return

        client = self.start(script, script)
        client.limit(Limits(replySize=1 << 20))
        for doing in (client.buid(), client.events(1)):
            error = await self.fails("DaemonNonsense", doing)
            assert "events without end and no answer" in str(error), error

    async def test_events(self) -> None:
        """
        A listener is told what happens; what makes no sense is left out, and so is
        what is told of phones that were never announced.
        """
        client = self.start(
            listening(
                paired(9),
                detached(9),
                attached(),
                Message(1, MessageType.PLIST, 0, b"nonsense"),
                Message(0, MessageType.DEVICE_ADD, 0, b"short"),
                plistMessage({"MessageType": "Attached", "DeviceID": 3}, 0),
                paired(),
                attached(),
                detached(),
                then=untilClosed,
            )
        )
        self.assertEqual([Attached, Paired, Detached], [type(e) for e in await client.events(3)])

    async def test_binaryEvents(self) -> None:
        """
        An old daemon is listened to in binary.
        """
        client = self.start(refusingPlists, binaryListening(binaryAttached(), then=untilClosed))
        self.assertEqual([UDID], [event.device.udid for event in await client.events(1)])

    async def test_listenRefused(self) -> None:
        """
        A Listen that is refused is no matter of age: all daemons have it.  One that
        refuses both dialects is not supported.
        """
        for number in (1, 5):
            error = await self.fails("DaemonRefused", self.start(result(number)).events(1))
            self.assertEqual(number, error.result)
        client = self.start(refusingBoth, refusingBoth)
        await self.fails("NotSupported", client.events(1))

    async def test_talk(self) -> None:
        """
        Bytes go both ways, and ends in both; what comes with the Result is not lost.
        """
        client = self.start(LISTED, connecting(echo, glued=b"SSH-"))
        self.assertEqual(b"SSH-HELLO", await client.talk(b"hello"))

    async def test_binaryTalk(self) -> None:
        """
        They do with an old daemon.
        """

        def phone(peer: Peer) -> None:
            assert peer.read().type == MessageType.CONNECT
            peer.socket.sendall(resultMessage(0, 1, 0).encode() + b"SSH-")
            echo(peer)

        heard = binaryListening(binaryAttached(), then=untilClosed)
        client = self.start(refusingPlists, heard, phone)
        self.assertEqual(b"SSH-HELLO", await client.talk(b"hello"))

    async def test_connectRefused(self) -> None:
        """
        Result 3 is the phone's refusal; any other but 2 the daemon's, whatever it
        means for commands.
        """
        error = await self.fails("PortRefused", self.start(LISTED, result(3)).talk(b""))
        self.assertEqual(f"the phone {UDID} refused port 22: nothing listens there", str(error))
        for number in (1, 4, 5):
            error = await self.fails("DaemonRefused", self.start(LISTED, result(number)).talk(b""))
            self.assertEqual(number, error.result)
        client = self.start(LISTED, refusingBoth, refusingBoth)
        await self.fails("NotSupported", client.talk(b""))

    async def test_phoneGone(self) -> None:
        """
        Result 2 means that the phone has gone, and so does a connection that is
        closed without a Result: daemons do that when the phone goes at this moment.
        """
        for script, why in (
            (result(2), "does not know it any more"),
            (hangingUp, "closed the connection"),
        ):
            error = await self.fails("PhoneGone", self.start(LISTED, script).talk(b""))
            assert why in str(error), error

    async def test_whichPhone(self) -> None:
        """
        Without a UDID there must be one phone on USB; with one, that phone.
        """
        both = answering(listOf(deviceEntry(), deviceEntry(2, OTHER)))
        wireless = answering(listOf(deviceEntry(ConnectionType="Network")))
        client = self.start(answering(listOf()), wireless, both, both, both, connecting(echo))
        await self.fails("NoPhone", client.talk(b""))
        await self.fails("NoPhone", client.talk(b""))
        error = await self.fails("SeveralPhones", client.talk(b""))
        assert f"of {OTHER} (USB), {UDID} (USB)" in str(error), error
        await self.fails("UnknownUDID", client.talk(b"", "00008030-0000000000000007"))
        self.assertEqual(b"X", await client.talk(b"x", UDID.replace("-", "").lower()))

    async def test_wait(self) -> None:
        """
        A phone that is not there yet is waited for; it need not come at once, nor
        alone.
        """
        listed = [listOf(), listOf(deviceEntry(), deviceEntry(2, OTHER))]

        def serve(peer: Peer) -> None:
            match peer.request()["MessageType"]:
                case "ListDevices":
                    peer.send(plistMessage(listed.pop(0), 1))
                case "Listen":
                    peer.send(resultMessage(1, 1, 0), attached(2, OTHER), attached())
                    peer.untilGone()
                case _:
                    peer.send(resultMessage(1, 1, 0))
                    echo(peer)

        client = self.kind(StandingDaemon(self, serve).address)
        self.assertEqual(b"X", await client.talk(b"x", UDID, wait=PATIENCE))

    async def test_waitForOneOfTwo(self) -> None:
        """
        Waiting does not say which phone is meant, if two come at once.
        """
        both = [deviceEntry(), deviceEntry(2, OTHER)]
        listed = [listOf(), listOf(*both)]

        def serve(peer: Peer) -> None:
            if peer.request()["MessageType"] == "ListDevices":
                peer.send(plistMessage(listed.pop(0), 1))
            else:
                peer.send(resultMessage(1, 1, 0), attached(), attached(2, OTHER))
                peer.untilGone()

        client = self.kind(StandingDaemon(self, serve).address)
        await self.fails("SeveralPhones", client.talk(b"x", wait=PATIENCE))

    async def test_waitTooLong(self) -> None:
        """
        If it does not come, the time-out says what was waited for.
        """

        def serve(peer: Peer) -> None:
            if peer.request()["MessageType"] == "ListDevices":
                peer.send(plistMessage(listOf(), 1))
            else:
                peer.send(resultMessage(1, 1, 0))
                peer.untilGone()

        client = self.kind(StandingDaemon(self, serve).address)
        error = await self.fails("TimedOut", client.talk(b"", wait=0.05))
        self.assertEqual(Stage.WAIT, error.stage)
        assert "time-out after 0.05 s" in str(error) and "knows no phone" in str(error), error

    async def test_busy(self) -> None:
        """
        A daemon whose backlog is full has not gone: it is tried again, until the
        time is over or it accepts.
        """
        directory = tempfile.mkdtemp(prefix="muxd-")
        self.addCleanup(shutil.rmtree, directory)
        address = UnixAddress(f"{directory}/socket")
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as held:
            listening.bind(address.path)
            listening.listen(0)
            held.connect(address.path)
            error = await self.fails("TimedOut", self.kind(address).talk(b"", timeout=0.1))
            self.assertEqual(Stage.REACH, error.stage)

            def serve() -> None:
                listening.accept()[0].close()
                connection, _ = listening.accept()
                with connection:
                    answering({"BUID": "x"})(Peer(connection))

            serving = Thread(target=serve)
            serving.start()
            self.assertEqual("x", await self.kind(address).buid())
            await deferToThread(serving.join, PATIENCE)

    async def test_connectTooLong(self) -> None:
        """
        A phone that does not answer in time is a time-out that says so, and the
        connection is closed.
        """

        def silent(peer: Peer) -> None:
            peer.read()
            untilClosed(peer)

        client = self.start(LISTED, silent)
        error = await self.fails("TimedOut", client.talk(b"", timeout=2))
        self.assertEqual(Stage.CONNECT, error.stage)


WHO = ("ProgName", "BundleID", "kLibUSBMuxVersion")


class BlockingClientTests(EveryClient, TestCase):
    """
    The tests for L{muxd.client.blocking}.
    """

    kind = BlockingKind
    errors = socketerrors


class TwistedClientTests(EveryClient, TestCase):
    """
    The tests for L{muxd.client.client} and L{muxd.client.endpoint}.
    """

    kind = TwistedKind
    errors = errors


class AsyncioClientTests(EveryClient, TestCase):
    """
    The tests for L{muxd.client.aio}.
    """

    kind = AsyncioKind
    errors = socketerrors


class SameTests(SynchronousTestCase):
    """
    What needs no daemon.
    """

    def test_limits(self) -> None:
        """
        Without being told otherwise, all have the same limits.
        """
        self.assertEqual(16 << 20, LIMITS.replySize)
        self.assertEqual(LIMITS.answerTimeout, blocking.ANSWER)
        for module in (blocking, aio):
            for name in ("devices", "listeners", "buid", "readPairRecord", "deletePairRecord"):
                function = getattr(module, name)
                default = inspect.signature(function).parameters["timeout"].default
                self.assertEqual(LIMITS.answerTimeout, default, function)
        for connect in (blocking.connect, aio.connect, UsbmuxClient.connect, UsbmuxClientEndpoint):
            self.assertEqual(30.0, inspect.signature(connect).parameters["timeout"].default)
