"""RongCloud's messages, as forms: those that were sent, and those about which the answer decides.

Rules without a note are from the page that each is titled by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Decision,
    Judgement,
    NoReply,
    Outcome,
    Parameter,
    Reply,
    Request,
    RetryPolicy,
    Stamp,
    in_time,
)
from im_callback.provider_mock.providers.rongcloud.signing import COMMON, OlderNamed, QuerySigned, sources
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import jsontext

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

FORM = "application/x-www-form-urlencoded"
CHARSETS = (f"{FORM};charset=utf-8",)
REPLACED = {
    "replaceContent": "content",
    "replacePushContent": "pushContent",
    "replacePushExt": "pushExt",
    "replaceExtraContent": "extraContent",
}
"""What an answer can replace, and by which field."""
DONE = ("replaceContent", "replacePushContent", "replaceDisablePush")
HANDED_ON = ("replacePushExt", "replaceExtraContent")
"""What of it is the team's own data."""
_APP_KEY = re.compile(rb"(^|&)appKey=[^&]*")
WORDS = {0: "refuse", 1: "allow", 2: "allow"}


class MessageRoute(OlderNamed):
    """Messages that have been sent, one in each form. The form has a `timestamp` of its own, beside the query's."""

    name = "message-route"
    title = "Post-messaging Callback"
    encoding = "form"
    content_type = FORM
    content_types = CHARSETS
    sources: Mapping[str, str] = sources(title, rules=COMMON)

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who write to each other and in groups."""
        from im_callback.provider_mock.providers.rongcloud.talk import sent

        return sent(stage)


class PreMessage(QuerySigned):
    """Messages that wait for an answer. The query does not name the application: the form does."""

    name = "pre-message"
    title = "Pre-messaging Callback Service"
    encoding = "form"
    deadline = 3.0
    parameters = (
        Parameter("timestamp", "query", "time"),
        Parameter("nonce", "query", "nonce"),
        Parameter("signature", "query", "signature"),
        Parameter("appKey", "body", "key"),
    )
    decides = True
    undecided = "allowed"
    content_type = FORM
    content_types = CHARSETS
    policies: Mapping[str, RetryPolicy] = {
        "documented": RetryPolicy("one attempt; a message about which nothing was said in time is delivered"),
    }
    sources: Mapping[str, str] = {
        **sources(title, body="Callback Response"),
        "payload": "RongCloud, Pre-messaging Callback Service: Callback Body Parameters",
        "deadline": "RongCloud, Pre-messaging Callback Service (v4 edition, 2021): 3 seconds; newer pages give no number",
        "decision": "RongCloud, Pre-messaging Callback Service: Callback Response",
    }

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a form, signed in the query; the application that the form names is this one."""
        named = b"appKey=" + quote_plus(credentials.app_key).encode()
        form = _APP_KEY.sub(lambda found: found[1] + named, body, count=1)
        return super().sign(form, code, endpoint, credentials, stamp, wire)

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return acked for 200 in time with an answer that decides; a refusal of the message is one."""
        timely = in_time(reply, self.deadline)
        if isinstance(timely, Judgement):
            return timely
        if timely.status != 200:
            return Judgement(Outcome.REFUSED, f"status {timely.status}; {self.ack_rule}")
        if self.decision(timely) is None:
            return Judgement(Outcome.REFUSED, "status 200, but no JSON with a pass of 0, 1 or 2: nothing is decided")
        return Judgement(Outcome.ACKED, "status 200 with a pass of 0, 1 or 2")

    def decision(self, reply: Reply | NoReply) -> Decision | None:
        """Return refuse for a pass of 0, and for 1 and 2 allow, or modify where something is replaced."""
        if isinstance(reply, NoReply) or reply.status != 200:
            return None
        try:
            answer = jsontext.parse(reply.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None
        passed = answer.get("pass") if isinstance(answer, dict) else None
        if isinstance(passed, bool) or not isinstance(passed, int) or passed not in WORDS:
            return None
        replaced = passed != 0 and any(answer.get(name) not in (None, "") for name in (*DONE, *HANDED_ON))
        effective = ("pass", *DONE) if passed else ("pass",)
        return Decision(
            "modify" if replaced else WORDS[passed],
            _said(answer, effective),
            _said(answer, HANDED_ON) if passed else "",
        )

    def modified(self, payload: Mapping[str, Any], reply: Reply | NoReply) -> Mapping[str, Any]:
        """Return the message with what is replaced, as far as it is text: a form has nothing else."""
        found = self.decision(reply)
        if found is None or found.word != "modify" or isinstance(reply, NoReply):
            return payload
        answer = jsontext.parse(reply.body.decode("utf-8-sig"))
        return {**payload, **{name: answer[by] for by, name in REPLACED.items() if isinstance(answer.get(by), str)}}

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who are about to write to each other and in groups."""
        from im_callback.provider_mock.providers.rongcloud.talk import about_to_be_sent

        return about_to_be_sent(stage)


def _said(answer: Mapping[str, Any], names: Sequence[str]) -> str:
    said = {name: answer[name] for name in names if answer.get(name) not in (None, "")}
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if said else ""
