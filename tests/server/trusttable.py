"""
The table of docs/pairing.md: what listeners see of a phone, by what its owner does.

C{python -m tests.server.trusttable} writes it there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from muxd.phone.lockdown.trust import Owner
from tests.lockdown.phones import recordOf
from tests.server.preflights import Plugged

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pairing.md"
BEGIN, END = "<!-- trust table -->\n", "<!-- end of trust table -->\n"
WATCHED = 120.0
"""Seconds that are looked at."""

Act = tuple[float, Callable[[], object]]


def _acceptedLater(phone: Plugged) -> list[Act]:
    phone.device.phone.trust.owner = Owner.ASK
    return [(20, phone.device.phone.trust.accept)]


def _denied(phone: Plugged) -> list[Act]:
    phone.device.phone.trust.owner = Owner.DENY
    return []


def _locked(phone: Plugged) -> list[Act]:
    phone.device.phone.trust.owner = Owner.LOCKED
    return [(40, lambda: phone.device.phone.trust.unlock(Owner.ACCEPT))]


def _paired(phone: Plugged) -> list[Act]:
    phone.paired()
    return []


def _erased(phone: Plugged) -> list[Act]:
    phone.paired()
    phone.device.phone.trust.erase()
    return []


def _deleted(phone: Plugged) -> list[Act]:
    phone.paired()
    phone.store.records.clear()
    return []


def _other(phone: Plugged) -> list[Act]:
    phone.store.records[phone.udid] = recordOf("ELSE", "ANOTHER").toBytes()
    return []


def _broken(phone: Plugged) -> list[Act]:
    phone.paired()
    record = phone.record
    assert record is not None
    phone.store.records[phone.udid] = record.having(HostPrivateKey=b"none").toBytes()
    return []


def _mute(phone: Plugged) -> list[Act]:
    phone.device.phone.mute()
    return []


def _refusing(phone: Plugged) -> list[Act]:
    phone.device.refused.add(62078)
    return []


def _restoring(phone: Plugged) -> list[Act]:
    phone.device.phone.restore()
    return []


SCENARIOS: dict[str, Callable[[Plugged], list[Act]]] = {
    "the owner taps Trust at once": lambda phone: [],
    "the owner taps Trust after 20 s": _acceptedLater,
    "the owner taps Don't Trust": _denied,
    "the phone is locked, and unlocked after 40 s": _locked,
    "the phone was paired before": _paired,
    "the phone was erased (InvalidHostID)": _erased,
    "the record was deleted by hand": _deleted,
    "the record is of another host": _other,
    "the record's keys do not work (TLS)": _broken,
    "lockdownd never answers": _mute,
    "lockdownd refuses connections": _refusing,
    "the phone is in restore mode": _restoring,
}


def row(title: str, prepare: Callable[[Plugged], list[Act]]) -> str:
    """
    Let it happen, and say what was seen.
    """
    phone = Plugged()
    acts = prepare(phone)
    phone.listener.told.clear()
    before = phone.store.records.get(phone.udid)
    phone.plug()
    for moment, act in acts:
        phone.wait(moment - phone.clock.seconds())
        act()
    phone.wait(WATCHED - phone.clock.seconds())
    told = ", ".join(f"{event} {when:g} s" for when, event in phone.listener.told)
    after = phone.store.records.get(phone.udid)
    if before == after:
        record = "kept" if after else "none"
    else:
        record = "new" if after else "removed"
    dialogs = phone.device.phone.trust.dialogs
    stage = phone.preflight.stage.value
    phone.unplug()
    return f"| {title} | {told} | {dialogs} | {record} | {stage} |\n"


def table() -> str:
    """
    All of it.
    """
    head = (
        "| what happens | listeners see | dialogs | pair record | stage in the end |\n"
        "| --- | --- | --- | --- | --- |\n"
    )
    return head + "".join(row(title, prepare) for title, prepare in SCENARIOS.items())


def published() -> str:
    """
    What the page has.
    """
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
