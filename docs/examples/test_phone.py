"""
Tests with pytest of programs that use a phone::

    pytest docs/examples/test_phone.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from muxd.client import NoPhone, PortRefused, connect, devices
from muxd.testing import SimulatedPhone, Simulation


def test_time(simulated_phone: SimulatedPhone) -> None:
    """
    The phone is found in the usual way, and knows the time.
    """
    assert [device.udid for device in devices()] == [simulated_phone.udid]
    with connect(13) as daytime:
        assert b":" in daytime.recv(100)


def test_unplugged(simulated_phone: SimulatedPhone) -> None:
    """
    A phone can be pulled out while it is used, and plugged in again.
    """
    with connect(7) as echo:
        echo.sendall(b"hello")
        assert echo.recv(100) == b"hello"
        simulated_phone.unplug()
        assert echo.recv(100) == b""
    with pytest.raises(NoPhone):
        connect(7)
    simulated_phone.plug()
    connect(7).close()


def test_service(simulated_phone: SimulatedPhone) -> None:
    """
    The test itself can be what listens on the phone.
    """
    with simulated_phone.listen(1234) as service, connect(1234) as program:
        accepted, _ = service.accept()
        accepted.sendall(b"from the phone")
        assert program.recv(100) == b"from the phone"
        accepted.close()
    simulated_phone.refuse(1234)
    with pytest.raises(PortRefused):
        connect(1234)


class Status(BaseHTTPRequestHandler):
    """
    What a web server on the phone would say.
    """

    def do_GET(self) -> None:
        """
        Answer one request.
        """
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


def test_webServer(simulated_phone: SimulatedPhone) -> None:
    """
    Any server on this machine can be a server on the phone.
    """
    server = HTTPServer(("127.0.0.1", 0), Status)
    Thread(target=server.serve_forever, daemon=True).start()
    simulated_phone.forward(8100, server.server_port)
    http = HTTPConnection("phone")
    http.sock = connect(8100)
    http.request("GET", "/status")
    assert http.getresponse().read() == b"ok"
    http.close()
    server.shutdown()
    server.server_close()


@pytest.mark.muxd(count=2)
def test_program(muxd_daemon: Simulation) -> None:
    """
    A program in a process of its own uses the same daemon.
    """
    command = [sys.executable, "-m", "muxd.muxctl", "list"]
    listing = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    for phone in muxd_daemon.phones:
        assert phone.udid in listing.stdout
