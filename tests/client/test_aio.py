# -*- test-case-name: tests.client.test_aio -*-
"""
Tests for L{muxd.client.aio}: what is asyncio's own.  What it has in common with the
other kinds of clients is in L{tests.client.test_everyclient}.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.client import aio, blocking, socketerrors
from muxd.client.address import TCPAddress, UnixAddress
from muxd.client.answers import Attached, Detached, Event
from muxd.client.problems import Stage
from muxd.client.socketerrors import DaemonLost, NoDaemon, TimedOut, UsbmuxError
from muxd.limits import Limits
from muxd.wire.messages import HEADER, Message, parsePlist, plistMessage
from tests.client.fakedaemon import (
    PATIENCE,
    UDID,
    attached,
    detached,
    deviceEntry,
    listOf,
)
from tests.running.processes import startsProcesses
from tests.wire.results import resultMessage

Serve = Callable[[dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def openFiles() -> set[str]:
    """
    The file descriptors of this process, each with what it stands for.
    """
    if not os.path.isdir("/proc/self/fd"):
        raise SkipTest("the kernel does not tell of file descriptors")
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue
    return found


async def usual(
    values: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    A daemon with one phone, which echoes.
    """
    match values["MessageType"]:
        case "ListDevices":
            writer.write(plistMessage(listOf(deviceEntry()), 1).encode())
        case "Listen":
            writer.write(resultMessage(1, 1, 0).encode() + attached().encode())
            await reader.read()
        case "Connect":
            writer.write(resultMessage(1, 1, 0).encode() + b"hello ")
            while data := await reader.read(65536):
                writer.write(data)


class AsyncioCase(SynchronousTestCase):
    """
    Tests with a daemon in the same loop.
    """

    def setUp(self) -> None:
        """
        Choose a place for its socket.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        # A UNIX socket's path may not be long.
        self.address = UnixAddress(os.path.relpath(os.path.join(directory, "s")))

    def complete(self, test: Coroutine[Any, Any, None]) -> None:
        """
        Run a test, which is given up if it hangs.
        """
        asyncio.run(asyncio.wait_for(test, PATIENCE))

    async def daemon(self, serve: Serve = usual) -> asyncio.Server:
        """
        A daemon that answers each connection's first request.
        """

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                header = await reader.readexactly(HEADER.size)
                length, version, kind, tag = HEADER.unpack(header)
                body = await reader.readexactly(length - HEADER.size)
                values = parsePlist(Message(version, kind, tag, body).body)
                await serve(values, reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        return await asyncio.start_unix_server(connected, self.address.path)


class CancelTests(AsyncioCase):
    """
    Cancelling at every point.
    """

    async def cancelEverywhere(
        self, doing: Callable[[], Coroutine[Any, Any, Any]], atLeast: int
    ) -> None:
        """
        Cancel something after each number of turns of the loop there can be, until
        it is done before.  Each time no file descriptor is left.

        @param atLeast: How many turns it takes, so that this is known to test.
        """
        async with await self.daemon():
            await doing()
            await self.rest()
            before = openFiles()
            for turns in range(1000):
                task = asyncio.create_task(doing())
                for _ in range(turns):
                    await asyncio.sleep(0)
                finished = not task.cancel()
                await asyncio.wait([task])
                if finished:
                    break
                self.assertTrue(task.cancelled(), f"after {turns} turns: {task}")
                await self.rest()
                self.assertEqual(before, openFiles(), f"after {turns} turns")
            self.assertGreaterEqual(turns, atLeast)

    async def rest(self) -> None:
        """
        Let the daemon notice what has been closed.
        """
        for _ in range(20):
            await asyncio.sleep(0)

    def test_command(self) -> None:
        """
        A command can be cancelled at any moment.
        """
        self.complete(self.cancelEverywhere(lambda: aio.devices(address=self.address), 4))

    def test_connect(self) -> None:
        """
        Connecting can, from the first look at the list to the streams.
        """

        async def connect() -> None:
            _, writer = await aio.connect(22, address=self.address)
            writer.close()

        self.complete(self.cancelEverywhere(connect, 10))

    def test_watch(self) -> None:
        """
        Watching can, before the first event and later.
        """

        async def watch() -> None:
            async with aclosing(aio.watch(address=self.address)) as events:
                async for _ in events:
                    break

        self.complete(self.cancelEverywhere(watch, 5))

    def test_closedAtOnce(self) -> None:
        """
        The socket is closed when the cancelled task is over, not some turns later.
        """

        async def test() -> None:
            silent = asyncio.Event()

            async def serve(values: object, reader: asyncio.StreamReader, _: object) -> None:
                silent.set()
                await reader.read()

            async with await self.daemon(serve):
                closed: list[bool] = []
                close = socket.socket.close

                def noting(sock: socket.socket) -> None:
                    closed.append(True)
                    close(sock)

                task = asyncio.create_task(aio.buid(address=self.address))
                await silent.wait()
                with patch.object(socket.socket, "close", noting):
                    task.cancel()
                    await asyncio.wait([task])
                    self.assertEqual([True], closed)

        self.complete(test())

    def test_waiting(self) -> None:
        """
        Waiting for a phone, or for the daemon, can be cancelled.
        """

        async def none(
            values: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if values["MessageType"] == "ListDevices":
                writer.write(plistMessage(listOf(), 1).encode())
            else:
                writer.write(resultMessage(1, 1, 0).encode())
                listening.set()
                try:
                    await reader.read()
                finally:
                    gone.set()

        async def test() -> None:
            before = openFiles()
            task = asyncio.create_task(aio.connect(22, wait=PATIENCE, address=self.address))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())
            self.assertEqual(before, openFiles())
            async with await self.daemon(none):
                task = asyncio.create_task(aio.connect(22, wait=PATIENCE, address=self.address))
                await listening.wait()
                task.cancel()
                await gone.wait()

        listening, gone = asyncio.Event(), asyncio.Event()
        self.complete(test())


class AsyncioTests(AsyncioCase):
    """
    The rest.
    """

    def test_names(self) -> None:
        """
        It has what L{muxd.client.blocking} has, with the same errors.
        """
        self.assertEqual(blocking.__all__, aio.__all__)
        for name in aio.__all__:
            self.assertTrue(hasattr(aio, name), name)
            if hasattr(socketerrors, name):
                self.assertIs(getattr(aio, name), getattr(socketerrors, name))

    @startsProcesses
    def test_withoutTwisted(self) -> None:
        """
        It imports no Twisted.
        """
        statement = (
            "import sys, muxd.client.aio\n"
            "print([name for name in sys.modules if name.split('.')[0] in ('twisted', 'zope')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", statement],
            check=True,
            capture_output=True,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
        )
        self.assertEqual(done.stdout, "[]\n")

    def test_streams(self) -> None:
        """
        What a connection is given is asyncio's streams, with every byte, by way of
        UNIX sockets and of TCP.
        """

        async def test() -> None:
            async with await self.daemon():
                await self.talk(self.address)
            self.address = UnixAddress(self.address.path + "2")
            async with await self.daemon() as server:
                proxy = await asyncio.start_server(self.forward, "127.0.0.1", 0)
                async with proxy:
                    port = proxy.sockets[0].getsockname()[1]
                    await self.talk(TCPAddress("127.0.0.1", port))
                    await self.talk(f"localhost:{port}")
                server.close()

        self.complete(test())

    async def talk(self, address: Any) -> None:
        """
        Say something to the phone.
        """
        reader, writer = await aio.connect(22, UDID, address=address)
        writer.write(b"phone")
        writer.write_eof()
        self.assertEqual(b"hello phone", await reader.read())
        writer.close()
        await writer.wait_closed()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """
        Lead a TCP connection to the daemon.
        """
        theirs, ours = await asyncio.open_unix_connection(self.address.path)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.write_eof()

        await asyncio.gather(copy(reader, ours), copy(theirs, writer))
        ours.close()
        writer.close()

    def test_noThread(self) -> None:
        """
        No thread is started, with a UNIX socket or an address.
        """

        async def test() -> None:
            async with await self.daemon():
                await aio.devices(address=self.address)
                await self.talk(self.address)
                try:
                    await aio.devices(address=TCPAddress("127.0.0.1", 1))
                except NoDaemon:
                    return
                raise AssertionError("a daemon on port 1")

        def refuse(thread: threading.Thread) -> None:
            raise AssertionError(f"started {thread}")

        self.patch(threading.Thread, "start", refuse)
        self.complete(test())

    def test_unreachable(self) -> None:
        """
        Where no daemon is, by any kind of address, the error says so.
        """
        for address in (
            UnixAddress("/" + "x" * 300),
            TCPAddress("127.0.0.1", 1),
        ):
            with self.assertRaises(NoDaemon) as caught:
                asyncio.run(aio.devices(PATIENCE, address=address))
            self.assertIn(f"no usbmuxd at {address}", str(caught.exception))

    def test_busy(self) -> None:
        """
        A daemon whose backlog is full is tried again until the time is over.
        """
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as held:
            listening.bind(self.address.path)
            listening.listen(0)
            held.connect(self.address.path)
            with self.assertRaises(TimedOut) as caught:
                asyncio.run(aio.devices(0.05, address=self.address))
        self.assertIs(Stage.REACH, caught.exception.stage)
        self.assertIn("time-out after 0.05 s", str(caught.exception))

    def test_chatter(self) -> None:
        """
        A daemon that says more than can be read does not keep the loop, nor the
        time-out, from their work; a list that is made by listening is what there is
        then.
        """

        async def serve(
            values: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if values["MessageType"] == "ListDevices":
                writer.write(resultMessage(1, 1, 1).encode())
                return
            writer.write(resultMessage(1, 1, 0).encode())
            while True:
                writer.write((detached().encode() + attached().encode()) * 10)
                await writer.drain()

        async def test() -> None:
            async with await self.daemon(serve):
                # Unless not even the time for the first answer was enough.
                with contextlib.suppress(TimedOut):
                    found = await aio.devices(0.3, address=self.address)
                    self.assertLessEqual(len(found), 1)

        self.complete(test())

    def test_watchEnds(self) -> None:
        """
        Watching ends when its time is over, and closes its socket.
        """

        async def test() -> None:
            gone = asyncio.Event()

            async def serve(*arguments: Any) -> None:
                await usual(*arguments)
                gone.set()

            async with await self.daemon(serve):
                events = [event async for event in aio.watch(1, address=self.address)]
                self.assertEqual([Attached], [type(event) for event in events])
                await gone.wait()

        self.complete(test())

    def test_abandoned(self) -> None:
        """
        A loop over events that is left closes the socket.
        """

        async def test() -> None:
            gone = asyncio.Event()

            async def serve(*arguments: Any) -> None:
                await usual(*arguments)
                gone.set()

            async with await self.daemon(serve):
                async for _ in aio.watch(address=self.address):
                    break
                await gone.wait()

        self.complete(test())

    def test_reconnect(self) -> None:
        """
        With C{reconnect} the daemon's phones are detached when it is lost, and
        attached when it is back; it is said once.  Without, the loss is raised.
        """
        losses: list[UsbmuxError] = []

        def make(address: UnixAddress) -> aio._Daemon:
            return aio._Daemon(address, "tests", Limits(reconnectDelay=0.01))

        async def dying(
            values: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(resultMessage(1, 1, 0).encode() + attached().encode())

        async def test() -> None:
            async with await self.daemon(dying):
                with self.assertRaises(DaemonLost):
                    async for _ in aio.watch(address=self.address):
                        pass
                seen: list[Event] = []
                watching = aio.watch(reconnect=True, lost=losses.append, address=self.address)
                async with aclosing(watching) as events:
                    async for event in events:
                        seen.append(event)
                        if len(seen) == 4:
                            break
            self.assertEqual(
                [Attached, Detached, Attached, Detached], [type(event) for event in seen]
            )
            self.assertEqual([DaemonLost, DaemonLost], [type(error) for error in losses])

        self.patch(aio, "_remembered", make)
        self.complete(test())

    def test_badPort(self) -> None:
        """
        A port that is none is refused before anything is done.
        """
        for port in (0, -1, 65536):
            with self.assertRaises(ValueError):
                asyncio.run(aio.connect(port, address=self.address))
