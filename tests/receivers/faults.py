"""More receivers with one planted defect each, of the kinds that strangers' receivers showed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from tests.receivers.good import Answer, Entry, Request, text
from tests.receivers.mutants import (
    ALL_BUT_PREFLIGHT,
    ALL_THAT_LOOK,
    C,
    Mutant,
    R,
    SortsByTimeOnly,
    T,
    everywhere,
)

LATER = 5
"""Looks at the effects since the last of something: more than a check takes, fewer than are left at the end."""
NOTHING_ACCEPTED = everywhere(
    "preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records", *ALL_BUT_PREFLIGHT
)


# What do its own words say?


class DeclinesEverything(Mutant):
    """Answers everything with 200, and says in the body that it is wrong."""

    caught_by = everywhere("preflight.accepts-valid")
    could_not_run = NOTHING_ACCEPTED
    words: ClassVar[Mapping[str, str]] = {
        C: '{"code":500,"msg":"NullPointerException"}',
        R: '{"code":414,"errorMessage":"signature error"}',
        T: '{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"invalid callback sign"}',
    }

    def receive(self, request: Request) -> Answer:
        return Answer(200, self.words[self.provider])


class AnswersNothing(Mutant):
    """Answers with an empty 200 where a JSON answer is due."""

    caught_by = {T: {"preflight.accepts-valid"}}
    could_not_run = {T: NOTHING_ACCEPTED[T]}

    def accepted(self) -> Answer:
        return Answer(200)


class RefusesInSilence(Mutant):
    """Drops what is not the provider's, and acknowledges it."""

    caught_by = everywhere("signature.refusal-is-visible")

    def refusal(self) -> Answer:
        return self.accepted()


class DropsWhatItCannotHash(Mutant):
    """Hashes what its JSON library writes, drops what does not fit, and acknowledges everything."""

    caught_by = {C: {"signature.accepts-raw-bytes", "signature.refusal-is-visible"}}

    def digest(self, request: Request) -> str:
        try:
            document = json.loads(request.body)
        except (ValueError, RecursionError):
            return super().digest(request)
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return super().digest(request._replace(body=body))

    def refusal(self) -> Answer:
        return self.accepted()


# What do its effects show?


class NamesFieldsItsOwnWay(Mutant):
    """Shows everything, under names of its own."""

    caught_by = everywhere("preflight.effects-show-delivery")
    could_not_run = everywhere("preflight.records", *ALL_THAT_LOOK)

    def effects(self) -> Any:
        return [{f"my_{name}": value for name, value in one.items()} for one in super().effects()]


class ShowsNoOrderFields(SortsByTimeOnly):
    """Sorts the messages of one second by arrival, and shows no number by which one could see it."""

    caught_by = {T: {"ordering.listed-in-order", "ordering.order-beyond-31-bits"}}

    def effects(self) -> Any:
        return [
            {name: value for name, value in one.items() if name not in ("MsgSeq", "MsgTime")}
            for one in super().effects()
        ]


class KeepsNull(Mutant):
    """Keeps a record of whatever JSON is signed, also where it is null."""

    caught_by = everywhere("robustness.malformed-json")

    def items(self, document: Any) -> list[dict[str, Any]]:
        if document is None:
            self.nulls = [*self.nulls, None]
        return super().items(document)

    def effects(self) -> Any:
        return [*super().effects(), *self.nulls]

    nulls: Sequence[None] = ()


class RecordsTheForgedLater(Mutant):
    """Lets what it refused in through a queue that nobody verifies, some time later."""

    caught_by = everywhere("signature.no-phantoms")

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.looked = 0
        self.waiting: deque[list[Entry]] = deque()

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        if answer.status == 401:
            self.looked = 0
            try:
                items = self.items(self.parse(self.decode(request.body)))
                self.waiting.append([entry for item in items for entry in self.entries_of(request, item)])
            except (ValueError, RecursionError):
                pass
        return answer

    def effects(self) -> Any:
        self.looked += 1
        while self.waiting and self.looked > LATER:
            self.take(self.waiting.popleft())
        return super().effects()


# One event, one effect?


class LooksFirst(Mutant):
    """Looks whether an event is there and inserts it a moment later, in as many threads as there are requests."""

    caught_by = everywhere("deduplication.concurrent")
    races = 8
    wired = True

    def take(self, entries: Sequence[Entry]) -> None:
        new = [entry for entry in entries if entry.identity not in self.known or entry.identity is None]
        if len(entries) == 1:
            self.stopped.wait(0.0002)
            with self.lock:
                for entry in new:
                    self.known.discard(entry.identity or ())
                    self.record(entry)
        else:
            super().take(entries)


class DoublesLater(Mutant):
    """Shows a repeat after all, some time later."""

    caught_by = everywhere("deduplication.nothing-doubled")

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.looked = 0
        self.again: list[Entry] = []

    def repeated(self, entry: Entry) -> bool:
        again = super().repeated(entry)
        if again:
            self.looked = 0
            self.again.append(entry)
        return again

    def effects(self) -> Any:
        self.looked += 1
        with self.lock:
            for entry in self.again if self.looked > LATER else ():
                self.show(entry)
            self.again = [] if self.looked > LATER else self.again
        return super().effects()


class RefusesRepeats(Mutant):
    """Answers 403 to what it has already."""

    caught_by = {
        C: {
            "deduplication.far-apart",
            "deduplication.retry-after-lost-ack",
            "deduplication.retry-after-timeout",
            "deduplication.same-request-again",
            "deduplication.retry-signed-afresh",
            "deduplication.retry-reformatted",
            "deduplication.concurrent",
        },
        T: {
            "deduplication.far-apart",
            "deduplication.retry-after-lost-ack",
            "deduplication.retry-after-timeout",
            "deduplication.same-request-again",
            "deduplication.retry-signed-afresh",
            "deduplication.retry-reformatted",
            "deduplication.concurrent",
        },
    }

    def receive(self, request: Request) -> Answer:
        self.refused = False
        with self.lock:
            answer = super().receive(request)
            return Answer(403) if self.refused else answer

    def repeated(self, entry: Entry) -> bool:
        again = super().repeated(entry)
        self.refused = again and all(entry.identity or ("",))
        return again


class KnowsMessagesByTheirRandom(Mutant):
    """Tells messages apart by MsgRandom alone."""

    caught_by = {T: {"deduplication.same-key-other-sender"}}
    field: ClassVar[str] = "MsgRandom"

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, identity=(text(item[self.field]),)) if self.field in item else found


class KnowsPeopleInOneRoom(Mutant):
    """Compares the time of an entry with that of the same person in any room."""

    caught_by = {C: {"ordering.scopes-are-independent"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, scope=(kind.stream, text(item.get("accid")))) if code in ("9", "42") else found


class KnowsNobodyByName(Mutant):
    """Drops an online status that is a second older than the one before it, whosever it is."""

    caught_by = {T: {"ordering.scopes-are-independent"}}
    before = 0

    def stale(self, entry: Entry) -> bool:
        if entry.kind.stream != "presence":
            return super().stale(entry)
        second_older = self.before - entry.at[0] == 1000
        self.before = entry.at[0]
        return second_older or super().stale(entry)


# What do payloads hold?


class RefusesNotices(Mutant):
    """Answers 400 to the notices of teams."""

    caught_by = {C: {"payloads.every-variant"}}

    def items(self, document: Any) -> list[dict[str, Any]]:
        found = super().items(document)
        if any(text(item.get("convType")) == "CUSTOM_TEAM" for item in found):
            raise ValueError("no conversation")
        return found


class WantsTheFieldsOfSamples(Mutant):
    """Answers 400 to documented fields that the samples do not show."""

    caught_by = {C: {"payloads.optional-present"}, T: {"payloads.optional-present"}}
    unknown: ClassVar[frozenset[str]] = frozenset({"aiParams", "EventTime"})

    def items(self, document: Any) -> list[dict[str, Any]]:
        found = super().items(document)
        told = [item for item in found if item.get("CallbackCommand") in (None, "C2C.CallbackAfterSendMsg")]
        if any(name in self.unknown for item in told for name in item):
            raise ValueError("unknown field")
        return found


class CutsTexts(Mutant):
    """Keeps texts in a column of 255 characters."""

    caught_by = everywhere("payloads.limits")

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        return super().entry(kind, code, cut(item))


def cut(value: Any) -> Any:
    """Return a value with every text in it cut, at any depth."""
    if isinstance(value, dict):
        return {name: cut(one) for name, one in value.items()}
    if isinstance(value, list):
        return [cut(one) for one in value]
    # Embedded JSON is cut where it is kept as text.
    return value[:255] if isinstance(value, str) and not value.startswith(("{", "[")) else value


class Holds32Bits(Mutant):
    """Answers 400 to numbers that a signed 32-bit integer cannot hold."""

    caught_by = {T: {"payloads.limits", "ordering.order-beyond-31-bits"}}

    def items(self, document: Any) -> list[dict[str, Any]]:
        found = super().items(document)
        numbers = [item.get(name) for item in found for name in ("MsgSeq", "MsgRandom", "MsgTime")]
        if any(isinstance(number, int) and number >= 2**31 for number in numbers):
            raise ValueError("out of range")
        return found


class MendsText(Mutant):
    """Reads bytes that are no UTF-8 as U+FFFD."""

    caught_by = everywhere("robustness.invalid-utf8")

    def decode(self, body: bytes) -> str:
        return body.decode("utf-8", "replace")


class DropsLoneObjects(Mutant):
    """Acknowledges a lone object and records nothing of it."""

    caught_by = {R: {"robustness.lone-object"}}

    def items(self, document: Any) -> list[dict[str, Any]]:
        return super().items(document if isinstance(document, list) else [])
