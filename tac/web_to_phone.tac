"""
A web application with the daemon in it: what is asked for below /phone/ is
fetched from a web server on the phone (such as WebDriverAgent, port 8100)::

    twistd -ny tac/web_to_phone.tac
    curl http://127.0.0.1:8080/phone/status

There is no socket between the two: C{phones.endpoint(port)} is a Twisted client
endpoint like any other, and goes to the phone from within this process.

Settings, from the environment:

 - MUXD_WEB: where browsers connect; by default tcp:8080:interface=127.0.0.1
 - MUXD_SOURCE: where phones come from; by default a simulated one, which has a
   small web server of its own, so that this runs anywhere.  Set it to usb.
 - MUXD_PORT: the phone's port; by default 8100
 - MUXD_UDID: which phone; by default the only one
"""

import os

from twisted.application.service import Application
from twisted.application.strports import service as listen
from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import Data
from zope.interface import implementer

from muxd import MuxService
from muxd.phone import SimulatedSource

WEB = os.environ.get("MUXD_WEB", "tcp:8080:interface=127.0.0.1")
SOURCE = os.environ.get("MUXD_SOURCE", "simulated")
PORT = int(os.environ.get("MUXD_PORT", "8100"))
UDID = os.environ.get("MUXD_UDID")


@implementer(IAgentEndpointFactory)
class PhoneEndpoints:
    """
    Has an HTTP client connect to a phone, whatever host the URL names.
    """

    def __init__(self, phones):
        self.phones = phones

    def endpointForURI(self, uri):
        return self.phones.endpoint(uri.port, UDID)


class Body(Protocol):
    """
    Passes the phone's answer on, no faster than the browser takes it.
    """

    def __init__(self, request):
        self.request = request

    def connectionMade(self):
        if self.request.channel is None:
            # The browser has gone meanwhile.
            self.transport.stopProducing()
        else:
            self.request.registerProducer(self.transport, True)

    def dataReceived(self, data):
        self.request.write(data)

    def connectionLost(self, reason):
        if self.request.channel is None:
            return
        self.request.unregisterProducer()
        if reason.check(ResponseDone):
            self.request.finish()
        else:
            # Cut off, so that nobody takes this for all of it.
            self.request.loseConnection()


class Phone(Resource):
    """
    The phone's web server, as a part of ours.
    """

    isLeaf = True

    def __init__(self, agent):
        super().__init__()
        self.agent = agent

    def render_GET(self, request):
        path = b"/" + b"/".join(request.postpath)
        fetching = self.agent.request(b"GET", b"http://phone:%d%s" % (PORT, path))
        request.notifyFinish().addErrback(lambda _: fetching.cancel())
        fetching.addCallbacks(self.answer, self.fail, [request], None, [request])
        return NOT_DONE_YET

    def answer(self, response, request):
        request.setResponseCode(response.code)
        for value in response.headers.getRawHeaders(b"content-type", ()):
            request.setHeader(b"content-type", value)
        response.deliverBody(Body(request))

    def fail(self, failure, request):
        # The browser may have gone, and that be the reason.
        if request.channel is not None:
            request.setResponseCode(502)
            request.write(failure.getErrorMessage().encode() + b"\n")
            request.finish()


application = Application("web_to_phone")
phones = MuxService(reactor, sources=[SOURCE])
phones.setServiceParent(application)

for source in phones.sources:
    if isinstance(source, SimulatedSource):
        page = Resource()
        page.putChild(b"status", Data(b"hello from the phone\n", "text/plain"))
        source.phones[0].services[PORT] = Site(page)

root = Resource()
pool = HTTPConnectionPool(reactor, persistent=False)
agent = Agent.usingEndpointFactory(reactor, PhoneEndpoints(phones), pool)
root.putChild(b"phone", Phone(agent))
listen(WEB, Site(root), reactor=reactor).setServiceParent(application)
