"""A good receiver of each of RongCloud's callback services, written from its documents, and receivers with one defect.

What they share with the receivers of the first feed is the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from tests.receivers.good import Answer, Entry, Good, Kind, Request, number, text, unwrapped


class Service(NamedTuple):
    """How one callback service calls, and what its events are."""

    kinds: Mapping[str, Kind]
    """By the value of `field`, what an event is; '' where there is one kind."""
    field: str = ""
    encoding: str = "object"
    place: str = "query"
    """Where the signature travels."""
    key: str = "query"
    """Where the application is named."""
    each: str = ""
    """The field that holds several events."""


def states(stream: str, identity: str, scope: str, values: str, ends: Mapping[str, str], time: str) -> dict[str, Kind]:
    """Return kinds of states: those whose value is in `ends` take away what is in the scope given there."""
    paths = tuple(identity.split())
    return {
        value: Kind(stream, paths, (time,), tuple((ends.get(value) or scope).split()), value in ends)
        for value in values.split()
    }


MESSAGE = Kind("message", ("msgUID",), ("msgTimestamp",))
SERVICES: Mapping[str, Service] = {
    "message-route": Service({"": MESSAGE}, encoding="form"),
    "online-status": Service(
        states(
            "online",
            "userid sessionId status time",
            "userid sessionId",
            "0 1 2",
            {"1": "userid sessionId", "2": "userid sessionId"},
            "time",
        ),
        "status",
        "array",
    ),
    "chatroom-status": Service(
        states(
            "room",
            "chatRoomId type status time userIds.0",
            "chatRoomId userIds.0",
            "0 1 2 3",
            {"2": "chatRoomId userIds.0", "3": "chatRoomId"},
            "time",
        ),
        "type",
        "array",
    ),
    "pre-message": Service({"": Kind("question", ("messageId",))}, encoding="form", key="body"),
    "audit-result": Service({"": Kind("audit", ("msgUID",))}, place="header", key="header"),
    "message-operation": Service({"": Kind("operation", ("eventType", "originalMsgInfo.messageId", "optTime"))}),
    "user-deactivation": Service(
        {"": Kind("account", ("userId", "operateId"), ("time",), ("userId",))}, encoding="form"
    ),
    "user-profile": Service(states("profile", "userId time", "userId", "0 1", {"0": "userId"}, "time"), "type"),
    "friend": Service(
        states(
            "friend", "eventType userId toUserId time", "userId toUserId", "1 2 3 4 5", {"4": "userId toUserId"}, "time"
        ),
        "eventType",
    ),
    "group-operation": Service(
        states(
            "member",
            "groupId eventType time userIds.0",
            "groupId userIds.0 eventType",
            "1 2 3 4 5 6 7 8",
            {"3": "groupId userIds.0", "4": "groupId userIds.0", "5": "groupId"},
            "time",
        ),
        "eventType",
        "array",
    ),
    "group-info": Service({"": Kind("group", ("groupId", "time"), ("time",), ("groupId",))}, each="profiles"),
    "hosted-info-moderation": Service(
        {"": Kind("checked", ("eventType", "optUserId", "targetGroupId", "targetUserId", "time"))}
    ),
    "bot": Service({"message:private": Kind("to-bot", ("data.msgUID",), ("timestamp",))}, "type"),
}
OLDER = ("message-route", "online-status", "chatroom-status")
"""The services that called the time signTimestamp until 2021."""
FORBIDDEN = "forbidden"
"""The word that a message may not contain."""


class Feed(Good):
    """Verifies, reads and records what one service sends."""

    caught_by: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Of a receiver with a defect: by feed, the checks that fail, without the provider's name."""

    def __init__(self, feed: str) -> None:
        super().__init__("rongcloud")
        self.feed = feed
        self.service = SERVICES[feed]

    def genuine(self, request: Request) -> bool:
        """Return whether the signature is sha1(AppSecret + nonce + timestamp), wherever it travels."""
        names = {"query": ("timestamp", "nonce", "signature"), "header": ("RC-Timestamp", "RC-Nonce", "RC-Signature")}
        read = self.header if self.service.place == "header" else self.parameter
        stamp, nonce, given = (read(request, name) for name in names[self.service.place])
        stamp = stamp or (self.parameter(request, "signTimestamp") if self.feed in OLDER else "")
        return (
            self.same_app(self.named(request))
            and nonce != ""
            and self.signed(given, [], [nonce, stamp])
            and self.recent(stamp, 1000, 3600)
        )

    def named(self, request: Request) -> str:
        """Return the application that a request is for."""
        if self.service.key == "body":
            return self.only([value for name, value in self.fields(request.body) if name == "appKey"])
        return self.header(request, "RC-App-Key") if self.service.key == "header" else self.parameter(request, "appKey")

    def fields(self, body: bytes) -> list[tuple[str, str]]:
        """Return the fields of a form; none if it is no form."""
        try:
            return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
        except ValueError:
            return []

    def parse(self, text: str) -> Any:
        if self.service.encoding != "form":
            return super().parse(text)
        fields = self.fields(text.encode())
        if not fields:
            raise ValueError("no form")
        return {name: self.together([value for given, value in fields if given == name]) for name, _ in fields}

    def together(self, values: Sequence[str]) -> str | list[str]:
        """Return a field's value; a list of those of one that is repeated."""
        return values[0] if len(values) == 1 else list(values)

    def items(self, document: Any) -> list[dict[str, Any]]:
        listed = self.service.encoding == "array" and isinstance(document, list)
        found = document if listed else [document]
        objects = [item for item in found if isinstance(item, dict)]
        if found and not objects:
            raise ValueError("no JSON object")
        return objects

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        parts = item.get(self.service.each) if self.service.each else [item]
        code = self.code(request, item)
        kind = self.service.kinds.get(code)
        if kind is None or not isinstance(parts, list):
            return []
        return [self.entry(kind, code, part) for part in parts if isinstance(part, dict)]

    def code(self, request: Request, item: dict[str, Any]) -> str:
        if self.feed == "user-profile":
            return text(item.get("type", 1))
        return text(item.get(self.service.field)) if self.service.field else ""

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        values = tuple(text(peek(item, path)) for path in kind.identity)
        at = tuple(number(peek(item, path)) for path in kind.order)
        scope = (kind.stream, *(text(peek(item, path)) for path in kind.scope)) if kind.scope else ()
        return Entry(kind, item, values, scope, at, () if kind.scope else at)

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        if self.feed == "pre-message" and answer.status == 200:
            return Answer(200, self.decided(dict(self.fields(request.body))))
        return answer

    def decided(self, message: Mapping[str, str]) -> str:
        """Return what becomes of a message."""
        if FORBIDDEN in message.get("content", ""):
            return json.dumps({"pass": 0, "extra": json.dumps({"why": "word"})})
        return json.dumps({"pass": 1})


def peek(item: Any, path: str) -> Any:
    """Return the value at a dotted path, through lists and texts that hold JSON; None if there is none."""
    for name in path.split("."):
        inside = unwrapped(item)
        if isinstance(inside, list):
            item = inside[int(name)] if name.isdecimal() and int(name) < len(inside) else None
        else:
            item = inside.get(name) if isinstance(inside, dict) else None
    return item


class NewestOnly(Feed):
    """Shows of every state only the newest."""

    def show(self, entry: Entry) -> None:
        if entry.scope:
            self.entries = [one for one in self.entries if one.scope != entry.scope]
        super().show(entry)


class KeepsRemovals(Feed):
    """Shows the history of what it applied, removals included."""

    def record(self, entry: Entry) -> None:
        known, late = len(self.known), bool(entry.scope) and self.stale(entry)
        super().record(entry)
        if entry.kind.erases and len(self.known) > known and not late:
            self.show(entry)

    def note(self, entry: Entry) -> None:
        shown = self.entries
        super().note(entry)
        self.entries = shown


class OnlyIdentity(Feed):
    """Keeps of each event no more than what tells it from others, in flat fields where that is possible."""

    def effects(self) -> Any:
        with self.lock:
            return [self.told(entry) for entry in self.entries]

    def told(self, entry: Entry) -> dict[str, Any]:
        """Return what tells an entry from others."""
        record: dict[str, Any] = {}
        for path in entry.kind.identity:
            name, _, place = path.partition(".")
            record[name if place == "0" else path.rpartition(".")[2]] = (
                entry.item.get(name) if place == "0" else peek(entry.item, path)
            )
        return record


GOOD = (Feed, NewestOnly, KeepsRemovals, OnlyIdentity)


# Receivers with one defect each.


def at(feeds: str, *checks: str) -> dict[str, frozenset[str]]:
    """Return the same checks for several feeds."""
    return dict.fromkeys(feeds.split(), frozenset(checks))


ARRAYS = "online-status chatroom-status group-operation"
ENDING = "user-profile friend"
FORGED = (
    "signature.rejects-altered-nonce",
    "signature.rejects-altered-time",
    "signature.rejects-empty-secret",
    "signature.rejects-key-as-secret",
    "signature.rejects-missing",
    "signature.rejects-truncated-signature",
    "signature.rejects-wrong-secret",
)
REPEATS = (
    "deduplication.concurrent",
    "deduplication.far-apart",
    "deduplication.retry-after-lost-ack",
    "deduplication.retry-after-timeout",
    "deduplication.retry-reformatted",
    "deduplication.retry-signed-afresh",
    "deduplication.same-request-again",
)
STALE = (
    "ordering.newest-wins",
    "ordering.order-field-decides",
    "ordering.stale-ignored",
    "ordering.versions-at-once",
)


class TakesAnySignature(Feed):
    """Looks at no signature."""

    caught_by = at(f"message-route pre-message audit-result {ARRAYS} friend bot", *FORGED)

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return True


class TakesAnyApp(Feed):
    """Does not look which application a request is for: not in the query, the form or the headers."""

    caught_by = at("message-route pre-message audit-result", "signature.rejects-foreign-app")

    def same_app(self, key: str) -> bool:
        return True


class RefusesWith200(Feed):
    """Refuses with a 200, which acknowledges: nobody sees it."""

    caught_by = at("message-route audit-result", "signature.refusal-is-visible")

    def refusal(self) -> Answer:
        return Answer(200, '{"status":"received"}')


class KeepsRepeats(Feed):
    """Records every delivery anew."""

    caught_by = {
        **at("message-route audit-result user-deactivation group-info hosted-info-moderation bot", *REPEATS),
        **at(ARRAYS, *REPEATS, "deduplication.across-batches", "deduplication.inside-one-batch"),
    }

    def repeated(self, entry: Entry) -> bool:
        return False


class ByOperation(Feed):
    """Takes one operation for one event, whomever it concerns."""

    caught_by = at("user-deactivation", "deduplication.same-key-other-sender")

    def repeated(self, entry: Entry) -> bool:
        return super().repeated(replace(entry, identity=(text(entry.item.get("operateId")),)))


class LastArrivedWins(Feed):
    """Takes whatever comes last for the newest."""

    caught_by = {
        **at("user-deactivation group-info", *STALE),
        **at(ENDING, *STALE, "ordering.late-after-removal"),
        **at(ARRAYS, *STALE, "ordering.late-after-removal", "ordering.reversed-batch"),
    }

    def stale(self, entry: Entry) -> bool:
        return False


class ForgetsRemovals(Feed):
    """Takes a state away, and forgets when that was."""

    caught_by = at(f"{ARRAYS} {ENDING}", "ordering.late-after-removal")

    def note(self, entry: Entry) -> None:
        super().note(entry)
        self.erased.clear()


class ShowsByArrival(Feed):
    """Shows lists as they came."""

    caught_by = at("message-route bot", "ordering.listed-in-order")

    def position(self, entry: Entry) -> tuple[Any, ...]:
        return (entry.kind.stream,)


class FirstOfArray(Feed):
    """Looks at the first element of an array."""

    caught_by = at(ARRAYS, "deduplication.across-batches", "payloads.batch-sizes")

    def items(self, document: Any) -> list[dict[str, Any]]:
        return super().items(document)[:1]


class FirstOfList(Feed):
    """Looks at the first of several groups whose profiles have changed."""

    caught_by = at("group-info", "acknowledgement.nothing-acked-is-lost", "signature.accepts-documented")

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        return list(super().entries_of(request, item))[:1]


class LateForPictures(Feed):
    """Answers when it is too late, if a message is a picture or a voice."""

    caught_by = at("message-route", "acknowledgement.within-deadline")
    deadline: ClassVar[float] = 0.4
    wired = True

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        if dict(self.fields(request.body)).get("objectName") in ("RC:ImgMsg", "RC:HQVCMsg"):
            self.stopped.wait(self.deadline + 0.2)
        return answer


class MergedParameters(Feed):
    """Reads query and form as one, and the form first, as frameworks do: the message's time for the signature's."""

    caught_by = at("message-route", "preflight.accepts-valid")

    def parameter(self, request: Request, name: str) -> str:
        found = [value for given, value in self.fields(request.body) if given == name]
        return found[0] if found else super().parameter(request, name)


class InTheQuery(Feed):
    """Looks for the signature in the query, where the other services have it."""

    caught_by = at("audit-result", "preflight.accepts-valid")

    def header(self, request: Request, name: str) -> str:
        return self.parameter(request, name.removeprefix("RC-").lower())


class PlusStays(Feed):
    """Decodes a form without its rule for spaces."""

    caught_by = at("message-route pre-message", "payloads.form-characters", "signature.accepts-non-ascii")

    def fields(self, body: bytes) -> list[tuple[str, str]]:
        return super().fields(body.replace(b"+", b"%2B"))


class DecodesTwice(Feed):
    """Decodes values that a parser has decoded already."""

    caught_by = at("message-route pre-message", "payloads.form-characters")

    def fields(self, body: bytes) -> list[tuple[str, str]]:
        return [(name, unquote_plus(value)) for name, value in super().fields(body)]


class OneByte(Feed):
    """Reads the bytes of a form as Latin-1."""

    caught_by = at("message-route pre-message", "robustness.invalid-utf8", "signature.accepts-non-ascii")

    def fields(self, body: bytes) -> list[tuple[str, str]]:
        return parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")


class OnlyText(Feed):
    """Fails on messages that are no text."""

    caught_by = at("message-route", "payloads.every-variant")

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        found = list(super().entries_of(request, item))
        for entry in found:
            json.loads(entry.item["content"])["content"]
        return found


class DecidesNothing(Feed):
    """Answers a question with an empty 200."""

    caught_by = at("pre-message", "preflight.accepts-valid")

    def decided(self, message: Mapping[str, str]) -> str:
        return ""


class DecidesInText(Feed):
    """Answers with a pass that is text."""

    caught_by = at("pre-message", "preflight.accepts-valid")

    def decided(self, message: Mapping[str, str]) -> str:
        return '{"pass":"1"}'
