"""
What muxd plugs into Twisted: a command of C{twistd}, kinds of source, and the
C{usbmux} client endpoint.

This module is imported by every program that looks for any plugin: it must
import neither the reactor nor pyusb.
"""

from twisted.application.service import ServiceMaker

from muxd.client.parser import UsbmuxClientParser
from muxd.phone.parser import SimulatedSourceParser
from muxd.usb.parser import USBSourceParser

usbmuxd = ServiceMaker(
    "usbmuxd",
    "muxd.tap.usbmuxd",
    "Apple's USB multiplexer: phones on USB for any program of this machine.",
    "usbmuxd",
)
usbmux = UsbmuxClientParser()
usb = USBSourceParser()
simulated = SimulatedSourceParser()
