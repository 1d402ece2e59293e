"""
What muxd plugs into Twisted: commands of C{twistd}, kinds of source, and the endpoints
C{usbmux} and C{mutualtls}.

This module is imported by every program that looks for any plugin: it must
import neither the reactor nor pyusb.
"""

from twisted.application.service import ServiceMaker

from muxd.client.parser import UsbmuxClientParser
from muxd.net.tlsparser import MutualClientParser, MutualServerParser
from muxd.phone.parser import SimulatedSourceParser
from muxd.remote.parser import RemoteSourceParser
from muxd.usb.parser import USBSourceParser
from muxd.usbip.parser import UsbipSourceParser
from muxd.wifi.parser import WifiSourceParser

usbmuxd = ServiceMaker(
    "usbmuxd",
    "muxd.tap.usbmuxd",
    "Apple's USB multiplexer: phones on USB for any program of this machine.",
    "usbmuxd",
)
tcprelay = ServiceMaker(
    "tcprelay",
    "muxd.tap.tcprelay",
    "Ports of phones as ports of this machine, by way of a usbmuxd.",
    "tcprelay",
)
iphone = ServiceMaker(
    "iphone",
    "muxd.tap.iphone",
    "Simulated iPhones for any usbmuxd: on this machine's USB bus, or over USB/IP.",
    "iphone",
)
muxhub = ServiceMaker(
    "muxhub",
    "muxd.tap.muxhub",
    "The hub of a fleet: the phones of many hosts, and their reservations.",
    "muxhub",
)
usbmux = UsbmuxClientParser()
mutualServer = MutualServerParser()
mutualClient = MutualClientParser()
usb = USBSourceParser()
simulated = SimulatedSourceParser()
remote = RemoteSourceParser()
usbip = UsbipSourceParser()
wifi = WifiSourceParser()
