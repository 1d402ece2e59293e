# -*- test-case-name: tests.muxctl.test_screen -*-
"""
A terminal's screen: lines that fit, and the few words that a terminal understands.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from unicodedata import combining, east_asian_width

from muxd.muxctl.activity import Activity, Use
from muxd.muxctl.quantities import byteCount, duration, nameOf, programOf
from muxd.wire.text import printable

ENTER = "\x1b[?1049h\x1b[?25l"
"""The other screen, and no cursor."""

LEAVE = "\x1b[?25h\x1b[?1049l"
HOME = "\x1b[H"
REST_OF_LINE = "\x1b[K"
REST_OF_SCREEN = "\x1b[J"
REVERSED, BOLD, PLAIN = "\x1b[7m", "\x1b[1m", "\x1b[0m"

WIDE = 110
"""Columns from which on there is room for what is left out of narrower screens."""

RATE = 10
"""Columns of a rate."""


def fitted(text: str, width: int) -> str:
    """
    Text that takes so many columns, shortened or filled up: letters of East Asia take two,
    accents none.
    """
    columns = 0
    for index, letter in enumerate(text):
        taken = columnsOf(letter)
        if columns + taken > width:
            return text[:index] + " " * (width - columns)
        columns += taken
    return text + " " * (width - columns)


def columnsOf(letter: str) -> int:
    """
    How many columns of a terminal a letter takes.
    """
    if combining(letter):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1


def frame(
    activity: Activity, width: int, height: int, showsSessions: bool, remark: str = ""
) -> str:
    """
    A whole screen, for a terminal of this size.

    @param remark: What is to be said besides.
    """
    lines = [(PLAIN, line) for line in _head(activity)]
    if remark:
        lines.append((BOLD, remark))
    titles = ("PHONE", "PORT", "MODEL", "IOS", "TRUST", "SESSIONS", "TO/s", "FROM/s")
    lines.append((REVERSED, _phoneCells(titles, width)))
    phones = sorted(activity.phones.values(), key=lambda use: (-use.rate, use.values["id"]))
    for phone in phones:
        sessions = activity.sessionsOf(phone.values["id"])
        lines.append((PLAIN, _phoneLine(phone, len(sessions), width)))
        if showsSessions:
            lines += [(PLAIN, _sessionLine(session, width)) for session in sessions]
    last = "q quit   s sessions"
    shown = lines[: max(height - 1, 1)]
    if len(lines) > len(shown):
        last += f"   {len(lines) - len(shown)} more lines, for which this terminal is too small"
    parts = [HOME]
    for style, line in shown:
        text = fitted(printable(line, None), width)
        parts.append(f"{style}{text}{PLAIN}{REST_OF_LINE}\r\n")
    parts.append(f"{REST_OF_SCREEN}{fitted(last, width)}{REST_OF_LINE}")
    return "".join(parts)


def _head(activity: Activity) -> Sequence[str]:
    daemon = activity.daemon
    up = sum(use.up for use in activity.phones.values())
    down = sum(use.down for use in activity.phones.values())
    lines = [
        f"usbmuxd {daemon.get('version', '')}   {len(activity.phones)} phones,"
        f" {len(activity.sessions)} sessions   {byteCount(up)}/s to phones,"
        f" {byteCount(down)}/s from phones   late {float(daemon.get('lateness') or 0):.2f} s"
    ]
    for problem in daemon.get("problems") or ():
        lines.append(f"{problem['severity']}: {problem['text']}")
    return lines


def _phoneLine(use: Use, sessions: int, width: int) -> str:
    phone = use.values
    cells = (
        nameOf(phone) or phone["udid"],
        phone.get("portPath") or phone["connection"],
        phone.get("model") or "-",
        phone.get("version") or "-",
        phone.get("trust") or "-",
        sessions,
        _rate(use.up),
        _rate(use.down),
    )
    return _phoneCells(tuple(printable(str(cell), None) for cell in cells), width)


def _phoneCells(cells: tuple[str, ...], width: int) -> str:
    name, place, model, version, trust, sessions, up, down = cells
    right = [fitted(place, 9)]
    if width >= WIDE:
        right += [fitted(model, 11), fitted(version, 8)]
    right += [fitted(trust, 8), sessions.rjust(8), up.rjust(RATE), down.rjust(RATE)]
    return _line(name, right, width)


def _sessionLine(use: Use, width: int) -> str:
    session = use.values
    held = f"{byteCount(session['held'])} unread" if session["held"] else ""
    age = duration(max(monotonic() - use.since, 0))
    right = [f"port {session['port']}".rjust(10), age.rjust(11)]
    if width >= WIDE or held:
        right.append(held.rjust(14))
    right += [_rate(use.up).rjust(RATE), _rate(use.down).rjust(RATE)]
    return _line(f"  {printable(programOf(session['peer']), None)}", right, width)


def _line(name: str, right: Sequence[str], width: int) -> str:
    """
    What has to be seen at the right, and as much of a name as there is room for.
    """
    rest = " ".join(right)
    return f"{fitted(name, max(width - len(rest) - 1, 10))} {rest}"


def _rate(rate: float) -> str:
    return f"{byteCount(rate)}/s" if rate >= 1 else "-"
