"""
Tests of L{muxd.phone.services.own}.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import IPhoneService
from muxd.phone.iphone import Phone
from muxd.phone.services import own
from muxd.phone.services.own import parseServices

NAME = "com.example.thing"
HERE = "tests.phone.services.test_own"


class Greeting(Protocol):
    """
    A protocol.
    """


factory: Factory[Any] = Factory.forProtocol(Greeting)


class GreetingFactory(Factory):
    """
    A class of factories.
    """

    protocol = Greeting


def makeFactory() -> Factory[Any]:
    """
    Make a factory.
    """
    return factory


def makeNothing() -> None:
    """
    Make no factory.
    """


@implementer(IPlugin, IPhoneService)
class Plugged:
    """
    A service of a plugin.
    """

    name = NAME

    def makeFactory(self, phone: Any) -> Any:
        """
        One for a phone.
        """
        self.phone = phone
        return Factory.forProtocol(Echo)


class ParseTests(SynchronousTestCase):
    """
    Tests of L{parseServices}.
    """

    def test_imported(self) -> None:
        """
        Whatever leads to a factory will do.
        """
        for name in ("factory", "Greeting", "GreetingFactory", "makeFactory"):
            make = parseServices(f"{NAME}={HERE}:{name}")[NAME]
            self.assertIsInstance(make(None).buildProtocol(None), Greeting)

    def test_several(self) -> None:
        """
        Several have commas between them.
        """
        found = parseServices(f"a={HERE}:factory,b={HERE}:Greeting")
        self.assertEqual(sorted(found), ["a", "b"])

    def test_plugin(self) -> None:
        """
        A name alone is that of a plugin, which is given the phone.
        """
        plugin = Plugged()
        verifyObject(IPhoneService, plugin)
        self.patch(own, "getPlugins", lambda interface: [plugin])
        phone = Phone(Clock(), extra=parseServices(NAME))
        self.addCleanup(phone.stop)
        self.assertIs(plugin.phone, phone)
        service = phone.ports.find(NAME)
        assert service is not None
        self.assertTrue(service.ssl and service.secure)

    def test_wrong(self) -> None:
        """
        What leads nowhere is said at once.
        """
        for text in (
            "",
            "no such plugin",
            "none",
            f"{NAME}=",
            f"{NAME}=none:factory",
            f"{NAME}={HERE}:none",
            f"{NAME}={HERE}",
            f"{NAME}={HERE}:NAME",
        ):
            error = self.assertRaises(ValueError, parseServices, text)
            self.assertTrue(str(error).startswith("service: "), text)
            if text.startswith(NAME):
                self.assertIn(f"service: {NAME}: ", str(error))
        make = parseServices(f"{NAME}={HERE}:makeNothing")[NAME]
        self.assertRaises(ValueError, make, None)

    def test_notImported(self) -> None:
        """
        A module that cannot be imported, for whatever reason, is named with its service and why.
        """
        error = self.assertRaises(ValueError, parseServices, "x=nomod:f")
        self.assertEqual(
            str(error),
            "service: x: the module 'nomod' cannot be imported: No module named 'nomod'",
        )
        directory = self.mktemp()
        os.mkdir(directory)
        with open(os.path.join(directory, "muxdtestbroken.py"), "w") as file:
            file.write("raise RuntimeError('one\\ntwo')\n")
        self.patch(sys, "path", [directory, *sys.path])
        error = self.assertRaises(ValueError, parseServices, "x=muxdtestbroken:f")
        self.assertIn("RuntimeError: one", str(error))
        self.assertNotIn("\n", str(error))
