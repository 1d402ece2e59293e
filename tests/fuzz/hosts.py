# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A host that says whatever it likes to the simulated phone's lockdownd and services.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock

from muxd.phone.lockdown.lockdownd import LockdownState
from muxd.phone.lockdown.trust import Owner, Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.afcpackets import HEADER, MAGIC, Operation
from muxd.phone.services.apps import Apps
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.notices import NoticeCentre
from muxd.phone.services.ports import ServicePorts
from muxd.phone.services.standard import Interior, Storage, standardServices
from muxd.testing import BudgetTransport, fakeIdentity
from muxd.testing.transports import FakeAddress
from tests.fuzz.directory import MEMORY
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching
from tests.lockdown.phones import anyRecord

FIRST = (
    "lockdown",
    "com.apple.afc",
    "com.apple.mobile.heartbeat",
    "com.apple.mobile.notification_proxy",
    "com.apple.mobile.insecure_notification_proxy",
    "com.apple.syslog_relay",
)
"""What scripts that are kept know by these numbers; all other services come after them."""

MOST_CLIENTS = 4
BUDGETS = (None, 0, 500)
TIMES = (0.0, 0.3, 5.0, 10.0, 16.0, 31.0)
REQUESTS = (
    "QueryType",
    "GetValue",
    "SetValue",
    "StartSession",
    "StopSession",
    "Pair",
    "ValidatePair",
    "Unpair",
    "StartService",
    "EnterRecovery",
    "Goodbye",
    "ObserveNotification",
    "PostNotification",
    "Shutdown",
    "Polo",
    "Browse",
    "Lookup",
    "Install",
    "Upgrade",
    "Uninstall",
    "Archive",
    "CheckCapabilitiesMatch",
    "VendContainer",
    "VendDocuments",
    "IORegistry",
    "MobileGestalt",
    "GasGauge",
    "All",
    "Sleep",
    "Restart",
    "LookupImage",
    "CopyDevices",
    "ReceiveBytes",
    "MountImage",
    "UnmountImage",
    "QueryNonce",
    "QueryPersonalizationIdentifiers",
    "QueryDeveloperModeStatus",
    "Copy",
    "CopyAll",
    "Remove",
    "getIconState",
    "setIconState",
    "getIconPNGData",
    "getInterfaceOrientation",
    "getHomeScreenWallpaperPNGData",
    "GetDeviceRegistry",
    "GetValueFromRegistry",
    "StartListeningForDevices",
    "CommandCreateAssertion",
    "PidList",
    "StartActivity",
    "CreateArchive",
    "_rpc_reportIdentifier:",
    "_rpc_getConnectedApplications:",
    "_rpc_forwardGetListing:",
)
NAMES = ("Request", "Command", "MessageType", "command", "CommandKey", "__selector", "MessageName")
"""What services call a request's kind."""

LINKED = (
    "DLMessageVersionExchange",
    "DLMessageProcessMessage",
    "DLMessageStatusResponse",
    "DLMessageDisconnect",
    "DLMessagePing",
)
"""Messages of services that begin theirs with a list: backups and screenshots."""

LINKED_REQUESTS = (
    "Hello",
    "Backup",
    "Restore",
    "Info",
    "Unback",
    "EraseDevice",
    "ScreenShotRequest",
)
KEYS = (
    "Key",
    "Domain",
    "Value",
    "HostID",
    "SystemBUID",
    "PairRecord",
    "Service",
    "Name",
    "Label",
    "Identifier",
    "ApplicationIdentifier",
    "PackagePath",
    "ClientOptions",
    "EntryClass",
    "CurrentPlane",
    "MobileGestaltKeys",
    "ImageType",
    "ImageSize",
    "ImageSignature",
    "MountPath",
    "Profile",
    "ProfileID",
    "ProfileType",
    "format",
    "bundleId",
    "wallpaperName",
    "iconState",
    "AssertionTypeKey",
    "AssertionTimeoutKey",
    "Pid",
    "Special",
    "__argument",
    "TargetIdentifier",
    "SupportedProtocolVersions",
    "Options",
)
VALUES: tuple[Any, ...] = (
    "DeviceName",
    "UntrustedHostBUID",
    "TimeIntervalSince1970",
    "TimeZone",
    "Uses24HourClock",
    "",
    "com.apple.mobile.battery",
    "HOST",
    "BUID",
    "com.apple.mobile.insecure_notification_proxy",
    "com.apple.afc",
    0,
    -1,
    1e300,
    float("nan"),
    True,
    [],
    {},
    b"x",
    plistlib.UID(3),
    "../../outside",
    "PublicStaging/x.ipa",
    "com.example.app",
    "Developer",
    1 << 40,
    {"BundleIDs": ["a", 1], "ReturnAttributes": [], "ApplicationType": "Any"},
    {"WIRConnectionIdentifierKey": "C", "WIRApplicationIdentifierKey": "PID:1"},
    [[["com.example.app"]]],
    [2.0, 2.1],
)
PATHS = (
    "/",
    "a",
    "DCIM",
    "DCIM/x",
    "..",
    "../../etc/passwd",
    "/a/../../b",
    "link",
    "link/x",
    "a\ud800",
)
OPERATIONS = (*Operation, 99)


class World:
    """
    A phone's lockdownd and services, and connections to them.
    """

    def __init__(self, owner: Owner) -> None:
        self.clock = Clock()
        above = MEMORY if os.path.isdir(MEMORY) else None
        self.above = Path(tempfile.mkdtemp(prefix="muxd-fuzz-", dir=above))
        (self.above / "outside").write_bytes(b"outside")
        (self.above / "files" / "DCIM").mkdir(parents=True)
        (self.above / "files" / "link").symlink_to(self.above / "outside")
        os.mkfifo(self.above / "files" / "fifo")
        self.before = (self.above / "outside").stat()
        notices, syslog = NoticeCentre(), SyslogBook(self.clock)
        self.trust = Trust(self.clock, notices, owner)
        udid = fakeIdentity().udid
        values = PhoneValues(self.clock, udid, "phone")
        (self.above / "apps").mkdir()
        (self.above / "crashes").mkdir()
        named = standardServices(
            Interior(
                clock=self.clock,
                notices=notices,
                syslog=syslog,
                storage=Storage(str(self.above / "files")),
                apps=Apps(Storage(str(self.above / "apps")).directory),
                crashes=Storage(str(self.above / "crashes")),
                values=values,
                trust=self.trust,
                restart=lambda: None,
                shutDown=lambda: None,
            )
        )
        self.listening: dict[int, IProtocolFactory] = {}
        self.ports = ServicePorts(self.clock, self.listening, named)
        self.lockdown = LockdownState(
            self.clock,
            values,
            self.trust,
            self.ports,
            notices,
            syslog,
            random=bytes,
        )
        self.factories: dict[str, Any] = {name: one.factory for name, one in named.items()}
        self.factories["lockdown"] = self.lockdown.factory()
        self.services = (*FIRST, *sorted(set(self.factories) - set(FIRST)))
        self.clients: list[tuple[str, BudgetTransport]] = []

    def step(self, script: Script) -> None:
        """
        Let one thing happen.
        """
        STEPS[script.byte() % len(STEPS)](self, script)
        settle(self.clock)
        for _, transport in self.clients:
            if transport.budget is None:
                transport.value()
            waiting = transport.pending
            demand(waiting < 4 << 20, f"{waiting} bytes wait for a host")
        demand(len(self.listening) <= 256, "too many ports are open")

    def connect(self, script: Script) -> None:
        """
        Connect to a service.
        """
        name, budget = script.choose(self.services), script.choose(BUDGETS)
        if len(self.clients) < MOST_CLIENTS:
            protocol = self.factories[name].buildProtocol(FakeAddress())
            transport = BudgetTransport(self.clock, budget, protocol)
            protocol.makeConnection(transport)
            self.clients.append((name, transport))

    def client(self, script: Script) -> BudgetTransport | None:
        """
        One of the connections.
        """
        return script.choose(self.clients)[1] if self.clients else None

    def raw(self, script: Script) -> None:
        """
        Say anything.
        """
        client, data = self.client(script), script.piece()
        if client is not None:
            client.deliver(data)

    def framed(self, script: Script) -> None:
        """
        Say any message.
        """
        client, body = self.client(script), script.piece()
        if client is not None:
            client.deliver(pack(">I", len(body)) + body)

    def ask(self, script: Script) -> None:
        """
        Say something that makes sense, or nearly.
        """
        client, request = self.client(script), script.choose(REQUESTS)
        values: dict[str, Any] = {**dict.fromkeys(NAMES, request), **self.keys(script)}
        if script.byte() & 1:
            values["PairRecord"] = {**anyRecord().public(), "HostID": "HOST", "SystemBUID": "BUID"}
        self.say(script, client, values)

    def keys(self, script: Script) -> dict[str, Any]:
        """
        Some of a request's keys.
        """
        values: dict[str, Any] = {}
        for _ in range(script.byte() % 5):
            key, value = script.choose(KEYS), script.choose((*VALUES, None, None))
            if value is None:
                value = script.piece() if script.byte() & 1 else script.piece().decode("latin-1")
            values[key] = value
        return values

    def say(self, script: Script, client: BudgetTransport | None, value: Any) -> None:
        """
        Say a property list.
        """
        form = plistlib.FMT_BINARY if script.byte() & 1 else plistlib.FMT_XML
        try:
            body = plistlib.dumps(value, fmt=form)
        except (TypeError, ValueError, OverflowError):
            return
        if client is not None:
            client.deliver(pack(">I", len(body)) + body)

    def link(self, script: Script) -> None:
        """
        Say something to a service that begins its messages with a list.
        """
        client, kind = self.client(script), script.choose(LINKED)
        name = script.choose(LINKED_REQUESTS)
        first: object = {"MessageName": name, "MessageType": name, **self.keys(script)}
        if script.byte() & 1:
            first = script.choose(VALUES)
        rest = [script.choose(VALUES) for _ in range(script.byte() % 4)]
        self.say(script, client, [kind, first, *rest])

    def file(self, script: Script) -> None:
        """
        Do something with files.
        """
        client, operation = self.client(script), script.choose(OPERATIONS)
        body = b""
        for _ in range(script.byte() % 4):
            body += (script.near() & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        for _ in range(script.byte() % 3):
            path = script.choose((*PATHS, None))
            chosen = script.piece() if path is None else path.encode("utf-8", "surrogatepass")
            body += chosen + b"\0"
        data = script.piece() if script.byte() & 1 else b""
        skew = script.near()
        this = HEADER.size + len(body)
        lengths = (this + len(data) + skew) & 0xFFFFFFFFFFFFFFFF, this
        if client is not None:
            client.deliver(HEADER.pack(MAGIC, *lengths, script.byte(), operation) + body + data)

    def allow(self, script: Script) -> None:
        """
        Read.
        """
        client, count = self.client(script), script.choose((None, 1, 1000))
        if client is not None:
            client.allow(count)

    def lose(self, script: Script) -> None:
        """
        Hang up.
        """
        if self.clients:
            _, client = self.clients.pop(script.byte() % len(self.clients))
            client.lose(ConnectionLost())

    def time(self, script: Script) -> None:
        """
        Let time pass.
        """
        self.clock.advance(script.choose(TIMES))

    def tap(self, script: Script) -> None:
        """
        The owner does something.
        """
        actions = (self.trust.accept, self.trust.deny, self.trust.unplugged)
        script.choose(actions)()

    def end(self) -> None:
        """
        All hosts leave, and nothing is left or has been done elsewhere.
        """
        for _, client in self.clients:
            client.lose(ConnectionLost())
        self.ports.stop()
        self.trust.unplugged()
        expire(self.clock)
        demand((self.above / "outside").read_bytes() == b"outside", "a file outside was written")
        after = (self.above / "outside").stat()
        demand(after.st_mtime_ns == self.before.st_mtime_ns, "a file outside was touched")
        demand(after.st_nlink == 1, "a file outside was linked to")
        names = sorted(each.name for each in self.above.iterdir())
        demand(names == ["apps", "crashes", "files", "outside"], f"somebody has made {names}")

    def remove(self) -> None:
        """
        Remove the files.
        """
        shutil.rmtree(self.above)


def services() -> tuple[str, ...]:
    """
    All that there are, by their numbers.
    """
    world = World(Owner.ACCEPT)
    try:
        return world.services
    finally:
        world.remove()


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.connect,
    World.ask,
    World.framed,
    World.file,
    World.raw,
    World.allow,
    World.time,
    World.tap,
    World.lose,
    World.link,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        world = World(script.choose(tuple(Owner)))
        try:
            while script:
                with meter.turn():
                    world.step(script)
            world.end()
        finally:
            world.remove()
