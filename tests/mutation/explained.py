"""
Mutants that no test can notice, each with the reason.

They are known by the changed text and not by its line, so that a module can go on growing.
"""

from __future__ import annotations

_BEFORE = "set before it is first looked at"
_SAME = "both choices are the same there"
_NEVER = "that value never comes"
_EMPTY = "it is empty then, as all that were in it have ended"
_LATER = "it is refused a line later just the same"
_AGAIN = "what is done again then is harmless"
_ORDER = "each is looked at by itself, in any order"
_OFTEN = "how often, or how many at a time, is a choice and no rule"
_COMPARED = "it is only compared with others of its kind"
_ELSEWHERE = "it is for systems that these tests do not run on"
_WORK = "it only spares work: what follows decides the same"

_REASONS: dict[str, dict[str, str]] = {
    "muxd/wire/measure.py": {
        "-            if left < 0 or letters < 0: /"
        " +            if left < -1 or letters < 0:": _WORK,
        "-            if left < 0 or letters < 0: /"
        " +            if left < 0 or letters < -1:": _WORK,
        "-                break / +                continue": _WORK,
    },
    "muxd/net/credentials.py": {
        "-        connected = socket.socket(family, socket.SOCK_STREAM, 0, descriptor) /"
        " +        connected = socket.socket(family, socket.SOCK_STREAM, 1, descriptor)": _SAME,
        "-        data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024) /"
        " +        data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1025)": _SAME,
    },
    "muxd/net/eventloop.py": {
        "-                if seconds <= 0: / +                if seconds <= 1:": _OFTEN,
    },
    "muxd/net/laneport.py": {
        "-        self._turn = 0 / +        self._turn = 1": _OFTEN,
        "-        self._turn = 0 / +        self._turn = -1": _OFTEN,
    },
    "muxd/net/packetmemory.py": {
        "-            if length == 0: / +            if length == -1:": _SAME,
        "-            if start < 0 or start + length > self.size or self.isInFlight: /"
        " +            if start < 0 or start - length > self.size or self.isInFlight:": _LATER,
    },
    "muxd/net/streams.py": {
        "-        if descriptor < 0: / +        if descriptor <= 0:": _NEVER,
        '-            return int.from_bytes(ioctl(descriptor, FIONREAD, bytes(4)), "little") /'
        " +            return int.from_bytes(ioctl(descriptor, FIONREAD, bytes( 3)), "
        '"little")': _NEVER,
    },
    "muxd/atomicfiles.py": {
        '-        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) /'
        " +        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | "
        'getattr(os, "O_NOFOLLOW", 1)': _ELSEWHERE,
    },
    "muxd/server/devicelist.py": {
        "-        self._came = 0 / +        self._came = -1": _OFTEN,
    },
    "muxd/server/firstlook.py": {
        "-        self._looking = 0 / +        self._looking = -1": _BEFORE,
    },
    "muxd/server/input.py": {
        "-            self._stopTimer() / +            pass": _AGAIN,
    },
    "muxd/server/listeners.py": {
        "-        self._proofs = -1 / +        self._proofs = - 0": _SAME,
        "-        self._proofs = -1 / +        self._proofs = - 2": _SAME,
    },
    "muxd/server/output.py": {
        "-        if self._offset or len(data) > most: /"
        " +        if self._offset or len(data) >= most:": _SAME,
    },
    "muxd/server/storeroom.py": {
        "-        self.size = 0 / +        self.size = 1": _BEFORE,
    },
    "muxd/server/telling.py": {
        "-        if event.place >= len(event.listeners) and self._events"
        " and self._events[0] is event: /"
        " +        if event.place > len(event.listeners) and self._events"
        " and self._events[0] is event:": _WORK,
    },
    "muxd/usb/discovery.py": {
        "-        self._released.append(opening) /"
        " +        self._released.appendleft(opening)": _ORDER,
        "-            self._reopen(self._released.popleft()) /"
        " +            self._reopen(self._released.pop())": _ORDER,
        "-            if self._openFailed(location, OSError(0, text), text=text): /"
        " +            if self._openFailed(location, OSError( 1, text), text=text):": _SAME,
    },
    "muxd/usb/opening.py": {
        "-        self._numbers = count(1) / +        self._numbers = count( 2)": _COMPARED,
    },
    "muxd/usb/openfailures.py": {
        "-        trouble.failures = min(trouble.failures + 1, 16) /"
        " +        trouble.failures = min(trouble.failures + 1, 17)": _SAME,
    },
    "muxd/device/framing.py": {
        "-        self.transmitted = 0 / +        self.transmitted = 1": _BEFORE,
        "-        self.transmitted = 0 / +        self.transmitted = -1": _BEFORE,
    },
    "muxd/device/muxer.py": {
        "-        if self.version == 2 and size >= V2_SEGMENT: /"
        " +        if self.version == 3 and size >= V2_SEGMENT:": _WORK,
    },
    "muxd/device/outbound.py": {
        "-                self._endedReady = 0 / +                self._endedReady = 1": _OFTEN,
    },
    "muxd/device/chunks.py": {
        "-        elif size < SMALL and size + len(chunks[-1]) <= SMALL: /"
        " +        elif size <= SMALL and size + len(chunks[-1]) <= SMALL:": _SAME,
    },
    "muxd/device/socketend.py": {
        "-        self._isUnknown = False / +        self._isUnknown = True": _BEFORE,
        "-            if descriptor >= 0: / +            if descriptor > 0:": _NEVER,
        "-            if descriptor >= 0: / +            if descriptor >= -1:": _NEVER,
    },
    "muxd/device/acknowledging.py": {
        "-        self._owing.clear() / +        pass": _EMPTY,
    },
    "muxd/device/window.py": {
        "-        self.size = 0 / +        self.size = -1": _SAME,
    },
    "muxd/server/fastlane.py": {
        "-        spare = -1 / +        spare = - 2": _SAME,
        "-            self._isWatched = False / +            self._isWatched = True": _AGAIN,
    },
    "muxd/usb/asynchronous/pacing.py": {
        "-        self._since = 0.0 / +        self._since = -1.0": _BEFORE,
        "-        self._since = 0.0 / +        self._since = 1.0": _BEFORE,
        "-        self.depth = depth if depth < self._most else self._most /"
        " +        self.depth = depth if depth <= self._most else self._most": _SAME,
    },
    "muxd/usb/asynchronous/transfers.py": {
        "-        checkNumbers(endpoint, size) / +        pass": _LATER,
    },
    "muxd/usb/asynchronous/writes.py": {
        "-            self._submit(self.borrow(0), 0) /"
        " +            self._submit(self.borrow( 1), 0)": _SAME,
        "-            return self._submit(self.borrow(0), 0) /"
        " +            return self._submit(self.borrow( -1), 0)": _SAME,
        "-        self._capacity = 0 / +        self._capacity = -1": _SAME,
    },
}

EXPLAINED: dict[tuple[str, str], str] = {
    (module, change): reason
    for module, reasons in _REASONS.items()
    for change, reason in reasons.items()
}
"""By the module and the change, as L{tests.mutation.mutants.Mutant.difference} says it."""
