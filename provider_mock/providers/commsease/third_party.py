"""NetEase CommsEase's third-party callbacks: asked once before something happens, 2 seconds, the answer decides.

Rules without a note are from "third-party callbacks" (2025-06-04). What an answer holds is known from a public Go
library with the vendor's comments, with which two others agree; the page with it is not at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from im_callback.provider_mock.answer import REMEMBERED
from im_callback.provider_mock.contract import (
    Decision,
    Judgement,
    Level,
    NoReply,
    Outcome,
    Reply,
    RetryPolicy,
    in_time,
)
from im_callback.provider_mock.providers.commsease.signing import BodySigned

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

CALLBACKS: Final = "CommsEase, third-party callbacks, Chinese page (2025-06-04)"
ANSWER: Final = "Public Go library with the vendor's comments (package yunxin): answer"
CHANGES: Final = ("body", "attach", "ext")
"""What an answer can put in the place of a field of the message of that name."""
HANDED_ON: Final = ("ext", "pushPayload")
"""What of it is the team's own data."""
FAILED: Final = "the console's default is applied, and the failure is copied as 83"


class ThirdParty(BodySigned):
    """Questions that clients' actions raise; the answer allows, refuses or changes them."""

    name = "third-party"
    title = "Third-party callbacks"
    deadline = 2.0
    ack_rule = f"CommsEase takes 200 with an errCode as an answer; else {FAILED}"
    decides = True
    content_type = "application/json; charset=utf-8"
    # The pages' samples have it without a charset.
    content_types = ("application/json", "application/json;charset=utf-8")
    unknown_type: Mapping[str, Any] = {"eventType": 9999}
    policies: Mapping[str, RetryPolicy] = {"once": RetryPolicy(f"one attempt; where it fails {FAILED}")}
    sources: Mapping[str, str] = {
        "transport": f"{CALLBACKS}: request",
        "signature": f"{CALLBACKS}: request headers",
        "application": f"{CALLBACKS}: request headers",
        "freshness": f"{CALLBACKS}: request headers",
        "ack": f"{CALLBACKS}: answer",
        "answer": ANSWER,
        "decision": ANSWER,
        "deadline": f"{CALLBACKS}: time-out",
        "retry": f"{CALLBACKS}: number of requests",
        "duplicates": f"{CALLBACKS}: number of requests",
        "order": f"{CALLBACKS}: number of requests",
        "payload": f"{CALLBACKS}: callback types",
    }
    # Each is asked once, so that who records one twice has been asked by somebody in between.
    levels: Mapping[str, Level] = {**BodySigned.levels, "duplicates": "may"}

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for 200 with a JSON object that has an errCode, whatever it decides, within 2 s."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        if timely.status != 200:
            return Judgement(Outcome.REFUSED, f"status {timely.status}; {self.ack_rule}")
        if isinstance(_answer(timely.body), dict):
            return Judgement(Outcome.ACKED, "status 200 with an errCode")
        return Judgement(Outcome.REFUSED, f"status 200, but {_answer(timely.body)}; {self.ack_rule}")

    def decision(self, reply: Reply | NoReply) -> Decision | None:
        """Return what errCode says: 0 allows, or modifies with a modifyResponse; 1 refuses; None for all else."""
        if isinstance(reply, NoReply) or self.judge(reply).outcome is not Outcome.ACKED:
            return None
        answer = _answer(reply.body)
        if not isinstance(answer, dict) or isinstance(answer["errCode"], bool) or answer["errCode"] not in (0, 1):
            return None
        told = _said(answer, "callbackExt")
        if answer["errCode"] == 1:
            return Decision("refuse", _said(answer, "errCode", "responseCode"), told)
        changes = answer.get("modifyResponse")
        if not isinstance(changes, dict):
            return Decision("modify" if changes else "allow", _said(answer, "errCode", "modifyResponse"), told)
        done = {name: value for name, value in changes.items() if name not in HANDED_ON}
        handed = {name: value for name, value in changes.items() if name in HANDED_ON}
        said = _said({**answer, "modifyResponse": done}, "errCode", "modifyResponse")
        return Decision("modify" if changes else "allow", said, told + json.dumps(handed, sort_keys=True))

    def modified(self, payload: Mapping[str, Any], reply: Reply | NoReply) -> Mapping[str, Any]:
        """Return the message with the body, attach and ext of a modifyResponse in the place of its own."""
        found = self.decision(reply)
        if found is None or found.word != "modify" or isinstance(reply, NoReply):
            return payload
        changes = json.loads(reply.body)["modifyResponse"]
        if not isinstance(changes, dict):
            return payload
        return {**payload, **{name: changes[name] for name in CHANGES if changes.get(name) is not None}}

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who want to log in, talk, recall, make friends and enter rooms."""
        from im_callback.provider_mock.providers.commsease.third_party_story import story

        return story(stage)


def _said(answer: Mapping[str, Any], *names: str) -> str:
    """Return these fields of an answer in a form that can be compared."""
    said = {name: answer[name] for name in names if answer.get(name) is not None}
    return json.dumps(said, ensure_ascii=False, sort_keys=True)


def _answer(body: bytes) -> Mapping[str, Any] | str:
    """Return an answer that has an errCode, or what is wrong with it."""
    return _read(body) if len(body) <= REMEMBERED else _read.__wrapped__(body)


@lru_cache(maxsize=512)
def _read(body: bytes) -> Mapping[str, Any] | str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON" if body else "there is no body"
    if not isinstance(answer, dict):
        return "the body is no JSON object"
    return answer if "errCode" in answer else "the body has no errCode"
