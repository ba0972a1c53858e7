"""Receivers with one planted defect each that shows only after long, at one moment, or on a bad connection."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from tests.receivers.good import Answer, Entry, Request, text
from tests.receivers.honest import MarksRecalled, TakesBack
from tests.receivers.mutants import C, Mutant, PlainMutant, R, T, everywhere

# One event, one effect?


class RemembersTheLatest(Mutant):
    """Looks for repeats among the latest few hundred events."""

    caught_by = everywhere("deduplication.far-apart")
    window = 250

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.latest: deque[tuple[str, ...]] = deque()

    def repeated(self, entry: Entry) -> bool:
        again = super().repeated(entry)
        if entry.identity is not None and not again:
            self.latest.append(entry.identity)
            if len(self.latest) > self.window:
                self.known.discard(self.latest.popleft())
        return again


# Does the newest win?


class ReadsThenWrites(Mutant):
    """Reads how new a state is, and writes a moment later, in as many threads as there are requests."""

    caught_by = everywhere("ordering.versions-at-once")

    def take(self, entries: Sequence[Entry]) -> None:
        if len(entries) != 1 or not entries[0].scope:
            super().take(entries)
            return
        (entry,) = entries
        if not self.stale(entry):
            self.stopped.wait(0.002)
            with self.lock:
                if not self.repeated(entry):
                    self.note(entry)
                    if not entry.kind.erases:
                        self.show(entry)


class ClearsWhateverIsThere(Mutant):
    """Takes away all that it has when a room is cleared, however old the clearing is."""

    caught_by = {R: {"ordering.late-removal"}}

    def note(self, entry: Entry) -> None:
        super().note(entry)
        if entry.kind.erases:
            within = len(entry.scope)
            self.entries = [one for one in self.entries if one.scope[:within] != entry.scope]


class ComparesRemovalsAmongThemselves(Mutant):
    """Compares the time of a logout with that of other logouts only."""

    caught_by = {name: {"ordering.late-removal"} for name in (C, T)}

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.ended: dict[tuple[str, ...], tuple[int, ...]] = {}

    def ends(self, entry: Entry) -> bool:
        """Return whether an entry ends a state."""
        info = entry.item.get("Info", {})
        return entry.item.get("eventType") == "3" or text(info.get("Action")) in ("Logout", "Disconnect")

    def stale(self, entry: Entry) -> bool:
        if not self.ends(entry):
            return super().stale(entry)
        return self.ended.get(entry.scope, entry.at) > entry.at

    def note(self, entry: Entry) -> None:
        newest = max(self.newest.get(entry.scope, entry.at), entry.at)
        super().note(entry)
        self.newest[entry.scope] = newest
        if self.ends(entry):
            self.ended[entry.scope] = entry.at


class ForgetsEarlyRecalls(TakesBack, Mutant):
    """Takes a message away that is there when its recall comes, and keeps no recall."""

    caught_by = {name: {"ordering.recall-before-message"} for name in (C, T)}

    def note_recall(self, named: tuple[str, ...]) -> None:
        pass


class MarksOnlyWhatIsThere(MarksRecalled, Mutant):
    """Marks a message that is there when its recall comes."""

    caught_by = {C: {"ordering.recall-before-message"}}

    def note_recall(self, named: tuple[str, ...]) -> None:
        if any(self.message(one) == named for one in self.entries):
            super().note_recall(named)


# What do payloads hold?


class WantsTheTypesOfSamples(Mutant):
    """Answers 400 to a field of another type than the sample has, where table and sample differ."""

    caught_by = everywhere("payloads.type-drift")
    types: ClassVar[Mapping[str, tuple[str, type]]] = {C: ("timestamp", str), R: ("status", str), T: ("EventTime", int)}

    def items(self, document: Any) -> list[dict[str, Any]]:
        found = super().items(document)
        name, kind = self.types[self.provider]
        told = [
            one
            for one in found
            if one.get("eventType") in (None, "2") and one.get("CallbackCommand") in (None, "C2C.CallbackAfterSendMsg")
        ]
        if any(not isinstance(one.get(name, kind()), kind) for one in told):
            raise ValueError("of another type")
        return found


class ParsesEveryAttachment(Mutant):
    """Answers 400 to attachments that are no JSON."""

    caught_by = {C: {"payloads.embedded-json", "payloads.every-variant"}}

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        if item.get("msgType") == "CUSTOM" and text(item.get("attach")):
            self.parse(item["attach"])
        return super().entries_of(request, item)


class KeepsTextsOnly(Mutant):
    """Keeps the content of messages that are text; of the others only that there was one."""

    caught_by = {name: {"payloads.content"} for name in (C, T)}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        body = item.get("MsgBody")
        if body and body[0]["MsgType"] != "TIMTextElem":
            item = {**item, "MsgBody": []}
        if text(item.get("msgType")) not in ("", "TEXT", "PICTURE") and "attach" in item:
            item = {**item, "attach": ""}
        return super().entry(kind, code, item)


class KeepsTheFirstElement(Mutant):
    """Keeps the first element of a message."""

    caught_by = {T: {"payloads.content"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        short = {"MsgBody": item["MsgBody"][:1]} if "MsgBody" in item else {}
        return super().entry(kind, code, {**item, **short})


# What does a broken request do?


class CostsTheNext(Mutant):
    """Answers 503 to the delivery after one that upset it."""

    upset = False

    def receive(self, request: Request) -> Answer:
        if self.upset:
            self.upset = False
            return Answer(503)
        self.upset = self.upsets(request)
        return super().receive(request)

    def upsets(self, request: Request) -> bool:
        """Return whether a request is what it cannot stand."""
        raise NotImplementedError


class NullCostsTheNext(CostsTheNext):
    """Answers 503 to the sound delivery after one with a null in it, whose worker died."""

    caught_by = everywhere("robustness.wrong-types")
    strange: ClassVar[tuple[bytes, ...]] = (b":null", b":{}", b":[]", b":[7]", b':"text"', b':"many"')

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        if answer.status == 503 and any(one in request.body for one in self.strange):
            self.upset = True
        return answer

    def upsets(self, request: Request) -> bool:
        return b":null" in request.body


class LargeBodyCostsTheNext(CostsTheNext):
    """Answers 503 to the delivery after a very large one, which has filled the memory."""

    caught_by = everywhere("robustness.oversized")

    def upsets(self, request: Request) -> bool:
        return len(request.body) > 2**20


class CutOffBodyCostsTheNext(PlainMutant):
    """Answers 503 to the delivery after one that was cut off, whose transaction is still open."""

    caught_by = everywhere("robustness.cut-off-body")

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.open = threading.Event()

    def body(self, headers: Mapping[str, str], stream: Any) -> bytes:
        found = super().body(headers, stream)
        if len(found) < int(headers.get("content-length") or 0):
            self.open.set()
            raise ConnectionAbortedError
        return found

    def receive(self, request: Request) -> Answer:
        if self.open.is_set():
            self.open.clear()
            return Answer(503)
        return super().receive(request)


class TakesEveryMethod(Mutant):
    """Never looks at the method."""

    caught_by = everywhere("robustness.wrong-method")
    any_method = True


class ServesOneAtATime(PlainMutant):
    """Reads one request to its end before it looks at another."""

    caught_by = everywhere("robustness.trickled-body")
    threaded = False


class LeavesTheBody(PlainMutant):
    """Refuses what has no signature without reading its body, and goes on with the connection."""

    caught_by = everywhere("robustness.connection-reuse")
    protocol = "HTTP/1.1"

    def before_the_body(self, request: Request) -> Answer | None:
        given = [self.header(request, "CheckSum"), *(self.parameter(request, name) for name in ("signature", "Sign"))]
        return None if any(given) else self.refusal()
