# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
Where an examination takes place: a phone that is strict, and a daemon that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import IBus
from muxd.phone.examine.complaints import Complaint, Complaints
from muxd.phone.examine.ends import PATIENCE, Client, End, Services
from muxd.phone.examine.findings import Violated
from muxd.phone.examine.recording import Recording
from muxd.phone.iphone import Phone
from muxd.phone.mux.behaviour import Faults
from muxd.phone.mux.muxer import PACKET_SIZE
from muxd.phone.mux.session import PhoneSession

LOOK = 0.005
"""Seconds between two looks at something that is waited for."""

APPEARANCE = 30.0
"""Seconds in which a phone has to be listed."""

FIRST_PORT = 2000


def swapped(port: int) -> int:
    """
    A port as clients send it.
    """
    return (port & 0xFF) << 8 | port >> 8


class ExaminedPhone(Phone):
    """
    A phone that can have a packet share its transfer with the next one.

    @ivar isGluing: The end of a packet is not sent: the next one follows within the same
        transfer.
    """

    isGluing = False

    def _send(self, packet: bytes) -> None:
        if self._attachment is not None:
            self._attachment.send(self._in, packet, not self.isGluing)


@dataclass(frozen=True, slots=True)
class Pair:
    """
    A stream, with both of its ends.

    @ivar client: The program's.
    @ivar peer: The phone's.
    @ivar session: What the peer is on.
    """

    client: Client
    peer: End
    session: PhoneSession


class Stage:
    """
    What checks work with.

    @ivar clock: Calls later.
    @ivar phone: The phone.
    @ivar recording: What was said lately.
    @ivar records: The directory where the daemon keeps pair records; C{None} if that is not
        known.
    @ivar patience: How many times as long as usual is waited for what should happen.
    """

    records: Path | None = None
    patience = 1.0

    def __init__(
        self,
        clock: IReactorTime,
        bus: IBus,
        makePhone: Callable[..., ExaminedPhone],
        options: dict[str, Any] | None = None,
    ) -> None:
        """
        @param makePhone: Makes a phone with these options.
        """
        self.clock = clock
        self.recording = Recording()
        self._complaints = Complaints(self.recording)
        self._bus = bus
        self._makePhone = makePhone
        self._options = options or {}
        self._ports = count(FIRST_PORT)
        self._clients: list[Client] = []
        self._isPlugged = False
        self.phone = self._newPhone()

    @property
    def speed(self) -> Speed:
        """
        Of the bus.
        """
        speed: Speed = self._options.get("speed", Speed.HIGH)
        return speed

    # What is of the daemon.

    def connect(self, client: Client) -> Deferred[Any]:
        """
        Connect a client to the daemon.
        """
        raise NotImplementedError

    @property
    def isAlive(self) -> bool:
        """
        Whether the daemon runs.
        """
        return True

    @property
    def processID(self) -> int | None:
        """
        The daemon's; C{None} if it has no process of its own.
        """
        return None

    async def restart(self) -> None:
        """
        Stop the daemon, and start it anew.

        @raise NotExamined: That is not possible.
        """
        raise NotImplementedError

    def log(self) -> str | None:
        """
        All that it has logged; C{None} if that is not known.
        """
        return None

    # Time.

    def pause(self, seconds: float) -> Deferred[None]:
        """
        Let time pass.
        """
        waiting: Deferred[None] = Deferred()
        self.clock.callLater(seconds, waiting.callback, None)
        return waiting

    def deadline(self, seconds: float) -> float:
        """
        When something should have happened that usually takes no longer than so many seconds.
        """
        return self.clock.seconds() + seconds * self.patience

    async def until(self, isSo: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """
        Wait until something is so.

        @return: Whether it is, in time.
        """
        end = self.deadline(seconds)
        while not isSo():
            if self.clock.seconds() >= end:
                return False
            await self.pause(LOOK)
        return True

    # The phone.

    def _newPhone(self, **options: Any) -> ExaminedPhone:
        phone = self._makePhone(services={}, **{**self._options, **options})
        phone.muxer.violations = self._complaints
        phone.muxer.observe = lambda packet, isHosts: self.recording.packet(
            packet, phone.muxer.version, isHosts
        )
        return phone

    def takeComplaints(self) -> dict[str, Complaint]:
        """
        What the phone has written down since the last time, by kind.
        """
        return self._complaints.take()

    async def replace(self, **options: Any) -> None:
        """
        Have another phone instead.
        """
        await self.unplug()
        self.phone.stop()
        self.phone = self._newPhone(**options)

    def plug(self) -> None:
        """
        Plug the phone in.
        """
        self.phone.plug(self._bus)
        self._isPlugged = True

    async def unplug(self) -> None:
        """
        Pull it out, and wait until the daemon has noticed.
        """
        self.phone.unplug()
        self._isPlugged = False
        if not await self.until(lambda: self.phone.attachment is None):
            raise AssertionError("the phone does not notice that it was pulled out")

    async def listed(self, seconds: float = APPEARANCE) -> dict[str, Any]:
        """
        Wait until the daemon lists the phone.

        @return: Its entry.
        @raise Violated: It does not.
        """
        end = self.deadline(seconds)
        while True:
            for entry in await self.devices():
                if entry["Properties"].get("SerialNumber") == self.phone.udid:
                    return entry
            if self.clock.seconds() >= end:
                raise Violated(f"expected {self.phone.udid} to be listed within {seconds:g} s")
            await self.pause(0.02)

    async def gone(self, seconds: float = APPEARANCE) -> None:
        """
        Wait until it lists no phone.
        """
        end = self.deadline(seconds)
        while await self.devices():
            if self.clock.seconds() >= end:
                raise Violated(f"expected no phone to be listed after {seconds:g} s")
            await self.pause(0.02)

    async def devices(self) -> list[dict[str, Any]]:
        """
        What it lists.
        """
        client = await self.client()
        try:
            answer = await client.ask("ListDevices")
        finally:
            client.hangUp()
        devices: list[dict[str, Any]] = answer.get("DeviceList", [])
        return devices

    async def prepare(self) -> None:
        """
        Be as at the beginning: the usual phone, plugged in and listed.
        """
        for client in self._clients:
            client.hangUp()
        self._clients.clear()
        muxer = self.phone.muxer
        muxer.faults = Faults()
        muxer.packetSize = self._options.get("packetSize", PACKET_SIZE)
        self.phone.isGluing = False
        if not self._isPlugged:
            self.plug()
        await self.listed()

    # Clients.

    async def client(self) -> Client:
        """
        A program that has connected to the daemon.
        """
        client = Client(self.until, self.recording)
        await self.connect(client)
        self._clients.append(client)
        return client

    def service(self, port: int) -> Services:
        """
        Have a service on a port of the phone.
        """
        services = Services(self.until)
        self.phone.services[port] = services
        return services

    async def number(self) -> int:
        """
        What the daemon calls the phone.
        """
        number: int = (await self.listed())["DeviceID"]
        return number

    async def attempt(self, port: int, seconds: float = PATIENCE) -> tuple[Client, int]:
        """
        Ask for a port of the phone.

        @return: The client and the result.
        """
        number = await self.number()
        client = await self.client()
        result = await client.result("Connect", seconds, DeviceID=number, PortNumber=swapped(port))
        return client, result

    async def open(self) -> Pair:
        """
        A stream to a new service of the phone.

        @raise Violated: There is none.
        """
        port = next(self._ports)
        services = self.service(port)
        client, result = await self.attempt(port)
        if result:
            raise Violated(f"expected Result 0 of Connect, got {result}")
        if not await self.until(lambda: services.ends):
            raise Violated("expected an ACK behind the SYN|ACK, got none")
        (session,) = [each for each in self.phone.muxer.sessions.values() if each.port == port]
        return Pair(client, services.ends[-1], session)

    async def alive(self) -> None:
        """
        See whether the phone can still be used.

        @raise Violated: It cannot.
        """
        pair = await self.open()
        pair.client.send(b"ping")
        got = await pair.peer.exactly(4)
        pair.peer.send(b"pong")
        got += await pair.client.exactly(4)
        if got != b"pingpong":
            raise Violated(f"expected ping and pong, got {got!r}")
        pair.client.hangUp()
        await pair.peer.ended()
