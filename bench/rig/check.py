"""
The rig's own check: C{make check}.  A few seconds, nothing but the standard library.

An asynchronous host, in the way of a ctypes binding of libusb, talks to a
simulated phone: handshake, echo, download, upload, cancelling, unplugging.
Then it breaks the rules, and every violation must be counted.  At last a paced
bus must take the time it should.
"""

from __future__ import annotations

import ctypes as c
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BUILD = Path(__file__).resolve().parent / "build"
SYN, RST, ACK = 2, 4, 16
OUT, IN = 0x04, 0x85
COMPLETED, CANCELLED, NO_DEVICE = 0, 3, 5
ADD_ZERO_PACKET = 8
BULK = 2
INTERFACE, CONFIGURATION = 1, 4


class Transfer(c.Structure):
    """
    C{struct libusb_transfer}; its callback takes one, so its fields come later.
    """


Callback = c.CFUNCTYPE(None, c.POINTER(Transfer))
FDAdded = c.CFUNCTYPE(None, c.c_int, c.c_short, c.c_void_p)
FDRemoved = c.CFUNCTYPE(None, c.c_int, c.c_void_p)
Transfer._fields_ = [
    ("device", c.c_void_p),
    ("flags", c.c_uint8),
    ("endpoint", c.c_ubyte),
    ("type", c.c_ubyte),
    ("timeout", c.c_uint),
    ("status", c.c_int),
    ("length", c.c_int),
    ("actual", c.c_int),
    ("callback", Callback),
    ("userData", c.c_void_p),
    ("buffer", c.c_void_p),
    ("isoPackets", c.c_int),
]


class PollFD(c.Structure):
    """
    C{struct libusb_pollfd}.
    """

    _fields_ = [("fd", c.c_int), ("events", c.c_short)]


class TimeVal(c.Structure):
    """
    C{struct timeval}.
    """

    _fields_ = [("sec", c.c_long), ("usec", c.c_long)]


def pattern(size: int) -> bytes:
    """
    The test pattern of pattern.h.
    """
    x, period = 0x2545F491, bytearray()
    for _ in range(65521):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        period.append(x >> 11 & 255)
    return (bytes(period) * (size // 65521 + 1))[:size]


class Phone:
    """
    The phone program, and its control socket.
    """

    def __init__(self, directory: str) -> None:
        path = f"{directory}/control"
        command = [str(BUILD / "phone"), "--dir", directory, "--control", path]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(200):
            try:
                self.control.connect(path)
                break
            except OSError:
                time.sleep(0.01)

    def ask(self, command: str) -> Any:
        """
        One command of the control socket.
        """
        self.control.send(command.encode())
        return json.loads(self.control.recv(65536))


class Host:
    """
    An asynchronous host: reads stay posted, events come through the pollfds.
    """

    def __init__(self) -> None:
        self.usb = usb = c.CDLL(str(BUILD / "lib" / "libusb-1.0.so.0"))
        usb.libusb_alloc_transfer.restype = c.POINTER(Transfer)
        usb.libusb_get_pollfds.restype = c.POINTER(c.POINTER(PollFD))
        self.context, self.device = c.c_void_p(), c.c_void_p()
        self.fds: dict[int, int] = {}
        assert usb.libusb_init(c.byref(self.context)) == 0
        self.added = FDAdded(lambda fd, events, data: self.fds.update({fd: events}))
        self.removed = FDRemoved(lambda fd, data: self.fds.pop(fd))
        usb.libusb_set_pollfd_notifiers(self.context, self.added, self.removed, None)
        self.open()
        self.callback = Callback(self.completed)
        self.keep: list[object] = []
        self.out: list[tuple[int, int]] = []
        self.input = b""
        self.statuses: list[int] = []
        self.tx, self.rx = 0, 0xFFFF
        for _ in range(4):
            self.submit(IN, c.create_string_buffer(65536))
        self.raw(struct.pack(">IIIII", 0, 20, 2, 0, 0))
        assert self.packet(8)[0] == 0
        self.send(2, b"\x07")

    def open(self) -> None:
        """
        Open the phone, and find the fd of it announced.
        """
        usb, devices = self.usb, c.POINTER(c.c_void_p)()
        assert usb.libusb_get_device_list(self.context, c.byref(devices)) == 1
        assert usb.libusb_open(c.c_void_p(devices[0]), c.byref(self.device)) == 0
        usb.libusb_free_device_list(devices, 1)
        assert usb.libusb_set_configuration(self.device, CONFIGURATION) == 0
        assert usb.libusb_claim_interface(self.device, INTERFACE) == 0
        listed = usb.libusb_get_pollfds(self.context)
        fds: dict[int, int] = {}
        while listed[len(fds)]:
            each = listed[len(fds)].contents
            fds[each.fd] = each.events
        usb.libusb_free_pollfds(listed)
        assert self.fds.items() < fds.items(), "the opened device's fd must have been announced"
        self.fds = fds

    def submit(self, endpoint: int, buffer: c.Array[c.c_char], length: int | None = None) -> None:
        """
        Submit a bulk transfer; a read is submitted again whenever it completes.
        """
        t = self.usb.libusb_alloc_transfer(0)
        t.contents.device = self.device
        t.contents.endpoint = endpoint
        t.contents.type = BULK
        t.contents.flags = ADD_ZERO_PACKET if endpoint == OUT else 0
        t.contents.length = len(buffer) if length is None else length
        t.contents.buffer = c.addressof(buffer)
        t.contents.callback = self.callback
        self.keep += [t, buffer]
        assert self.usb.libusb_submit_transfer(t) == 0

    def completed(self, t: Any) -> None:
        """
        The callback of all transfers.
        """
        done = t.contents
        self.statuses.append(done.status)
        if done.status == COMPLETED and done.endpoint == IN:
            self.input += c.string_at(done.buffer, done.actual)
            assert self.usb.libusb_submit_transfer(t) == 0

    def events(self, seconds: float) -> None:
        """
        Wait for the fds, and let libusb handle what happened.
        """
        poll = select.poll()
        for fd, events in self.fds.items():
            poll.register(fd, events)
        poll.poll(seconds * 1000)
        zero = TimeVal(0, 0)
        self.usb.libusb_handle_events_timeout_completed(self.context, c.byref(zero), None)

    def raw(self, data: bytes) -> None:
        """
        One packet as it is.
        """
        self.submit(OUT, c.create_string_buffer(data, len(data)))

    def send(self, protocol: int, body: bytes, **wrong: int) -> None:
        """
        One mux packet; C{magic} and C{tx} may be wrong.
        """
        magic = wrong.get("magic", 0xFEEDFACE)
        head = struct.pack(
            ">IIIHH", protocol, 16 + len(body), magic, wrong.get("tx", self.tx), self.rx
        )
        self.tx += 1
        self.raw(head + body)

    def packet(self, header: int = 16, seconds: float = 5) -> tuple[int, bytes]:
        """
        The next mux packet from the phone.
        """
        end = time.monotonic() + seconds
        while len(self.input) < 8 or len(self.input) < struct.unpack_from(">I", self.input, 4)[0]:
            assert time.monotonic() < end, "the phone says nothing"
            self.events(0.1)
        protocol, length = struct.unpack_from(">II", self.input)
        packet, self.input = self.input[:length], self.input[length:]
        if header == 16:
            self.rx = struct.unpack_from(">H", packet, 12)[0]
        return protocol, packet[header:]


class Session:
    """
    One pseudo-TCP connection of a host.
    """

    def __init__(self, host: Host, sport: int, dport: int) -> None:
        self.host, self.sport, self.dport = host, sport, dport
        self.seq = self.ack = 0
        self.segment(SYN)
        self.flags = self.receive()
        if self.flags == SYN | ACK:
            self.seq, self.ack = 1, 1
            self.segment(ACK)

    def segment(self, flags: int, data: bytes = b"", seq: int | None = None, **wrong: int) -> None:
        """
        One TCP segment; C{seq} and more may be wrong.
        """
        seq = self.seq if seq is None else seq
        head = struct.pack(
            ">HHIIBBHHH", self.sport, self.dport, seq, self.ack, 5 << 4, flags, 512, 0, 0
        )
        self.seq += len(data)
        self.host.send(6, head + data, **wrong)

    def receive(self) -> int:
        """
        The next segment of this session: its flags; its bytes are C{data}.
        """
        while True:  # what is still under way to a session that was reset is not for us
            protocol, body = self.host.packet()
            assert protocol == 6, protocol
            if struct.unpack_from(">HH", body) == (self.dport, self.sport):
                self.data = body[20:]
                return body[13]

    def download(self, size: int) -> bytes:
        """
        So many bytes, or some more, each packet acknowledged.
        """
        got = bytearray()
        while len(got) < size:
            assert self.receive() == ACK
            self.ack += len(self.data)
            got += self.data
            if self.data:
                self.segment(ACK)
        return bytes(got)


def checkData(host: Host, phone: Phone) -> None:
    """
    What goes up and down arrives as it was sent.
    """
    echo = Session(host, 1, 7)
    for size in (1, 100, 476, 4096, 30000):  # 476: whole USB packets, and a zero length one
        echo.segment(ACK, pattern(size))
        assert echo.download(size) == pattern(size), f"echo of {size} bytes"
    download = Session(host, 2, 19)
    got = download.download(1 << 20)
    assert got == pattern(len(got)), "download"
    download.segment(RST)
    upload = Session(host, 3, 9)
    upload.segment(ACK, pattern(40000))
    upload.segment(ACK, pattern(80000)[40000:])
    while upload.ack < 80001 and phone.ask("total")["payload_in"] < 80000:
        host.events(0.01)
    exchange = Session(host, 5, 21)
    order = struct.pack(">IQQ", 65000, 40000, 70000)
    exchange.segment(ACK, order[:7])
    exchange.segment(ACK, order[7:] + pattern(75000)[65000:])
    exchange.segment(ACK, pattern(105000)[75000:])
    assert exchange.download(70000) == pattern(135000)[65000:], "exchange"
    stream = Session(host, 6, 23)
    begun = time.monotonic()
    stream.segment(ACK, struct.pack(">I", 600_000))
    got = stream.download(60_000)
    assert got == pattern(len(got)), "stream"
    assert time.monotonic() - begun > 0.095, "six frames of a stream came in less than their time"
    stream.segment(RST)
    refused = Session(host, 4, 12345)
    assert refused.flags == RST and b"refused" in refused.data
    assert phone.ask("total")["violations"] == 0, phone.ask("total")


def checkViolations(host: Host, phone: Phone) -> None:
    """
    Every breach of the protocol is noticed.
    """
    host.input = b""
    breaches: dict[str, dict[str, Any]] = {
        "magic": {"magic": 1},
        "tx_seq": {"tx": 4242},
        "seq": {"seq": 7, "data": b"x"},
        "flags": {"flags": ACK | 8},
        "pattern": {"data": b"not the pattern"},
        "window": {"data": b"x" * 60000},
    }
    for number, (wrong, arguments) in enumerate(breaches.items()):
        # An echo that is never read fills its window; discard never does.
        session = Session(host, 100 + number, 7 if wrong == "window" else 9)
        session.segment(arguments.pop("flags", ACK), **arguments)
        if wrong == "window":
            for _ in range(5):
                session.segment(ACK, b"x" * 60000)
        end = time.monotonic() + 2
        while wrong not in phone.ask("total")["violation"] and time.monotonic() < end:
            host.events(0.01)
        assert phone.ask("total")["violation"].get(wrong), f"not noticed: {wrong}"
        session.segment(RST)
        host.events(0.02)
        host.input = b""
    before = phone.ask("total")["violation"]["pattern"]
    exchange = Session(host, 200, 21)
    exchange.segment(ACK, struct.pack(">IQQ", 1, 4, 1) + pattern(4))
    end = time.monotonic() + 2
    while phone.ask("total")["violation"]["pattern"] == before and time.monotonic() < end:
        host.events(0.01)
    assert phone.ask("total")["violation"]["pattern"] > before, "not noticed: wrong exchange"
    exchange.segment(RST)
    host.events(0.02)
    host.input = b""


def checkUnplug(host: Host, phone: Phone) -> None:
    """
    A phone that goes ends its transfers and takes its fd away.
    """
    before = -1
    while before != len(host.statuses):  # until nothing is under way any more
        before = len(host.statuses)
        host.events(0.1)
    host.statuses.clear()
    phone.ask("unplug 0")
    end = time.monotonic() + 2
    while host.statuses.count(NO_DEVICE) < 4 and time.monotonic() < end:
        host.events(0.05)
    assert host.statuses.count(NO_DEVICE) == 4, "reads must end when the phone goes"
    assert len(host.fds) == 2, "and its fd with them"
    host.usb.libusb_close(host.device)


def checkCancel(host: Host) -> None:
    """
    A read can be cancelled, and submitted again.
    """
    host.statuses.clear()
    reads = [t for t in host.keep if hasattr(t, "contents") and t.contents.endpoint == IN]
    assert host.usb.libusb_cancel_transfer(reads[0]) == 0
    while CANCELLED not in host.statuses:
        host.events(0.1)
    assert host.usb.libusb_submit_transfer(reads[0]) == 0


def checkPace(speed: str, rate: float) -> None:
    """
    A paced bus is as fast as was asked for.
    """
    os.environ.update(FAKEUSB_SPEED=speed, FAKEUSB_MBPS=str(rate), FAKEUSB_LAT_US="100")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import check, time\n"
        "host = check.Host(); s = check.Session(host, 1, 19); s.download(1 << 20)\n"
        "begun = time.monotonic(); n = len(s.download(6 << 20))\n"
        "print(n / 1e6 / (time.monotonic() - begun))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).resolve().parent)]
    measured = float(subprocess.run(command, check=True, capture_output=True).stdout)
    # Never faster than the bus; how much slower is up to what else the machine does.
    assert 0.4 * rate < measured < 1.03 * rate, f"{measured:.1f} MB/s on a bus of {rate:g}"


def main() -> None:
    """
    All checks on one phone.
    """
    with tempfile.TemporaryDirectory(prefix="rig-check-") as directory:
        os.environ["FAKEUSB_DIR"] = directory
        phone = Phone(directory)
        try:
            host = Host()
            checkCancel(host)
            checkData(host, phone)
            checkViolations(host, phone)
            checkUnplug(host, phone)
            phone.ask("plug 0")
            checkPace("high", 20)
        finally:
            phone.process.terminate()
            phone.process.wait()
    print("the rig is fine")


if __name__ == "__main__":
    main()
