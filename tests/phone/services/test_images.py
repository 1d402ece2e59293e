"""
Tests of L{muxd.phone.services.images}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.dumps import modelDump
from muxd.phone.lockdown.trust import Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.images import AMFI, ImageMounter, Images
from muxd.phone.services.notices import NoticeCentre
from tests.phone.services.hosts import PlistHost, frame

IMAGE = bytes(range(256)) * 40


class ImageMounterTests(SynchronousTestCase):
    """
    Tests of L{ImageMounter}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.trust = Trust(Clock(), NoticeCentre())
        self.values = PhoneValues(Clock(), "U", "x")
        self.images = Images(self.values, self.trust)
        self.host = PlistHost(ImageMounter(self.images))

    def upload(self, kind: str = "Developer") -> None:
        """
        Send an image.
        """
        answer = self.host.ask(Command="ReceiveBytes", ImageType=kind, ImageSize=len(IMAGE))
        self.assertEqual(answer, {"Status": "ReceiveBytesAck"})
        self.host.service.dataReceived(IMAGE[:100])
        self.assertEqual(self.host.heard(), [])
        self.host.service.dataReceived(IMAGE[100:])
        self.assertEqual(self.host.heard(), [{"Status": "Complete"}])

    def mount(self, kind: str = "Developer") -> str:
        """
        Mount it.

        @return: Status or error.
        """
        answer = self.host.ask(Command="MountImage", ImageType=kind, ImageSignature=b"s")
        return str(answer.get("Error", answer.get("Status")))

    def test_mount(self) -> None:
        """
        An image is uploaded, mounted, looked up and unmounted.
        """
        self.assertFalse(self.host.ask(Command="LookupImage")["ImagePresent"])
        self.assertEqual(self.mount(), "ImageMountFailed")
        self.upload()
        self.assertEqual(self.mount(), "Complete")
        self.assertEqual(self.host.ask(Command="LookupImage")["ImageSignature"], [b"s"])
        (entry,) = self.host.ask(Command="CopyDevices")["EntryList"]
        self.assertEqual((entry["MountPath"], entry["IsMounted"]), ("/Developer", True))
        self.assertEqual(self.mount(), "ImageMountFailed")
        answer = self.host.ask(Command="UnmountImage", MountPath="/Developer")
        self.assertEqual(answer, {"Status": "Complete"})
        answer = self.host.ask(Command="UnmountImage", MountPath="/Developer")
        self.assertIn("no matching entry", answer["DetailedError"])

    def test_atOnce(self) -> None:
        """
        An image that comes along with the request for it is not taken for requests, and what is
        behind it is none of it.
        """
        request = frame({"Command": "ReceiveBytes", "ImageType": "X", "ImageSize": len(IMAGE)})
        self.host.service.dataReceived(request + IMAGE + frame({"Command": "CopyDevices"}))
        answers = [answer["Status"] for answer in self.host.heard()]
        self.assertEqual(answers, ["ReceiveBytesAck", "Complete", "Complete"])
        self.assertIn("X", self.images.received)

    def test_notNow(self) -> None:
        """
        A locked phone mounts nothing, and neither does one that is not in developer mode.
        """
        self.upload()
        self.trust.lock()
        self.assertEqual(self.mount(), "DeviceLocked")
        self.trust.unlock()
        dump = {**modelDump("iphone-ios17"), AMFI: {"DeveloperModeStatus": False}}
        self.images.values = PhoneValues(Clock(), "U", "x", dump)
        self.assertEqual(self.mount(), "InternalError")
        self.assertFalse(self.host.ask(Command="QueryDeveloperModeStatus")["DeveloperModeStatus"])

    def test_personalisation(self) -> None:
        """
        What an image is personalised with is the phone's own, and there is no manifest.
        """
        nonce = self.host.ask(Command="QueryNonce")["PersonalizationNonce"]
        self.assertEqual(len(nonce), 32)
        answer = self.host.ask(Command="QueryPersonalizationIdentifiers")
        self.assertEqual(answer["PersonalizationIdentifiers"]["ChipID"], 33040)
        self.assertIn("Error", self.host.ask(Command="QueryPersonalizationManifest"))

    def test_wrong(self) -> None:
        """
        What makes no sense is refused, and a farewell answered.
        """
        for size in (0, -1, 1 << 60, "x", True):
            answer = self.host.ask(Command="ReceiveBytes", ImageSize=size)
            self.assertEqual(answer["Error"], "InvalidArguments")
        self.assertEqual(self.host.ask(Command="Dance"), {"Error": "UnknownCommand"})
        self.assertEqual(self.host.ask(Command="Hangup"), {"Goodbye": True})
        self.assertTrue(self.host.transport.disconnecting)
