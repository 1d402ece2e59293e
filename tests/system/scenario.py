"""
The daemon on a real kernel's USB bus, with a simulated iPhone plugged into it.

Runs inside the virtual machine (see C{tests/system/run.sh}), as root::

    scenario.py [--udev] [--unconfigured] [--engine auto|threads|async]

Without C{--udev} nothing tells libusb of plugging, as in a container.  With
C{--unconfigured} the phone has no configuration when it arrives, as Debian's
udev rule for usbmuxd leaves it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import plistlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SOCKET = "/run/muxd.sock"
PHONE_CONTROL = "/run/phone.sock"
UDID = "00008110-000A1B2C3D4E5F60"
PATIENCE = 120.0
SIZE = 1 << 20


class Failed(Exception):
    """
    Something did not happen.
    """


def say(text: str) -> None:
    """
    Tell whoever watches, with the machine's uptime.
    """
    print(f"[{time.clock_gettime(time.CLOCK_BOOTTIME):7.2f}] {text}", flush=True)


def wait(what: str, condition: Callable[[], Any]) -> Any:
    """
    Poll until something is true.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = condition()
        if result:
            say(what)
            return result
        time.sleep(0.1)
    raise Failed(f"waited {PATIENCE:g} s for: {what}")


def phone(*words: str) -> Any:
    """
    Send a command to the simulated phone.
    """
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(PHONE_CONTROL)
        control.sendall((" ".join(words) + "\n").encode())
        return json.loads(control.makefile().readline())


def tool(*words: str) -> str:
    """
    Run one of libimobiledevice's programs against the daemon.
    """
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout.strip()


class Listener:
    """
    A program that listens for events.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(SOCKET)
        body = plistlib.dumps({"MessageType": "Listen", "ProgName": "scenario"})
        self._socket.sendall(struct.pack("<IIII", 16 + len(body), 1, 8, 1) + body)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        stream = self._socket.makefile("rb")
        while len(header := stream.read(16)) == 16:
            (length,) = struct.unpack_from("<I", header)
            self.events.append(plistlib.loads(stream.read(length - 16)))

    def count(self, kind: str) -> int:
        """
        How many events of this kind have come.
        """
        return sum(event.get("MessageType") == kind for event in self.events)


def echo() -> None:
    """
    Send a mebibyte to the phone's echo service and compare what comes back.
    """
    data = os.urandom(SIZE)
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(SOCKET)
        request = {"MessageType": "Connect", "DeviceID": devices()[0], "PortNumber": 7 << 8}
        body = plistlib.dumps(request)
        stream.sendall(struct.pack("<IIII", 16 + len(body), 1, 8, 1) + body)
        reply = stream.makefile("rb", buffering=0)
        header = reply.read(16)
        assert header is not None
        (length,) = struct.unpack_from("<I", header)
        result = plistlib.loads(reply.read(length - 16) or b"")
        if result["Number"] != 0:
            raise Failed(f"Connect: expected Result 0, got {result['Number']}")
        sender = threading.Thread(target=stream.sendall, args=(data,), daemon=True)
        sender.start()
        received = bytearray()
        while len(received) < SIZE:
            chunk = stream.recv(65536)
            if not chunk:
                raise Failed(f"echo: the stream ended after {len(received)} bytes")
            received += chunk
    sent, got = (hashlib.sha256(each).hexdigest() for each in (data, bytes(received)))
    if sent != got:
        raise Failed(f"echo: sent {sent}, got {got}")
    say(f"echo of {SIZE} bytes: sha256 {got}")


def devices() -> list[int]:
    """
    The ids of the phones that are there.
    """
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(SOCKET)
        body = plistlib.dumps({"MessageType": "ListDevices"})
        stream.sendall(struct.pack("<IIII", 16 + len(body), 1, 8, 1) + body)
        reply = stream.makefile("rb")
        (length,) = struct.unpack_from("<I", reply.read(16))
        return [each["DeviceID"] for each in plistlib.loads(reply.read(length - 16))["DeviceList"]]


def unconfigure() -> None:
    """
    Do what Debian's udev rule does to a phone that arrives.
    """

    def attribute() -> Path | None:
        for vendor in Path("/sys/bus/usb/devices").glob("*/idVendor"):
            if vendor.read_text().strip() == "05ac":
                return vendor.parent / "bConfigurationValue"
        return None

    wait("the kernel has the phone", attribute).write_text("0\n")


def plugAndUse(listener: Listener, times: int, isUnconfigured: bool) -> None:
    """
    One round of a phone's life.
    """
    phone("plug")
    if isUnconfigured:
        unconfigure()
    wait("the listener was told of the plug", lambda: listener.count("Attached") == times)
    wait(f"idevice_id -l: {UDID}", lambda: tool("idevice_id", "-l") == UDID)
    information = tool("ideviceinfo", "-s")
    if "ProductType: iPhone14,5" not in information:
        raise Failed(f"ideviceinfo -s: expected its ProductType, got {information!r}")
    say("ideviceinfo -s: " + ", ".join(information.splitlines()[:3]))
    echo()
    phone("unplug", *(["-71"] if times == 2 else []))
    wait("the listener was told of the unplug", lambda: listener.count("Detached") == times)


def run(arguments: argparse.Namespace) -> None:
    """
    Start everything, use it, and look at what the phone has to say.
    """
    os.environ["USBMUXD_SOCKET_ADDRESS"] = f"UNIX:{SOCKET}"
    python = sys.executable
    running = []
    if arguments.udev:
        running.append(subprocess.Popen([python, str(HERE / "vm/miniudevd.py")]))
    running.append(
        subprocess.Popen([python, str(HERE / "vm/phone.py"), "--log", "/vmout/phone.log"])
    )
    wait("the phone is there", lambda: os.path.exists(PHONE_CONTROL))
    daemon = subprocess.Popen(
        [
            *(str(Path(python).parent / "twistd"), "--nodaemon", "--pidfile="),
            *("--logfile", "/vmout/muxd.log", "usbmuxd", "-v"),
            *("--listen", f"unix:{SOCKET}", "--config-dir", "/run/lockdown"),
            *("--source", f"usb:engine={arguments.engine}"),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    wait("the daemon listens", lambda: os.path.exists(SOCKET))
    listener = Listener()
    for times in (1, 2, 3):
        plugAndUse(listener, times, arguments.unconfigured)
    stats = phone("stats")
    say(f"the phone's violations: {stats['violations']}")
    if stats["violations"]:
        raise Failed("the phone saw violations")
    daemon.send_signal(signal.SIGTERM)
    status = daemon.wait(PATIENCE)
    if status != 0 or os.path.exists(SOCKET):
        raise Failed(f"expected exit status 0 and no socket file, got {status}")
    say("the daemon ended with status 0 and left no socket file")


def main() -> int:
    """
    @return: The exit status.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--udev", action="store_true")
    parser.add_argument("--unconfigured", action="store_true")
    parser.add_argument("--engine", default="auto")
    try:
        run(parser.parse_args())
    except Failed as error:
        say(f"FAILED: {error}")
        print(Path("/vmout/muxd.log").read_text()[-6000:], flush=True)
        return 1
    say("PASSED")
    return 0


if __name__ == "__main__":
    status = main()
    # Threads that wait for sockets are no reason to stay.
    os._exit(status)
