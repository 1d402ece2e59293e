# -*- test-case-name: tests.status.test_page -*-
"""
Tests of L{muxd.status.page}: what a browser is given.
"""

from __future__ import annotations

import re

from muxd.status.page import FILES, INDEX
from tests.status.asking import StatusTestCase


class PageTests(StatusTestCase):
    """
    The page and its files.
    """

    def test_files(self) -> None:
        """
        Each file is there, and is what it says it is.
        """
        for path, file in (("/", INDEX), *((f"/{file.name}", file) for file in FILES)):
            reply = self.get(path)
            self.assertEqual((reply.status, reply.headers["content-type"]), (200, file.contentType))
            self.assertEqual(int(reply.headers["content-length"]), len(reply.body))

    def test_ownAlone(self) -> None:
        """
        The page asks for nothing but its own files, and has no code or style within that
        its policy would have to let through.
        """
        page = self.get("/").body.decode()
        asked = set(re.findall(r'(?:src|href)="([^"#]*)"', page))
        self.assertEqual(asked, {file.name for file in FILES})
        self.assertNotRegex(page, r"<style|<script(?! src)| style=| on\w+=")
        for file in FILES:
            text = self.get(f"/{file.name}").body.decode()
            self.assertNotRegex(text, r"@import|url\(|innerHTML|insertAdjacentHTML|document\.write")
            self.assertEqual(
                set(re.findall(r"https?://[^\"' ]*", text)) - {"http://www.w3.org/2000/svg"}, set()
            )

    def test_policy(self) -> None:
        """
        A browser is told to load nothing from elsewhere, and to show it in no other page.
        """
        policy = self.get("/").headers["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_elements(self) -> None:
        """
        What the program of the page looks for is on the page.
        """
        page, program = self.get("/").body.decode(), self.get("/page.js").body.decode()
        wanted = set(re.findall(r'(?:byId|listed)\("([\w-]+)"', program))
        self.assertGreater(len(wanted), 10)
        for name in wanted:
            self.assertIn(f'id="{name}"', page)
