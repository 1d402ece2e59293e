# -*- test-case-name: tests.integration.test_phoneclients -*-
"""
Clients that were written elsewhere with the services of a simulated phone: the table in
F{docs/simulated-phone.md}.
"""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path

from tests.integration.conversation import PATIENCE
from tests.integration.phoneclients import ONE, PICTURE, TWO, ClientCase

PROFILE = b"\x30\x82" + plistlib.dumps({"UUID": "0A1B", "Name": "Test"}) + b"\0"

CONFIGURATION = plistlib.dumps(
    {
        "PayloadContent": [],
        "PayloadDisplayName": "Ours",
        "PayloadIdentifier": "com.example.profile",
        "PayloadType": "Configuration",
        "PayloadUUID": "0A1B",
        "PayloadVersion": 1,
    }
)


class IdeviceTests(ClientCase):
    """
    The tools of libimobiledevice, ideviceinstaller and ifuse.
    """

    def test_values(self) -> None:
        """
        C{ideviceinfo} shows values by domain.
        """
        self.says("GasGaugeCapability: true", "ideviceinfo", "-q", "com.apple.mobile.battery")
        self.says("AmountDataAvailable: ", "ideviceinfo", "-q", "com.apple.disk_usage")

    def test_installation_proxy(self) -> None:
        """
        C{ideviceinstaller} lists, installs and removes apps.
        """
        self.says("Complete", "ideviceinstaller", "-i", str(self.package))
        self.says(TWO, "ideviceinstaller", "-l")
        self.says("Complete", "ideviceinstaller", "-U", TWO)
        self.assertNotIn(TWO, self.run_("ideviceinstaller", "-l"))

    def test_afc(self) -> None:
        """
        C{ifuse} mounts the files, and those of an app.
        """
        unmount = self.program("fusermount3")
        for words, name in (((), "DCIM"), (("--container", ONE), "Documents")):
            place = self.here / "mounted"
            place.mkdir(exist_ok=True)
            self.run_("ifuse", *words, str(place))
            try:
                self.assertIn(name, [each.name for each in place.iterdir()])
                if not words:
                    self.assertTrue((place / "DCIM" / "picture").read_bytes() == PICTURE)
            finally:
                subprocess.run([unmount, "-u", str(place)], check=True, timeout=PATIENCE)

    def test_log(self) -> None:
        """
        C{idevicesyslog} shows the log.
        """
        self.goesOn("<Error>: it is dark", "idevicesyslog")

    def test_diagnostics_relay(self) -> None:
        """
        C{idevicediagnostics} shows the battery and the registry.
        """
        self.says("CycleCount", "idevicediagnostics", "diagnostics", "GasGauge")
        self.says("Voltage", "idevicediagnostics", "ioregentry", "AppleSmartBattery")
        self.says("iPhone14,5", "idevicediagnostics", "mobilegestalt", "ProductType")

    def test_screenshotr(self) -> None:
        """
        C{idevicescreenshot} takes a picture.
        """
        self.run_("idevicescreenshot", "a.png")
        self.assertPicture("a.png")

    def test_misagent(self) -> None:
        """
        C{ideviceprovision} installs, lists and removes profiles.
        """
        (self.here / "profile").write_bytes(PROFILE)
        self.run_("ideviceprovision", "install", "profile")
        self.says("1 provisioning profile", "ideviceprovision", "list")
        self.run_("ideviceprovision", "remove", "0A1B")
        self.says("0 provisioning profiles", "ideviceprovision", "list")

    def test_mobile_image_mounter(self) -> None:
        """
        C{ideviceimagemounter} uploads and mounts an image.
        """
        (self.here / "image").write_bytes(PICTURE)
        (self.here / "signature").write_bytes(b"s" * 128)
        self.says("Complete", "ideviceimagemounter", "image", "signature")
        self.says("ImagePresent: true", "ideviceimagemounter", "-l")

    def test_crashreports(self) -> None:
        """
        C{idevicecrashreport} copies crash reports, of which there are none.
        """
        self.says("Done.", "idevicecrashreport", "-k", str(self.here))

    def test_companion_proxy(self) -> None:
        """
        The library, which has no tool that does, asks for the phone's watches and is told that
        there are none.
        """
        self.assertIn("NoPairedWatches", self._compiled("companion"))

    def test_heartbeat(self) -> None:
        """
        It answers the phone's question whether it is there, which no tool does either.
        """
        self.assertIn("Marco", self._compiled("heartbeat"))

    def _compiled(self, name: str) -> str:
        """
        What a program of ours prints that uses the library.
        """
        program = self.here / name
        source = Path(__file__).parent / "services" / f"{name}.c"
        words = [self.tool("gcc"), "-o", str(program), str(source)]
        done = subprocess.run(
            [*words, "-limobiledevice-1.0", "-lplist-2.0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            self.missing(f"it does not compile: apt install libimobiledevice-dev\n{done.stderr}")
        said = subprocess.run(
            [str(program)],
            env=self.daemon.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        self.assertEqual(said.returncode, 0, said.stdout)
        return said.stdout


class IdeviceBackupTests(ClientCase):
    """
    C{idevicebackup2}.
    """

    def test_mobilebackup2(self) -> None:
        """
        It finishes a full backup, and puts it back.
        """
        (self.here / "kept").mkdir()
        self.says("Backup Successful", "idevicebackup2", "backup", "--full", "kept")
        lost = self.loseFiles()
        text = self.run_("idevicebackup2", "restore", "--no-reboot", "kept")
        self.assertIn("Restore Successful", text)
        self.assertTrue(lost.read_bytes() == PICTURE)


class RestartTests(ClientCase):
    """
    Clients that have the phone restart.
    """

    def test_restart(self) -> None:
        """
        After C{idevicediagnostics restart} it has gone and is there again.
        """
        with self.daemon.conversation() as listening:
            listening.ask("Listen", kLibUSBMuxVersion=3)
            self.assertEqual(listening.receive()["MessageType"], "Attached")
            self.run_("idevicediagnostics", "restart")
            self.assertEqual(listening.receive()["MessageType"], "Detached")
            self.assertEqual(listening.receive()["MessageType"], "Attached")


class RecoveryTests(ClientCase):
    """
    Clients that have the phone restart into recovery mode.
    """

    def test_recovery(self) -> None:
        """
        The phone leaves the daemon's list, and the daemon leaves the boot loader alone.
        """
        with self.daemon.conversation() as listening:
            listening.ask("Listen", kLibUSBMuxVersion=3)
            self.assertEqual(listening.receive()["MessageType"], "Attached")
            self.run_("pymobiledevice3", "restore", "enter")
            self.assertEqual(listening.receive()["MessageType"], "Detached")
        self.waitFor(self.daemon, "left alone: it is in recovery")
        self.assertEqual(self.run_("idevice_id", "-l"), "")


class PymobiledeviceTests(ClientCase):
    """
    pymobiledevice3.
    """

    NAME = "pymobiledevice3"

    def test_values(self) -> None:
        """
        Values are set in their domains.
        """
        self.run_(self.NAME, "lockdown", "wifi-connections", "on")
        self.says("true", self.NAME, "lockdown", "wifi-connections")

    def test_afc(self) -> None:
        """
        A file that is longer than its reads are arrives whole.
        """
        self.run_(self.NAME, "afc", "pull", "DCIM/picture", "picture")
        self.assertFetched("picture")

    def test_installation_proxy(self) -> None:
        """
        It installs, shows and removes an app.
        """
        self.run_(self.NAME, "apps", "install", str(self.package))
        self.says(TWO, self.NAME, "apps", "query", TWO)
        self.run_(self.NAME, "apps", "uninstall", TWO)

    def test_profiles(self) -> None:
        """
        It installs, lists and removes a configuration profile.
        """
        (self.here / "profile").write_bytes(CONFIGURATION)
        self.run_(self.NAME, "profile", "install", "profile")
        self.says("com.example.profile", self.NAME, "profile", "list")
        self.run_(self.NAME, "profile", "remove", "com.example.profile")

    def test_streaming_zip_conduit(self) -> None:
        """
        It installs an app as it sends it.
        """
        self.run_(self.NAME, "apps", "install", "--streaming", str(self.package))
        self.says('"CFBundleDisplayName": "Two"', self.NAME, "apps", "query", TWO)
        self.run_(self.NAME, "apps", "uninstall", TWO)

    def test_house_arrest(self) -> None:
        """
        It fetches a file of an app.
        """
        documents = self.phone / "apps" / ONE / "Documents"
        documents.mkdir(parents=True, exist_ok=True)
        (documents / "note").write_bytes(b"note")
        self.run_(self.NAME, "apps", "pull", ONE, "Documents/note", str(self.here / "note"))
        self.assertEqual((self.here / "note").read_bytes(), b"note")

    def test_log(self) -> None:
        """
        It shows the log by os_trace_relay, and by syslog_relay.
        """
        self.goesOn("it is light", self.NAME, "syslog", "live")
        self.goesOn("it is dark", self.NAME, "syslog", "live-old")

    def test_diagnostics_relay(self) -> None:
        """
        It shows the battery.
        """
        self.says("CycleCount", self.NAME, "diagnostics", "battery", "single")

    def test_screen(self) -> None:
        """
        It takes a picture, and shows icons.
        """
        self.run_(self.NAME, "developer", "screenshot", "a.png")
        self.assertPicture("a.png")
        self.says("com.apple.camera", self.NAME, "springboard", "state", "get")
        self.run_(self.NAME, "springboard", "icon", ONE, "icon.png")
        self.assertPicture("icon.png")

    def test_misagent(self) -> None:
        """
        It installs and lists profiles.
        """
        (self.here / "profile").write_bytes(PROFILE)
        self.run_(self.NAME, "provision", "install", "profile")
        self.says("0A1B", self.NAME, "provision", "list")

    def test_mobile_image_mounter(self) -> None:
        """
        It asks for what is mounted, and for what an image is personalised with.
        """
        self.says("ChipID", self.NAME, "mounter", "query-personalization-identifiers")
        self.says("[", self.NAME, "mounter", "list")

    def test_crashreports(self) -> None:
        """
        It lists crash reports.
        """
        self.run_(self.NAME, "crash", "ls")

    def test_webinspector(self) -> None:
        """
        It lists the pages that are open.
        """
        self.says("https://example.org/", self.NAME, "webinspector", "opened-tabs")

    def test_assertion_agent(self) -> None:
        """
        It has the phone stay awake until it is ended.
        """
        words = ("power-assertion", "AMDPowerAssertionTypeWirelessSync", "test", "5")
        self.goesOn("Ctrl+C", self.NAME, *words)

    def test_notification_proxy(self) -> None:
        """
        It posts a notification.
        """
        self.run_(self.NAME, "notification", "post", "com.example.notice")

    def test_companion_proxy(self) -> None:
        """
        It finds no watch.
        """
        self.says("[]", self.NAME, "companion", "list")

    def test_heartbeat(self) -> None:
        """
        It hears the phone's question whether it is there.
        """
        self.goesOn("Marco", self.NAME, "-vv", "lockdown", "heartbeat")


class PymobiledeviceBackupTests(ClientCase):
    """
    Backups by pymobiledevice3.
    """

    def test_mobilebackup2(self) -> None:
        """
        It makes one, and puts it back.
        """
        self.run_("pymobiledevice3", "backup2", "backup", "kept")
        lost = self.loseFiles()
        self.run_("pymobiledevice3", "backup2", "restore", "--no-reboot", "kept")
        self.assertTrue(lost.read_bytes() == PICTURE)


class TideviceTests(ClientCase):
    """
    tidevice.
    """

    def test_values(self) -> None:
        """
        It shows the phone, and values of a domain.
        """
        self.says("iPhone 13", "tidevice", "list")
        self.says("HasBattery", "tidevice", "info", "--domain", "com.apple.mobile.battery")
        self.says("ScreenWidth", "tidevice", "info", "--domain", "com.apple.mobile.iTunes")

    def test_installation_proxy(self) -> None:
        """
        It installs, lists and removes an app.
        """
        self.says("Complete", "tidevice", "install", str(self.package))
        self.says(TWO, "tidevice", "applist")
        self.says("Complete", "tidevice", "uninstall", TWO)

    def test_house_arrest(self) -> None:
        """
        It lists the documents of an app.
        """
        documents = self.phone / "apps" / ONE / "Documents"
        documents.mkdir(parents=True, exist_ok=True)
        (documents / "note").write_bytes(b"note")
        self.says("note", "tidevice", "fsync", "-B", ONE, "ls", "/Documents")

    def test_afc(self) -> None:
        """
        It fetches a file.
        """
        self.run_("tidevice", "fsync", "pull", "/DCIM/picture", "picture")
        self.assertFetched("picture")

    def test_log(self) -> None:
        """
        It shows the log.
        """
        self.goesOn("it is dark", "tidevice", "syslog")

    def test_screenshotr(self) -> None:
        """
        It takes a picture.
        """
        self.run_("tidevice", "screenshot", "a.png")
        self.assertPicture("a.png")

    def test_diagnostics_relay(self) -> None:
        """
        It shows the battery.
        """
        self.says("4100mV", "tidevice", "battery")


class GoTests(ClientCase):
    """
    go-ios.
    """

    def test_values(self) -> None:
        """
        It shows and sets values of several domains.
        """
        self.says('"Language":"en"', "ios", "lang")
        self.says("HasBattery", "ios", "batterycheck")
        self.says("TotalBytes", "ios", "diskspace")
        self.run_("ios", "voiceover", "enable")
        self.says('"VoiceOverTouchEnabled":true', "ios", "voiceover", "get")

    def test_afc(self) -> None:
        """
        It fetches a file.
        """
        self.run_("ios", "fsync", "pull", "--srcPath=DCIM/picture", f"--dstPath={self.here}")
        self.assertFetched("picture")

    def test_profiles(self) -> None:
        """
        It installs and lists a configuration profile.
        """
        (self.here / "profile").write_bytes(CONFIGURATION)
        self.run_("ios", "profile", "add", "profile")
        self.says("com.example.profile", "ios", "profile", "list")

    def test_streaming_zip_conduit(self) -> None:
        """
        It installs an app as it sends it, and removes it.
        """
        self.run_("ios", "install", f"--path={self.package}")
        self.says(TWO, "ios", "apps", "--list")
        self.run_("ios", "uninstall", TWO)

    def test_installation_proxy(self) -> None:
        """
        It lists apps.
        """
        self.says(ONE, "ios", "apps", "--list")

    def test_house_arrest(self) -> None:
        """
        It lists the files of an app.
        """
        self.says("Documents", "ios", "fsync", f"--app={ONE}", "tree", "--path=/")

    def test_log(self) -> None:
        """
        It shows the log by syslog_relay, and by os_trace_relay.
        """
        self.goesOn("it is dark", "ios", "syslog")
        self.goesOn("it is light", "ios", "ostrace")

    def test_diagnostics_relay(self) -> None:
        """
        It shows the battery and answers of MobileGestalt.
        """
        self.says('"Voltage":4100', "ios", "batteryregistry")
        self.says("iPhone14,5", "ios", "mobilegestalt", "ProductType")
        self.says("CycleCount", "ios", "diagnostics", "list")

    def test_mobile_image_mounter(self) -> None:
        """
        It lists what is mounted.
        """
        self.run_("ios", "image", "list")

    def test_webinspector(self) -> None:
        """
        It lists the pages that are open.
        """
        self.says("https://example.org/", "ios", "webinspector", "list")

    def test_crashreports(self) -> None:
        """
        It lists crash reports.
        """
        self.says('"length":0', "ios", "crash", "ls")
