"""
What a scenario has to work with, and what must be true at its end.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.system.contenders import Contender, Model
from tests.system.guest.bus import KernelDevice, kernelDevice
from tests.system.guest.clients import Attached, Listener, exchange, randomBytes, runTool
from tests.system.guest.daemons import Daemon
from tests.system.guest.launcher import Launcher
from tests.system.guest.phones import ECHO, Phone, PhoneMaker, PhoneSettings
from tests.system.guest.waiting import PATIENCE
from tests.system.scenario import Failed


class Stage:
    """
    One scenario's daemon and phones.

    @ivar daemon: Not started.
    @ivar remarks: What is worth a line, though it decides nothing.
    @ivar model: The kind of its phones.
    @ivar directory: For logs.
    """

    def __init__(
        self, contender: Contender, model: Model, launcher: Launcher | None, directory: Path
    ) -> None:
        self.daemon = Daemon(contender, launcher, directory)
        self.model = model
        self.directory = directory
        self.remarks: list[str] = []
        self._maker = PhoneMaker(model, launcher, directory)
        self._phones: list[Phone] = []
        self._listeners: list[Listener] = []
        self._cleanup = ExitStack()

    @property
    def isMuxd(self) -> bool:
        """
        Whether the daemon is ours.
        """
        return self.daemon.isMuxd

    @property
    def patience(self) -> float:
        """
        Seconds for what the daemon does by itself.  The other one either does such
        things at once or never.
        """
        return PATIENCE if self.isMuxd else PATIENCE / 3

    # Beginnings

    def phone(self, settings: PhoneSettings | None = None) -> Phone:
        """
        A phone that is not plugged in.
        """
        phone = self._maker.start(settings or PhoneSettings(), len(self._phones) + 1)
        self._phones.append(phone)
        return phone

    def listener(self) -> Listener:
        """
        A client that is told of phones.
        """
        listener = self.daemon.listener()
        self._listeners.append(listener)
        return listener

    def attach(self, phone: Phone, listener: Listener) -> Attached:
        """
        Plug a phone in and wait until clients are told.
        """
        phone.plug()
        return listener.attached(phone.udid)

    def device(self, phone: Phone) -> KernelDevice:
        """
        The kernel's view of a phone that is plugged in.
        """
        return kernelDevice(phone.settings.serial)

    # Uses

    def echo(self, attached: Attached, size: int = 65536) -> None:
        """
        Send so many bytes to a phone's echo service and compare what comes back.
        """
        with self.daemon.stream(attached.deviceID, ECHO) as stream:
            exchange({stream: randomBytes(size)})

    def tool(self, *words: str) -> str:
        """
        What a client program prints that must succeed.
        """
        done = runTool(self.daemon.environment, *words)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise Failed(f"`{' '.join(words)}`: status {done.returncode}: {said}")
        return done.stdout.strip()

    def expect(self, what: str, expected: object, found: object) -> None:
        """
        @raise Failed: They differ.
        """
        if found != expected:
            raise Failed(f"{what}: expected {expected!r}, got {found!r}")

    def remark(self, text: str) -> None:
        """
        Say something that is worth a line.
        """
        self.remarks.append(text)

    # The end

    def finish(self) -> None:
        """
        What every scenario shows: the phones have nothing to complain of, and the
        daemon ends cleanly and is well.

        @raise Failed: Not so.
        """
        for phone in self._phones:
            violations = phone.violations()
            if violations:
                more = f" and {len(violations) - 1} more" if violations[1:] else ""
                raise Failed(f"{phone.udid} complains: {violations[0]}{more}")
        if self.daemon.isRunning:
            self.daemon.stop()
        troubles = self.daemon.troubles() if self.isMuxd else []
        if troubles:
            raise Failed(f"in the daemon's log: {troubles[0]}")
