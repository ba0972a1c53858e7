"""What receivers answer: whether it is as documented, and what it decides of the events that ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from im_callback.conformance.run import Run
from im_callback.provider_mock.contract import Decision, Event, Feed, Reply
from im_callback.provider_mock.history import Attempt
from im_callback.schemas import MISSING, AnswerType, Problem

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""What a typed struct says where nothing is set."""
DECIDE_IN_TIME = (
    "Decide by what is at hand, and give whatever else you ask a time limit well under the deadline: when it has "
    "passed, answer what you want then."
)
UNDECIDED = {
    "allowed": "what is not answered in time happens, as if nobody had been asked",
    "refused": "what is not answered in time is refused, whatever the receiver would have said",
    "unknown": "what is not answered in time the provider decides without the receiver",
}


def decision(attempt: Attempt) -> Decision | None:
    """Return what the answer of an attempt decides, if it came in time; None where it decides nothing."""
    return attempt.shot.feed.decision(attempt.reply) if attempt.taken else None


def modifies(attempt: Attempt) -> bool:
    """Return whether the answer changes what was sent: a record may then hold either."""
    found = decision(attempt)
    return found is not None and found.word == "modify"


def without_answer(feed: Feed) -> str:
    """Return what becomes of a question that is not answered in time, in a clause; empty where nothing is asked."""
    return UNDECIDED[feed.undecided] if feed.decides else ""


def wrong_answer(run: Run, attempt: Attempt) -> str:
    """Return what is wrong with an answer by the schema of what is answered to the event; nothing if none is described."""
    due, answer = _due(run, attempt), _answer(attempt)
    if due is None:
        return ""
    return "the body is not JSON" if answer is MISSING else _said(due.problems(answer))


def such_as(run: Run, attempt: Attempt) -> str:
    """Return the documented sample of what is answered to an event, to be said after its form; empty if there is none."""
    due = _due(run, attempt)
    return f", such as {json.dumps(due.examples[0], ensure_ascii=False)}" if due and due.examples else ""


def wrong_decision(run: Run, attempt: Attempt) -> str:
    """Return what is wrong with an answer that is to decide: its form, its values, or the message that it makes.

    Fields that are empty and need not be there count as absent.
    """
    due, answer = _due(run, attempt), _answer(attempt)
    if isinstance(answer, Mapping) and due is not None:
        needed = due.schema.get("required", ())
        answer = {name: _set(value) for name, value in answer.items() if name in needed or value not in EMPTY}
    if due is not None and (problems := due.problems(answer)):
        return _said(problems)
    if decision(attempt) is None:
        return "it decides nothing: the provider goes on as if it had not asked"
    event, *others = attempt.shot.events
    if others:
        return ""
    made = attempt.shot.feed.modified(event.payload, attempt.reply)
    if made is event.payload:
        return ""
    problems = run.provider.catalogue[event.type].problems(made)
    return f"the message as the answer changes it is none: {_said(problems)}" if problems else ""


def lets_through(run: Run, attempt: Attempt) -> bool:
    """Return whether an answer allows as the feed's other questions are answered, and says nothing of its own.

    A receiver that does not care about a kind of question answers it so.
    """
    found, answer, due = decision(attempt), _answer(attempt), _due(run, attempt)
    if found is None or found.word != "allow" or due is None:
        return False
    known = (run.provider.catalogue.answer(one.name) for one in attempt.shot.feed.event_types)
    others = {id(one): one for one in known if one is not None and one is not due}
    return any(
        not other.problems(answer) and not answer.keys() & (_fields(due) - _fields(other)) for other in others.values()
    )


def _fields(answer: AnswerType) -> set[str]:
    return set(answer.schema.get("properties", ()))


def _due(run: Run, attempt: Attempt) -> AnswerType | None:
    events: tuple[Event, ...] = attempt.shot.events
    return run.provider.catalogue.answer(events[0].type) if events else None


def _answer(attempt: Attempt) -> Any:
    """Return the answer as it is read; `MISSING` if it is not JSON."""
    if not isinstance(attempt.reply, Reply):
        return MISSING
    try:
        return json.loads(attempt.reply.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return MISSING


def _set(value: Any) -> Any:
    """Return a value without the fields of objects that are null."""
    if not isinstance(value, Mapping):
        return value
    return {name: _set(one) for name, one in value.items() if one is not None}


def _said(problems: Iterable[Problem]) -> str:
    return "; ".join(f"{one.pointer or 'the answer'}: {one.message}" for one in problems)
