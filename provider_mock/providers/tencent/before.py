"""Tencent Cloud Chat's webhooks before an event: the answer decides what becomes of it.

Rules without a note are from "Webhook Overview".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from im_callback.provider_mock.contract import (
    Decision,
    Judgement,
    NoReply,
    Outcome,
    Reply,
    RetryPolicy,
    in_time,
)
from im_callback.provider_mock.providers.tencent.after import parsed
from im_callback.provider_mock.providers.tencent.signing import SHARED_SOURCES, TokenSigned

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

CHANGES: Final = ("MsgBody", "CloudCustomData", "RefusedMembers_Account")
"""What an answer that allows can change."""
HANDED_ON: Final = ("CloudCustomData", "ErrorInfo", "RspData")
"""What an answer hands on without a look at it: the team's own data, words for people, what a chatbot says."""


class Asked(TokenSigned):
    """A feed that asks: whatever is answered with 200 and JSON, a refusal too, is an answer."""

    ack_rule = "Tencent takes 200 with a JSON object as an answer; anything else lets the event happen"
    decides = True
    undecided: Literal["allowed", "refused", "unknown"] = "allowed"
    policies: Mapping[str, RetryPolicy] = {
        "none": RetryPolicy("one attempt: a question is not asked again, and what is not answered happens"),
    }

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for exactly 200 with a JSON object within 2 s, whatever it decides."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        if timely.status != 200:
            return Judgement(Outcome.REFUSED, f"status {timely.status}; {self.ack_rule}")
        answer = parsed(timely.body)
        if isinstance(answer, Judgement):
            return answer
        if not isinstance(answer, dict):
            return Judgement(Outcome.REFUSED, f"status 200, but the body is no JSON object; {self.ack_rule}")
        return Judgement(Outcome.ACKED, "status 200 with a JSON object")

    def says_no(self, reply: Reply | NoReply) -> bool:
        """Return False: a 200 decides about the event, so that it cannot say that the request was not believed."""
        del reply
        return False

    def decision(self, reply: Reply | NoReply) -> Decision | None:
        """Return what the answer decides: by ErrorCode, or for friends by the ResultCode of each account.

        An answer for friends with another ErrorCode than 0 is ignored, by default; so is one without.
        """
        if self.judge(reply).outcome is not Outcome.ACKED or isinstance(reply, NoReply):
            return None
        answer: dict[str, Any] = json.loads(reply.body)
        code, results = answer.get("ErrorCode"), answer.get("ResultItem")
        if isinstance(code, bool) or not isinstance(code, int) or (results is not None and code != 0):
            return None
        word = "allow"
        if code != 0 or (isinstance(results, list) and any(_refuses(one) for one in results)):
            word = "refuse"
        elif any(answer.get(name) for name in CHANGES):
            word = "modify"
        return Decision(word, _said(answer, word), _text({name: answer.get(name) for name in HANDED_ON}))

    def modified(self, payload: Mapping[str, Any], reply: Reply | NoReply) -> Mapping[str, Any]:
        """Return the message with the answer's MsgBody and CloudCustomData in the place of its own."""
        found = self.decision(reply)
        if found is None or found.word != "modify" or isinstance(reply, NoReply):
            return payload
        answer = json.loads(reply.body)
        return {**payload, **{name: answer[name] for name in ("MsgBody", "CloudCustomData") if answer.get(name)}}


class Before(Asked):
    """The webhooks of chats, groups, friends and official accounts that ask."""

    name = "before"
    title = "Before-event webhooks"
    sources: Mapping[str, str] = {
        **SHARED_SOURCES,
        "order": "Tencent Cloud Chat, Before a One-to-One Message Is Sent (2024-12): Request fields, MsgTime",
        "payload": "Tencent Cloud Chat, Before a One-to-One Message Is Sent (2024-12): Request fields",
        "answer": "Tencent Cloud Chat, Before a One-to-One Message Is Sent (2024-12): Response fields",
        "decision": "Tencent Cloud Chat, Before a One-to-One Message Is Sent (2024-12): Response fields",
    }

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return what people ask to do: write, create groups, join them."""
        from im_callback.provider_mock.providers.tencent.story import before

        return before(stage)


def _refuses(result: Any) -> bool:
    return isinstance(result, dict) and result.get("ResultCode", 0) != 0


def _said(answer: Mapping[str, Any], word: str) -> str:
    """Return what an answer does: its code, the message in place of the one that was sent, and who is kept out."""
    refused = answer.get("RefusedMembers_Account")
    results = answer.get("ResultItem")
    done = {
        "ErrorCode": answer["ErrorCode"],
        "MsgBody": answer.get("MsgBody") if word == "modify" else None,
        "RefusedMembers_Account": sorted(map(str, refused)) if isinstance(refused, list) else refused,
        "ResultItem": sorted(map(_result, results)) if isinstance(results, list) else results,
    }
    return _text({name: value for name, value in done.items() if value})


def _result(result: Any) -> str:
    return _text({name: result.get(name) for name in ("To_Account", "ResultCode")}) if isinstance(result, dict) else ""


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
