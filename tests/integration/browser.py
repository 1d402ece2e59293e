"""
A browser without a screen: Chromium, told what to do by WebDriver (W3C), which is JSON over
HTTP.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from bench.daemons import freePort

PATIENCE = 30.0
"""Seconds for anything that is waited for: a browser on a busy machine takes its time."""

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's number, which the specification chose so."""


class Browser:
    """
    One browser with one page.
    """

    def __init__(
        self, directory: Path, dark: bool = False, size: tuple[int, int] = (1280, 900)
    ) -> None:
        """
        @param directory: For its files.
        @param dark: Whether its user likes it dark.
        @param size: Of its window, in pixels.
        """
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        assert chromium is not None and driver is not None
        self._port = freePort()
        self._log = (directory / "chromedriver.log").open("ab")
        self._process = subprocess.Popen(
            [driver, f"--port={self._port}"], stdout=self._log, stderr=self._log
        )
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={directory / 'profile'}",
            "--force-color-profile=srgb",
        ]
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        options = {
            "binary": chromium,
            "args": arguments,
            "mobileEmulation": {
                "deviceMetrics": {"width": size[0], "height": size[1], "pixelRatio": 1}
            },
        }
        wanted = {
            "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"},
            }
        }
        self._path = ""
        self._reach()
        session = self._ask("POST", "/session", {"capabilities": wanted})
        self._path = f"/session/{session['sessionId']}"

    def __enter__(self) -> Self:
        """
        Part of a context manager.
        """
        return self

    def __exit__(self, *_: object) -> None:
        """
        Close it.
        """
        self.close()

    def close(self) -> None:
        """
        End the browser, and what tells it what to do.
        """
        try:
            if self._path:
                self._ask("DELETE", "")
        finally:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._log.close()

    def open(self, url: str) -> None:
        """
        Go to a page.
        """
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """
        Have the page run the body of a function.

        @return: What it returns.
        """
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def waitFor(self, script: str, *arguments: object) -> Any:
        """
        Have the page run it again and again until what it returns is true.
        """
        end = time.monotonic() + PATIENCE
        while True:
            found = self.run(script, *arguments)
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{script}: not within {PATIENCE:g} s; {self.complaints()}")
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """
        What an element says, as a person reads it.
        """
        said: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return said

    def press(self, selector: str, keys: str) -> None:
        """
        Press keys at an element.
        """
        element = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{element[ELEMENT]}/value", {"text": keys})

    def screenshot(self, path: Path) -> None:
        """
        Take a picture of what can be seen.
        """
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """
        What the browser has complained of since this was asked before.
        """
        return [line["message"] for line in self._ask("POST", "/se/log", {"type": "browser"})]

    def _reach(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return
            except OSError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def _ask(self, method: str, path: str, values: object | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE * 2)
        try:
            body = json.dumps({} if values is None and method == "POST" else values)
            connection.request(method, self._path + path, None if method != "POST" else body)
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer.get('message')}")
        return answer
