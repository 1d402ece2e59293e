# -*- test-case-name: tests.status.test_page,tests.integration.test_statuspage -*-
"""
The page that an operator looks at: four files of this package, and nothing from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from twisted.web.server import Request

from muxd.status.answers import StatusResource


@dataclass(frozen=True, slots=True)
class PageFile:
    """
    A file of the page.

    @ivar name: What it is called.
    @ivar contentType: What it is.
    """

    name: str
    contentType: str


INDEX = PageFile("index.html", "text/html; charset=utf-8")

FILES = (
    PageFile("page.css", "text/css; charset=utf-8"),
    PageFile("page.js", "text/javascript; charset=utf-8"),
    PageFile("icon.svg", "image/svg+xml"),
)
"""What the page asks for."""


class PageResource(StatusResource):
    """
    One of its files.  It is read at once: later, privileges may have been given up.
    """

    isLeaf = True

    def __init__(self, file: PageFile) -> None:
        super().__init__()
        self._type = file.contentType.encode()
        self._body = (files("muxd.status") / "assets" / file.name).read_bytes()

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with it.
        """
        request.setHeader(b"Content-Type", self._type)
        request.setHeader(b"Content-Length", b"%d" % len(self._body))
        return self._body


def addPage(root: StatusResource) -> None:
    """
    Put the page where a browser looks first.
    """
    root.putChild(b"", PageResource(INDEX))
    for file in FILES:
        root.putChild(file.name.encode(), PageResource(file))
