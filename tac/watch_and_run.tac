"""
Start a program whenever a phone is plugged in::

    MUXD_RUN='idevicesyslog -u $UDID' twistd -ny tac/watch_and_run.tac

The program gets SIGTERM when the phone is gone; what it prints is logged.

Settings, from the environment:

 - MUXD_RUN: what to run, a shell command; in it UDID is the phone's.  By default it
   says hello.
 - USBMUXD_SOCKET_ADDRESS: where the daemon is; it need not be there yet.
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from zope.interface import implementer

from muxd.client import DeviceObserverMixin, DeviceWatcher, IDeviceObserver

RUN = os.environ.get("MUXD_RUN", 'echo "hello, $UDID"')

log = Logger("watch_and_run")


class Program(ProcessProtocol):
    """
    A running program.
    """

    def __init__(self, udid):
        self.udid = udid

    def outReceived(self, data):
        log.info("{udid}: {text}", udid=self.udid, text=data.decode(errors="replace").rstrip())

    errReceived = outReceived

    def processEnded(self, reason):
        log.info("{udid}: {end}", udid=self.udid, end=reason.getErrorMessage())


@implementer(IDeviceObserver)
class Runner(DeviceObserverMixin):
    """
    Starts and stops programs as phones come and go.
    """

    def __init__(self):
        self.processes = {}

    def deviceAttached(self, device):
        environment = {**os.environ, "UDID": device.udid}
        self.processes[device.deviceID] = reactor.spawnProcess(
            Program(device.udid), "/bin/sh", ["sh", "-c", RUN], environment
        )

    def deviceDetached(self, device):
        try:
            self.processes.pop(device.deviceID).signalProcess("TERM")
        except ProcessExitedAlready:
            pass


application = Application("watch_and_run")
DeviceWatcher(reactor, Runner()).setServiceParent(application)
