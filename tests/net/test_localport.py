# -*- test-case-name: tests.net.test_localport -*-
"""
Tests of L{muxd.net.localport}.
"""

from __future__ import annotations

import errno
import os
import socket

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from muxd.net.listening import ListeningEndpoint
from muxd.net.localport import ATTEMPTS, LOOPBACKS, LocalPort, localAddresses
from muxd.net.socketfile import CannotListen


class Opened(ListeningEndpoint):
    """
    What listens somewhere, in words.
    """

    def __init__(self, place: tuple[str, int], number: int) -> None:
        self.place = place
        self.number = number

    @property
    def portNumber(self) -> int:
        """
        As it was told.
        """
        return self.number


class Machine:
    """
    A machine on which not everything can be listened on.

    @ivar errors: By address and port, what to fail with.
    @ivar listening: What is listened on, in its order.
    @ivar given: The last port that was given where any would do.
    """

    def __init__(self) -> None:
        self.errors: dict[tuple[str, int], int] = {}
        self.listening: list[tuple[str, int]] = []
        self.given = 40000

    def listen(self, address: str, port: int) -> Opened:
        """
        Listen, if that is possible.
        """
        place = (address, port)
        number = self.errors.get(place, 0)
        if number:
            problem = CannotListen(f"{place}: {os.strerror(number)}")
            problem.__cause__ = CannotListenError("", 0, OSError(number, os.strerror(number)))
            raise problem
        self.listening.append(place)
        if not port:
            self.given += 1
            port = self.given
        return Opened(place, port)

    def close(self, opened: Opened) -> None:
        """
        Listen no more.
        """
        self.listening.remove(opened.place)

    def open(self, local: LocalPort) -> list[int]:
        """
        Listen on all of it.

        @return: the ports.
        """
        return [one.number for one in local.open(self.listen, self.close)]


class LocalPortTests(SynchronousTestCase):
    """
    Tests of L{LocalPort}.
    """

    def setUp(self) -> None:
        """
        A machine that lets everything be.
        """
        self.machine = Machine()

    def test_both(self) -> None:
        """
        It is both loopbacks.
        """
        self.assertEqual(self.machine.open(LocalPort(7007)), [7007, 7007])
        self.assertEqual(self.machine.listening, [("127.0.0.1", 7007), ("::1", 7007)])

    def test_anyPort(self) -> None:
        """
        The port that is given at the first address is taken at the next.
        """
        self.assertEqual(self.machine.open(LocalPort(0)), [40001, 40001])
        self.assertEqual(self.machine.listening, [("127.0.0.1", 0), ("::1", 40001)])

    def test_anotherPort(self) -> None:
        """
        If that one is taken there, another is tried, and nothing of the first stays.
        """
        for port in (40001, 40002):
            self.machine.errors[("::1", port)] = errno.EADDRINUSE
        self.assertEqual(self.machine.open(LocalPort(0)), [40003, 40003])
        self.assertEqual(self.machine.listening, [("127.0.0.1", 0), ("::1", 40003)])

    def test_noPort(self) -> None:
        """
        That is tried so often, and no more; what cannot be helped is not tried again.
        """
        for port in range(40001, 41000):
            self.machine.errors[("::1", port)] = errno.EADDRINUSE
        self.assertRaises(CannotListen, self.machine.open, LocalPort(0))
        self.assertEqual((self.machine.given, self.machine.listening), (40000 + ATTEMPTS, []))
        self.machine.errors[("::1", 40001 + ATTEMPTS)] = errno.EACCES
        self.assertRaises(CannotListen, self.machine.open, LocalPort(0))
        self.assertEqual((self.machine.given, self.machine.listening), (40001 + ATTEMPTS, []))

    def test_taken(self) -> None:
        """
        A port that is taken at one of them is a problem, and the other is given up.
        """
        self.machine.errors[("::1", 7007)] = errno.EADDRINUSE
        error = self.assertRaises(CannotListen, self.machine.open, LocalPort(7007))
        self.assertIn("Address already in use", str(error))
        self.assertEqual(self.machine.listening, [])

    def test_missing(self) -> None:
        """
        One of the loopbacks may be missing: not every machine has IPv6.
        """
        for number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            for port in (7007, 0):
                self.machine = Machine()
                self.machine.errors = dict.fromkeys(
                    [("::1", each) for each in (7007, 40001)], number
                )
                self.assertEqual(len(self.machine.open(LocalPort(port))), 1)
        self.machine = Machine()
        self.machine.errors[("127.0.0.1", 7007)] = errno.EADDRNOTAVAIL
        self.assertEqual(self.machine.open(LocalPort(7007)), [7007])

    def test_bothMissing(self) -> None:
        """
        Not both of them.
        """
        for address in LOOPBACKS:
            self.machine.errors[(address, 7007)] = errno.EADDRNOTAVAIL
        self.assertRaises(CannotListen, self.machine.open, LocalPort(7007))

    def test_askedFor(self) -> None:
        """
        Nor one that was asked for alone, or another address.
        """
        self.machine.errors[("::1", 7007)] = errno.EADDRNOTAVAIL
        self.machine.errors[("192.0.2.1", 7007)] = errno.EADDRNOTAVAIL
        for addresses in (("::1",), (*LOOPBACKS, "192.0.2.1")):
            self.assertRaises(CannotListen, self.machine.open, LocalPort(7007, addresses))
            self.assertEqual(self.machine.listening, [])


class RealPortTests(TestCase):
    """
    The same with this machine's sockets.
    """

    async def test_samePort(self) -> None:
        """
        A port that is given is the same on both loopbacks, and leads to one service.
        """
        factory = Factory.forProtocol(Protocol)

        def listen(address: str, port: int) -> ListeningEndpoint:
            endpoint = ListeningEndpoint.atAddress(reactor, address, port)
            endpoint.open(factory, lambda error: None)
            return endpoint

        opened = LocalPort(0).open(listen, ListeningEndpoint.close)
        try:
            (port,) = {one.portNumber for one in opened}
            assert port is not None
            for address in LOOPBACKS[: len(opened)]:
                socket.create_connection((address, port)).close()
        finally:
            await gatherResults([one.close() for one in opened])
        if len(opened) < 2:
            raise SkipTest("this machine has one loopback")

    async def test_problem(self) -> None:
        """
        What is in the way is known by its number, however it is worded.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = ListeningEndpoint.atAddress(reactor, *taken.getsockname())
            error = self.assertRaises(
                CannotListen, endpoint.open, Factory.forProtocol(Protocol), lambda error: None
            )
        assert isinstance(error.__cause__, CannotListenError)
        self.assertEqual(error.__cause__.socketError.errno, errno.EADDRINUSE)


class LocalAddressesTests(SynchronousTestCase):
    """
    Tests of L{localAddresses}.
    """

    def test_addresses(self) -> None:
        """
        Each is there once, and none that another includes.
        """
        for words, expected in (
            ([], LOOPBACKS),
            (["localhost"], LOOPBACKS),
            (["127.0.0.1"], ("127.0.0.1",)),
            (["::1", "127.0.0.1", "[::1]"], ("::1", "127.0.0.1")),
            (["192.0.2.1", "localhost"], ("192.0.2.1", *LOOPBACKS)),
            (["127.0.0.1", "0.0.0.0"], ("0.0.0.0",)),
            (["localhost", "0.0.0.0"], ("::1", "0.0.0.0")),
            (["localhost", "0.0.0.0", "::"], ("::",)),
        ):
            self.assertEqual(localAddresses(words), expected)

    def test_wrong(self) -> None:
        """
        Names of other machines, and nothing at all, are no addresses.
        """
        for word in ("example.org", "", "[]", "127.0.0", "::g"):
            error = self.assertRaises(ValueError, localAddresses, [word])
            self.assertIn("expected an IP address of this machine (0.0.0.0", str(error))
            self.assertIn(repr(word), str(error))
