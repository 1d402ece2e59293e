# -*- test-case-name: tests.phone.services.test_images -*-
"""
C{com.apple.mobile.mobile_image_mounter}: developer images, of which any is taken: nothing is done
with them but to remember that they are mounted.
"""

from __future__ import annotations

import hashlib
from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.lockdown.trust import Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.requests import RequestService

LARGEST = 8 << 30
"""Bytes of an image; they are counted and not kept."""

MOST_MOUNTED = 16

AMFI = "com.apple.security.mac.amfi"

PLACES = {"Developer": "/Developer", "Personalized": "/System/Developer"}


class Images:
    """
    What is mounted on a phone; the signature of each image by its type.
    """

    def __init__(self, values: PhoneValues, trust: Trust) -> None:
        self.values = values
        self.trust = trust
        self.received: set[str] = set()
        self.mounted: dict[str, bytes] = {}

    @property
    def hasDeveloperMode(self) -> bool:
        """
        Whether images may be mounted: before iOS 16 there is no such mode, and they may.
        """
        values = self.values.domain(AMFI, isTrusted=True)
        return values.get("DeveloperModeStatus", True) is True


class ImageMounter(RequestService):
    """
    One host.
    """

    keyword = "Command"

    def __init__(self, images: Images) -> None:
        self._images = images
        self._left = 0
        self._kind = ""

    def dataReceived(self, data: bytes) -> None:
        """
        A request, or a part of an image.
        """
        while data and not self._isClosed:
            if not self._left:
                super().dataReceived(data)
                # What comes behind a request for it is the image.
                data, self._unprocessed = (
                    self._unprocessed,
                    b"" if self._left else self._unprocessed,
                )
                if not self._left:
                    return
                self.paused = False
            taken = min(len(data), self._left)
            self._left -= taken
            data = data[taken:]
            if not self._left:
                self._images.received.add(self._kind)
                self.sendValues({"Status": "Complete"})

    def ask_LookupImage(self, request: Message) -> Message:
        """
        Whether an image of a type is mounted.
        """
        signature = self._images.mounted.get(_kindOf(request))
        if signature is None:
            return {"Status": "Complete", "ImagePresent": False, "ImageSignature": []}
        return {"Status": "Complete", "ImagePresent": True, "ImageSignature": [signature]}

    def ask_CopyDevices(self, request: Message) -> Message:
        """
        What is mounted.
        """
        entries: list[dict[str, Any]] = [
            {
                "DiskImageType": kind,
                "ImageSignature": signature,
                "IsMounted": True,
                "MountPath": PLACES.get(kind, f"/{kind}"),
            }
            for kind, signature in self._images.mounted.items()
        ]
        return {"Status": "Complete", "EntryList": entries}

    def ask_ReceiveBytes(self, request: Message) -> Message:
        """
        Take an image, which follows.
        """
        size = request.get("ImageSize")
        if type(size) is not int or not 0 < size <= LARGEST:
            return _refusal(
                "InvalidArguments", f"ImageSize: expected 1 to {LARGEST}, got {size!r:.40}"
            )
        self._left, self._kind = size, _kindOf(request)
        self.paused = True
        return {"Status": "ReceiveBytesAck"}

    def ask_MountImage(self, request: Message) -> Message:
        """
        Mount an image that has been taken.
        """
        images, kind = self._images, _kindOf(request)
        if images.trust.isLocked:
            return _refusal("DeviceLocked", "Device is locked")
        if not images.hasDeveloperMode:
            return _refusal("InternalError", "Developer mode is not enabled")
        if kind in images.mounted:
            return _refusal("ImageMountFailed", f"The image of type {kind} is already mounted")
        if kind not in images.received or len(images.mounted) >= MOST_MOUNTED:
            return _refusal("ImageMountFailed", f"No image of type {kind} has been received")
        signature = request.get("ImageSignature")
        images.mounted[kind] = signature if isinstance(signature, bytes) else b""
        return {"Status": "Complete"}

    def ask_UnmountImage(self, request: Message) -> Message:
        """
        Unmount an image by where it is.
        """
        path = request.get("MountPath")
        for kind in self._images.mounted:
            if path == PLACES.get(kind, f"/{kind}"):
                del self._images.mounted[kind]
                return {"Status": "Complete"}
        return _refusal("InternalError", f"There is no matching entry for {path!r:.80}")

    def ask_QueryDeveloperModeStatus(self, request: Message) -> Message:
        """
        Whether the phone is in developer mode.
        """
        return {"Status": "Complete", "DeveloperModeStatus": self._images.hasDeveloperMode}

    def ask_QueryNonce(self, request: Message) -> Message:
        """
        What an image has to be personalised with: the same each time.
        """
        udid = str(self._images.values.get("UniqueDeviceID"))
        nonce = hashlib.sha384(udid.encode()).digest()[:32]
        return {"Status": "Complete", "PersonalizationNonce": nonce}

    def ask_QueryPersonalizationIdentifiers(self, request: Message) -> Message:
        """
        What else.
        """
        values = self._images.values
        identifiers = {
            "BoardId": values.get("BoardId") or 0,
            "ChipID": values.get("ChipID") or 0,
            "SecurityDomain": 1,
            "UniqueChipID": values.get("UniqueChipID") or 0,
        }
        return {"Status": "Complete", "PersonalizationIdentifiers": identifiers}

    def ask_QueryPersonalizationManifest(self, request: Message) -> Message:
        """
        There is none: the host has to ask for one.
        """
        return _refusal("InternalError", "There is no manifest for this image")

    def ask_Hangup(self, request: Message) -> None:
        """
        The host leaves.
        """
        self.sendValues({"Goodbye": True})
        self.close()


def _kindOf(request: Message) -> str:
    kind = request.get("ImageType")
    return kind[:64] if isinstance(kind, str) else "Developer"


def _refusal(name: str, detail: str) -> Message:
    return {"Error": name, "DetailedError": detail}
