# -*- test-case-name: tests.testing.test_simulation -*-
"""
Tests of L{Simulation}, with its daemon in a process of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import NoDaemon, NoPhone, PortRefused, TimedOut, blocking
from muxd.testing import SimulatedPhone, Simulation, SimulationError
from tests.running.processes import startsProcesses

PATIENCE = 60.0
DAYTIME = 13


def isGone(pid: int) -> bool:
    """
    Whether a process is gone, or has ended and is only a name.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@startsProcesses
class SimulationTests(SynchronousTestCase):
    """
    Tests of L{Simulation} and L{SimulatedPhone}.
    """

    def start(self, **arguments: str | int) -> Simulation:
        """
        A simulation that runs until the test ends.
        """
        simulation = Simulation(patience=PATIENCE, **arguments)  # type: ignore[arg-type]
        simulation.start()
        self.addCleanup(simulation.stop)
        return simulation

    def phone(self, **arguments: str | int) -> SimulatedPhone:
        """
        The phone of a simulation that runs until the test ends.
        """
        return self.start(**arguments).phones[0]

    def test_phones(self) -> None:
        """
        The phones are listed from the beginning, and each can be connected to.
        """
        simulation = self.start(count=2)
        listed = {device.udid for device in blocking.devices(address=simulation.address)}
        self.assertEqual(listed, {phone.udid for phone in simulation.phones})
        self.assertEqual(simulation.environment["USBMUXD_SOCKET_ADDRESS"], simulation.address)
        for phone in simulation.phones:
            with phone.connect(DAYTIME) as daytime:
                self.assertIn(b":", daytime.recv(100))
            self.assertEqual(phone.stats()["violations"], [])
        self.assertIn("2", repr(simulation.phones[1]))

    def test_twoAtOnce(self) -> None:
        """
        Two simulations know nothing of each other.
        """
        first, second = self.phone(udid="a" * 40), self.phone(udid="b" * 40)
        self.assertEqual((first.udid, second.udid), ("a" * 40, "b" * 40))
        first.unplug()
        second.connect(DAYTIME).close()
        self.assertRaises(NoPhone, first.connect, DAYTIME)

    def test_again(self) -> None:
        """
        A simulation leaves nothing when it ends, and can begin anew.
        """
        simulation = Simulation(patience=PATIENCE)
        for _ in range(2):
            with simulation:
                address = simulation.address
                self.assertRaises(SimulationError, simulation.start)
            self.assertRaises(NoDaemon, blocking.devices, address=address)
            self.assertFalse(Path(address.removeprefix("UNIX:")).parent.exists())
            self.assertIn("Main loop terminated", simulation.log)
        self.assertRaises(SimulationError, simulation.command, "stats")
        simulation.stop()

    def test_plugging(self) -> None:
        """
        A phone that is pulled out is gone, and its connections have ended; plugged in
        again it is back.
        """
        phone = self.phone()
        with phone.connect(7) as echo:
            phone.unplug()
            self.assertEqual(echo.recv(1), b"")
        self.assertRaises(NoPhone, phone.connect, 7)
        phone.unplug()
        phone.plug()
        phone.connect(7).close()
        error = self.assertRaises(SimulationError, phone.plug)
        self.assertEqual(str(error), "'plug 1': it is plugged in already")

    def test_service(self) -> None:
        """
        The test can be what listens on the phone, with bytes both ways; once it has
        stopped, there is nothing to connect to.
        """
        phone = self.phone()
        with phone.listen(1234) as service, phone.connect(1234) as program:
            service.settimeout(PATIENCE)
            accepted, _ = service.accept()
            program.sendall(bytes(100_000))
            received = 0
            while received < 100_000:
                received += len(accepted.recv(65536))
            accepted.sendall(b"answer")
            accepted.close()
            self.assertEqual(program.recv(100, socket.MSG_WAITALL), b"answer")
        with phone.connect(1234) as program:
            self.assertEqual(program.recv(1), b"")

    def test_ports(self) -> None:
        """
        A port can refuse, be silent, and do again what it did at first.
        """
        phone = self.phone()
        phone.refuse(7)
        self.assertRaises(PortRefused, phone.connect, 7)
        phone.ignore(7)
        self.assertRaises(TimedOut, phone.connect, 7, timeout=0.1)
        phone.allow(7)
        phone.connect(7).close()

    def test_trust(self) -> None:
        """
        The daemon asks a phone for its trust, and has a pair record when it has it.
        """
        phone = self.phone(preflight=True, trust="ask")
        address = phone._simulation.address
        self.assertRaises(FileNotFoundError, blocking.readPairRecord, phone.udid, address=address)
        events = blocking.watch(PATIENCE, address=address)
        self.assertIsInstance(next(events), blocking.Attached)
        phone.trust()
        self.assertIsInstance(next(events), blocking.Paired)
        events.close()
        record = blocking.readPairRecord(phone.udid, address=address)
        self.assertIn(b"HostCertificate", record)

    def test_noDialog(self) -> None:
        """
        A dialog that does not appear in time is an error.
        """
        phone = self.phone()
        self.patch(phone._simulation, "waitUntil", Simulation(patience=0).waitUntil)
        error = self.assertRaises(SimulationError, phone.deny)
        self.assertIn(f"expected {phone.udid} to show the Trust dialog within 0 s", str(error))

    def test_commands(self) -> None:
        """
        Every command of a simulated phone can be given, and what cannot be done is an
        error.
        """
        phone = self.phone()
        self.assertIsNone(phone.command("hold"))
        self.assertIsNone(phone.command("release"))
        error = self.assertRaises(SimulationError, phone.command, "detach")
        self.assertIn("only a kernel's vhci_hcd", str(error))

    def test_options(self) -> None:
        """
        What a source does not understand is an error that says so, and leaves nothing.
        """
        simulation = Simulation(trust="may:be")
        error = self.assertRaises(SimulationError, simulation.start)
        self.assertIn("trust: expected ask, accept, deny, locked, got 'may:be'", str(error))
        self.assertEqual(simulation.phones, ())

    def test_crash(self) -> None:
        """
        A daemon that has ended by itself is an error, with its log.
        """
        simulation = Simulation(patience=PATIENCE)
        simulation.start()
        assert simulation._process is not None
        simulation._process.kill()
        simulation._process.wait()
        error = self.assertRaises(SimulationError, simulation.command, "stats")
        self.assertIn("the daemon has ended; the end of its log:\n", str(error))
        self.assertIn(simulation.phones[0].udid, str(error))
        error = self.assertRaises(SimulationError, simulation.stop)
        self.assertIn("ended with status", str(error))
        simulation.stop()

    def test_noAnswer(self) -> None:
        """
        A daemon that does not answer in time is an error, and the end of it.
        """
        simulation = Simulation(patience=PATIENCE)
        simulation.start()
        process = simulation._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        simulation._patience = 0.1
        error = self.assertRaises(SimulationError, simulation.command, "stats")
        self.assertIn("'stats': no answer within 0.1 s", str(error))
        self.assertEqual(process.wait(PATIENCE), -signal.SIGKILL)
        simulation._patience = PATIENCE
        self.assertRaises(SimulationError, simulation.command, "stats")
        self.assertRaises(SimulationError, simulation.stop)

    def test_killed(self) -> None:
        """
        If the test's own process is killed, the daemon ends, and leaves nothing.
        """
        if not platform.isLinux():
            self.skipTest("processes are looked at in /proc")
        code = (
            "from muxd.testing import Simulation; s = Simulation(); s.start();"
            "print(s._process.pid, s._directory, flush=True); input()"
        )
        test = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(test.communicate)
        assert test.stdout is not None
        words = test.stdout.readline().split()
        pid, directory = int(words[0]), Path(words[1])
        self.assertTrue(directory.exists())
        self.assertFalse(isGone(pid))
        test.send_signal(signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while not isGone(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                self.fail("the daemon outlives the test")
            time.sleep(0.01)
        self.assertFalse(directory.exists())


@startsProcesses
class WithoutTwistedTests(SynchronousTestCase):
    """
    Tests of what a test has to import.
    """

    def test_light(self) -> None:
        """
        A simulation is used without Twisted.
        """
        code = (
            "import sys; from muxd.testing import Simulation, SimulatedPhone, SimulationError\n"
            "with Simulation() as simulation:\n"
            "    simulation.phones[0].connect(13).close()\n"
            "print([n for n in sys.modules if n.split('.')[0] in ('twisted', 'zope', 'usb')])\n"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )
        self.assertEqual((process.stdout, process.stderr), ("[]\n", ""))
