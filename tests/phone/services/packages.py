"""
Apps for tests.
"""

from __future__ import annotations

import plistlib
import zipfile
from typing import Any


def makePackage(path: str, identifier: Any = "com.example.app", **info: Any) -> None:
    """
    Make an .ipa.
    """
    values = {"CFBundleIdentifier": identifier, "CFBundleExecutable": "App", **info}
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("Payload/App.app/App", b"code")
        package.writestr("Payload/App.app/Info.plist", plistlib.dumps(values))
