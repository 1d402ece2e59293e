# -*- test-case-name: tests.integration.test_views -*-
"""
Views, the configuration file and its being read again, with a daemon in a process of its own
and clients that others have written.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from unittest import SkipTest

from tests.integration.conversation import PATIENCE, Conversation
from tests.integration.daemon import Daemon, DaemonTestCase
from tests.integration.test_tools import ECHO, FIRST, SECOND

MIB = 1 << 20

CONTAINER = """
set -e
mkdir -p "$2"
mount --bind "$1" "$2"
echo mounted
while read line; do
    USBMUXD_SOCKET_ADDRESS=UNIX:"$2"/usbmuxd idevice_id -l 2>&1 || true
    echo .
done
"""
"""A program in a mount namespace, which sees a directory of the host's at another place."""


class Streaming(threading.Thread):
    """
    A stream to the echo of a phone that carries bytes until it is told to end.

    @ivar sent: What has been sent, as a number of bytes.
    @ivar broken: What has come back wrong, or why nothing does.
    """

    CHUNK = bytes(range(256)) * 64

    def __init__(self, stream: Conversation) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.broken = ""
        self._stream = stream
        self._ending = threading.Event()

    def run(self) -> None:
        """
        Carry them.
        """
        socket = self._stream.socket
        try:
            while not self._ending.is_set():
                socket.sendall(self.CHUNK)
                self.sent += len(self.CHUNK)
                got = bytearray()
                while len(got) < len(self.CHUNK):
                    data = socket.recv(len(self.CHUNK) - len(got))
                    if not data:
                        self.broken = "it has ended"
                        return
                    got += data
                if got != self.CHUNK:
                    self.broken = "other bytes have come back"
                    return
        except OSError as error:
            self.broken = str(error)

    def end(self) -> str:
        """
        End it, and tell what was wrong.
        """
        self._ending.set()
        self.join(PATIENCE)
        return self.broken


class ViewTests(DaemonTestCase):
    """
    A daemon with two phones and a configuration file.
    """

    def configured(self, text: str) -> Daemon:
        """
        A daemon with this file, and sockets in its directory.
        """
        daemon = self.makeDaemon()
        self.write(daemon, text)
        daemon.run(
            *("usbmuxd", "--config", str(daemon.records / "muxd.toml")),
            *("--config-dir", str(daemon.records), "--source", "simulated:2"),
        )
        self.waitFor(daemon, f"{SECOND} attached")
        return daemon

    def write(self, daemon: Daemon, text: str) -> None:
        """
        Write its file.
        """
        daemon.records.mkdir(exist_ok=True)
        (daemon.records / "muxd.toml").write_text(text.replace("DIR", str(daemon.directory)))

    def reload(self, daemon: Daemon, text: str, expected: str = "configuration read again") -> None:
        """
        Have another file read.
        """
        self.write(daemon, text)
        before = daemon.log().count(expected)
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        self.waitFor(daemon, f"(?s)(.*{expected}){{{before + 1}}}")

    def at(self, daemon: Daemon, name: str) -> Daemon:
        """
        The same daemon as clients find it that connect elsewhere.
        """
        other = Daemon(daemon.directory)
        other.socket = str(daemon.directory / name)
        return other

    def test_tools(self) -> None:
        """
        Libimobiledevice's tools see the phones of the view, and are told of others what they
        are told of phones that are not there.
        """
        daemon = self.configured(
            f"""
            [[listen]]
            endpoint = "unix:DIR/s"
            [[listen]]
            endpoint = "unix:DIR/one"
            only = "{FIRST}"
            [[listen]]
            endpoint = "unix:DIR/mute"
            commands = ["list"]
            [[listen]]
            endpoint = "unix:DIR/others"
            uid = {os.getuid() + 1}
            """
        )
        listed = self.output(daemon, "idevice_id", "-l").split()
        self.assertEqual(sorted(listed), [FIRST, SECOND])
        one = self.at(daemon, "one")
        self.assertEqual(self.output(one, "idevice_id", "-l").split(), [FIRST])
        self.assertIn(FIRST, self.output(one, "ideviceinfo", "-s", "-u", FIRST))
        nobody = FIRST[:-2] + "99"
        hidden, absent = (
            self.runTool(one, "ideviceinfo", "-s", "-u", udid) for udid in (SECOND, nobody)
        )
        self.assertEqual(hidden.returncode, absent.returncode)
        self.assertEqual(
            (hidden.stdout + hidden.stderr).replace(SECOND, nobody), absent.stdout + absent.stderr
        )
        mute = self.at(daemon, "mute")
        self.assertEqual(len(self.output(mute, "idevice_id", "-l").split()), 2)
        self.assertNotEqual(self.runTool(mute, "ideviceinfo", "-s", "-u", FIRST).returncode, 0)
        others = self.at(daemon, "others")
        self.assertEqual(self.output(others, "idevice_id", "-l"), "")
        lost = self.runTool(others, "ideviceinfo", "-s", "-u", FIRST)
        self.assertIn("not found", lost.stdout + lost.stderr)
        self.waitFor(daemon, "denied to pid [0-9]+ \\(ideviceinfo\\), uid [0-9]+ in view of unix")
        self.waitFor(daemon, "ListDevices denied to pid [0-9]+ \\(idevice_id\\)")

    def test_reload(self) -> None:
        """
        While the file is read again and again, streams that may stay lose no byte; the one
        to a phone that leaves the view ends.
        """
        template = """
            [[listen]]
            endpoint = "unix:DIR/s"
            view = "lab"
            [[listen]]
            endpoint = "unix:DIR/{other}"
            [view.lab]
            only = {only}
        """
        both, first = f'["{FIRST}", "{SECOND}"]', f'["{FIRST}"]'
        daemon = self.configured(template.format(other="a", only=both))
        ids = daemon.devices(2)
        stays = Streaming(daemon.connect(ECHO, ids[FIRST]))
        goes = Streaming(daemon.connect(ECHO, ids[SECOND]))
        for each in (stays, goes):
            each.start()
        self.reload(daemon, template.format(other="b", only=both))
        self.reload(daemon, template.format(other="b", only="['nothing']"), "stays as it was")
        self.assertEqual(goes.broken, "")
        self.reload(daemon, template.format(other="a", only=first))
        goes.join(PATIENCE)
        self.assertNotEqual(goes.broken, "")
        for name in "babab":
            self.reload(daemon, template.format(other=name, only=first))
        sent = stays.sent
        while stays.sent < sent + MIB and stays.is_alive():
            stays.join(0.01)
        self.assertEqual(stays.end(), "")
        self.assertEqual(self.output(daemon, "idevice_id", "-l").split(), [FIRST])
        names = {path.name for path in daemon.directory.iterdir() if path.is_socket()}
        self.assertEqual(names, {"a.status", "b", "s"})

    def test_operations(self) -> None:
        """
        C{muxctl} has a phone released and taken back, and the file read again.
        """
        daemon = self.configured('[[listen]]\nendpoint = "unix:DIR/s"')
        done = self.muxctlSays(daemon, "release", SECOND)
        self.assertEqual(done, f"{SECOND} is released\n")
        self.assertEqual(self.output(daemon, "idevice_id", "-l").split(), [FIRST])
        self.assertEqual(self.muxctlSays(daemon, "take", SECOND), f"{SECOND} is taken back\n")
        self.assertEqual(len(daemon.devices(2)), 2)
        self.write(daemon, f'[[listen]]\nendpoint = "unix:DIR/s"\nonly = "{FIRST}"')
        self.assertIn("listening addresses: 1", self.muxctlSays(daemon, "reload"))
        self.assertEqual(self.output(daemon, "idevice_id", "-l").split(), [FIRST])

    def test_container(self) -> None:
        """
        A program in a mount namespace that has the directory of a socket, and not the
        socket, finds the daemon also after it was started again.
        """
        self.tool("idevice_id")
        unshare = shutil.which("unshare")
        if unshare is None:
            self.missing("there is no unshare: apt install util-linux")
        shared = self.makeDirectory()
        place = self.makeDirectory() / "mux"
        asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
        container = subprocess.Popen(
            [unshare, "--mount", *asRoot, "sh", "-c", CONTAINER, "sh", str(shared), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(container.communicate)
        assert container.stdin is not None and container.stdout is not None
        asking, answers = container.stdin, container.stdout
        if answers.readline() != "mounted\n":
            raise SkipTest(f"no mount namespace here: {container.communicate()[1]}")

        def listed() -> list[str]:
            asking.write("\n")
            asking.flush()
            return list(iter(lambda: answers.readline().strip(), "."))

        daemon = self.makeDaemon()
        words = ("--listen", f"unix:{shared}/usbmuxd:only={FIRST}")
        for _ in range(3):
            self.restart(daemon, *words, phones=2)
            self.assertEqual(listed(), [FIRST])
            self.stop(daemon)
            self.assertEqual(list(shared.iterdir()), [])
