"""
The contracts between the floors.

The one idea: a device is an identity plus C{endpoint(port)}.  Everything above
L{IDevice} only ever calls C{device.endpoint(port).connect(factory)}; everything
below exists to make that call work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
    from twisted.python.failure import Failure

    from muxd.identity import DeviceIdentity
    from muxd.limits import Limits
    from muxd.net.packetmemory import PacketMemory

Buffer = bytes | bytearray | memoryview


class IDevice(Interface):
    """
    One phone, however it is reached.
    """

    identity: DeviceIdentity = Attribute("The device's identity, as clients are told.")

    def endpoint(port: int) -> IStreamClientEndpoint:
        """
        The way to a TCP port of this device.

        Connecting it fails with Twisted's own exceptions: C{ConnectionRefusedError}
        with the phone's text, C{TimeoutError}, C{ConnectionLost}.
        """


class IWirelessDevice(IDevice):
    """
    A device that is reached by the network, and that has proved with its pair record which
    phone it is.
    """


class IForeignDevice(IDevice):
    """
    A device that another host pairs with, which keeps its pair record.

    The Deferreds fail with C{OSError}s with the errno that clients are answered with.
    """

    owner: str = Attribute("The name of its host, for people.")

    def readPairRecord() -> Deferred[bytes]:
        """
        The record that its host has, as it is.
        """

    def savePairRecord(data: bytes) -> Deferred[None]:
        """
        Have its host store a record for it, and tell its clients that it has been paired.
        """

    def deletePairRecord() -> Deferred[None]:
        """
        Have its host forget the record.
        """

    def readBUID() -> Deferred[str]:
        """
        Its host's identity.
        """


class IDeviceReceiver(Interface):
    """
    The receiver of a source's devices.
    """

    def deviceAttached(device: IDevice) -> None:
        """
        A device can be connected to from now on.
        """

    def deviceDetached(device: IDevice) -> None:
        """
        It is gone; its sessions have ended.  Harmless for a device that was
        never attached or is gone already.
        """

    def devicePaired(device: IDevice) -> None:
        """
        The host that pairs with it, which is another one (L{IForeignDevice}), has done so.
        Harmless for a device that is not attached.
        """


@dataclass(frozen=True, slots=True)
class AttachedDevice:
    """
    A device under the number that clients know it by while it stays attached.

    @ivar deviceID: From 1; never used for another attachment (protocol 3.3).
    @ivar device: The device itself.
    """

    deviceID: int
    device: IDevice


class IDeviceListener(Interface):
    """
    A listener of a registry: it is told of the devices that clients can see.
    """

    def deviceAttached(attached: AttachedDevice) -> None:
        """
        A device has become visible.
        """

    def deviceDetached(attached: AttachedDevice) -> None:
        """
        A visible device is gone.
        """

    def devicePaired(attached: AttachedDevice) -> None:
        """
        A device, visible or not, has been paired with this host.
        """


class IDeviceSource(IService, Interface):
    """
    A service that attaches and detaches devices while it runs.

    C{stopService} detaches all its devices, and its Deferred fires when nothing
    of the source is left: no thread, no claimed interface.
    """

    description: str = Attribute("The description it was made from.")


class IFirstLook(Interface):
    """
    What a source provides that can tell when it has looked for devices once.
    """

    def whenLooked() -> Deferred[None]:
        """
        @return: fires when every device that was there when the source started has been
            attached, or could not be.  Called after each start.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """
    How a source is, for operators.

    @ivar library: What it finds devices with, such as a version of libusb; "" for nothing.
    @ivar engine: What moves their packets.
    @ivar problem: Why it can find no device at all, and what to do about it, in one line;
        "" if it can.
    @ivar troubles: The same for single devices that cannot be used, and for what keeps it from
        some of its devices; the daemon does its work all the same.
    """

    library: str = ""
    engine: str = ""
    problem: str = ""
    troubles: tuple[str, ...] = ()


class ISourceHealth(Interface):
    """
    What a source provides that can tell how it is.
    """

    def health() -> SourceHealth:
        """
        How it is now; asked by an operator, or every few seconds by a supervisor.
        """


class ILimitedSource(Interface):
    """
    What a source provides whose phones may cost what the service's may.
    """

    def useLimits(limits: Limits) -> None:
        """
        Called once, before the first start.
        """


class IReleasingSource(Interface):
    """
    What a source provides that can let go of a phone for other programs of this machine, such
    as a virtual machine, and take it back.
    """

    released: list[str] = Attribute("The UDIDs of the phones that have been let go of.")

    def release(udid: str) -> Deferred[int]:
        """
        Detach a phone, and leave it alone until L{take}, also when it is plugged in again.
        It need not be there.

        @return: fires with how many devices with this UDID were there, when nothing of them is
            claimed any more.
        """

    def take(udid: str) -> None:
        """
        Attach a phone again, now or when it comes.  Harmless for one that has not been
        let go of.
        """


class IRecordReader(Interface):
    """
    What a source provides that finds phones by their pair records.
    """

    def useRecords(records: IPairRecords) -> None:
        """
        These are the records of this host.  Called before the source is started.
        """


class IDeviceSourceParser(Interface):
    """
    A plugin that makes sources from descriptions such as C{usb:poll=2}.

    Provide C{twisted.plugin.IPlugin} as well and put the object into a module
    of C{twisted/plugins/}; import nothing heavy there.
    """

    prefix: str = Attribute("What a description of this kind begins with.")
    usage: str = Attribute("One line for C{--help}, such as C{usb[:poll=SECONDS]}.")

    def parseDeviceSource(
        reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source.  Nothing may be opened and no thread started before its
        C{startService}.

        @raise ValueError: An argument is wrong; the text is for the person that
            typed it.
        """


class IDistinguishingParser(Interface):
    """
    What a parser of sources provides if several of its sources in one service could have
    devices with the same identity.
    """

    def distinguish(descriptions: Sequence[str]) -> list[str]:
        """
        Change descriptions, those of other parsers' sources excepted, so that they do not.

        @return: As many, in the same order; what is wrong with one is left to its parser.
        @raise ValueError: They are given the same identity.
        """


class IPacketLink(Interface):
    """
    A pair of bulk endpoints: whole mux packets down, batches of them up.

    All methods are called in the reactor's thread, and so are the receiver's.
    """

    maxPacketSize: int = Attribute("wMaxPacketSize of the OUT endpoint, for the log.")
    isFast: bool = Attribute("Whether the bus is a SuperSpeed one.")
    bulkPayload: int = Attribute(
        "What the largest segment should carry, in bytes, as the bus is now."
    )

    def start(receiver: IPacketReceiver) -> None:
        """
        Begin to read.  The receiver may be called from now on, but never from
        within this call.
        """

    def send(parts: Sequence[Buffer]) -> None:
        """
        Send one packet, whose bytes are C{parts} put together, as one bulk OUT
        transfer, with a zero-length one behind it where its length asks for it
        (protocol 1.7).  Packets reach the bus in the order of the calls.

        Never blocks and never refuses: a sender of bulk data asks L{hasRoom}
        first.  The parts are not looked at after the call.  The receiver is not
        called from within this call, also if the phone turns out to be gone.
        """

    def hasRoom(size: int) -> bool:
        """
        Whether a packet of this size should be sent now, or wait upstairs until
        C{roomAvailable}.  Small packets are let past bulk ones (engines: two
        bulk transfers in flight; anything up to 4 KiB is not counted, with a
        hard cap).
        """

    def close() -> Deferred[None]:
        """
        Send what was accepted (within a short deadline), stop reading, release
        the interface.  Idempotent.  The receiver is not called afterwards, nor
        told of this loss.

        @return: fires when no transfer, thread or claimed interface is left.
        """


class ILendingLink(IPacketLink):
    """
    A link that lends the memory of its transfers, so that what is sent is put where
    it is sent from, and that shows what it has read where it has read it.
    """

    lender = Attribute(
        "The L{muxd.device.lending.Lender} of that memory.  It sends nothing before C{start}"
        " and after C{close}."
    )


PlacedPacket = tuple["PacketMemory", int, int]
"""A packet where it was read: the memory, where it begins there, and its size."""


class IPacketReceiver(Interface):
    """
    The upper side of an L{IPacketLink}: a muxer.
    """

    def packetsReceived(packets: Sequence[memoryview]) -> None:
        """
        Whole mux packets (the length field has been checked against the size),
        in bus order, all that one wake-up brought.

        The memory is the link's and is used again after the call: what is kept
        must be copied.
        """

    def roomAvailable() -> None:
        """
        C{hasRoom} may answer differently now.
        """

    def linkLost(reason: Failure) -> None:
        """
        The phone is gone, or the bus failed.  Called once, at the end.  The
        owner of the link still has to C{close} it.
        """


class IPlacedPacketReceiver(IPacketReceiver):
    """
    One that an L{ILendingLink} may show its packets where they are.
    """

    def placedPacketsReceived(packets: Sequence[PlacedPacket]) -> None:
        """
        The same as C{packetsReceived}.
        """


class IPairRecordStore(Interface):
    """
    Pair records and the host's identity (protocol 4.11), for callers that can wait for a
    disk.

    Errors are C{OSError}s with the errno that clients are answered with.
    """

    def read(recordID: str) -> bytes:
        """
        The stored record as it is.

        @raise OSError: ENOENT, EINVAL for an id that is none.
        """

    def save(recordID: str, data: bytes) -> None:
        """
        Store a property list, all or nothing.

        @raise OSError: EINVAL for an id that is none or data that is no
            dictionary; ENOENT or others when it cannot be written.
        """

    def supersede(recordID: str, data: bytes) -> None:
        """
        Store a property list as C{save} does, and keep the record that it takes the
        place of where no client reads it.

        @raise OSError: As C{save}; nothing has changed then.
        """

    def readPrevious(recordID: str) -> bytes:
        """
        The record that another took the place of and that was kept.

        @raise OSError: ENOENT, EINVAL for an id that is none.
        """

    def remember(recordID: str, serviceName: str) -> None:
        """
        Keep beside a record by which name its phone announces itself on networks, until another
        name is told or the record is deleted; nothing if there is no record.

        @raise OSError: As C{save}.
        """

    def serviceNames() -> dict[str, str]:
        """
        These names, by the ids of their records.

        @raise OSError: They cannot be told.
        """

    def delete(recordID: str) -> None:
        """
        Forget a record.

        @raise OSError: ENOENT, EINVAL.
        """

    def names() -> list[str]:
        """
        The ids of all records.

        @raise OSError: They cannot be listed.
        """

    def readBUID() -> str:
        """
        The host's identity, made once.

        @raise OSError: It cannot be told just now.
        """


class IPairRecords(Interface):
    """
    Pair records and the host's identity, for callers on the reactor: an
    L{IPairRecordStore} that is asked elsewhere, in the order of the calls.

    Each Deferred fires with what the store gives, or fails with its C{OSError}.
    """

    def read(recordID: str) -> Deferred[bytes]:
        """
        The stored record as it is.
        """

    def save(recordID: str, data: bytes) -> Deferred[None]:
        """
        Store a property list, all or nothing.  A caller that no longer wants the answer has
        it stored all the same.
        """

    def supersede(recordID: str, data: bytes) -> Deferred[None]:
        """
        Store a property list, and keep the record that it takes the place of.
        """

    def readPrevious(recordID: str) -> Deferred[bytes]:
        """
        The record that another took the place of and that was kept.
        """

    def remember(recordID: str, serviceName: str) -> Deferred[None]:
        """
        Keep by which name a phone announces itself on networks.
        """

    def serviceNames() -> Deferred[dict[str, str]]:
        """
        These names, by the ids of their records.
        """

    def delete(recordID: str) -> Deferred[None]:
        """
        Forget a record.
        """

    def names() -> Deferred[list[str]]:
        """
        The ids of all records.
        """

    def readBUID() -> Deferred[str]:
        """
        The host's identity, made once.
        """


class IPhoneService(Interface):
    """
    A service of simulated phones, by a plugin: an object in a module of C{twisted/plugins/} that
    provides this and C{twisted.plugin.IPlugin}.  C{simulated:service=NAME} gives it to phones.
    """

    name: str = Attribute("What lockdownd starts it by, such as C{com.example.thing}.")

    def makeFactory(phone: Any) -> IProtocolFactory:
        """
        Make the factory of a phone's service; it is spoken to over TLS, by paired hosts.

        @param phone: The L{muxd.phone.Phone}.
        """
