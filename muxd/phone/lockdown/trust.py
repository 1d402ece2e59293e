# -*- test-case-name: tests.phone.lockdown.test_trust -*-
"""
The hosts that a simulated iPhone trusts, and the dialog on its screen.

A host is known by its BUID.  What the phone thinks of it::

    STRANGER --Pair--> ASKED --Trust--> TRUSTED --Pair--> (a pairing)
                         |                  |
                         +--Don't Trust--> DENIED --unplugged--> STRANGER

A host that asks again while the dialog is shown gets the same answer, and no second
dialog.  A phone that is locked shows none.  A pairing, which has a name of its own,
stays until the host unpairs it or the phone is erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.phone.services.notices import REQUEST_PAIR, NoticeCentre

MOST_PAIRINGS = 256
"""More are forgotten, the oldest first."""

MOST_HOSTS = 256
"""The same, whether the phone trusts them or not."""

TAP = 0.3
"""Seconds that an owner takes to tap at once."""

PENDING = "PairingDialogResponsePending"
DENIED = "UserDeniedPairing"
LOCKED = "PasswordProtected"


class Owner(Enum):
    """
    What the phone's owner does with the dialog.

    @cvar ASK: Nothing, until told.
    @cvar ACCEPT: Taps Trust.
    @cvar DENY: Taps Don't Trust.
    @cvar LOCKED: Has locked the phone.
    """

    ASK = "ask"
    ACCEPT = "accept"
    DENY = "deny"
    LOCKED = "locked"


class HostTrust(Enum):
    """
    See the module's text.
    """

    STRANGER = "stranger"
    ASKED = "asked"
    TRUSTED = "trusted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Pairing:
    """
    What the phone keeps of one.

    @ivar hostID: Its name.
    @ivar systemBUID: The host's.
    @ivar rootCertificate: PEM; what the host's certificate is signed with.
    @ivar deviceCertificate: PEM; the phone's own, from the host.
    """

    hostID: str
    systemBUID: str
    rootCertificate: bytes
    deviceCertificate: bytes

    @classmethod
    def fromValues(cls, values: object) -> Pairing | None:
        """
        Of what a host has sent; None if something is missing.
        """
        if not isinstance(values, Mapping):
            return None
        names = ("HostID", "SystemBUID", "RootCertificate", "DeviceCertificate")
        found: list[Any] = [values.get(name) for name in names]
        if [type(one) for one in found] != [str, str, bytes, bytes]:
            return None
        return cls(*found)


class PairingStore(TypingProtocol):
    """
    Where pairings are kept while the phone's process does not run.
    """

    def load(self) -> list[Pairing]:
        """
        The pairings, the oldest first.
        """

    def save(self, pairings: Iterable[Pairing]) -> None:
        """
        Keep these, and no others.
        """


class Trust:
    """
    The phone's memory of hosts.

    @ivar owner: What is done with dialogs that appear from now on.
    @ivar dialogs: How many have appeared.
    """

    def __init__(
        self,
        clock: IReactorTime,
        notices: NoticeCentre,
        owner: Owner = Owner.ACCEPT,
        store: PairingStore | None = None,
    ) -> None:
        """
        @param store: Where pairings are kept; C{None} for a phone that forgets them.
        """
        self.owner = owner
        self.dialogs = 0
        self._clock = clock
        self._notices = notices
        self._tap: IDelayedCall | None = None
        self._unlocked: Owner = Owner.ASK if owner is Owner.LOCKED else owner
        self._hosts: dict[str, HostTrust] = {}
        self._store = store
        kept = store.load() if store is not None else []
        self._pairings: dict[str, Pairing] = {one.hostID: one for one in kept}
        for pairing in kept[-MOST_HOSTS:]:
            self._hosts[pairing.systemBUID] = HostTrust.TRUSTED

    # What hosts ask.

    def requested(self, pairing: Pairing) -> str | None:
        """
        A host asks to be trusted.

        @return: Why not, in lockdownd's words, or None: it is.
        """
        host = pairing.systemBUID
        trust = self._hosts.get(host, HostTrust.STRANGER)
        if trust is HostTrust.TRUSTED:
            self._pairings[pairing.hostID] = pairing
            while len(self._pairings) > MOST_PAIRINGS:
                del self._pairings[next(iter(self._pairings))]
            self._keep()
            return None
        if trust is HostTrust.DENIED:
            return DENIED
        if self.owner is Owner.LOCKED:
            return LOCKED
        if trust is HostTrust.STRANGER:
            self.dialogs += 1
            while len(self._hosts) >= MOST_HOSTS:
                del self._hosts[next(iter(self._hosts))]
            self._hosts[host] = HostTrust.ASKED
        self._tapLater()
        return PENDING

    def pairing(self, hostID: object) -> Pairing | None:
        """
        A pairing by its name.
        """
        return self._pairings.get(hostID) if isinstance(hostID, str) else None

    @property
    def hostIDs(self) -> list[str]:
        """
        The names of all pairings.
        """
        return list(self._pairings)

    def unpair(self, hostID: object) -> bool:
        """
        Forget a pairing, and the host.

        @return: Whether there was one.
        """
        pairing = self.pairing(hostID)
        if pairing is None:
            return False
        del self._pairings[pairing.hostID]
        self._hosts.pop(pairing.systemBUID, None)
        self._keep()
        return True

    # What the owner sees and does.

    @property
    def isAsking(self) -> bool:
        """
        Whether a dialog is on the screen.
        """
        return self.owner is not Owner.LOCKED and HostTrust.ASKED in self._hosts.values()

    def accept(self) -> None:
        """
        Tap Trust in every dialog that is shown.
        """
        self._answer(HostTrust.TRUSTED)

    def deny(self) -> None:
        """
        Tap Don't Trust.
        """
        self._answer(HostTrust.DENIED)

    @property
    def isLocked(self) -> bool:
        """
        Whether its passcode is asked for.
        """
        return self.owner is Owner.LOCKED

    def lock(self) -> None:
        """
        Lock the phone: no dialog is seen meanwhile.
        """
        if not self.isLocked:
            self._unlocked, self.owner = self.owner, Owner.LOCKED

    def unlock(self, owner: Owner | None = None) -> None:
        """
        Unlock it.

        @param owner: What is done with dialogs from now on; C{None} for what was done before it was
            locked.
        """
        self.owner = self._unlocked if owner is None else owner

    def erase(self) -> None:
        """
        Erase the phone: it knows no host.
        """
        self._hosts.clear()
        self._pairings.clear()
        self._keep()

    def unplugged(self) -> None:
        """
        The cable is out: dialogs vanish, and a host that was denied may ask again.
        """
        for host, trust in tuple(self._hosts.items()):
            if trust is not HostTrust.TRUSTED:
                del self._hosts[host]
        if self._tap is not None and self._tap.active():
            self._tap.cancel()

    def _keep(self) -> None:
        if self._store is not None:
            self._store.save(self._pairings.values())

    def _tapLater(self) -> None:
        """
        Do with the dialogs what the owner does; one tap answers all of them.
        """
        answers = {Owner.ACCEPT: self.accept, Owner.DENY: self.deny}
        answer = answers.get(self.owner)
        if answer is not None and (self._tap is None or not self._tap.active()):
            self._tap = self._clock.callLater(TAP, answer)

    def _answer(self, trust: HostTrust) -> None:
        if self.owner is Owner.LOCKED:
            # Nothing can be tapped; the dialog is there again afterwards.
            return
        asked = [host for host, now in self._hosts.items() if now is HostTrust.ASKED]
        for host in asked:
            self._hosts[host] = trust
        if asked:
            self._notices.post(REQUEST_PAIR)
