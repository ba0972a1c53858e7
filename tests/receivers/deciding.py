"""Receivers that are asked: good ones of every temper, and mutants, each for every provider that asks.

How an answer is written is the provider's; what is decided is a temper's. A receiver is one of each.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from tests.receivers.commsease_feeds import Answers
from tests.receivers.good import Answer, Entry, Good, Request
from tests.receivers.rongcloud_feeds import Feed
from tests.receivers.tencent_feeds import ASKED, ASKS_FRIENDS, KeepsQuestions

Said = dict[str, Any]
DEADLINE = 1.0
"""Seconds that a run waits for those who are late, so that the proof is quick."""


class Deciding(Good):
    """Answers a question by its `verdict`; `keeps` says which questions it records: none, all, those that it allows."""

    name: ClassVar[str]
    feed_name: ClassVar[str]
    keeps: str = "all"

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        return answer if answer.status != 200 else self.answered(request)

    def answered(self, request: Request) -> Answer:
        """Return the answer to a question that the provider asked."""
        item = self.question(request)
        return Answer(200, json.dumps(self.dressed(self.said(self.verdict(item), item, request), item)))

    def question(self, request: Request) -> Said:
        """Return what is asked; nothing, if it is no object."""
        found = self.items(self.parse(self.decode(request.body)))
        return found[0] if found else {}

    def verdict(self, item: Said) -> str:
        """Return what becomes of it: `allow`, `refuse` or `modify`."""
        return "allow"

    def said(self, word: str, item: Said, request: Request) -> Said:
        """Return a verdict as this provider's documents write it."""
        raise NotImplementedError

    def dressed(self, said: Said, item: Said) -> Said:
        """Return the answer as it leaves."""
        return said

    def entries_of(self, request: Request, item: Said) -> Iterable[Entry]:
        allowed = self.keeps == "allowed" and self.verdict(item) != "refuse"
        return super().entries_of(request, item) if allowed or self.keeps == "all" else []


class CommsEase(Deciding, Answers):
    """Third-party callbacks of CommsEase."""

    name, feed_name = "commsease", "third-party"

    def said(self, word: str, item: Said, request: Request) -> Said:
        if word == "refuse":
            return {"errCode": 1, "responseCode": 20001}
        if word == "modify" and item.get("msgType") == "TEXT":
            return {"errCode": 0, "modifyResponse": {"body": f"{item.get('body', '')} (seen)", "ext": "seen"}}
        if word == "modify" and item.get("msgType") == "PICTURE":
            return {"errCode": 0, "modifyResponse": {"attach": '{"url":"https://example.com/other.png"}'}}
        return {"errCode": 0}


class RongCloud(Deciding, Feed):
    """The pre-messaging service of RongCloud."""

    name, feed_name = "rongcloud", "pre-message"

    def __init__(self) -> None:
        super().__init__(self.feed_name)

    def said(self, word: str, item: Said, request: Request) -> Said:
        if word == "refuse":
            return {"pass": 0, "extra": "not here"}
        if word == "modify" and item.get("msgType") == "RC:TxtMsg":
            content = {**json.loads(str(item["content"])), "content": "***"}
            return {"pass": 1, "replaceContent": json.dumps(content), "replaceDisablePush": True}
        return {"pass": 2, "replacePushContent": "***"} if word == "modify" else {"pass": 1}


class Tencent(Deciding, KeepsQuestions):
    """Tencent's webhooks before an event."""

    name, feed_name = "tencent", "before"
    refused = 1

    def said(self, word: str, item: Said, request: Request) -> Said:
        command = self.command(request)
        said = self.answer(command, {name: value for name, value in item.items() if name in ASKS_FRIENDS.values()})
        if word == "refuse" and command in ASKS_FRIENDS:
            for one in said["ResultItem"]:
                one.update(ResultCode=38000, ResultInfo="not here")
        elif word == "refuse":
            said.update(ErrorInfo="not here", ErrorCode=self.refused)
        elif word == "modify" and command in ASKED and "MsgBody" in item:
            said.update(MsgBody=[self.element(one) for one in item["MsgBody"]], CloudCustomData="seen")
        return said

    def element(self, element: Said) -> Said:
        """Return an element as it is to be delivered."""
        text = element["MsgType"] == "TIMTextElem"
        return {**element, "MsgContent": {"Text": f"{element['MsgContent']['Text']} (seen)"}} if text else element


class Gifts(Tencent):
    """Tencent's live rooms, before a gift."""

    feed_name = "live-before"
    refused = 102100


PROVIDERS: tuple[type[Deciding], ...] = (CommsEase, RongCloud, Tencent, Gifts)


# Tempers of good receivers.


class Allows(Deciding):
    """Lets everything through."""


class Words(Deciding):
    """Refuses what says certain words, which some of the documented samples do."""

    words = ("packet", "hello", "test", "jared", "gift")

    def verdict(self, item: Said) -> str:
        said = json.dumps(item, ensure_ascii=False)
        return "refuse" if any(word in said for word in self.words) else "allow"


class Changes(Deciding):
    """Changes what can be changed, and keeps it as it will be delivered."""

    def verdict(self, item: Said) -> str:
        return "modify"

    def entry(self, *args: Any) -> Entry:
        found = super().entry(*args)
        if "body" in found.item:
            found.item["body"] = "as it was delivered"
        return found


class ByTheEvent(Deciding):
    """Decides by a hash of what it is asked: at random to look at, and always the same."""

    def verdict(self, item: Said) -> str:
        digest = hashlib.sha256(json.dumps(item, sort_keys=True).encode()).digest()
        return ("allow", "refuse", "modify")[digest[0] % 3]


class Talks(Words):
    """Says more than it is asked for, and something else each time."""

    def dressed(self, said: Said, item: Said) -> Said:
        chatter = uuid.uuid4().hex
        own = {"commsease": "callbackExt", "rongcloud": "extra", "tencent": "ErrorInfo"}[self.name]
        return {**said, own: chatter, "traceId": chatter, "took": {"ms": 3, "of": None}, "version": 2}


class Struct(Words):
    """Answers with a typed struct, in which nothing is ever left out."""

    empty: ClassVar[Mapping[str, Said]] = {
        "commsease": {"responseCode": 0, "modifyResponse": None, "callbackExt": ""},
        "rongcloud": {"replaceContent": "", "replacePushContent": None, "replacePushExt": None, "extra": ""},
        "tencent": {"MsgBody": [], "CloudCustomData": "", "RefusedMembers_Account": None},
    }

    def dressed(self, said: Said, item: Said) -> Said:
        return {**self.empty[self.name], **said}


GOOD: tuple[type[Deciding], ...] = (Allows, Words, Changes, ByTheEvent, Talks, Struct)


class RefusesReplays(Deciding):
    """Takes no signature twice."""

    keeps = "none"

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def genuine(self, request: Request) -> bool:
        given = self.header(request, "CheckSum") or self.parameter(request, "signature")
        with self.lock:
            known = given in self.seen
            fits = super().genuine(request)
            if fits:
                self.seen.add(given)
        return fits and not known


class PlainWords(Good):
    """Answers every webhook of Tencent's with the same plain success, as one who has no use for most of them."""

    def __init__(self) -> None:
        super().__init__("tencent")


# Mutants, each with one defect. `caught_by` are the checks that fail, without the provider's name.

DECIDES, IN_TIME = "decision.answer-decides", "decision.decides-in-time"
SAME, REFUSAL = "decision.same-question-same-answer", "decision.refusal-is-no-decision"
LATE, VISIBLE = "acknowledgement.within-deadline", "signature.refusal-is-visible"
UNANSWERED = {
    "acknowledgement.acks-every-type",
    "signature.accepts-documented",
    "acknowledgement.exact-status",
    DECIDES,
}


class Mutant(Deciding):
    """A receiver with one defect, which `caught_by` names; `unjudged` are those that could not run, by provider."""

    keeps = "none"
    providers: ClassVar[tuple[type[Deciding], ...]] = PROVIDERS
    caught_by: ClassVar[set[str]]
    unjudged: ClassVar[Mapping[str, set[str]]] = {}
    deadline: ClassVar[float | None] = None


class Late(Mutant):
    """Thinks for longer than anybody waits, about some questions."""

    caught_by: ClassVar = {LATE, IN_TIME}
    providers: ClassVar = (CommsEase, RongCloud, Tencent)
    unjudged: ClassVar = {
        "CommsEase": {"acknowledgement.acks-every-type", "payloads.every-variant", "signature.accepts-documented"},
        "RongCloud": {"payloads.every-variant"},
        "Tencent": {"acknowledgement.acks-every-type", "signature.accepts-documented"},
    }
    deadline = DEADLINE
    wired = True

    def verdict(self, item: Said) -> str:
        slow = {"callType": None, "msgType": "RC:ImgMsg", "CallbackCommand": "Group.CallbackBeforeCreateTopic"}
        if any(name in item and value in (None, item[name]) for name, value in slow.items()):
            self.stopped.wait(2 * DEADLINE)
        return "allow"


class SlowInACrowd(Mutant):
    """Has one desk for everybody, at which a question takes long as soon as others wait."""

    caught_by: ClassVar = {IN_TIME}
    providers: ClassVar = (CommsEase, Gifts)
    deadline = DEADLINE
    wired = True

    def __init__(self) -> None:
        super().__init__()
        self.desk, self.crowd = threading.Lock(), 0

    def verdict(self, item: Said) -> str:
        with self.lock:
            self.crowd += 1
        # Long enough for others to come in.
        self.stopped.wait(0.01)
        with self.desk:
            if self.crowd > 3:
                self.stopped.wait(DEADLINE / 20)
        with self.lock:
            self.crowd -= 1
        return "allow"


class WrongCode(Mutant):
    """Refuses with a code that is not among those documented for it."""

    caught_by: ClassVar = {DECIDES}
    providers: ClassVar = (CommsEase, Tencent, Gifts)

    def dressed(self, said: Said, item: Said) -> Said:
        codes = {"third-party": {"errCode": 1, "responseCode": 403}, "before": {"ErrorCode": 403}}
        return {**said, **codes.get(self.feed_name, {"ErrorCode": 10100})}


class CodeAsText(Mutant):
    """Writes its code as text."""

    caught_by: ClassVar = {DECIDES}
    unjudged: ClassVar = {name: {SAME} for name in ("CommsEase", "Tencent", "Gifts")}
    providers: ClassVar = (CommsEase, Tencent, Gifts)

    def dressed(self, said: Said, item: Said) -> Said:
        name = "errCode" if self.name == "commsease" else "ErrorCode"
        return {**said, name: str(said[name])}


class HasFailed(Mutant):
    """Says about friends that it has failed, whatever it is asked: such an answer is ignored."""

    caught_by: ClassVar = {DECIDES}
    providers: ClassVar = (Tencent,)

    def dressed(self, said: Said, item: Said) -> Said:
        return {**said, "ErrorCode": 39000} if "ResultItem" in said else said


class BreaksTheMessage(Mutant):
    """Puts in the place of a message what is none."""

    caught_by: ClassVar = {DECIDES}
    providers: ClassVar = (CommsEase, RongCloud, Tencent)
    broken: ClassVar[Mapping[str, Said]] = {
        "commsease": {"modifyResponse": {"body": {"text": "***"}}},
        "rongcloud": {"replaceContent": '{"text":"***"}'},
        "tencent": {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"text": "***"}}]},
    }

    def verdict(self, item: Said) -> str:
        return "modify"

    def dressed(self, said: Said, item: Said) -> Said:
        changed = {"modifyResponse", "replaceContent", "MsgBody"} & set(said)
        return {**said, **self.broken[self.name]} if changed else said


class BreaksPictures(Mutant):
    """Replaces a picture by plain words, where JSON is due."""

    caught_by: ClassVar = {DECIDES}
    providers: ClassVar = (CommsEase, RongCloud)

    def dressed(self, said: Said, item: Said) -> Said:
        if item.get("msgType") not in ("PICTURE", "RC:ImgMsg", "RC:TxtMsg"):
            return said
        changed = (
            {"modifyResponse": {"attach": "removed"}} if self.name == "commsease" else {"replaceContent": "removed"}
        )
        return {**said, **changed} if self.name != "commsease" or "attach" in item else said


class ByChance(Mutant):
    """Tosses a coin, which never falls on the same side twice for one question."""

    caught_by: ClassVar = {SAME}

    def __init__(self) -> None:
        super().__init__()
        self.tosses: Counter[str] = Counter()

    def verdict(self, item: Said) -> str:
        question = json.dumps(item, sort_keys=True)
        self.tosses[question] += 1
        return ("allow", "refuse")[self.tosses[question] % 2]


class FailsClosed(Mutant):
    """Refuses with 200 what is not signed, as it refuses messages."""

    caught_by: ClassVar = {REFUSAL, VISIBLE}

    def receive(self, request: Request) -> Answer:
        if self.genuine(request):
            return super().receive(request)
        said = {"commsease": {"errCode": 1}, "rongcloud": {"pass": 0}}
        plain = {"ActionStatus": "FAIL", "ErrorInfo": "sign", "ErrorCode": 1}
        return Answer(200, json.dumps(said.get(self.name, plain)))


class FailsOpen(Mutant):
    """Lets through with 200 what is not signed, and records only what is."""

    keeps = "all"
    caught_by: ClassVar = {REFUSAL, VISIBLE}
    providers: ClassVar = (CommsEase, RongCloud, Tencent)

    def receive(self, request: Request) -> Answer:
        return super().receive(request) if self.genuine(request) else self.answered(request)

    def answered(self, request: Request) -> Answer:
        try:
            return super().answered(request)
        except ValueError:
            return Answer(400)


class AsksNobody(Mutant):
    """Decides about everything that comes, whoever signed it."""

    caught_by: ClassVar = {
        "signature.rejects-wrong-secret",
        "signature.rejects-empty-secret",
        "signature.rejects-key-as-secret",
        "signature.rejects-altered-time",
        "signature.rejects-missing",
        "signature.rejects-truncated-signature",
        REFUSAL,
        VISIBLE,
    }
    providers: ClassVar = (Tencent, Gifts)

    def signed(self, given: str, fixed: Any, numbers: Any) -> bool:
        return True


class SaysNothing(Mutant):
    """Answers everything with 204."""

    caught_by: ClassVar = {"preflight.accepts-valid"}

    def answered(self, request: Request) -> Answer:
        return Answer(204)


class SaysOk(SaysNothing):
    """Answers everything with a word that is no JSON."""

    def answered(self, request: Request) -> Answer:
        return Answer(200, "ok")


class SilentAboutGroups(Mutant):
    """Answers with 204 what is asked about groups alone."""

    caught_by: ClassVar = UNANSWERED
    providers: ClassVar = (Tencent,)

    def answered(self, request: Request) -> Answer:
        return Answer(204) if self.command(request) == "Group.CallbackBeforeCreateGroup" else super().answered(request)


MUTANTS: tuple[type[Mutant], ...] = (
    Late,
    SlowInACrowd,
    WrongCode,
    CodeAsText,
    HasFailed,
    BreaksTheMessage,
    BreaksPictures,
    ByChance,
    FailsClosed,
    FailsOpen,
    AsksNobody,
    SaysNothing,
    SaysOk,
    SilentAboutGroups,
)


def receiver(temper: type[Deciding], provider: type[Deciding], keeps: str = "") -> Deciding:
    """Return a receiver with a temper, at a provider; it may be told which questions to record."""
    made: Any = type(f"{temper.__name__}{provider.__name__}", (temper, provider), {})()
    made.keeps = keeps or made.keeps
    assert isinstance(made, Deciding)
    return made
