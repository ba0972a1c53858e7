"""More good receivers: each has a store of another shape, and every shape is right.

None of them may be blamed. What a check cannot see in a store does not apply to it, or could not run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tests.receivers.good import Answer, Entry, Good, Kind, Request, look, text


class Present(Good):
    """Shows who is there: leaving, being kicked out and logging out take a record away, and leave none."""

    gone: ClassVar[Mapping[str, tuple[str, frozenset[str]]]] = {
        "9": ("event", frozenset({"OUT", "KICK"})),
        "3": ("eventType", frozenset({"3"})),
    }

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        name, values = self.gone.get(code, ("", frozenset()))
        return replace(found, kind=kind._replace(erases=True)) if text(item.get(name)) in values else found

    def show(self, entry: Entry) -> None:
        self.entries = [one for one in self.entries if not entry.scope or one.scope != entry.scope]
        super().show(entry)


class KeepsRemovals(Good):
    """Shows the history of what it applied, removals included."""

    def record(self, entry: Entry) -> None:
        known, late = len(self.known), bool(entry.scope) and self.stale(entry)
        super().record(entry)
        applied = (entry.identity is None or len(self.known) > known) and not late
        if entry.kind.erases and applied:
            self.history(entry)

    def note(self, entry: Entry) -> None:
        shown = self.entries
        super().note(entry)
        self.entries = shown

    def history(self, entry: Entry) -> None:
        """Show a removal at the end of its stream, as what happened last."""
        self.show(entry)


class Typed(Good):
    """Keeps the identity in typed fields: an absent number is 0, an absent switch false, an absent text empty."""

    typed: ClassVar[Mapping[str, Any]] = {"running": False, "requestId": "", "deviceId": "", "version": 0}

    def effects(self) -> Any:
        with self.lock:
            return [self.struct(entry) for entry in self.entries]

    def struct(self, entry: Entry) -> dict[str, Any]:
        """Return the fields of a record, all of them there."""
        fields = {path: look(entry.item, path) for path in entry.kind.identity}
        named = {path.rpartition(".")[2]: value for path, value in fields.items()}
        zeros = {name: self.typed.get(name, "") for name, value in named.items() if value is None}
        return {
            **named,
            **zeros,
            **({} if self.provider == "rongcloud" else {"eventType": entry.item.get("eventType")}),
        }


class OnlyText(Good):
    """Keeps messages that are text, and what is no message; it acknowledges the others."""

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        code = self.code(request, item)
        kinds = [text(part.get("MsgType")) for part in item.get("MsgBody", ()) if isinstance(part, dict)]
        message = code in ("1", "4") and self.provider == "commsease"
        if (message and text(item.get("msgType")) != "TEXT") or kinds not in ([], ["TIMTextElem"]):
            return []
        return super().entries_of(request, item)


class WholePayloads(Good):
    """Keeps payloads whole, also those that report several things."""

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        found = list(super().entries_of(request, item))
        if not found or not found[0].kind.each:
            return found
        identity = (text(item.get("eventType")), *(part for one in found for part in one.identity or ()))
        return [replace(found[0], item=item, identity=identity)]


class NoOrder(Good):
    """Forwards what it takes to a log without an order."""

    unordered = True

    def effects(self) -> Any:
        with self.lock:
            return random.Random(len(self.entries)).sample([e.item for e in self.entries], len(self.entries))


class OnlyIdentity(Good):
    """Keeps of each event no more than what tells it from others."""

    def effects(self) -> Any:
        with self.lock:
            return [
                {"eventType": entry.item.get("eventType")}
                | {path.rpartition(".")[2]: look(entry.item, path) for path in entry.kind.identity}
                for entry in self.entries
            ]


class Declines(Good):
    """Refuses as Tencent's documents have it: with 200, and FAIL in the answer; what is no question, that is."""

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        commands = [value for name, value in request.query if name == "CallbackCommand"]
        asked = any("CallbackBefore" in one or "CallbackPrev" in one or "Signal" in one for one in commands)
        # A question that is answered with 200 is decided, whoever asked it.
        return Answer(401) if asked and "FAIL" in answer.body else answer

    def refusal(self) -> Answer:
        refused = Answer(200, '{"ActionStatus":"FAIL","ErrorInfo":"invalid sign","ErrorCode":1}')
        return refused if self.provider == "tencent" else super().refusal()


class SaysOk(Good):
    """Says in a JSON answer of its own that all is well."""

    def accepted(self) -> Answer:
        answer = super().accepted()
        return answer if self.provider == "tencent" else answer._replace(body='{"code":200,"msg":"success"}')


class KeepsAnything(Good):
    """Also keeps records of its own, and what others left there before."""

    def effects(self) -> Any:
        return [None, "started", 7, [], {}, {"id": 1, "note": "another application"}, *super().effects()]


class PerDevice(Good):
    """Knows where people are logged in device by device, and shows the newest of each."""

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        if kind.stream != "presence":
            return found
        return replace(found, scope=(*found.scope, text(item.get("deviceId")), text(item.get("clientType"))))

    def show(self, entry: Entry) -> None:
        if entry.kind.stream == "presence":
            self.entries = [one for one in self.entries if one.scope != entry.scope]
        super().show(entry)


class KeepsUrls(Good):
    """Keeps of each message beside its identity one line to show: its text, or where its content lies."""

    def effects(self) -> Any:
        with self.lock:
            return [self.line(entry) for entry in self.entries]

    def line(self, entry: Entry) -> dict[str, Any]:
        """Return what is kept of an entry."""
        told = {path.rpartition(".")[2]: look(entry.item, path) for path in entry.kind.identity}
        code = {} if self.provider == "rongcloud" else {"eventType": entry.item.get("eventType")}
        elements = entry.item.get("MsgBody") or [{}]
        said = entry.item.get("body") or look(entry.item, "attach.url") or look(elements[0], "MsgContent.Url")
        return {**told, **code, "preview": text(said)[:20], "body": said}


class TakesBack(Good):
    """Shows no message that was recalled, whichever came first."""

    recalls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "recall": ("msgId",),
        "c2c-recall": ("From_Account", "To_Account", "MsgKey"),
    }
    messages: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "message": ("msgidServer",),
        "c2c": ("From_Account", "To_Account", "MsgKey"),
    }

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.recalled: set[tuple[str, ...]] = set()

    def note_recall(self, named: tuple[str, ...]) -> None:
        """Remember that a message was recalled."""
        self.recalled.add(named)

    def show(self, entry: Entry) -> None:
        stream = entry.kind.stream
        if stream in self.recalls:
            named = self.named(entry, self.recalls[stream])
            self.note_recall(named)
            self.entries = [one for one in self.entries if self.message(one) != named]
            super().show(entry)
        elif stream not in self.messages or self.message(entry) not in self.recalled:
            super().show(entry)

    def message(self, entry: Entry) -> tuple[str, ...] | None:
        """Return which message an entry is, if it is one."""
        paths = self.messages.get(entry.kind.stream)
        return None if paths is None else self.named(entry, paths)

    def named(self, entry: Entry, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values by which a message is known."""
        return tuple(text(look(entry.item, path)) for path in paths)


class MarksRecalled(TakesBack):
    """Shows what was recalled with a mark, in records that have numbers and times of their own."""

    def show(self, entry: Entry) -> None:
        Good.show(self, entry)
        if entry.kind.stream in self.recalls:
            self.note_recall(self.named(entry, self.recalls[entry.kind.stream]))

    def effects(self) -> Any:
        with self.lock:
            shown = enumerate(self.entries)
            return [
                {**one.item, "row": number, "recalled": self.message(one) in self.recalled} for number, one in shown
            ]


HONEST = (
    Present,
    KeepsRemovals,
    Typed,
    OnlyText,
    WholePayloads,
    NoOrder,
    OnlyIdentity,
    Declines,
    SaysOk,
    KeepsAnything,
    PerDevice,
    TakesBack,
    MarksRecalled,
    KeepsUrls,
)
