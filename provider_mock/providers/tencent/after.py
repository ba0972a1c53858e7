"""Tencent Cloud Chat's webhooks after an event: 200 and a JSON answer within 2 seconds.

Rules without a note are from "Webhook Overview".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.answer import REMEMBERED, declines
from im_callback.provider_mock.contract import (
    Judgement,
    NoReply,
    Outcome,
    Reply,
    RetryPolicy,
    declined,
    in_time,
)
from im_callback.provider_mock.providers.tencent.signing import BARE_CONTEXT, SHARED_SOURCES, TokenSigned

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage


class Told(TokenSigned):
    """A feed that tells what has happened, whatever is answered."""

    ack_rule = "Tencent takes 200 with a JSON body as received"
    policies: Mapping[str, RetryPolicy] = {
        "none": RetryPolicy("one attempt; what fails is not sent again"),
        "on-timeout": RetryPolicy(
            "again after a time-out, as the console can be set; number and spacing are not "
            "documented (2 more, 5 s apart here)",
            retries={Outcome.TIMED_OUT: 2},
            spacing={Outcome.TIMED_OUT: 5.0},
        ),
    }

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for exactly 200 with a JSON body within 2 s; one whose answer says no is declined."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        if timely.status != 200:
            return Judgement(Outcome.REFUSED, f"status {timely.status}; {self.ack_rule}")
        answered = _answered(timely.body) if len(timely.body) <= REMEMBERED else _answered.__wrapped__(timely.body)
        return declined(timely) if answered is None else answered


class After(Told):
    """The webhooks of chats, groups and accounts that tell what has happened."""

    name = "after"
    title = "After-event webhooks"
    sources: Mapping[str, str] = {
        **SHARED_SOURCES,
        "order": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): MsgTime",
        "payload": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Request fields",
        "answer": "Tencent Cloud Chat, After a One-to-One Message Is Sent (2024-06-25): Response fields",
    }

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who come and go, write to each other, and meet in groups."""
        from im_callback.provider_mock.providers.tencent.story import after

        return after(stage)


class Push(Told):
    """What became of pushes: lists of events in an object. Its requests do not say where they come from."""

    name = "push"
    title = "Push callbacks"
    context = BARE_CONTEXT
    unknown_type: Mapping[str, Any] = {"Events": [{"CallbackCommand": "Push.NotYetDocumented"}]}
    sources: Mapping[str, str] = {
        **SHARED_SOURCES,
        "order": "Tencent Cloud Chat, Other Push Callbacks (2025-02-28): Request fields",
        "payload": "Tencent Cloud Chat, Other Push Callbacks (2025-02-28): Request fields",
        "answer": "Tencent Cloud Chat, Other Push Callbacks (2025-02-28): Response fields",
    }


class Moderation(Told):
    """Results of the cloud's moderation. The command stands in the query alone."""

    name = "moderation"
    title = "Content moderation results"
    context = BARE_CONTEXT
    unknown_type: Mapping[str, Any] = {}
    sources: Mapping[str, str] = {
        **SHARED_SOURCES,
        "order": "Tencent Cloud Chat, Content Moderation Result Callback: Request fields",
        "payload": "Tencent Cloud Chat, Content Moderation Result Callback: Request fields",
        "answer": "Tencent Cloud Chat, Content Moderation Result Callback: Response fields",
    }


@lru_cache(maxsize=512)
def _answered(body: bytes) -> Judgement | None:
    """Return what Tencent makes of the body of a 200; None if the body declines."""
    answer = parsed(body)
    if isinstance(answer, Judgement):
        return answer
    said = answer if isinstance(answer, dict) else {}
    failed = said.get("ActionStatus") == "FAIL" or str(said.get("ErrorCode") or 0) not in ("0", "0.0")
    if failed or declines(body):
        return None
    return Judgement(Outcome.ACKED, "status 200 with a JSON body")


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body, or the judgement on one that is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        what = "the body is not JSON" if body else "there is no body"
        return Judgement(
            Outcome.REFUSED, f"status 200, but {what}: a JSON answer is due, or Tencent counts it as failed"
        )
