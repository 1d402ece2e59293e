"""
Tests of L{muxd.phone.parser} and L{muxd.phone.source}.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.description import Description
from muxd.identity import serialFromUDID, udidFromSerial
from muxd.interfaces import IDevice, IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.phone import source as sourceModule
from muxd.phone.bus.faultplan import NO_FAULTS
from muxd.phone.parser import SimulatedSourceParser, distinctBuses, distinctPhones, serials
from muxd.phone.source import SimulatedSource
from tests.running.processes import startsProcesses


@implementer(IDeviceReceiver)
class Receiver:
    """
    Keeps what it is told, and tells when there is a first device.
    """

    def __init__(self) -> None:
        self.first: Deferred[IDevice] = Deferred()
        self.devices: dict[str, IDevice] = {}

    def deviceAttached(self, device: IDevice) -> None:
        """
        Keep it.
        """
        self.devices[device.identity.udid] = device
        if not self.first.called:
            self.first.callback(device)

    def devicePaired(self, device: IDevice) -> None:
        """
        Not called: it is this host that pairs with it.
        """

    def deviceDetached(self, device: IDevice) -> None:
        """
        Forget it.
        """
        del self.devices[device.identity.udid]


class ParserTests(SynchronousTestCase):
    """
    Tests of L{SimulatedSourceParser}.
    """

    def parse(self, *args: str, **kwargs: str) -> SimulatedSource:
        """
        Make a source.
        """
        source = SimulatedSourceParser().parseDeviceSource(None, Receiver(), *args, **kwargs)
        assert isinstance(source, SimulatedSource)
        return source

    def test_interfaces(self) -> None:
        """
        The parser is a plugin, and makes sources.
        """
        verifyObject(IPlugin, SimulatedSourceParser())
        verifyObject(IDeviceSourceParser, SimulatedSourceParser())
        verifyObject(IDeviceSource, self.parse())

    def test_default(self) -> None:
        """
        Without arguments there is one phone, of version 2.
        """
        source = self.parse()
        self.assertEqual([p.udid for p in source.phones], ["00008110-000A1B2C3D4E5F60"])
        self.assertEqual(source.description, "simulated")

    def test_count(self) -> None:
        """
        The UDIDs of several are distinct, the same each time, and do not depend
        on how many there are.
        """
        udids = [p.udid for p in self.parse("3").phones]
        self.assertEqual(len(set(udids)), 3)
        self.assertEqual([p.udid for p in self.parse(count="2").phones], udids[:2])
        self.assertEqual(len(set(serials(100))), 100)
        names = [p.name for p in self.parse(count="2").phones]
        self.assertEqual(names, ["Simulated iPhone", "Simulated iPhone 2"])

    def test_identity(self) -> None:
        """
        Phones are what they are said to be, and each of several has a number behind its name.
        """
        phones = self.parse("2", name="Lab", product="iPad13,16", version="17.6").phones
        self.assertEqual([phone.name for phone in phones], ["Lab", "Lab 2"])
        self.assertEqual(phones[0].values.get("ProductType"), "iPad13,16")
        self.assertEqual(phones[0].values.get("ProductVersion"), "17.6")
        self.assertEqual(phones[0].values.get("DeviceClass"), "iPad")
        (phone,) = self.parse(values="appletv-tvos17", buid="strict").phones
        self.assertEqual((phone.name, phone.lockdown.isStrict), ("Apple TV", True))

    def test_state(self) -> None:
        """
        What a phone remembers is kept in a directory, or nowhere, which is what an empty name
        says.
        """
        kept = self.mktemp()
        for state in (kept, ""):
            (phone,) = self.parse(state=state).phones
            directory = phone._storages["files"].directory().path
            self.assertEqual(directory.startswith(os.path.abspath(kept)), bool(state), directory)

    def test_udid(self) -> None:
        """
        A UDID may be chosen, with its dash, without it, or an old one.
        """
        for given, udid in (
            ("00008030-0011223344556677", "00008030-0011223344556677"),
            ("000080300011223344556677", "00008030-0011223344556677"),
            ("a" * 40, "a" * 40),
        ):
            source = self.parse(udid=given)
            self.assertEqual(source.phones[0].udid, udid)
        self.assertEqual(source.description, "simulated:udid=" + "a" * 40)
        self.assertEqual(serialFromUDID("00008030-0011223344556677"), "000080300011223344556677")

    def test_faults(self) -> None:
        """
        A plan of what is to go wrong is each phone's, by chance each in its own way.
        """
        source = self.parse("2", faults="stall@in3,garbage@out~0.5,seed=7")
        plans = [str(phone.faultMachine.plan) for phone in source.phones]
        self.assertEqual(
            plans, ["stall@in3,garbage@out~0.5,seed=7", "stall@in3,garbage@out~0.5,seed=8"]
        )
        self.assertEqual(source.description, "simulated:2:faults=stall@in3,garbage@out~0.5,seed=7")
        self.assertEqual(self.parse().phones[0].faultMachine.plan, NO_FAULTS)

    def test_wrong(self) -> None:
        """
        What cannot be meant is refused with a reason.
        """
        for args, kwargs, text in (
            ((), {"count": "0"}, "count: expected a number from 1 to 100, got '0'"),
            (("many",), {}, "got 'many'"),
            ((), {"count": "9" * 5000}, "count: expected a number from 1 to 100, got '999"),
            ((), {"log": "/nonexistent/x"}, "log: /nonexistent/x: there is no directory"),
            ((), {"log": ""}, "log: expected a path, got ''"),
            ((), {"state": "/dev/null"}, "state: /dev/null: /dev/null is no directory"),
            ((), {"count": "101"}, "got '101'"),
            ((), {"mux": "3"}, "mux: expected a number from 1 to 2"),
            ((), {"udid": "../x"}, "udid: expected letters"),
            ((), {"udid": ""}, "udid: expected letters"),
            (("2",), {"udid": "a"}, "udid is for one phone"),
            (("1", "2"), {}, "expected one count"),
            (("1",), {"count": "1"}, "expected one count"),
            ((), {"faults": "stall@3"}, "faults: expected KIND@in3, KIND@out~0.01 or seed=7"),
            ((), {"engine": "steam"}, "engine: expected reactor, threads, got 'steam'"),
            ((), {"colour": "red"}, "no such argument: 'colour'"),
            ((), {"service": "x=nomod:x"}, "service: x: the module 'nomod' cannot be imported"),
        ):
            error = self.assertRaises(ValueError, self.parse, *args, **kwargs)
            self.assertIn(text, str(error))

    def test_serviceColon(self) -> None:
        """
        The colon between a module and its factory needs no backslash: no count is called like a
        factory.  What is wrong with the service is said of the service.
        """
        for text in (
            "simulated:service=x=nomod:x",
            "simulated:2:service=x=nomod:x",
            "simulated:service=x=nomod:x:first=3",
            r"simulated:service=x=nomod\:x",
        ):
            given = Description.fromString(text)
            error = self.assertRaises(ValueError, self.parse, *given.positional, **given.keywords)
            self.assertIn("service: x: the module 'nomod' cannot be imported", str(error))
        source = self.parse("2", "Protocol", service="x=twisted.internet.protocol")
        self.assertEqual(len(source.phones), 2)
        self.assertEqual(
            distinctPhones(["simulated:service=x=json:loads", "simulated"]),
            ["simulated:service=x=json:loads", "simulated:first=2"],
        )

    def test_owner(self) -> None:
        """
        What phones' owners do, and where their files are, can be said.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        for trust in ("ask", "accept", "deny", "locked"):
            source = self.parse(trust=trust, files=directory)
            assert isinstance(source, SimulatedSource)
            (phone,) = source.phones
            self.assertEqual(phone.trust.owner.value, trust)
            self.assertEqual(phone._storages["files"].directory().path, os.path.abspath(directory))
        for wrong, text in (
            ({"trust": "maybe"}, "expected ask, accept, deny, locked, got 'maybe'"),
            ({"files": directory + "/none"}, "there is no directory"),
        ):
            self.assertIn(text, str(self.assertRaises(ValueError, self.parse, **wrong)))

    @startsProcesses
    def test_lightImport(self) -> None:
        """
        Importing the parser imports neither pyusb nor the reactor.
        """
        code = (
            "import sys, muxd.phone.parser;"
            "print([m for m in ('usb', 'twisted.internet.reactor') if m in sys.modules])"
        )
        output = subprocess.check_output([sys.executable, "-c", code], text=True)
        self.assertEqual(output.strip(), "[]")


class DistinctPhonesTests(SynchronousTestCase):
    """
    Tests of L{distinctPhones}.
    """

    def test_numbered(self) -> None:
        """
        Sources of simulated phones number them on; others stay as they are.
        """
        self.assertEqual(
            distinctPhones(["simulated", "usb", "simulated:2", "simulated:count=3", "simulated"]),
            [
                "simulated",
                "usb",
                "simulated:2:first=2",
                "simulated:count=3:first=4",
                "simulated:first=7",
            ],
        )

    def test_named(self) -> None:
        """
        A phone with a UDID of its own takes no number, and no other one has the same, with
        its dash or without.
        """
        given = ["simulated:udid=X", "simulated", "simulated:first=9", "simulated:udid=Y"]
        self.assertEqual(distinctPhones(given), given)
        dashed = "00008110-000A1B2C3D4E5F99"
        twice = [f"simulated:udid={dashed}", f"simulated:udid={dashed.replace('-', '')}"]
        error = self.assertRaises(ValueError, distinctPhones, twice)
        self.assertIn("another simulated phone has this UDID already", str(error))

    def test_namedLikeANumber(self) -> None:
        """
        A number whose UDID another phone has been given is left out, wherever that one stands.
        """
        first, second = (udidFromSerial(serial) for serial in serials(2))
        self.assertEqual(
            distinctPhones(["simulated", f"simulated:udid={first}"])[0], "simulated:first=2"
        )
        given = ["simulated", "simulated:2", f"simulated:udid={second}"]
        self.assertEqual(distinctPhones(given)[:2], ["simulated", "simulated:2:first=3"])

    def test_wrong(self) -> None:
        """
        What is wrong with a description is left to its parser to say.
        """
        given = ["simulated:many", "simulated:0", "", "simulated:1:2", "simulated:a=1:a=2"]
        self.assertEqual(distinctPhones(given), given)

    def test_buses(self) -> None:
        """
        Each source has a bus of its own, the first that no other has, but where one is given.
        """
        given = ["simulated", "usb", "simulated:udid=X", "simulated:bus=2", "simulated:1:2", ""]
        self.assertEqual(
            distinctBuses(given),
            [
                "simulated",
                "usb",
                "simulated:udid=X:bus=3",
                "simulated:bus=2",
                "simulated:1:2:bus=4",
                "",
            ],
        )

    def test_parsedBus(self) -> None:
        """
        Phones are on the bus that was given, of which there are 255.
        """
        parse = SimulatedSourceParser().parseDeviceSource
        for words, number in (({}, 1), ({"bus": "255"}, 255)):
            source = parse(None, Receiver(), **words)
            assert isinstance(source, SimulatedSource)
            self.assertEqual(source.bus.number, number)
        error = self.assertRaises(ValueError, parse, None, Receiver(), bus="256")
        self.assertEqual(str(error), "bus: expected a number from 1 to 255, got '256'")

    def test_parsed(self) -> None:
        """
        The phones of a source have the numbers that it was given.
        """
        source = SimulatedSourceParser().parseDeviceSource(None, Receiver(), "2", first="3")
        assert isinstance(source, SimulatedSource)
        self.assertEqual([phone.serial for phone in source.phones], list(serials(4)[2:]))
        self.assertEqual(source.phones[0].name, "Simulated iPhone 3")


class SourceTests(TestCase):
    """
    Tests of L{SimulatedSource} with its thread and the reactor.
    """

    timeout = 30

    async def test_echo(self) -> None:
        """
        A simulated phone is attached, echoes, finds no fault with its host, and
        leaves nothing behind.
        """
        for version in ("1", "2"):
            await self._echo(["discovery"], mux=version)

    async def test_control(self) -> None:
        """
        A program that connects to the source's control socket, gives commands and has finished
        sending gets its answers; the socket goes with the source.
        """
        path = os.path.join(tempfile.mkdtemp(), "s")
        self.addCleanup(shutil.rmtree, os.path.dirname(path))
        source = SimulatedSourceParser().parseDeviceSource(
            reactor, Receiver(), "2", control=f"unix:{path}"
        )
        source.startService()
        lines = await deferToThread(self._command, path)
        self.assertEqual([json.loads(line) for line in lines], ["ok", {"answer": ["ok", "ok"]}])
        assert isinstance(source, SimulatedSource)
        self.assertTrue(source.phones[1].trust.isLocked)
        await source.stopService()
        self.assertFalse(os.path.exists(path))

    def _command(self, path: str) -> list[bytes]:
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(path)
            program.sendall(b'lock 2\n{"command": "unplug"}')
            program.shutdown(socket.SHUT_WR)
            return program.makefile("rb").readlines()

    async def test_threads(self) -> None:
        """
        The same with the engine C{threads}, which has them.
        """
        udid = "00008030-0011223344556677"
        await self._echo(
            ["discovery", f"read-{udid}", f"write-{udid}"], udid=udid, engine="threads"
        )

    async def _echo(self, threads: list[str], **options: str) -> None:
        receiver = Receiver()
        source = SimulatedSourceParser().parseDeviceSource(reactor, receiver, **options)
        assert isinstance(source, SimulatedSource)
        source.startService()
        try:
            device = await receiver.first
            names = sorted(each.name for each in threading.enumerate())
            self.assertEqual(
                [name for name in names if name.startswith("usb-")],
                [f"usb-{name}" for name in threads],
            )
            done: Deferred[bytes] = Deferred()

            class Collector(Protocol):
                data = b""

                def dataReceived(self, data: bytes) -> None:
                    self.data += data
                    if len(self.data) == 300000:
                        done.callback(self.data)

            collector = await connectProtocol(device.endpoint(7), Collector())
            data = bytes(range(250)) * 1200
            assert collector.transport is not None
            collector.transport.write(data)
            self.assertEqual(await done, data)
            collector.transport.loseConnection()
        finally:
            await source.stopService()
        (phone,) = source.phones
        self.assertEqual(phone.violations, [])
        self.assertEqual(receiver.devices, {})
        self.assertEqual(source.bus.attachments, ())

    async def test_replugged(self) -> None:
        """
        Phones that come and go are seen without looking for them.
        """
        self.patch(sourceModule, "POLL", 3600.0)
        receiver = Receiver()
        source = SimulatedSourceParser().parseDeviceSource(reactor, receiver)
        assert isinstance(source, SimulatedSource)
        source.startService()
        try:
            (phone,) = source.phones
            for _ in range(3):
                await receiver.first
                receiver.first = Deferred()
                phone.unplug()
                while receiver.devices:
                    await deferLater(reactor, 0.001)
                phone.plug(source.bus)
            await receiver.first
        finally:
            await source.stopService()

    async def test_stopFails(self) -> None:
        """
        One phone's trouble does not keep the others from being stopped, nor the source.
        """
        source = SimulatedSourceParser().parseDeviceSource(reactor, Receiver(), count="3")
        assert isinstance(source, SimulatedSource)
        source.startService()
        first, second, third = source.phones
        self.patch(second, "stop", lambda: 1 / 0)
        paths = [phone._storages["files"].directory().path for phone in (first, third)]
        await source.stopService()
        self.assertEqual([path for path in paths if os.path.exists(path)], [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        second._storages["files"].remove()
