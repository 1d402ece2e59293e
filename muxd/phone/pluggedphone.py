# -*- test-case-name: tests.phone.test_console -*-
"""
A simulated phone and the bus that it is plugged into: what one can do to it from
outside, in the words of the control socket (L{muxd.phone.console}).
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

from muxd.phone.bus.faultmachine import FaultMachine
from muxd.phone.bus.faultplan import FaultPlan
from muxd.phone.bus.interfaces import CannotPlug, IAttachment, IBus
from muxd.phone.iphone import Phone
from muxd.phone.usbip.exports import IRemoteBus
from muxd.phone.usbip.urbs import TransferCounters
from muxd.phone.usbip.vhci import VirtualController

PRINTABLE = bytes(range(32, 127))


class CannotNow(Exception):
    """
    The phone cannot do that in its present state.  The text is one line.
    """


class PluggedPhone:
    """
    A phone in its place.

    @ivar phone: The phone.
    @ivar bus: What it is plugged into.
    """

    def __init__(self, phone: Phone, bus: IBus) -> None:
        self.phone = phone
        self.bus = bus

    def plug(self) -> Any:
        """
        Plug the phone in.

        @return: Where: the port of C{vhci_hcd}, or the bus id for USB/IP; C{None} on
            a bus within this process.
        @raise CannotNow: The bus does not take it.
        """
        try:
            place = self.phone.plug(self.bus)
        except CannotPlug as problem:
            raise CannotNow(str(problem)) from problem
        return place if IRemoteBus.providedBy(self.bus) else None

    def unplug(self, error: int = 0) -> None:
        """
        Pull it out; harmless if it is out.

        @param error: An errno that the transfers under way fail with first.
        """
        self.phone.unplug(error)

    def replug(self) -> Any:
        """
        Pull it out and plug it in again.
        """
        self.unplug()
        return self.plug()

    def detach(self) -> None:
        """
        Have the kernel let go of it.

        @raise CannotNow: It does not, or there is no kernel.
        """
        if not isinstance(self.bus, VirtualController):
            raise CannotNow("only a kernel's vhci_hcd can detach a phone")
        try:
            self.bus.detach(self.phone)
        except CannotPlug as problem:
            raise CannotNow(str(problem)) from problem

    def halt(self, direction: str) -> None:
        """
        Stall an endpoint of the mux interface.

        @param direction: C{in} or C{out}.
        """
        self._attachment().stall(self._endpoint(direction))

    def clear(self) -> None:
        """
        End the stalls.
        """
        attachment = self._attachment()
        for direction in ("in", "out"):
            attachment.clearHalt(self._endpoint(direction))

    def hold(self) -> None:
        """
        Answer NAK to everything.
        """
        self._attachment().hold()

    def release(self) -> None:
        """
        Go on.
        """
        self._attachment().release()

    def reset(self) -> None:
        """
        Reset every session.
        """
        self.phone.amnesia(b"")

    def transmit(self, data: bytes, end: bool) -> None:
        """
        Send the host a message that the muxer knows nothing of.

        @param end: Whether it ends; else whole packets of it are sent.
        """
        self._attachment()
        self.phone.transmit(data, end)

    def fill(self, count: int, end: bool) -> None:
        """
        The same, with this many bytes of no meaning.
        """
        self.transmit(bytes(islice(cycle(PRINTABLE), count)), end)

    def accept(self) -> None:
        """
        Tap Trust.
        """
        self.phone.trust.accept()

    def deny(self) -> None:
        """
        Tap Don't Trust.
        """
        self.phone.trust.deny()

    def lock(self) -> None:
        """
        Lock it: its passcode is asked for.
        """
        self.phone.trust.lock()

    def unlock(self) -> None:
        """
        Unlock it.
        """
        self.phone.trust.unlock()

    def reboot(self) -> None:
        """
        Restart it; also out of recovery mode.
        """
        self.phone.restart()

    def faults(self, plan: FaultPlan) -> None:
        """
        Have something else go wrong on its cable, from the next time that it is plugged in
        or configured.
        """
        self.phone.faultMachine = FaultMachine(plan)

    def stats(self) -> dict[str, Any]:
        """
        What is to be known of it.  How many transfers there were is known of a bus
        whose other end is elsewhere.
        """
        phone, muxer = self.phone, self.phone.muxer
        attachment = phone.attachment
        isPlugged = isAttached = attachment is not None and not attachment.gone
        transfers: dict[str, Any] = {}
        if IRemoteBus.providedBy(self.bus):
            remote: IRemoteBus = self.bus
            export = remote.export(phone)
            isPlugged = export is not None
            isAttached = export is not None and export.isTaken
            transfers = _transfers(remote.counters(phone))
        return {
            "udid": phone.udid,
            "serial": phone.serial,
            "mode": phone.mode,
            "plugged": isPlugged,
            "attached": isAttached,
            "config": 0 if attachment is None else attachment.configuration,
            "dialog": phone.trust.isAsking,
            "locked": phone.trust.isLocked,
            "recovery": phone.isInRecovery,
            "faults": len(phone.faultMachine.strikes),
            "violations": list(phone.violations),
            "conns": len(muxer.sessions),
            **transfers,
            "mux": {
                "version": muxer.version,
                "handshakes": muxer.handshakes,
                "in": muxer.packetsReceived,
                "out": muxer.packetsSent,
                "max_in": muxer.largestReceived,
                "pure_acks": muxer.acknowledgementsReceived,
            },
        }

    def _attachment(self) -> IAttachment:
        """
        Where it is on a host's bus.

        @raise CannotNow: It is on none, or has not been configured.
        """
        attachment = self.phone.attachment
        if attachment is None or attachment.gone:
            raise CannotNow("the phone is on no host's bus")
        return attachment

    def _endpoint(self, direction: str) -> int:
        attachment = self._attachment()
        if not attachment.configuration:
            raise CannotNow("the phone is not configured: it has no such endpoint")
        out, incoming = self.phone.endpoints
        return incoming if direction == "in" else out


def _transfers(counters: TransferCounters) -> dict[str, Any]:
    """
    What hosts have done with a phone.
    """
    return {
        "usb": {
            "out_urbs": counters.out,
            "out_zlp": counters.outEmpty,
            "in_urbs": counters.incoming,
            "unlinks": counters.unlinked,
            "stalls": counters.stalled,
            "ctrl": counters.control,
        },
        "max_in_urbs": counters.mostIncoming,
    }
