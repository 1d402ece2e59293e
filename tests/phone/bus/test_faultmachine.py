"""
Tests of L{muxd.phone.bus.faultmachine}, and of its faults on a simulated bus.
"""

from __future__ import annotations

import errno

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.faultmachine import V1_FIELDS, V2_FIELDS, FaultMachine
from muxd.phone.bus.faultplan import Direction, FaultPlan
from muxd.phone.bus.handles import Handle, OpenableAttachment
from muxd.phone.bus.pipes import InPipe, OutPipe, Transfer
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.phone.iphone import Phone
from muxd.testing.gadgets import RecordingGadget
from muxd.testing.packets import Segment
from muxd.wire.mux import V2_HEADER, Flags, encodePacketV2
from tests.phone.test_iphone import ThreadClock

PACKET = 64


def machine(plan: str) -> FaultMachine:
    """
    One that follows a plan.
    """
    return FaultMachine(FaultPlan.fromString(plan))


class MachineTests(SynchronousTestCase):
    """
    Tests of L{FaultMachine}.
    """

    def strikes(self, plan: str, count: int = 1000) -> list[tuple[str, int]]:
        """
        What happens to the first transfers from the phone.
        """
        one = machine(plan)
        line = one.line(Direction.IN, PACKET)
        assert line is not None
        for _ in range(count):
            line.strike(b"packet")
        return [(strike.kind.value, strike.number) for strike in one.strikes]

    def test_number(self) -> None:
        """
        A fault with a number happens once; of two with the same, the first.
        """
        self.assertEqual(
            self.strikes("stall@in3,eproto@in3,short@in7,stall@out4"), [("stall", 3), ("short", 7)]
        )

    def test_chance(self) -> None:
        """
        One with a probability happens so often, in the same way for the same seed, and
        whatever else happens.
        """
        strikes = self.strikes("stall@in~0.1,seed=1")
        self.assertTrue(50 < len(strikes) < 150, strikes)
        self.assertEqual(strikes, self.strikes("stall@in~0.1,seed=1"))
        self.assertNotEqual(strikes, self.strikes("stall@in~0.1,seed=2"))
        both = self.strikes("stall@in~0.1,short@in3,seed=1")
        self.assertEqual([each for each in both if each[1] != 3], [s for s in strikes if s[1] != 3])

    def test_directions(self) -> None:
        """
        Directions count for themselves, and one without a fault has no line.
        """
        one = machine("stall@out1")
        self.assertIsNone(one.line(Direction.IN, PACKET))
        line = one.line(Direction.OUT, PACKET)
        assert line is not None
        line.strike(b"x" * 100)
        self.assertEqual([len(strike.head) for strike in one.strikes], [36])

    def test_goesOn(self) -> None:
        """
        The count goes on when a phone is configured or plugged in again.
        """
        one = machine("stall@in2")
        for _ in range(2):
            line = one.line(Direction.IN, PACKET)
            assert line is not None
            line.strike(b"packet")
        self.assertEqual(len(one.strikes), 1)

    def spoilt(self, plan: str, *messages: bytes) -> list[bytes]:
        """
        What becomes of messages.
        """
        line = machine(plan).line(Direction.IN, PACKET)
        assert line is not None
        result = []
        for message in messages:
            result += line.spoil(line.strike(message), message)
        return result

    def test_duplicate(self) -> None:
        """
        A packet comes twice.
        """
        self.assertEqual(self.spoilt("duplicate@in2", b"a", b"b", b"c"), [b"a", b"b", b"b", b"c"])

    def test_reorder(self) -> None:
        """
        Two packets are swapped, and one that is to be swapped with the one that waits for
        it is not: there would be no end of it.
        """
        self.assertEqual(self.spoilt("reorder@in1", b"a", b"b", b"c"), [b"b", b"a", b"c"])
        self.assertEqual(
            self.spoilt("reorder@in~1", b"a", b"b", b"c", b"d"), [b"b", b"a", b"d", b"c"]
        )

    def test_truncate(self) -> None:
        """
        The end of a packet is missing, and what there is ends inside a USB packet.
        """
        message = bytes(range(256)) * 8
        for seed in range(300):
            [cut] = self.spoilt(f"truncate@in1,seed={seed}", message)
            self.assertTrue(message.startswith(cut))
            self.assertTrue(0 < len(cut) < len(message))
            self.assertTrue(len(cut) % PACKET)

    def test_short(self) -> None:
        """
        A packet comes as two transfers.
        """
        message = bytes(range(256)) * 8
        for seed in range(100):
            one, two = self.spoilt(f"short@in1,seed={seed}", message)
            self.assertEqual(one + two, message)
            self.assertTrue(len(one) % PACKET)

    def test_garbage(self) -> None:
        """
        Garbage is a transfer of its own, or one field of the headers in which no byte is
        what it was; the payload stays.
        """
        payload = b"payload" * 20
        segment = Segment(7, 1, 1000, 2000, Flags.ACK, 131072, payload)
        message = encodePacketV2(6, segment.encode(), 3, 4)
        changed = set()
        noises = replaced = 0
        for seed in range(400):
            *before, last = self.spoilt(f"garbage@in1,seed={seed}", message)
            noises += len(before)
            if before and last == message:
                continue
            if not last.endswith(payload):
                replaced += 1
                continue
            wrong = [i for i in range(len(message)) if last[i] != message[i]]
            self.assertEqual(wrong, list(range(wrong[0], wrong[-1] + 1)))
            changed.add((wrong[0], len(wrong)))
        self.assertEqual(changed, set(V2_FIELDS))
        self.assertTrue(50 < noises < 150 and 50 < replaced < 150, (noises, replaced))
        self.assertEqual(V2_HEADER.size, 16)
        self.assertEqual(sum(size for _, size in V1_FIELDS), 28)
        self.assertEqual(sum(size for _, size in V2_FIELDS), 36)


class PipeTests(SynchronousTestCase):
    """
    What transfers of the host meet.
    """

    def read(self, pipe: InPipe) -> Transfer:
        """
        Submit a transfer.
        """
        transfer = Transfer(memoryview(bytearray(1024)))
        pipe.submit(transfer)
        return transfer

    def inPipe(self, plan: str) -> InPipe:
        """
        A pipe from the phone.
        """
        return InPipe(PACKET, machine(plan).line(Direction.IN, PACKET))

    def outPipe(self, plan: str) -> OutPipe:
        """
        A pipe to the phone.
        """
        return OutPipe(PACKET, 2, machine(plan).line(Direction.OUT, PACKET))

    def test_inErrors(self) -> None:
        """
        An error is for the oldest transfer, at its place between messages; a time-out
        leaves the message there, others lose it.
        """
        for kind, error, isKept in (
            ("timeout", errno.ETIMEDOUT, True),
            ("overflow", errno.EOVERFLOW, False),
            ("eproto", errno.EIO, False),
            ("no-device", errno.ENODEV, False),
        ):
            pipe = self.inPipe(f"{kind}@in2")
            for message in (b"one", b"two", b"three"):
                pipe.put(message)
            reads = [self.read(pipe) for _ in range(4)]
            got = [bytes(read.buffer[: read.count]) for read in reads]
            self.assertEqual([read.error for read in reads], [0, error, 0, 0])
            rest = [b"two", b"three"] if isKept else [b"three", b""]
            self.assertEqual(got, [b"one", b"", *rest], kind)
            self.assertEqual(pipe.departed, kind == "no-device")

    def test_errorOfWaiting(self) -> None:
        """
        A transfer that waits for a message that fails is told at once.
        """
        pipe = self.inPipe("eproto@in1")
        read = self.read(pipe)
        pipe.put(b"lost")
        self.assertEqual(read.error, errno.EIO)

    def test_inStall(self) -> None:
        """
        After a stall the other transfers wait, and get the message when it is cleared.
        """
        pipe = self.inPipe("stall@in1")
        first, second = self.read(pipe), self.read(pipe)
        pipe.put(b"message")
        self.assertEqual((first.error, second.done.is_set()), (errno.EPIPE, False))
        third = self.read(pipe)
        self.assertEqual(third.error, errno.EPIPE)
        pipe.clearHalt()
        self.assertEqual(bytes(second.buffer[: second.count]), b"message")

    def write(self, pipe: OutPipe, data: bytes) -> Transfer:
        """
        Submit a transfer.
        """
        transfer = Transfer(memoryview(data))
        pipe.submit(transfer)
        return transfer

    def test_outErrors(self) -> None:
        """
        What fails was not taken.
        """
        for kind, error in (
            ("stall", errno.EPIPE),
            ("timeout", errno.ETIMEDOUT),
            ("overflow", errno.EOVERFLOW),
            ("eproto", errno.EIO),
            ("no-device", errno.ENODEV),
        ):
            pipe = self.outPipe(f"{kind}@out1")
            write = self.write(pipe, b"message")
            self.assertEqual((write.error, write.count), (error, 0))
            self.assertIsNone(pipe.take())
            self.assertEqual(pipe.halted, kind == "stall")
            pipe.clearHalt()
            self.assertEqual(self.write(pipe, b"again").error, 0)
            self.assertEqual(pipe.take(), b"again")

    def test_outShort(self) -> None:
        """
        The host is told how much was taken, which is not whole USB packets, and the phone
        has that.
        """
        data = bytes(range(200))
        for seed in range(50):
            pipe = self.outPipe(f"short@out1,seed={seed}")
            write = self.write(pipe, data)
            self.assertTrue(write.count % PACKET and write.count < len(data) and not write.error)
            self.assertEqual(pipe.take(), data[: write.count])

    def test_outMessages(self) -> None:
        """
        What nobody reports happens to whole messages, however many transfers they are, and
        the empty one that ends a message is not counted.
        """
        pipe = self.outPipe("duplicate@out1,reorder@out2")
        self.write(pipe, b"x" * PACKET)
        self.write(pipe, b"")
        self.write(pipe, b"two")
        self.write(pipe, b"three")
        taken = [pipe.take() for _ in range(5)]
        self.assertEqual(taken, [b"x" * PACKET, b"x" * PACKET, b"three", b"two", None])


class BusTests(SynchronousTestCase):
    """
    What a program meets on the bus.
    """

    def plug(self, plan: str) -> tuple[SimulatedBus, RecordingGadget, OpenableAttachment, Handle]:
        """
        A phone, configured and open.
        """
        bus, phone = SimulatedBus(), RecordingGadget(iPhone(initialConfiguration=3))
        phone.faultMachine = machine(plan)
        self.patch(phone, "thrownOff", lambda: bus.unplug(phone))
        attachment = bus.plug(phone)
        return bus, phone, attachment, attachment.open()

    def test_departure(self) -> None:
        """
        A phone leaves the bus with the transfer that meets that, whichever way it goes,
        and can be plugged in again.
        """
        for plan in ("no-device@in1", "no-device@out1"):
            bus, phone, attachment, handle = self.plug(plan)
            waiting = Transfer(memoryview(bytearray(512)), handle)
            attachment.submit(MUX_IN, waiting)
            if "in1" in plan:
                phone.send(b"message")
            else:
                with self.assertRaises(OSError) as caught:
                    attachment.write(handle, MUX_OUT, memoryview(b"message"), 1)
                self.assertEqual(caught.exception.errno, errno.ENODEV)
            self.assertEqual(waiting.error, errno.ENODEV)
            self.assertEqual(bus.attachments, ())
            self.assertIsNone(phone.attachment)
            bus.plug(phone)
            # Who still holds the old place does not disturb the new one.
            attachment.send(MUX_IN, b"late")
            attachment.take(MUX_OUT)
            self.assertEqual(len(bus.attachments), 1)

    def test_waits(self) -> None:
        """
        A transfer that is begun may be taken back.
        """
        _, phone, attachment, handle = self.plug("stall@out9")
        transfer = Transfer(memoryview(bytearray(512)), handle)
        attachment.submit(MUX_IN, transfer)
        attachment.withdraw(MUX_IN, transfer)
        attachment.withdraw(MUX_IN, transfer)
        self.assertEqual(transfer.error, errno.ETIMEDOUT)
        phone.send(b"message")
        self.assertEqual(attachment.unread(MUX_IN), 7)

    def test_return(self) -> None:
        """
        A phone that was thrown off the bus comes back after a while, if it is told to; one
        that was pulled out does not, nor one that is stopped meanwhile.
        """
        for returnDelay, end, isBack in (
            (2.0, None, True),
            (None, None, False),
            (2.0, Phone.unplug, False),
            (2.0, Phone.stop, False),
        ):
            clock, bus = ThreadClock(), SimulatedBus()
            phone = Phone(
                clock,
                faultPlan=FaultPlan.fromString("no-device@in1"),
                returnDelay=returnDelay,
                initialConfiguration=3,
            )
            attachment = phone.plug(bus)
            attachment.submit(MUX_IN, Transfer(memoryview(bytearray(512)), attachment.open()))
            clock.work()
            attachment.send(MUX_IN, b"message")
            clock.work()
            self.assertEqual(bus.attachments, ())
            if end is not None:
                end(phone)
            clock.advance(2)
            self.assertEqual(len(bus.attachments), int(isBack))
            phone.stop()
            self.assertEqual(Clock.getDelayedCalls(clock), [])
