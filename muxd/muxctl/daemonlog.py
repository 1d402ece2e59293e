# -*- test-case-name: tests.muxctl.test_daemonlog -*-
"""
C{muxctl log}: the end of a daemon's log, and what comes.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from muxd.client.socketerrors import UsbmuxError
from muxd.muxctl.columns import jsonLine
from muxd.muxctl.reader import endWithReader
from muxd.muxctl.status import clientFor
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable


def showLog(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl log}; following it ends without an error when C{--timeout} is over.

    @raise UsbmuxError: The daemon has ended, or makes no sense.
    """
    client = clientFor(options, terminal)
    try:
        path = f"/api/log?lines={options.lines}"
        if not options.follow:
            _show(client.get(path)["lines"], terminal)
            return 0
        endWithReader(terminal.stdout)
        with client.stream(f"{path}&follow=1") as response:
            for data in response:
                if data.strip():
                    _show([json.loads(data)], terminal)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsbmuxError(
            f"what came as the daemon's log makes no sense ({error!r}): is it as new as muxctl?"
        ) from error
    if client.isOver:
        return 0
    raise UsbmuxError("the daemon has ended")


def _show(lines: list[dict[str, Any]], terminal: Terminal) -> None:
    terminal.show(jsonLine(line) if terminal.json else _text(line) for line in lines)


def _text(line: Mapping[str, Any]) -> str:
    if "skipped" in line:
        return f"... and {int(line['skipped'])} lines that came too fast"
    time = datetime.fromtimestamp(float(line["time"])).strftime("%Y-%m-%d %H:%M:%S")
    text = f"{time} {line['level']:8} {line['text']}"
    return "\n".join(printable(part, None) for part in text.splitlines())
