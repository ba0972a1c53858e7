"""What a check's picture shows: of its exchanges those that its failure is about, as steps of a timeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from im_callback.provider_mock.drawing.timeline import Shown, Step, Timeline

RECORDS = 3
"""Records that are drawn; all of them stand beside each other in the text."""
REPEATS = "deduplication"
"""The family of checks in which an event that is delivered again must have no effect."""
ORDER = "ordering"
"""The family of checks in which an effect stands in the wrong place."""
DUE_RECORD = "sent"
"""How the words for a record begin that was due, and does not show."""
CAME = frozenset({"acked", "declined", "refused"})
DUE = {
    "acknowledgement": "an acknowledgement was due",
    "refusal": "a refusal was due",
    "answer": "an answer was due",
}


def timeline(check: Mapping[str, Any]) -> Timeline | None:
    """Return the timeline of a check of the document; None where it has no exchanges."""
    exchanges = check["exchanges"]
    if not exchanges:
        return None
    failed = check["verdict"] == "fail"
    concerned = sorted(about(exchanges, check["actual"]) if failed else exchanges, key=lambda one: one["sent_at"])
    wrong = [wrong_with(one) for one in concerned]
    if failed and not any(wrong):
        family = check["id"].split(".")[1]
        if family == REPEATS:
            wrong = _repeated(concerned)
        elif family == ORDER:
            wrong = _misplaced(concerned, check.get("records", ()))
    left = len(exchanges) - len(concerned) + check.get("exchanges_left_out", 0)
    return Timeline(tuple(map(_step, concerned, wrong)), tuple(_shown(check)), more=left)


def about(exchanges: Sequence[Mapping[str, Any]], actual: str) -> list[Mapping[str, Any]]:
    """Return the exchanges that a sentence is about: what they carry is named in it, or their answer is what is wrong.

    Where it names none, those of the event type that it names first; else all.
    """
    wrong = [one for one in exchanges if wrong_with(one)]
    named = [one for one in exchanges if any(event in actual for event in one.get("events", ()))]
    if wrong or named:
        return [one for one in exchanges if one in wrong or one in named]
    types = {one["type"].partition("/")[0] for one in exchanges if "type" in one}
    first = min((name for name in types if name in actual), key=actual.find, default="")
    found = [one for one in exchanges if first and one.get("type", "").partition("/")[0] == first]
    return found or list(exchanges)


def wrong_with(exchange: Mapping[str, Any]) -> str:
    """Return what is wrong with the answer of an exchange by itself; nothing where it is as it should be."""
    expected, outcome = exchange["expected"], exchange["outcome"]
    fits = {
        "acknowledgement": outcome == "acked",
        "refusal": outcome in ("refused", "declined"),
        "answer": outcome in CAME,
        "nothing": True,
    }
    return "" if fits[expected] else DUE[expected]


def answer_of(exchange: Mapping[str, Any]) -> str:
    """Return what came back in a word: the status, or that nothing did."""
    if "reply" in exchange:
        return str(exchange["reply"]["status"])
    if exchange["expected"] == "nothing":
        return "not waited for, on purpose"
    return "no answer" if exchange["outcome"] == "timed out" else "connection failed"


def _step(exchange: Mapping[str, Any], wrong: str) -> Step:
    return Step(
        at=exchange["sent_at"],
        label=exchange["note"] or exchange.get("type", "a request"),
        outcome=exchange["outcome"],
        answer=answer_of(exchange),
        took=exchange["seconds"] * 1000,
        deadline=exchange["deadline_ms"],
        event="; ".join(exchange.get("events", ())),
        wrong=wrong,
    )


def _repeated(exchanges: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mark the deliveries of what was delivered before: they are what had an effect and must not."""
    before: set[str] = set()
    found = []
    for exchange in exchanges:
        events = set(exchange.get("events", ()))
        found.append("the same again: it had its own effect" if events & before else "")
        before |= events
    return found


def _misplaced(exchanges: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Mark the delivery of what shows where it must not: the last record that is not what was due."""
    shown = [one for one in records if not one["what"].startswith(DUE_RECORD)]
    if not shown:
        return [""] * len(exchanges)
    what, record = shown[-1]["what"], shown[-1]["record"]
    return [what if any(_carried(event, record) for event in one.get("events", ())) else "" for one in exchanges]


def _carried(event: str, record: Any) -> bool:
    """Return whether a record has all that an event is told from others by."""
    identity = event.partition(" (")[2].removesuffix(")")
    return bool(identity) and set(identity.split(", ")) <= set(_values(record))


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner)
    else:
        yield _text(value)


def _shown(check: Mapping[str, Any]) -> list[Shown]:
    if check["verdict"] != "fail":
        return []
    records = check.get("records", [])
    told = [
        Shown(text, head=one["what"])
        for one, text in zip(
            records[:RECORDS], _told([one["record"] for one in records], check["actual"]), strict=False
        )
    ]
    if len(records) > RECORDS:
        told.append(Shown("and more records"))
    return [Shown(check["expected"], "due"), Shown(check["actual"], "wrong"), *told]


def _told(records: Sequence[Any], actual: str) -> list[str]:
    """Return records as lines: what tells them apart, or what the failure names; else all that they hold."""
    known = [one for one in records if isinstance(one, Mapping)]
    names = dict.fromkeys(name for one in known for name in one)
    differing = [name for name in names if len({_text(one.get(name)) for one in known}) > 1]
    named = [name for name in names if any(len(text := _text(one.get(name))) > 2 and text in actual for one in known)]
    lines = []
    for one in records:
        chosen = {name: one[name] for name in (*named, *differing) if name in one} if isinstance(one, Mapping) else {}
        lines.append(", ".join(f"{name} {_text(value)}" for name, value in chosen.items()) or _text(one))
    return lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
