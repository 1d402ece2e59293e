# -*- test-case-name: tests.server.test_commands -*-
"""
What clients may ask, one method per C{MessageType} (protocol 4.7).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Mapping
from errno import EDQUOT, EINVAL, EPERM
from functools import partial
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from muxd.identity import sameUDID
from muxd.interfaces import AttachedDevice, IForeignDevice, IPairRecords
from muxd.ratelimit import RateLimit
from muxd.server.access import Access
from muxd.server.counters import ServerCounters
from muxd.server.firstlook import FirstLook
from muxd.server.listeners import EventBroadcaster
from muxd.server.recorddesk import RecordDesk
from muxd.server.replies import recordBody
from muxd.wire.messages import (
    SHORT_CONNECT_BODY,
    Message,
    MessageType,
    Result,
    swapPort,
    writePlist,
)
from muxd.wire.text import printable

NO_DEVICES = writePlist({"DeviceList": []})
"""The body of the answer to C{ListDevices} where there is no device."""

Values = Mapping[str, Any]
Reply = Callable[[], None]
"""Sends it."""


class Requester(TypingProtocol):
    """
    What a command needs of the connection that it came from.

    @ivar transport: The connection itself.
    """

    transport: Any

    @property
    def owner(self) -> Hashable:
        """
        Its user.
        """

    def sendResult(self, tag: int, number: int) -> None:
        """
        Answer with a Result.
        """

    def sendPlist(self, tag: int, *body: bytes) -> None:
        """
        Answer with a property list, which may be in parts.
        """

    def startWaiting(self, tag: int, working: Deferred[Reply]) -> None:
        """
        Answer nothing else before there is a reply to this.
        """

    def startListening(self, tag: int) -> None:
        """
        Turn into a listener.
        """

    def startConnecting(self, tag: int, attached: AttachedDevice, port: int) -> None:
        """
        Turn into a stream, if the phone answers.
        """


class Devices(TypingProtocol):
    """
    The devices that there are for the clients of a listening address.
    """

    def find(self, deviceID: int) -> AttachedDevice | None:
        """
        The device with this number, visible or hidden.
        """

    def findByUDID(self, udid: str) -> AttachedDevice | None:
        """
        The device with this UDID, visible or hidden, whichever number it has.
        """

    def announcePaired(self, attached: AttachedDevice) -> None:
        """
        Tell listeners that a device has been paired.
        """


class Commands:
    """
    Answers requests on behalf of the clients that share a view.
    """

    _log = Logger()

    def __init__(
        self,
        devices: Devices,
        feed: EventBroadcaster,
        records: IPairRecords,
        desk: RecordDesk,
        counters: ServerCounters,
        limit: RateLimit,
        recordSaved: Callable[[str], None] | None = None,
        firstLook: FirstLook | None = None,
        access: Access | None = None,
    ) -> None:
        """
        @param desk: Makes the calls that have to do with pair records, in users' turns.
        @param access: What decides about each request; None if nothing is denied.
        @param firstLook: What lists of devices, and listeners, wait for.
        @param recordSaved: Called with the name of each pair record that a client has
            stored.
        """
        self._devices = devices
        self._access = access
        self._feed = feed
        self._records = records
        self._counters = counters
        self._limit = limit
        self._firstLook = firstLook
        self._desk = desk
        self._recordSaved = recordSaved or (lambda recordID: None)
        self._handlers: dict[str, Callable[[Requester, int, Values], None]] = {
            "Listen": self._listen,
            "Connect": self._connect,
            "ListDevices": self._listDevices,
            "ListListeners": self._listListeners,
            "ReadBUID": self._readBUID,
            "ReadPairRecord": self._readPairRecord,
            "SavePairRecord": self._savePairRecord,
            "DeletePairRecord": self._deletePairRecord,
        }

    def performPlist(self, requester: Requester, tag: int, values: Values) -> None:
        """
        Do what a property list asks for.
        """
        name = values.get("MessageType")
        if not isinstance(name, str):
            self._counters.malformedMessages += 1
            requester.sendResult(tag, Result.BAD_COMMAND)
            return
        handler = self._handlers.get(name)
        if handler is None:
            self._unknown(requester, tag, name)
            return
        self._counters.commands[name] += 1
        if not self._isDenied(requester, tag, name):
            handler(requester, tag, values)

    def performBinary(self, requester: Requester, message: Message) -> None:
        """
        Do what a binary message asks for.
        """
        if message.type == MessageType.LISTEN:
            self._counters.commands["Listen"] += 1
            if not self._isDenied(requester, message.tag, "Listen"):
                self._listen(requester, message.tag, {})
        elif message.type == MessageType.CONNECT:
            self._counters.commands["Connect"] += 1
            if len(message.body) < SHORT_CONNECT_BODY.size:
                self._counters.malformedMessages += 1
                requester.sendResult(message.tag, Result.BAD_COMMAND)
                return
            deviceID, port = SHORT_CONNECT_BODY.unpack_from(message.body)
            if not self._isDenied(requester, message.tag, "Connect"):
                self._connectTo(requester, message.tag, deviceID, int.from_bytes(port, "big"))
        else:
            self._unknown(requester, message.tag, f"message {message.type}")

    def _isDenied(self, requester: Requester, tag: int, name: str) -> bool:
        """
        Answer a request that the requester may not make.
        """
        if self._access is None:
            return False
        refusal = self._access.refusalOf(requester.transport, name)
        if refusal is None:
            return False
        if name == "ListDevices":
            # libusbmuxd takes a Result for the number of phones in a list that is not there.
            requester.sendPlist(tag, NO_DEVICES)
        else:
            requester.sendResult(tag, refusal)
        return True

    def _unknown(self, requester: Requester, tag: int, name: str) -> None:
        self._counters.commands["unknown"] += 1
        if self._limit.admit("unknown commands", requester.owner):
            self._log.info("a client asked for {name!r}, which is unknown", name=printable(name))
        requester.sendResult(tag, Result.BAD_COMMAND)

    def _listen(self, requester: Requester, tag: int, values: Values) -> None:
        self._afterFirstLook(requester, tag, lambda: requester.startListening(tag))

    def _connect(self, requester: Requester, tag: int, values: Values) -> None:
        target = connectTarget(values)
        if isinstance(target, Result):
            requester.sendResult(tag, target)
        else:
            self._connectTo(requester, tag, *target)

    def _connectTo(self, requester: Requester, tag: int, deviceID: int, port: int) -> None:
        attached = self._devices.find(deviceID)
        if attached is None:
            if self._limit.admit("Connects to devices that are not here", requester.owner):
                self._log.info(
                    "no device {deviceID} to connect to (port {port})",
                    deviceID=deviceID,
                    port=port,
                )
            requester.sendResult(tag, Result.BAD_DEVICE)
            return
        if self._access is not None:
            refusal = self._access.refusalOfConnect(requester.transport, attached, port)
            if refusal is not None:
                requester.sendResult(tag, refusal)
                return
        requester.startConnecting(tag, attached, port)

    def _listDevices(self, requester: Requester, tag: int, values: Values) -> None:
        self._afterFirstLook(
            requester, tag, lambda: requester.sendPlist(tag, *self._feed.deviceListBody())
        )

    def _afterFirstLook(self, requester: Requester, tag: int, reply: Reply) -> None:
        """
        Reply when the devices that were there at the start have been found.
        """
        if self._firstLook is None or self._firstLook.isOver:
            reply()
        else:
            requester.startWaiting(tag, self._firstLook.wait().addCallback(lambda _: reply))

    def _listListeners(self, requester: Requester, tag: int, values: Values) -> None:
        requester.sendPlist(tag, self._feed.listenerListBody())

    def _readBUID(self, requester: Requester, tag: int, values: Values) -> None:
        async def read() -> Reply:
            reading = self._desk.run(requester.owner, self._records.readBUID)
            body = writePlist({"BUID": await reading})
            return lambda: requester.sendPlist(tag, body)

        self._withRecords(requester, tag, "ReadBUID", read())

    def _readPairRecord(self, requester: Requester, tag: int, values: Values) -> None:
        async def read() -> Reply:
            recordID = self._recordID(requester, "ReadPairRecord", values)
            owner = self._owner(recordID)
            if owner is None:
                reading = self._desk.run(requester.owner, partial(self._records.read, recordID))
            else:
                reading = owner.readPairRecord()
            data = await reading
            # Another view may have come meanwhile.
            self._recordID(requester, "ReadPairRecord", values)
            body = recordBody(data)
            return lambda: requester.sendPlist(tag, body)

        self._withRecords(requester, tag, "ReadPairRecord", read())

    def _savePairRecord(self, requester: Requester, tag: int, values: Values) -> None:
        async def save() -> Reply:
            recordID = self._recordID(requester, "SavePairRecord", values)
            data = values.get("PairRecordData")
            if not isinstance(data, bytes):
                raise OSError(EINVAL, "no PairRecordData")
            owner = self._owner(recordID)
            if owner is not None:
                # Its host tells of the event, to all of its clients.
                await owner.savePairRecord(data)
                return lambda: requester.sendResult(tag, Result.OK)
            if self._devices.findByUDID(recordID) is None:
                self._checkAllowance(requester)
            await self._desk.run(requester.owner, partial(self._records.save, recordID, data))
            self._recordSaved(recordID)
            # The event goes out before the Result (protocol 4.9).
            self._announcePaired(recordID, values.get("DeviceID"))
            return lambda: requester.sendResult(tag, Result.OK)

        self._withRecords(requester, tag, "SavePairRecord", save())

    def _deletePairRecord(self, requester: Requester, tag: int, values: Values) -> None:
        async def delete() -> Reply:
            recordID = self._recordID(requester, "DeletePairRecord", values)
            owner = self._owner(recordID)
            if owner is None:
                deleting = self._desk.run(requester.owner, partial(self._records.delete, recordID))
            else:
                deleting = owner.deletePairRecord()
            await deleting
            return lambda: requester.sendResult(tag, Result.OK)

        self._withRecords(requester, tag, "DeletePairRecord", delete())

    def _checkAllowance(self, requester: Requester) -> None:
        """
        @raise OSError: The user has stored too many records of phones that are not attached.
        """
        if not self._desk.mayStoreAbsent(requester.owner):
            self._counters.refusedSaves += 1
            raise OSError(
                EDQUOT,
                f"user {requester.owner} has stored too many of phones that are not attached; see"
                " which program does, or raise the limit",
            )

    def _owner(self, recordID: str) -> IForeignDevice | None:
        """
        The phone of another host that a record is of: it is kept there, and nowhere else.
        """
        attached = self._devices.findByUDID(recordID)
        if attached is None or not IForeignDevice.providedBy(attached.device):
            return None
        return IForeignDevice(attached.device)

    def _recordID(self, requester: Requester, name: str, values: Values) -> str:
        """
        The record that a request names.

        @raise OSError: It names none, or one that the requester may not have.
        """
        recordID = values.get("PairRecordID")
        if not isinstance(recordID, str):
            raise OSError(EINVAL, "no PairRecordID")
        if self._access is not None:
            self._access.checkRecord(requester.transport, name, recordID)
        return recordID

    def _withRecords(
        self,
        requester: Requester,
        tag: int,
        command: str,
        work: Coroutine[Deferred[Any], Any, Reply],
    ) -> None:
        """
        Do something with pair records; what the system objects to is answered
        with its own number (protocol 4.4).  It is done also if the requester
        leaves meanwhile.
        """

        async def attempt() -> Reply:
            try:
                return await work
            except OSError as error:
                if self._limit.admit("pair record errors", requester.owner):
                    self._log.info(
                        "{command} of user {user}: {problem}",
                        command=command,
                        user=requester.owner,
                        problem=_problem(error),
                    )
                number = error.errno or EPERM
                return lambda: requester.sendResult(tag, number)

        requester.startWaiting(tag, Deferred.fromCoroutine(attempt()))

    def _announcePaired(self, recordID: str, deviceID: object) -> None:
        if type(deviceID) is not int:
            return
        attached = self._devices.find(deviceID)
        if attached is None:
            return
        udid = attached.device.identity.udid
        if sameUDID(udid, recordID):
            self._devices.announcePaired(attached)


def _problem(error: OSError) -> str:
    """
    What was objected to, with the name of the file.
    """
    isMissing = isinstance(error, FileNotFoundError) and error.__cause__ is None
    reason = "there is no such record" if isMissing else error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def connectTarget(values: Values) -> tuple[int, int] | Result:
    """
    The number of the device and its port that a Connect asks for; or what is to be
    answered to one that asks for neither.
    """
    # The order of the checks decides which number a request with several
    # mistakes gets; it is the C daemon's.  type() rather than isinstance():
    # True is no number.
    deviceID, port = values.get("DeviceID"), values.get("PortNumber")
    if deviceID is not None and port is None:
        return Result.BAD_COMMAND
    if type(deviceID) is not int:
        return Result.BAD_DEVICE
    if type(port) is not int:
        return Result.BAD_COMMAND
    # Programs with wider numbers than the protocol send them with a sign, or with
    # what was beside them in memory; as everywhere, the lower bits count.
    return deviceID & 0xFFFFFFFF, swapPort(port)
