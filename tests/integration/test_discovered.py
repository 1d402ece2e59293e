# -*- test-case-name: tests.integration.test_discovered -*-
"""
Hosts that announce their usbmuxd: two network namespaces, and real multicast.
"""

from __future__ import annotations

from tests.integration.test_wifi import THEIRS, NetworkCase


class DiscoveredTests(NetworkCase):
    """
    Two daemons that have been told nothing of each other.
    """

    def test_found(self) -> None:
        """
        A phone of the one that announces itself is listed by the one that looks, and reached
        through it; and is gone with its host.
        """
        far, near = self.makeDaemon(), self.makeDaemon()
        place = f"tcp:5000:interface={THEIRS[0]}:insecure=yes:announce=yes"
        self.runIn(
            self.there,
            far,
            *("usbmuxd", "--source", "simulated", "--listen", place),
            *far.arguments,
        )
        (udid,) = far.devices(1)
        self.runIn(
            self.here,
            near,
            *("usbmuxd", "--source", "remote:mdns:insecure=yes:grace=0.5"),
            *near.arguments,
        )
        self.assertEqual(list(near.devices(1)), [udid])
        told = self.askIn(self.here, near, "ideviceinfo", "-u", udid, "-k", "UniqueDeviceID")
        self.assertEqual(told.strip(), udid)
        self.stop(far)
        self.waitFor(near, f"{udid} detached")
        self.stop(near)
