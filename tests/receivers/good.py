"""Good receivers, each of another temper, written without the packages that they are judged by.

They keep everything in memory. `Good` is cut into small methods, one for each thing that receivers
get wrong: a mutant overrides a single one of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

KEYS = {"commsease": "test-key", "rongcloud": "test-key", "tencent": "1400000001"}
SECRETS = {"commsease": "test-secret", "rongcloud": "test-secret", "tencent": "test-token"}
KIND_FIELD = {"commsease": "eventType", "rongcloud": "optType", "tencent": "CallbackCommand"}
TENCENT_OK = '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'


class Request(NamedTuple):
    """A request as the server hands it over; the case of header names only where the server keeps it."""

    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Answer(NamedTuple):
    """A status and a JSON text."""

    status: int
    body: str = ""


class Kind(NamedTuple):
    """What is one event of a kind, and what comes after what. Paths are dotted, and pass through embedded JSON."""

    stream: str
    """What is shown together, in one order."""
    identity: tuple[str, ...] = ()
    """Two deliveries that agree in these are one event; none: keep every one."""
    order: tuple[str, ...] = ()
    """Compared in turn, as numbers."""
    scope: tuple[str, ...] = ()
    """A state of this, where an older one must not win; none: a list, shown in order."""
    erases: bool = False
    """Ends the states of its scope and of everything within it."""
    each: str = ""
    """The field that holds several events."""


CALL = Kind("call", ("channelId", "createtime", "running"))
PRESENCE = Kind("presence", ("accid", "clientType", "deviceId", "timestamp"), ("timestamp",), ("accid",))
RECALL = Kind("recall", ("msgId",))
READ = ("accid", "msgType", "ackAccid", "ackTeamId")
UPDATES = ("89", "90", "91")
ATTRIBUTE = ("chatroomId", "key", "version", "optType")
KINDS: Mapping[str, Mapping[str, Kind]] = {
    "commsease": {
        "1": Kind("message", ("convType", "msgidServer"), ("msgTimestamp",)),
        "2": PRESENCE,
        "3": PRESENCE,
        "4": Kind("room-message", ("roomId", "msgidClient"), ("msgTimestamp",)),
        "5": CALL,
        "6": Kind("call-file", ("channelid", "filename"), each="fileinfo"),
        "7": RECALL,
        "8": RECALL,
        "9": Kind("room-presence", ("roomId", "accid", "event", "timestamp"), ("timestamp",), ("roomId", "accid")),
        "10": Kind("line-call", ("callback.session",)),
        "11": Kind("sms-receipt", ("sendid", "mobile"), each="objects"),
        "12": Kind("sms-uplink", ("mobile", "content", "replytime"), each="objects"),
        "14": Kind("room-queue"),
        "20": Kind("antispam", ("type", "serverMsgId"), each="objects"),
        "21": CALL,
        "25": RECALL,
        "30": Kind("read-receipt", ("fromAccount", "toAccount", "msgidClient", "timestamp"), each="objects"),
        "31": Kind("signal", ("type", "channelId", "from", "to", "requestId", "timestamp")),
        "36": Kind("upload", ("type", "uploadInfo.sdkLogUrl")),
        "42": Kind("heartbeat", ("accid", "consid", "timestamp"), ("timestamp",), ("accid", "consid")),
        "83": Kind("callback-failure"),
        "84": Kind("login-failure", ("event", "chatRoomId", "accid", "deviceId", "consid", "timestamp")),
        "85": Kind("session-read", (*READ, "ackMsgTime"), ("ackMsgTime",), READ),
        **{code: Kind(f"update-{code}", ("msgId", "modifyTime"), ("modifyTime",), ("msgId",)) for code in UPDATES},
    },
    "rongcloud": {
        "1": Kind("attribute", ATTRIBUTE, ("version",), ("chatroomId", "key")),
        "2": Kind("attribute", ATTRIBUTE, ("version",), ("chatroomId", "key"), erases=True),
        "3": Kind("attribute", ATTRIBUTE, ("version",), ("chatroomId",), erases=True),
    },
    "tencent": {
        "C2C.CallbackAfterSendMsg": Kind("c2c", ("From_Account", "To_Account", "MsgKey"), ("MsgTime", "MsgSeq")),
        "C2C.CallbackAfterMsgWithDraw": Kind("c2c-recall", ("From_Account", "To_Account", "MsgKey")),
        "State.StateChange": Kind(
            "presence", ("Info.To_Account", "Info.Action", "EventTime"), ("EventTime",), ("Info.To_Account",)
        ),
    },
}


@dataclass(frozen=True)
class Entry:
    """One event on its way into the store."""

    kind: Kind
    item: dict[str, Any]
    identity: tuple[str, ...] | None
    scope: tuple[str, ...]
    at: tuple[int, ...]
    place: tuple[Any, ...]


class Good:
    """Verifies, records what is new under one lock, and only then answers."""

    server: ClassVar[str] = "waitress"
    """Which server it runs behind: `waitress`, or `plain`, which keeps the case of header names."""
    wired: ClassVar[bool] = False
    """Whether it shows what it is like only over a network: when it answers, who comes first, how its server reads."""
    any_method: ClassVar[bool] = False
    """Whether it takes other methods than POST for the same."""
    unordered: ClassVar[bool] = False
    """Whether the run is told that its records come in no order."""
    settle: ClassVar[float] = 0.0
    """How many seconds after the acknowledgement its effects may appear."""
    handles: ClassVar[tuple[str, ...] | None] = None
    """The event types that the run is told it records; None: the run finds out."""
    records: ClassVar[Mapping[str, frozenset[str]]] = {}
    """The codes of the event types that it records, by provider; all it knows where the provider is not named."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.key, self.secret = KEYS[provider], SECRETS[provider]
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self.entries: list[Entry] = []
        self.known: set[tuple[str, ...]] = set()
        self.newest: dict[tuple[str, ...], tuple[int, ...]] = {}
        self.erased: dict[tuple[str, ...], tuple[int, ...]] = {}

    def receive(self, request: Request) -> Answer:
        """Answer one request."""
        if not self.genuine(request):
            return self.refusal()
        try:
            items = self.items(self.parse(self.decode(request.body)))
            found = [entry for item in items for entry in self.entries_of(request, item)]
        except (ValueError, RecursionError):
            return self.unreadable()
        self.take(found)
        return self.accepted()

    def close(self) -> None:
        """Let go of everything that waits."""
        self.stopped.set()

    # Answers

    def accepted(self) -> Answer:
        """Return what acknowledges."""
        return Answer(200, TENCENT_OK if self.provider == "tencent" else "")

    def refusal(self) -> Answer:
        """Return what is said to a request that is not the provider's."""
        return Answer(401)

    def unreadable(self) -> Answer:
        """Return what is said to a body that is not what the provider sends."""
        return Answer(400)

    # Is it from the provider?

    def genuine(self, request: Request) -> bool:
        """Return whether the provider signed this request, for us, and not long ago."""
        rule = {"commsease": self.from_commsease, "rongcloud": self.from_rongcloud, "tencent": self.from_tencent}
        return rule[self.provider](request)

    def from_commsease(self, request: Request) -> bool:
        """Return whether CheckSum = sha1(AppSecret + MD5 + CurTime), with the MD5 of the body."""
        stamp, digest = self.header(request, "CurTime"), self.digest(request)
        return (
            self.same_app(self.header(request, "AppKey"))
            and self.same_digest(self.header(request, "MD5"), digest)
            and self.signed(self.header(request, "CheckSum"), [digest], [stamp])
            and self.recent(stamp, 1000, 3600)
        )

    def from_rongcloud(self, request: Request) -> bool:
        """Return whether signature = sha1(AppSecret + nonce + timestamp)."""
        stamp, nonce = self.stamp(request), self.parameter(request, "nonce")
        return (
            self.same_app(self.parameter(request, "appKey"))
            and self.signed(self.parameter(request, "signature"), [], [nonce, stamp])
            and nonce != ""
            and self.recent(stamp, 1000, 3600)
        )

    def from_tencent(self, request: Request) -> bool:
        """Return whether Sign = sha256(Token + RequestTime)."""
        stamp = self.parameter(request, "RequestTime")
        return (
            self.same_app(self.parameter(request, "SdkAppid"))
            and self.signed(self.parameter(request, "Sign"), [], [stamp])
            and self.recent(stamp, 1, 60)
        )

    def header(self, request: Request, name: str) -> str:
        """Return a header's value; empty, which verifies nowhere, unless it is there exactly once."""
        return self.only([value for given, value in request.headers if given.lower() == name.lower()])

    def parameter(self, request: Request, name: str) -> str:
        """Return a query parameter; empty unless it is there exactly once."""
        return self.only([value for given, value in request.query if given == name])

    def only(self, values: Sequence[str]) -> str:
        """Return the value, if there is exactly one."""
        return values[0] if len(values) == 1 else ""

    def stamp(self, request: Request) -> str:
        """Return RongCloud's timestamp, also under its name until 2021."""
        return self.parameter(request, "timestamp") or self.parameter(request, "signTimestamp")

    def digest(self, request: Request) -> str:
        """Return the MD5 that goes into CommsEase's CheckSum: of the body's bytes."""
        return hashlib.md5(request.body, usedforsecurity=False).hexdigest()

    def same_digest(self, given: str, due: str) -> bool:
        """Return whether the MD5 header fits the body."""
        return self.same(given, due)

    def same_app(self, key: str) -> bool:
        """Return whether the request is for our application."""
        return self.same(key, self.key)

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        """Return whether the signature is ours over the texts and the numbers."""
        return self.same(given, self.signature(self.secret, [*fixed, *numbers]))

    def signature(self, secret: str, parts: Sequence[str]) -> str:
        """Return the signature of the parts."""
        method = hashlib.sha256 if self.provider == "tencent" else hashlib.sha1
        return method("".join([secret, *parts]).encode()).hexdigest()

    def same(self, given: str, due: str) -> bool:
        """Return whether two texts are equal, in constant time."""
        return hmac.compare_digest(given.encode(), due.encode())

    def recent(self, stamp: str, per_second: int, seconds: int) -> bool:
        """Return whether a time is at most so many seconds from now."""
        digits = stamp.isascii() and stamp.isdigit() and len(stamp) < 20
        return digits and abs(int(stamp) / per_second - time.time()) <= seconds

    # What does it say?

    def decode(self, body: bytes) -> str:
        """Return the body as text."""
        return body.decode("utf-8")

    def parse(self, text: str) -> Any:
        """Return the document; ValueError or RecursionError if it is not JSON."""
        return json.loads(text, parse_constant=refuse, parse_float=finite)

    def items(self, document: Any) -> list[dict[str, Any]]:
        """Return the objects in a document; ValueError if it is not what this provider sends."""
        found = document if self.provider == "rongcloud" and isinstance(document, list) else [document]
        objects = [item for item in found if isinstance(item, dict)]
        if found and not objects:
            raise ValueError("no JSON object")
        return objects

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        """Return the entries that an object stands for; none if it is nothing to us."""
        code = self.code(request, item)
        kind = KINDS[self.provider].get(code)
        if kind is None or code not in self.records.get(self.provider, {code}) or not self.happened(item):
            return []
        parts = unwrapped(look(item, kind.each)) if kind.each else None
        if isinstance(parts, list):
            items = [part for part in parts if isinstance(part, dict)]
        else:
            items = [item]
        field = KIND_FIELD[self.provider]
        return [self.entry(kind, code, {**one, field: item.get(field, code)}) for one in items]

    def code(self, request: Request, item: dict[str, Any]) -> str:
        """Return the provider's code of an object's event type; ValueError if the URL names another one."""
        code = text(item.get(KIND_FIELD[self.provider])) or ("10" if item.get("type") == "CALL" else "")
        if any(value != code for name, value in request.query if name == "CallbackCommand"):
            raise ValueError("URL and body name two commands")
        return code

    def happened(self, item: dict[str, Any]) -> bool:
        """Return whether a message was sent at all: Tencent also tells of those that were not."""
        return text(item.get("SendMsgResult")) in ("", "0")

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        """Return an object as it goes into the store."""
        values = tuple(text(look(item, path)) for path in kind.identity)
        at = tuple(number(look(item, path)) for path in kind.order)
        scope = (kind.stream, *(text(look(item, path)) for path in kind.scope)) if kind.scope else ()
        return Entry(kind, item, (code, *values) if values else None, scope, at, () if kind.scope else at)

    # What is kept?

    def take(self, entries: Sequence[Entry]) -> None:
        """Record the entries of one request."""
        with self.lock:
            for entry in entries:
                self.record(entry)

    def record(self, entry: Entry) -> None:
        """Record one entry, unless it is there already or comes too late."""
        if self.repeated(entry):
            return
        if entry.scope:
            if self.stale(entry):
                return
            self.note(entry)
        if not entry.kind.erases:
            self.show(entry)

    def repeated(self, entry: Entry) -> bool:
        """Return whether the entry is there already, and remember it."""
        again = entry.identity is not None and entry.identity in self.known
        if entry.identity is not None:
            self.known.add(entry.identity)
        return again

    def stale(self, entry: Entry) -> bool:
        """Return whether a newer state is there; of a state and an erasure of one age the erasure wins."""
        outer = [entry.scope[:length] for length in range(2, len(entry.scope) + 1)]
        return self.newest.get(entry.scope, entry.at) > entry.at or any(
            self.erased[scope] >= entry.at for scope in outer if scope in self.erased
        )

    def note(self, entry: Entry) -> None:
        """Remember how new a state is, and take away what an erasure ends."""
        if entry.kind.erases:
            self.erased[entry.scope] = entry.at
            within = len(entry.scope)
            self.entries = [e for e in self.entries if e.scope[:within] != entry.scope or e.at > entry.at]
        else:
            self.newest[entry.scope] = entry.at

    def show(self, entry: Entry) -> None:
        """Put the entry where it is shown."""
        insort(self.entries, entry, key=self.position)

    def position(self, entry: Entry) -> tuple[Any, ...]:
        """Return by what the entries are sorted: lists by their own order, states as they came."""
        return (entry.kind.stream, *entry.place)

    def effects(self) -> Any:
        """Return what the application shows, in its order."""
        with self.lock:
            return [entry.item for entry in self.entries]


class Plain(Good):
    """The same behind a simple server, which reads the body itself and shows headers as they came."""

    server = "plain"
    wired = True
    protocol: ClassVar[str] = "HTTP/1.0"
    """With 1.1 connections are kept."""
    threaded: ClassVar[bool] = True

    def before_the_body(self, request: Request) -> Answer | None:
        """Return what is answered to the headers alone; None: the body is read first."""
        del request
        return None

    def body(self, headers: Mapping[str, str], stream: Any) -> bytes:
        """Return the body that follows the headers, whose names are in lower case."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(chunks(stream))
        return bytes(stream.read(int(headers.get("content-length") or 0)))


class Behind(Good):
    """Acknowledges at once; a thread behind it records some milliseconds later."""

    settle = 30.0
    delay = 0.005

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.waiting: deque[tuple[float, Sequence[Entry]]] = deque()
        self.more = threading.Condition()
        self.worker = threading.Thread(target=self.work, daemon=True)
        self.worker.start()

    def take(self, entries: Sequence[Entry]) -> None:
        """Leave the entries to the worker."""
        with self.more:
            self.waiting.append((time.monotonic() + self.delay, entries))
            self.more.notify()

    def work(self) -> None:
        """Record what is due, until the receiver is closed."""
        while not self.stopped.is_set():
            with self.more:
                self.more.wait_for(lambda: self.waiting or self.stopped.is_set())
                due, entries = self.waiting.popleft() if self.waiting else (0.0, ())
            self.stopped.wait(max(0.0, due - time.monotonic()))
            super().take(entries)

    def close(self) -> None:
        """Stop the worker."""
        super().close()
        with self.more:
            self.more.notify()
        self.worker.join()


class StateOnly(Good):
    """Shows of every state only the newest, and records only some event types; it acknowledges the others."""

    records = {"commsease": frozenset({"2", "3"})}

    def show(self, entry: Entry) -> None:
        """Put the entry in the place of the older one."""
        if entry.scope:
            self.entries = [one for one in self.entries if one.scope != entry.scope]
        super().show(entry)


def chunks(stream: Any) -> Iterable[bytes]:
    """Yield the chunks of a chunked body."""
    while size := int(stream.readline().split(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass


def refuse(what: str) -> float:
    """Raise for what JSON does not have."""
    raise ValueError(f"not JSON: {what}")


def finite(digits: str) -> float:
    """Return the number that the digits stand for; ValueError if it is too large."""
    value = float(digits)
    return value if math.isfinite(value) else refuse(digits)


def unwrapped(value: Any) -> Any:
    """Return what a text that holds JSON says, or the value itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def look(item: Any, path: str) -> Any:
    """Return the value at a dotted path, through texts that hold JSON; None if there is none."""
    for name in path.split("."):
        inside = unwrapped(item)
        item = inside.get(name) if isinstance(inside, dict) else None
    return item


def text(value: Any) -> str:
    """Return a value as text, whole numbers without a point; empty if there is none."""
    if value is None or isinstance(value, str):
        return value or ""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value)


def number(value: Any) -> int:
    """Return a value as a number; one that is none comes before all others."""
    try:
        return int(text(value))
    except ValueError:
        return -1
