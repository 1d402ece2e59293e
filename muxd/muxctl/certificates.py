# -*- test-case-name: tests.muxctl.test_authority -*-
"""
C{muxctl cert}: the certificates of a farm, for C{mutualtls:} endpoints.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from muxd.client.socketerrors import UsbmuxError
from muxd.importing.extras import installing
from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from muxd.muxctl.authority import CertificateAuthority


class CertificateError(UsbmuxError):
    """
    It cannot be done; the text says why.
    """


def useCertificates(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl cert}.

    @raise CertificateError: It has not been done.
    """
    try:
        import muxd.muxctl.authority  # noqa: F401
    except ImportError as missing:
        raise CertificateError(f"{missing}; {installing('pairing')}") from missing
    directory = Path(options.ca or _defaultDirectory(os.environ))
    try:
        _ACTIONS[options.action](options, terminal, directory)
    except ValueError as error:
        raise CertificateError(str(error)) from error
    return 0


def _defaultDirectory(environ: Mapping[str, str]) -> str:
    config = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(config, "muxd", "ca")


def _init(options: Namespace, terminal: Terminal, directory: Path) -> None:
    from muxd.muxctl.authority import CertificateAuthority

    name: str = options.name
    CertificateAuthority.create(directory, name, datetime.now(UTC))
    _tell(
        terminal,
        {"ca": str(directory), "name": name},
        f"{directory}: an authority, {name}; its ca-key.pem is all that it takes to make"
        " certificates",
    )


def _issue(options: Namespace, terminal: Terminal, directory: Path) -> None:
    from muxd.muxctl.authority import Purpose

    to = Path(options.output or options.names[0])
    ends = _open(directory).issue(
        options.names, Purpose(options.action), options.days, datetime.now(UTC), to
    )
    _tell(
        terminal,
        {"name": options.names[0], "directory": str(to), "until": ends.isoformat()},
        f"{to}: the certificate of {options.names[0]}, good until {ends:%Y-%m-%d %H:%M} UTC",
    )


def _revoke(options: Namespace, terminal: Terminal, directory: Path) -> None:
    authority = _open(directory)
    which: str = options.which
    ended = authority.revoke(which, datetime.now(UTC))
    if not ended:
        raise ValueError(
            f"{directory}: no certificate of {which!r:.80} is in use; muxctl cert list shows all"
        )
    for one in ended:
        _tell(
            terminal,
            {"name": one.name, "serial": one.serial, "revoked": True},
            f"revoked {one.serial} of {one.name}",
        )
    terminal.remark(
        f"copy {authority.revokedPath} to all hosts: what is connected with it is cut there"
    )


def _list(options: Namespace, terminal: Terminal, directory: Path) -> None:
    now = datetime.now(UTC)
    rows = []
    for one in sorted(_open(directory).issued(), key=lambda one: (one.name, one.ends)):
        state = "revoked" if one.isRevoked else "good" if one.ends > now else "expired"
        rows.append((one.name, one.purpose.value, state, f"{one.ends:%Y-%m-%d %H:%M}", one.serial))
    keys = ("name", "for", "state", "until", "serial")
    if terminal.json:
        terminal.show([jsonLine(dict(zip(keys, row, strict=True))) for row in rows])
    else:
        terminal.show(table(tuple(map(str.upper, keys)), rows))


_ACTIONS: Mapping[str, Callable[[Namespace, Terminal, Path], None]] = {
    "init": _init,
    "host": _issue,
    "client": _issue,
    "revoke": _revoke,
    "list": _list,
}


def _open(directory: Path) -> CertificateAuthority:
    from muxd.muxctl.authority import CertificateAuthority

    return CertificateAuthority(directory)


def _tell(terminal: Terminal, values: Mapping[str, object], text: str) -> None:
    terminal.show([jsonLine(values) if terminal.json else text])
