"""
Tests of L{tests.differential.exchange}, with a daemon of a few lines.
"""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.messages import plistMessage
from tests.differential.exchange import LAST, Answer, Exchange, perform
from tests.differential.grammar import ECHO, Case, Piece
from tests.differential.kept import connect, framed
from tests.wire.results import resultMessage

PATIENCE = 5.0
LIST = plistMessage({"DeviceList": []}, 0x7E57).encode()
RESULT = {"MessageType": "Result", "Number": 0}


class ExchangeTests(SynchronousTestCase):
    """
    What a daemon made of a conversation.
    """

    def exchange(self, case: Case, heard: int, said: bytes) -> Exchange:
        """
        Have a conversation with a daemon that hears so many bytes of its one client, says
        this, and closes.
        """
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
            path = str(Path(directory, "s"))
            server.bind(path)
            server.listen(1)

            def serve() -> None:
                with server.accept()[0] as client:
                    if heard:
                        client.recv(heard)
                    client.sendall(said)

            thread = Thread(target=serve)
            thread.start()
            try:
                return perform(path, case, PATIENCE)
            finally:
                thread.join()

    def test_open(self) -> None:
        """
        A daemon that answers the last request is there still.
        """
        made = self.exchange(Case("", ()), 4096, LIST)
        self.assertEqual(made, Exchange((), b"", "open"))

    def test_refused(self) -> None:
        """
        One that answers it with a Result has a listener.
        """
        made = self.exchange(Case("", ()), 4096, resultMessage(1, 0x7E57, 1).encode())
        self.assertEqual(made.ending, "refused")

    def test_closedWhileSending(self) -> None:
        """
        What a daemon said before it closed counts, also if there was no sending on.
        """
        said = resultMessage(1, 1, 0).encode()
        pieces = (Piece(b"x" * 100, False), *(Piece(b"y" * 65536, False) for _ in range(64)))
        made = self.exchange(Case("", pieces), 100, said)
        self.assertEqual(made, Exchange((Answer(1, 8, 1, RESULT),), b"", "closed"))

    def test_stream(self) -> None:
        """
        What comes behind the Result of a Connect is the phone's, whatever it looks like.
        """
        body = connect(b"<integer>1</integer>", b"<integer>%d</integer>" % (ECHO << 8))
        said = resultMessage(1, 1, 0).encode() + LAST
        made = self.exchange(Case("", (Piece(framed(body), False),)), 0, said)
        self.assertEqual(made, Exchange((Answer(1, 8, 1, RESULT),), LAST, "closed"))
