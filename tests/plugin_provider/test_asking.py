"""A feed from outside whose answer decides: it gets the checks of decisions, and broken receivers are caught."""

from __future__ import annotations

import json
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Verdict
from im_callback.provider_mock.contract import Decision, NoReply, Provider, Reply
from im_callback.schemas import Catalogue, load

from tests.plugin_provider.receivers import Hooks
from tests.receivers.good import Answer
from tests.receivers.serving import serve

FITTING = {f"decision.{slug}" for slug in ("answer-decides", "decides-in-time", "same-question-same-answer")}
FITTING |= {"decision.refusal-is-no-decision"}


@pytest.fixture
def asking(acme: Provider) -> Provider:
    """A provider that signs as Acme does, and asks before messages are sent."""
    events = type(acme.feeds[0])

    class Questions(events):
        name = "questions"
        title = "Questions"
        deadline = 2.0
        decides = True
        undecided = "allowed"
        sources: ClassVar = {**events.sources, "decision": "Asking, Hooks: message.sending"}

        def decision(self, reply: Reply | NoReply) -> Decision | None:
            if isinstance(reply, NoReply) or not 200 <= reply.status < 300:
                return None
            try:
                said = json.loads(reply.body)["decision"]
            except (ValueError, LookupError, TypeError):
                return None
            return Decision(str(said), reply.body.decode())

    class Asking(Provider):
        name = "asking"
        title = "Asking"
        defaults = acme.defaults

        @cached_property
        def catalogue(self) -> Catalogue:
            return load(Path(__file__).parent / "asking" / "schemas")

    return Asking(Questions())


class Judge(Hooks):
    """Lets everything through that is not about secrets; records nothing."""

    def parse(self, body: bytes) -> dict[str, Any]:
        event = json.loads(body.decode())
        if isinstance(event, dict):
            return event
        raise ValueError("no event")

    def take(self, metadata: Any, event: dict[str, Any]) -> Answer:
        return Answer(200, json.dumps({"decision": self.word(event)}))

    def word(self, event: dict[str, Any]) -> str:
        return "refuse" if "secret" in str(event.get("text")) else "allow"


class SaysMaybe(Judge):
    """Answers with a word of its own."""

    caught_by = frozenset({"decision.answer-decides"})

    def word(self, event: dict[str, Any]) -> str:
        return "maybe"


class Tosses(Judge):
    """Decides by chance."""

    caught_by = frozenset({"decision.same-question-same-answer"})

    def __init__(self) -> None:
        super().__init__()
        self.asked = count()

    def word(self, event: dict[str, Any]) -> str:
        return ("allow", "refuse")[next(self.asked) % 2]


class RefusesByDecision(Judge):
    """Says refuse to what it does not believe, with 200."""

    caught_by = frozenset({"decision.refusal-is-no-decision"})

    def refusal(self) -> Answer:
        return Answer(200, '{"decision": "refuse"}')


def test_fitting(asking: Provider) -> None:
    """All checks of decisions hold."""
    holding = {
        check.id(asking).removeprefix("asking.")
        for check in all_checks()
        if not check.option and check.among(asking.feeds)
    }
    assert {one for one in holding if one.startswith("decision.")} >= FITTING


@pytest.mark.parametrize("kind", [Judge, SaysMaybe, Tosses, RefusesByDecision], ids=lambda kind: kind.__name__)
def test_judged(kind: type[Judge], asking: Provider) -> None:
    """A good receiver passes them, a broken one fails the one for its defect."""
    with serve(kind()) as url:
        run = Run(Settings(url, asking, asking.defaults, seed=20))
        checks = [
            one for one in all_checks() if not one.option and one.among(asking.feeds) and one.family == "decision"
        ]
        found = [run_check(one, run) for one in checks]
    said = "\n".join(f"{one.id}: {one.verdict.value}: {one.actual or one.reason}" for one in found)
    assert {one.id.removeprefix("asking.") for one in found if one.verdict is Verdict.FAIL} == kind.caught_by, said
    assert not [one for one in found if one.verdict is Verdict.HARNESS_ERROR], said
    passed = {one.id.removeprefix("asking.") for one in found if one.verdict is Verdict.PASS}
    assert kind.caught_by or passed >= FITTING, said
