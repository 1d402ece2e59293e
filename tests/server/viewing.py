"""
What the tests of views have in common: phones at ports, and clients with a view.
"""

from __future__ import annotations

from dataclasses import replace

from muxd.identity import DeviceIdentity, Selection
from muxd.server.factory import Entrance
from muxd.server.view import View
from muxd.server.viewgrammar import viewFromWords
from muxd.testing import BudgetTransport, FakeDevice, fakeIdentity
from muxd.wire.messages import plistMessage
from tests.server.serving import Client, ServingTestCase, plist


def identity(number: int, port: str = "", connectionType: str = "USB") -> DeviceIdentity:
    """
    The identity of a phone that is plugged in somewhere.
    """
    return replace(fakeIdentity(number, connectionType=connectionType), portPath=port)


def udid(number: int) -> str:
    """
    The UDID of that phone.
    """
    return fakeIdentity(number).udid


def only(*numbers: int) -> View:
    """
    A view of these phones.
    """
    return View(only=Selection.fromWords(udid(number) for number in numbers))


def view(**options: str) -> View:
    """
    A view as it is written behind the description of an address.
    """
    return viewFromWords({key: value.split(",") for key, value in options.items()}, {})


class ViewTestCase(ServingTestCase):
    """
    A server with three phones, at the ports 1-1, 1-2 and 2-1, and clients with views.
    """

    def setUp(self) -> None:
        """
        Make the server.
        """
        super().setUp()
        self.registry.deviceDetached(self.phone)
        self.phones = {
            number: self.plug(number, port) for number, port in ((1, "1-1"), (2, "1-2"), (3, "2-1"))
        }

    def plug(self, number: int, port: str = "", connectionType: str = "USB") -> FakeDevice:
        """
        Attach a phone that accepts connections to its port 80.
        """
        device = FakeDevice(
            self.clock, identity(number, port, connectionType), {80: FakeDevice.ACCEPT}
        )
        self.registry.deviceAttached(device)
        return device

    def entrance(self, view: View) -> Entrance:
        """
        An address with a view.
        """
        return Entrance(self.factory, self.factory.audienceOf(view, "of the test"))

    def viewer(self, entrance: Entrance) -> Client:
        """
        A client that comes in there.
        """
        return Client(BudgetTransport.connect(self.clock, entrance))

    def listens(self, entrance: Entrance) -> Client:
        """
        One that is told of devices from now on, and has been told what there is.
        """
        client = self.viewer(entrance)
        client.send(plistMessage({"MessageType": "Listen", "kLibUSBMuxVersion": 3}, 1))
        return client


def listed(client: Client) -> dict[int, str]:
    """
    The UDIDs that a client finds in the list of devices, by number.
    """
    devices = plist(client.ask(MessageType="ListDevices"))["DeviceList"]
    return {one["DeviceID"]: one["Properties"]["UDID"] for one in devices}


def events(client: Client) -> list[tuple[str, int]]:
    """
    The kinds and numbers of the events that a listener has received since the last call.
    """
    return [(one["MessageType"], one["DeviceID"]) for one in client.plists() if "DeviceID" in one]
