"""
A program without Twisted that uses the machine's daemon: prints which phones there are,
and what time it is on the one whose UDID it is given, or on the only one.

    python docs/examples/script.py [UDID]
"""

from __future__ import annotations

import sys

from muxd.client import UsbmuxError, connect, devices

DAYTIME = 13
"""A port of each simulated phone, which sends the time of day."""


def main(udid: str | None = None) -> int:
    """
    Ask a phone for the time.

    @return: the exit status.
    """
    try:
        for device in sorted(devices(), key=lambda device: device.udid):
            print(f"{device.udid} ({device.connectionType})")
        with connect(DAYTIME, udid) as phone, phone.makefile() as lines:
            print(lines.readline().strip())
    except UsbmuxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
