# -*- test-case-name: tests.phone.services.test_fileservice -*-
"""
Tests of L{muxd.phone.services.fileservice}.
"""

from __future__ import annotations

import os
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.phone.services.afcfiles import Files
from muxd.tunnel.xpc import IS_REPLY, WANTS_REPLY, Message, Unsigned, writeMessage
from tests.running.properties import examples

try:
    from muxd.phone.services import fileservice
    from muxd.phone.services.fileservice import (
        COMPLETE,
        DOWNLOAD,
        MOST_SESSIONS,
        TEMPORARY,
        UPLOAD,
        FileControl,
        FileData,
        FileService,
    )
    from muxd.tunnel.remotexpc import MOST_WAITING
except ImportError as missing:
    raise SkipTest(f"these tests need the extra tunnel: {missing}") from missing

LONG = bytes(range(256)) * 300


class Control(FileControl):
    """
    The service of requests, without the wire.

    @ivar said: What it has answered, and whether as a reply.
    """

    def __init__(self, service: FileService) -> None:
        super().__init__(service)
        self.said: list[tuple[Any, bool]] = []

    def send(self, body: Any, flags: int = 0) -> None:
        """
        Keep it.
        """
        self.said.append((body, bool(flags & IS_REPLY)))

    def reply(self, message: Message, body: Any) -> None:
        """
        Keep it.
        """
        self.send(body, IS_REPLY)


def header(kind: int, number: int, size: int = 0, magic: bytes = b"rwb!FILE") -> bytes:
    """
    What comes first to or from C{data}.
    """
    return magic + b"".join(part.to_bytes(8, "big") for part in (kind, 0, number, size))


class FileServiceCase(SynchronousTestCase):
    """
    A directory, and a host with a session.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.directory: FilePath[str] = FilePath(self.mktemp())
        self.directory.makedirs()
        self.service = FileService(
            {TEMPORARY: lambda name: None if name == "none" else Files(self.directory)},
            bytes,
        )
        self.control = Control(self.service)
        self.control.makeConnection(StringTransport())
        self.addCleanup(self.control.connectionLost, connectionDone)
        created = self.ask("CreateSession", Domain=Unsigned(TEMPORARY), Identifier="")
        self.session = created["NewSessionID"]

    def ask(self, name: str, flags: int = WANTS_REPLY, **asked: Any) -> Any:
        """
        What is answered to a request.
        """
        body = {"Cmd": name, **asked}
        if name != "CreateSession":
            body.setdefault("SessionID", self.session)
        self.control.messageReceived(Message(flags, 1, body))
        if not self.control.said:
            return None
        ((answer, isReply),) = self.control.said
        self.control.said.clear()
        self.assertEqual(isReply, name != "RetrieveDirectoryList")
        return answer

    def refused(self, name: str, **asked: Any) -> str:
        """
        Why it is not granted.
        """
        answer = self.ask(name, **asked)
        self.assertEqual(answer["Response"], 3)
        text: str = answer["LocalizedDescription"]
        self.assertEqual(answer["EncodedError"]["LocalizedDescription"], text)
        return text

    def operate(self, name: str, **asked: Any) -> None:
        """
        Something is done with files.
        """
        answer = self.ask("FileSystemOperation", OperationType=name, **asked)
        self.assertEqual(answer, {"Response": 0})

    def data(self) -> tuple[FileData, StringTransport]:
        """
        A connection for bytes.
        """
        protocol, transport = FileData(self.service), StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def flow(self, transport: StringTransport) -> bytes:
        """
        All that is sent.
        """
        while transport.producer is not None:
            transport.producer.resumeProducing()
        sent: bytes = transport.value()
        return sent


class ControlTests(FileServiceCase):
    """
    Requests.
    """

    def test_directories(self) -> None:
        """
        Directories are made, listed, renamed and removed, and files are removed.
        """
        self.operate("CreateDirectory", Path="a")
        self.ask("ProposeEmptyFile", Path="a/b")
        self.ask("ProposeFile", Path="a/c", FileData=b"text", FileSize=Unsigned(4))
        self.assertEqual(self.ask("RetrieveDirectoryList", Path="a")["FileList"], ["b", "c"])
        self.assertEqual(self.directory.child("a").child("c").getContent(), b"text")
        self.operate("RemoveFile", Path="a/b")
        self.operate("RemoveFile", Path="a/c")
        self.operate("Rename", OldPath="a", NewPath="d")
        self.operate("RemoveDirectory", Path="d")
        self.assertEqual(self.ask("RetrieveDirectoryList", Path=".")["FileList"], [])

    def test_refused(self) -> None:
        """
        What is not there is refused, and so is a file's name for a directory's.
        """
        self.ask("ProposeEmptyFile", Path="file")
        self.operate("CreateDirectory", Path="directory")
        self.refused("RetrieveDirectoryList", Path="file")
        self.assertIn("none: ", self.refused("RetrieveFile", Path="none"))
        self.refused("RetrieveFile", Path="directory")
        self.assertEqual(self.refused("RetrieveFile"), "expected Path")
        self.refused("FileSystemOperation", OperationType="OpenFile", Path="file")
        self.refused("MonitorFileEvents")
        with patch.object(fileservice, "MOST_NAMES", 1):
            self.refused("RetrieveDirectoryList", Path=".")

    def test_longList(self) -> None:
        """
        A list is refused that is longer than what may wait for the host, and no other one.
        """
        most = fileservice.LONGEST_LIST // (255 + 12)
        for count in (most, most + 1):
            with patch.object(Files, "names", return_value=[".", "..", *["x" * 255] * count]):
                answer = self.ask("RetrieveDirectoryList", Path=".")
            self.assertEqual("FileList" in answer, count == most)
            self.assertLess(len(writeMessage(Message(0, 1, answer))), MOST_WAITING * 3 // 4)

    def test_sessions(self) -> None:
        """
        Everything else wants a session, of which there may be so many, and one that has ended is
        none.
        """
        for domain, name in ((TEMPORARY, "none"), (99, ""), ("x", "")):
            self.refused("CreateSession", Domain=domain, Identifier=name)
        self.refused("RetrieveFile", Path="x", SessionID=[])
        self.ask("EndSession")
        self.refused("EndSession")
        self.service.random = os.urandom
        for _ in range(MOST_SESSIONS):
            self.ask("CreateSession", Domain=TEMPORARY)
        self.assertEqual(len(self.control._sessions), MOST_SESSIONS)
        self.refused("CreateSession", Domain=TEMPORARY)

    @settings(deadline=None, max_examples=examples(30))
    @given(
        st.dictionaries(
            st.sampled_from(["Cmd", "Path", "OldPath", "NewPath", "OperationType", "FileData"]),
            st.sampled_from(
                [
                    *("CreateSession", "RetrieveDirectoryList", "RetrieveFile", "ProposeFile"),
                    *("FileSystemOperation", "Rename", "RemoveDirectory", "CreateDirectory"),
                    *("", ".", "..", "/", "a", "a/b", "\0", "\ud800", b"", 1 << 62, [], None),
                ]
            ),
        )
    )
    def test_whatever(self, asked: dict[str, Any]) -> None:
        """
        Whatever a host asks, it is answered, and nothing is raised.
        """
        body = {"SessionID": self.session, "Domain": TEMPORARY, **asked}
        self.control.messageReceived(Message(WANTS_REPLY, 1, body))
        self.assertEqual(len(self.control.said), 1)
        self.control.said.clear()

    def test_noReply(self) -> None:
        """
        What wants no answer has none, and what is no request ends the connection.
        """
        self.assertIsNone(self.ask("ProposeEmptyFile", flags=0, Path="x"))
        self.assertEqual(self.directory.listdir(), ["x"])
        self.control.messageReceived(Message(0, 1, ["odd"]))
        transport: Any = self.control.transport
        self.assertTrue(transport.disconnecting)


class DataTests(FileServiceCase):
    """
    The bytes of files.
    """

    def propose(self) -> int:
        """
        The number of a file that is to come.
        """
        number: int = self.ask("ProposeFile", Path="long", FileSize=len(LONG))["NewFileID"]
        return number

    def retrieve(self) -> int:
        """
        The number of a file that is there.
        """
        self.directory.child("long").setContent(LONG)
        number: int = self.ask("RetrieveFile", Path="long")["NewFileID"]
        return number

    @settings(deadline=None, max_examples=examples(10))
    @given(st.integers(1, 40000))
    def test_upload(self, size: int) -> None:
        """
        A file comes in pieces of any size, and is confirmed when it is whole.
        """
        protocol, transport = self.data()
        number = self.propose()
        sent = header(UPLOAD, number, len(LONG)) + LONG
        for at in range(0, len(sent), size):
            self.assertEqual(transport.value(), b"")
            protocol.dataReceived(sent[at : at + size])
        self.assertEqual(transport.value(), header(COMPLETE, number))
        self.assertEqual(self.directory.child("long").getContent(), LONG)

    def test_download(self) -> None:
        """
        A file is sent as the host has room, and confirmed.
        """
        number = self.retrieve()
        protocol, transport = self.data()
        protocol.dataReceived(header(DOWNLOAD, number))
        sent = header(DOWNLOAD, number, len(LONG)) + LONG + header(COMPLETE, number)
        self.assertEqual(self.flow(transport), sent)
        protocol.dataReceived(header(DOWNLOAD, number))
        self.assertEqual(transport.value(), sent)

    def test_cut(self) -> None:
        """
        When the session ends, or the host goes, or the file has become shorter, that is the end.
        """
        protocol, transport = self.data()
        protocol.dataReceived(header(DOWNLOAD, self.retrieve()))
        with open(self.directory.child("long").path, "r+b") as file:
            file.truncate(70000)
        self.flow(transport)
        self.assertTrue(transport.disconnecting)

        protocol, transport = self.data()
        protocol.dataReceived(header(UPLOAD, self.propose(), 9) + b"1234")
        lost, _ = self.data()
        lost.dataReceived(header(DOWNLOAD, self.retrieve()))
        lost.connectionLost(connectionDone)
        self.ask("EndSession")
        protocol.dataReceived(b"5")
        self.assertTrue(transport.disconnecting)

    def test_refused(self) -> None:
        """
        What is not expected is not served.
        """
        upload, download = self.propose(), self.retrieve()
        for wrong in (
            header(UPLOAD, upload, magic=b"GET /  H"),
            header(DOWNLOAD, upload),
            header(UPLOAD, download),
            header(7, download),
            header(DOWNLOAD, 99),
        ):
            protocol, transport = self.data()
            protocol.dataReceived(wrong)
            protocol.dataReceived(b"more")
            self.assertTrue(transport.disconnecting)
            self.assertEqual(transport.value(), b"")
        self.ask("EndSession")
        self.assertEqual(self.service.transfers, {})
