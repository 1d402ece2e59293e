"""
An etcd in memory behind its JSON gateway, with the quirks of the real one: numbers are text, what
is zero is left out, and keys and values are base64.

It answers at once, and nothing of it happens within anything else.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer
from zope.interface import implementer

CLUSTER = "77"


class Refusal(Exception):
    """
    What is answered with an error: the HTTP status, the number of gRPC, the text.
    """


@dataclass
class Entry:
    """
    A key.
    """

    value: bytes
    created: int
    modified: int
    version: int
    lease: int


@dataclass(eq=False)
class Lease:
    """
    A lease.
    """

    term: float
    end: float
    keys: set[bytes] = field(default_factory=set)


@dataclass(eq=False)
class Watch:
    """
    A watch.

    @ivar following: The revision that it is told of next.
    """

    key: bytes
    end: bytes
    following: int
    protocol: Protocol | None = None
    isOver: bool = False

    def loseConnection(self) -> None:
        """
        It is not wanted any more.
        """
        self.isOver = True


class Response:
    """
    An answer.
    """

    length: Any = UNKNOWN_LENGTH

    def __init__(self, code: int, deliver: Callable[[Protocol], None]) -> None:
        self.code = code
        self.deliverBody = deliver


class _Body:
    """
    What a request's body is written to.
    """

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        """
        More of it.
        """
        self.data += data


@implementer(IAgent)
class FakeEtcd:
    """
    It, as an agent that reaches it.

    @ivar revision: Of the last change.
    @ivar asked: The paths that have been asked for.
    @ivar frozen: The beginnings of URLs of nodes that take requests and answer nothing.
    @ivar refusing: Those of nodes that nothing listens at.
    @ivar instead: What is answered instead, by path: an HTTP status and bytes.
    @ivar late: What frozen nodes will do with the requests that they have taken, when they go on;
        nothing waits for the answers.
    @ivar loses: Called with each path and request; if it says so, that is done, and the answer to
        it is lost.
    @ivar isMute: Whether it says nothing on open watches.
    @ivar timers: By which leases end.
    @ivar users: Passwords; when there are none, all may do everything.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cluster = CLUSTER
        self.revision = 1
        self.compacted = 0
        self.entries: dict[bytes, Entry] = {}
        self.history: list[tuple[int, list[dict[str, Any]]]] = []
        self.leases: dict[int, Lease] = {}
        self.watches: list[Watch] = []
        self.asked: list[str] = []
        self.frozen: set[str] = set()
        self.refusing: set[str] = set()
        self.instead: dict[str, tuple[int, bytes]] = {}
        self.late: list[Callable[[], None]] = []
        self.loses: Callable[[str, Any], bool] = lambda path, said: False
        self.users: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.isMute = False
        self.timers: list[IDelayedCall] = []
        self._lastLease = 1 << 61
        self._lastToken = 0
        self._work: deque[Callable[[], None]] = deque()
        self._isWorking = False

    # IAgent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[Any]:
        """
        Something is asked.
        """
        assert method == b"POST" and headers is not None and bodyProducer is not None
        answered: Deferred[Any] = Deferred()
        place, slash, rest = uri.decode().partition("/v3/")
        path = slash + rest
        self.asked.append(path)
        body = _Body()
        bodyProducer.startProducing(body)
        if place in self.frozen:
            self.late.append(lambda: self._doLate(path, body.data))
            return answered
        token = (headers.getRawHeaders("Authorization") or [""])[0]
        self.later(lambda: self._answer(answered, place, path, body.data, token))
        return answered

    def later(self, work: Callable[[], None]) -> None:
        """
        Do something when what is being done is done.
        """
        self._work.append(work)
        if self._isWorking:
            return
        self._isWorking = True
        try:
            while self._work:
                self._work.popleft()()
        finally:
            self._isWorking = False

    def tick(self) -> None:
        """
        End what is over.
        """
        for number, lease in list(self.leases.items()):
            # A watcher that hears of the end of one may have revoked others.
            if number in self.leases and lease.end <= self.clock.seconds():
                self.revoke(number)

    def put(self, key: bytes, value: bytes, lease: int = 0) -> None:
        """
        Something else writes a key.
        """
        self._commit([self._putting(key, value, lease)])

    def revoke(self, number: int) -> None:
        """
        End a lease.
        """
        lease = self.leases.pop(number)
        if lease.keys:
            self._commit([self._deleting(key) for key in sorted(lease.keys)])

    def thaw(self) -> None:
        """
        Frozen nodes go on, with what they had been asked for.
        """
        self.frozen.clear()
        late, self.late = self.late, []
        for work in late:
            self.later(work)

    def compact(self, revision: int) -> None:
        """
        Forget what was before.
        """
        self.compacted = revision
        self.history = [each for each in self.history if each[0] >= revision]

    def cutWatches(self) -> None:
        """
        The connections of watches are lost.
        """
        for watch in self.watches:
            watch.isOver = True
            protocol = watch.protocol
            if protocol is not None:
                self.later(lambda protocol=protocol: _end(protocol))  # type: ignore[misc]
        self.watches.clear()

    def say(self, line: bytes) -> None:
        """
        Say something on all watches.
        """
        for watch in self.watches:
            if watch.protocol is not None and not watch.isOver:
                watch.protocol.dataReceived(line)

    # Within

    def _answer(
        self, answered: Deferred[Any], place: str, path: str, data: bytes, token: str
    ) -> None:
        if answered.called:
            return
        if place in self.refusing:
            answered.errback(ConnectionRefusedError())
            return
        self.tick()
        if path in self.instead:
            code, content = self.instead[path]
            answered.callback(Response(code, _bodyOf(content)))
            return
        try:
            if self.users and path != "/v3/auth/authenticate" and token not in self.tokens:
                raise Refusal(401, 16, "etcdserver: invalid auth token")
            if path == "/v3/lease/keepalive":
                answers = [self._keepAlive(json.loads(line)) for line in data.splitlines()]
                content = b"".join(json.dumps(each).encode() + b"\n" for each in answers)
                answered.callback(Response(200, _bodyOf(content)))
                return
            said = json.loads(data)
            if path == "/v3/watch":
                answered.callback(Response(200, lambda protocol: self._watch(said, protocol)))
                return
            answer = self._handlers[path](self, said)
            if self.loses(path, said):
                answered.errback(ConnectionLost())
                return
        except Refusal as refusal:
            status, number, text = refusal.args
            answer = {"error": text, "message": text, "code": number}
            answered.callback(Response(status, _bodyOf(json.dumps(answer).encode())))
            return
        answered.callback(Response(200, _bodyOf(json.dumps(answer).encode())))

    def _doLate(self, path: str, data: bytes) -> None:
        if path in self._handlers:
            with suppress(Refusal):
                self._handlers[path](self, json.loads(data))

    def _header(self) -> dict[str, str]:
        return {"cluster_id": self.cluster, "member_id": "1", "revision": str(self.revision)}

    def _authenticate(self, said: dict[str, Any]) -> dict[str, Any]:
        if self.users.get(said["name"]) != said["password"]:
            text = "etcdserver: authentication failed, invalid user ID or password"
            raise Refusal(400, 3, text)
        self._lastToken += 1
        self.tokens.add(f"token{self._lastToken}")
        return {"header": self._header(), "token": f"token{self._lastToken}"}

    def _grant(self, said: dict[str, Any]) -> dict[str, Any]:
        self._lastLease += 1
        term = float(said["TTL"])
        self.leases[self._lastLease] = Lease(term, self.clock.seconds() + term)
        self.timers.append(self.clock.callLater(term, self.tick))
        return {"header": self._header(), "ID": str(self._lastLease), "TTL": said["TTL"]}

    def _keepAlive(self, said: dict[str, Any]) -> dict[str, Any]:
        lease = self.leases.get(int(said["ID"]))
        result = {"header": self._header(), "ID": said["ID"]}
        if lease is not None:
            lease.end = self.clock.seconds() + lease.term
            self.timers.append(self.clock.callLater(lease.term, self.tick))
            result["TTL"] = str(int(lease.term))
        return {"result": result}

    def _revoke(self, said: dict[str, Any]) -> dict[str, Any]:
        if int(said["ID"]) not in self.leases:
            raise Refusal(404, 5, "etcdserver: requested lease not found")
        self.revoke(int(said["ID"]))
        return {"header": self._header()}

    def _range(self, said: dict[str, Any]) -> dict[str, Any]:
        assert int(said.get("revision", 0)) in (0, self.revision), "no past here"
        first, end = b64decode(said["key"]), b64decode(said["range_end"])
        keys = sorted(key for key in self.entries if first <= key < end)
        limit = int(said.get("limit", 0)) or len(keys)
        answer: dict[str, Any] = {"header": self._header()}
        if keys:
            answer["kvs"] = [self._pair(key) for key in keys[:limit]]
            answer["count"] = str(len(keys))
        if len(keys) > limit:
            answer["more"] = True
        return answer

    def _put(self, said: dict[str, Any]) -> dict[str, Any]:
        self._txn({"success": [{"request_put": said}]})
        return {"header": self._header()}

    def _txn(self, said: dict[str, Any]) -> dict[str, Any]:
        holds = all(map(self._holds, said.get("compare", ())))
        acts = said.get("success" if holds else "failure", ())
        doing = []
        for act in acts:
            if "request_put" in act:
                asked = act["request_put"]
                lease = int(asked.get("lease", 0))
                if lease and lease not in self.leases:
                    raise Refusal(404, 5, "etcdserver: requested lease not found")
                doing.append(
                    self._putting(b64decode(asked["key"]), b64decode(asked["value"]), lease)
                )
            else:
                doing.append(self._deleting(b64decode(act["request_delete_range"]["key"])))
        assert len(acts) <= 128, "etcd takes no more"
        self._commit(doing)
        answer: dict[str, Any] = {"header": self._header()}
        if holds:
            answer["succeeded"] = True
        return answer

    def _holds(self, said: dict[str, Any]) -> bool:
        entry = self.entries.get(b64decode(said["key"]))
        kind = {"MOD": "mod_revision", "CREATE": "create_revision"}[said["target"]]
        found = 0
        if entry is not None:
            found = entry.modified if said["target"] == "MOD" else entry.created
        wanted = int(said[kind])
        return found == wanted if said["result"] == "EQUAL" else found > wanted

    def _putting(
        self, key: bytes, value: bytes, lease: int
    ) -> Callable[[int], dict[str, Any] | None]:
        def put(revision: int) -> dict[str, Any]:
            before = self.entries.get(key)
            if before is not None and before.lease in self.leases:
                self.leases[before.lease].keys.discard(key)
            created = revision if before is None else before.created
            version = 1 if before is None else before.version + 1
            self.entries[key] = Entry(value, created, revision, version, lease)
            if lease:
                self.leases[lease].keys.add(key)
            return {"kv": self._pair(key)}

        return put

    def _deleting(self, key: bytes) -> Callable[[int], dict[str, Any] | None]:
        def delete(revision: int) -> dict[str, Any] | None:
            before = self.entries.pop(key, None)
            if before is None:
                return None
            if before.lease in self.leases:
                self.leases[before.lease].keys.discard(key)
            ended = {"key": b64encode(key).decode(), "mod_revision": str(revision)}
            return {"type": "DELETE", "kv": ended}

        return delete

    def _pair(self, key: bytes) -> dict[str, str]:
        entry = self.entries[key]
        said = {
            "key": b64encode(key).decode(),
            "create_revision": str(entry.created),
            "mod_revision": str(entry.modified),
            "version": str(entry.version),
        }
        if entry.value:
            said["value"] = b64encode(entry.value).decode()
        if entry.lease:
            said["lease"] = str(entry.lease)
        return said

    def _commit(self, doing: list[Callable[[int], dict[str, Any] | None]]) -> None:
        done = [act(self.revision + 1) for act in doing]
        events = [each for each in done if each is not None]
        if not events:
            return
        self.revision += 1
        self.history.append((self.revision, events))
        self.later(self._push)

    def _watch(self, said: dict[str, Any], protocol: Protocol) -> None:
        asked = said["create_request"]
        watch = Watch(
            b64decode(asked["key"]), b64decode(asked["range_end"]), int(asked["start_revision"])
        )
        watch.protocol = protocol
        protocol.makeConnection(watch)
        self._line(watch, {"header": self._header(), "created": True})
        if watch.following <= self.compacted:
            header = {"cluster_id": self.cluster, "member_id": "1"}
            compacted = str(self.compacted)
            gone = {"header": header, "canceled": True, "compact_revision": compacted}
            self._line(watch, gone)
            return
        self.watches.append(watch)
        self.later(self._push)

    def _push(self) -> None:
        """
        Tell watches of what they have not heard of.
        """
        for watch in list(self.watches):
            if watch.isOver:
                self.watches.remove(watch)
            if watch.isOver or self.isMute:
                continue
            for revision, events in self.history:
                if revision >= watch.following:
                    wanted = [one for one in events if self._isIn(watch, one)]
                    if wanted:
                        self._line(watch, {"header": self._header(), "events": wanted})
            watch.following = max(watch.following, self.revision + 1)

    def _isIn(self, watch: Watch, event: dict[str, Any]) -> bool:
        return watch.key <= b64decode(event["kv"]["key"]) < watch.end

    def _line(self, watch: Watch, result: dict[str, Any]) -> None:
        if watch.protocol is not None and not watch.isOver:
            watch.protocol.dataReceived(json.dumps({"result": result}).encode() + b"\n")

    _handlers = {
        "/v3/auth/authenticate": _authenticate,
        "/v3/lease/grant": _grant,
        "/v3/lease/revoke": _revoke,
        "/v3/kv/range": _range,
        "/v3/kv/put": _put,
        "/v3/kv/txn": _txn,
    }


class _Transport:
    """
    Of a body that comes as a whole.
    """

    def loseConnection(self) -> None:
        """
        It has come already.
        """


def _bodyOf(content: bytes) -> Callable[[Protocol], None]:
    def deliver(protocol: Protocol) -> None:
        protocol.makeConnection(_Transport())
        protocol.dataReceived(content)
        _end(protocol)

    return deliver


def _end(protocol: Protocol) -> None:
    protocol.connectionLost(Failure(ResponseDone()))
