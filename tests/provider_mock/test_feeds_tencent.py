"""Tencent's feeds, against a receiver that was written from the documents: every event type arrives, and is believed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Decision,
    Event,
    Feed,
    NoReply,
    Outcome,
    Reply,
    Request,
    Stamp,
    Tried,
    Written,
    query_pairs,
)
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.provider_mock.traffic.world import tell
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import EventType, resolve
from im_callback.schemas import replace as changed

from tests.cases import in_each
from tests.feeds import few_at_once
from tests.provider_mock.plain_tencent import APP, TOKEN, Webhooks, listening

TENCENT = providers.load("tencent")
FEEDS = TENCENT.feeds
SIGNED = [feed for feed in FEEDS if feed.covers]
ASKING = [feed for feed in FEEDS if feed.decides]
CREDENTIALS = Credentials(APP, TOKEN)
NOW = 1767225600000
by_feed = pytest.mark.parametrize("feed", FEEDS, ids=lambda one: one.name)
PLAIN = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def described(feed: Feed) -> list[EventType]:
    """Return the event types of a feed that can be made up."""
    return [one for one in feed.event_types if one.status == "documented"]


def payloads(one: EventType) -> Iterator[dict[str, Any]]:
    """Yield each sample, each variant and five that are made up, with identities of their own."""
    generator = Generator(1, NOW)
    for sample in one.examples:
        yield generator.identities.fresh(one, sample).payload
    for variant in one.variants:
        yield variant_payload(generator, one, variant)
    for _ in range(5):
        yield generator.event(one).payload


def now() -> Stamp:
    """Return a stamp of this moment."""
    return Stamp(round(time.time() * 1000), "1")


def shot(feed: Feed, event: Event, url: str, wire: Wire = DOCUMENTED, credentials: Credentials = CREDENTIALS) -> Shot:
    """Return an event's request, ready to leave."""
    request = feed.request([event], url, credentials, now(), wire)
    return Shot(feed, request, request, (event,), credentials)


def sent(feed: Feed, shots: list[Shot]) -> list[Attempt]:
    """Return what came of the shots."""
    return few_at_once(shots, feed.deadline)


def reply(body: object, status: int = 200, seconds: float = 0.1) -> Reply:
    """Return an answer."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, (), text, seconds)


class TestDelivery:
    """Everything that the documents describe arrives at a receiver written from them."""

    @by_feed
    @pytest.mark.parametrize("token", [TOKEN, None])
    def test_every_event_type(self, feed: Feed, token: str | None) -> None:
        """Each sample, each variant and made-up ones are believed, read as they were sent, and acknowledged."""
        webhooks, credentials = Webhooks(token), Credentials(APP, token)
        events = [Event(one.name, payload) for one in described(feed) for payload in payloads(one)]
        with listening(webhooks) as url:
            attempts = sent(feed, [shot(feed, event, url, credentials=credentials) for event in events])
        assert [] == webhooks.why
        assert [] == [attempt.judgement for attempt in attempts if not attempt.acked]
        as_read = sorted(json.dumps(document, sort_keys=True) for _, document in webhooks.taken)
        assert as_read == sorted(json.dumps(event.payload, sort_keys=True) for event in events)

    @by_feed
    def test_commands(self, feed: Feed) -> None:
        """The query names the command, in the body too where the documents have it there."""
        webhooks = Webhooks()
        one = described(feed)[0]
        with listening(webhooks) as url:
            sent(feed, [shot(feed, Event(one.name, one.examples[0]), url)])
        ((command, document),) = webhooks.taken
        if feed.name == "call":
            assert f"{document['Role']}_{document['Event']}" == command
        elif feed.name == "push":
            assert {command} == {event["CallbackCommand"] for event in document["Events"]}
        elif feed.name == "moderation":
            assert "ContentCallback.ResultNotify" == command
        else:
            assert document["CallbackCommand"] == command

    @pytest.mark.parametrize("feed", SIGNED, ids=lambda one: one.name)
    @pytest.mark.parametrize(
        ("name", "value"), [("Sign", "0" * 64), ("RequestTime", "1669872112"), ("SdkAppid", "1400000002")]
    )
    def test_forged(self, feed: Feed, name: str, value: str) -> None:
        """One parameter of another value, and nobody believes it."""
        webhooks = Webhooks()
        one = described(feed)[0]
        with listening(webhooks) as url:
            good = shot(feed, Event(one.name, one.examples[0]), url)
            (parameter,) = [p for p in feed.parameters if p.name == name]
            bad = parameter.given(good.request, value)
            right, wrong = sent(feed, [good, replace(good, request=bad)])
        assert right.acked
        assert Outcome.REFUSED is wrong.outcome
        assert 1 == len(webhooks.taken)
        assert feed.verify(good.request, CREDENTIALS, round(time.time() * 1000)) is None
        assert feed.verify(bad, CREDENTIALS, round(time.time() * 1000))

    def test_call_of_another_application(self) -> None:
        """Of a call nothing is signed: that it is another application's is all that can be told."""
        feed, webhooks = TENCENT.feed("call"), Webhooks()
        (one, *_) = described(feed)
        with listening(webhooks) as url:
            other = shot(feed, Event(one.name, one.examples[0]), url, credentials=Credentials("1", TOKEN))
            (attempt,) = sent(feed, [other])
        assert Outcome.REFUSED is attempt.outcome
        assert "Sign" not in dict(query_pairs(other.request.url))
        assert feed.verify(other.request, CREDENTIALS, NOW)

    @pytest.mark.parametrize("name", ["live", "live-before"])
    def test_names_of_the_overview(self, name: str) -> None:
        """The live kit's overview names two parameters otherwise: with its wire they are so called, and verify."""
        feed, webhooks = TENCENT.feed(name), Webhooks()
        one = described(feed)[0]
        with listening(webhooks) as url:
            spoken = shot(feed, Event(one.name, one.examples[0]), url, feed.wires["overview-names"].wire)
            (attempt,) = sent(feed, [spoken])
        assert attempt.acked
        names = [key for key, _ in query_pairs(spoken.request.url)]
        assert ["SdkAppId", "WebhookCommand", "contenttype", "ClientIP", "OptPlatform", "Sign", "RequestTime"] == names
        assert feed.verify(spoken.request, CREDENTIALS, round(time.time() * 1000)) is None

    @pytest.mark.parametrize(
        ("feed", "names"),
        [
            ("after", ["SdkAppid", "CallbackCommand", "contenttype", "ClientIP", "OptPlatform", "Sign", "RequestTime"]),
            ("push", ["SdkAppid", "CallbackCommand", "contenttype", "Sign", "RequestTime"]),
            ("moderation", ["SdkAppid", "CallbackCommand", "contenttype", "Sign", "RequestTime"]),
            ("call", ["sdkappid", "command", "contenttype", "clientip", "optplatform"]),
        ],
    )
    def test_query(self, feed: str, names: list[str]) -> None:
        """The parameters, in the order of the documents."""
        one = described(TENCENT.feed(feed))[0]
        request = TENCENT.feed(feed).request(
            [Event(one.name, one.examples[0])], "http://127.0.0.1/", CREDENTIALS, Stamp(NOW, "1")
        )
        assert names == [name for name, _ in query_pairs(request.url)]

    def test_published_signature(self) -> None:
        """The example of the documents: token xxxxyyyy at 1669872112."""
        for feed in SIGNED:
            request = feed.sign(
                b"{}", "x", "http://127.0.0.1/", Credentials(APP, "xxxxyyyy"), Stamp(1669872112000, "1")
            )
            given = dict(query_pairs(request.url))
            assert "1669872112" == given["RequestTime"]
            assert "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061" == given["Sign"]

    def test_command_of_a_call(self) -> None:
        """It is role and event, or the event alone where nobody's role is meant, or the result; written ones too."""
        feed = TENCENT.feed("call")
        event, status = (TENCENT.catalogue[f"tencent.{name}"] for name in ("call-event", "call-status"))
        made = [
            Event(event.name, {"Role": "callee", "Event": "reject_call"}),
            Event(event.name, {"Role": "caller", "Event": "invite_user"}),
            Event(status.name, {"CallResult": "call_busy"}),
        ]
        assert ["callee_reject_call", "invite_user", "call_busy"] == [feed.code_of([one]) for one in made]
        assert "callee_reject_call" == feed.code_of(Written(event.name, json.dumps([made[0].payload])))
        body = json.dumps(made[0].payload).encode()
        signed = [feed.sign(one, event.code, "http://127.0.0.1/", CREDENTIALS, Stamp(NOW, "1")) for one in (body, b"[")]
        assert ["callee_reject_call", ""] == [dict(query_pairs(one.url))["command"] for one in signed]


class TestTraps:
    """What receivers trip over arrives as the documents have it."""

    @pytest.mark.parametrize(
        "one", [one for one in TENCENT.catalogue if one.code.startswith("Group.")], ids=lambda one: one.name
    )
    def test_group_times(self, one: EventType) -> None:
        """EventTime of a group's first sample is a text of milliseconds where the page's sample has it so."""
        (payload, *_) = payloads(one)
        old, new = one.examples[0].get("EventTime"), payload.get("EventTime")
        assert type(old) is type(new)
        assert new is None or 13 == len(str(new))

    def test_ids_beyond_53_bits(self) -> None:
        """Owner_Account of an ended battle is a number that a double cannot hold; it arrives digit by digit."""
        feed = TENCENT.feed("live")
        one = TENCENT.catalogue["tencent.live-battle-ended"]
        number = one.examples[0]["FromRoomInfo"]["Owner_Account"]
        assert int(float(number + 1)) != number + 1
        payload = changed(one.examples[0], "/FromRoomInfo/Owner_Account", number + 1)
        webhooks = Webhooks()
        with listening(webhooks) as url:
            sent(feed, [shot(feed, Event(one.name, payload), url)])
        assert number + 1 == webhooks.taken[0][1]["FromRoomInfo"]["Owner_Account"]

    @pytest.mark.parametrize("wire", [DOCUMENTED, Wire(escapes="unicode"), Wire(escapes="slashes"), Wire(spaces=True)])
    def test_text(self, wire: Wire) -> None:
        """Other scripts and signs arrive as they were written, however the JSON text is."""
        feed, one = TENCENT.feed("before"), TENCENT.catalogue["tencent.group-before-send"]
        said = '你好 👍 a+b %2B <a href="/x"> \\ \u2028'
        payload = changed(one.examples[0], "/MsgBody/0/MsgContent/Text", said)
        webhooks = Webhooks()
        with listening(webhooks) as url:
            (attempt,) = sent(feed, [shot(feed, Event(one.name, payload), url, wire)])
        assert attempt.acked
        assert said == webhooks.taken[0][1]["MsgBody"][0]["MsgContent"]["Text"]

    @by_feed
    def test_unknown_type(self, feed: Feed) -> None:
        """What turns a payload into an unknown one is recognised as none of the types."""
        sample = described(feed)[0].examples[0]
        if feed.unknown_type:
            assert TENCENT.identify({**sample, **feed.unknown_type}) is None


class TestJudge:
    """Tests for `judge` and `decision` of the feeds that ask."""

    @pytest.mark.parametrize("feed", ASKING, ids=lambda one: one.name)
    @pytest.mark.parametrize(
        ("outcome", "answer"),
        [
            (Outcome.ACKED, reply(PLAIN)),
            (Outcome.ACKED, reply({**PLAIN, "ErrorCode": 1})),
            (Outcome.ACKED, reply({**PLAIN, "ActionStatus": "FAIL", "ErrorCode": 120001})),
            (Outcome.REFUSED, reply(PLAIN, status=201)),
            (Outcome.REFUSED, reply(PLAIN, status=403)),
            (Outcome.REFUSED, reply(b"")),
            (Outcome.REFUSED, reply(b"success")),
            (Outcome.REFUSED, reply([PLAIN])),
            (Outcome.TIMED_OUT, reply(PLAIN, seconds=2.1)),
            (Outcome.TIMED_OUT, NoReply("timed-out", "", 2.0)),
            (Outcome.UNREACHABLE, NoReply("unreachable", "refused", 0.0)),
        ],
    )
    def test_answers(self, feed: Feed, outcome: Outcome, answer: Reply | NoReply) -> None:
        """A refusal is an answer; what is no answer lets the event happen, and nothing is asked twice."""
        assert outcome is feed.judge(answer).outcome
        assert (outcome is Outcome.ACKED) is (feed.decision(answer) is not None)
        assert not feed.says_no(answer)
        (policy,) = feed.policies.values()
        assert feed.next_attempt([Tried(outcome, answer)], policy).action in {"done", "dropped"}
        assert "allowed" == feed.undecided

    @pytest.mark.parametrize(
        ("word", "answer"),
        [
            ("allow", {}),
            ("refuse", {"ErrorCode": 1}),
            ("refuse", {"ErrorCode": 2}),
            ("refuse", {"ErrorCode": 10100}),
            ("modify", {"CloudCustomData": "x"}),
            ("modify", {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]}),
            ("allow", {"RefusedMembers_Account": []}),
            ("modify", {"RefusedMembers_Account": ["jared"]}),
            ("allow", {"RspData": "x"}),
            ("allow", {"ResultItem": [{"To_Account": "a", "ResultCode": 0, "ResultInfo": ""}]}),
            ("refuse", {"ResultItem": [{"To_Account": "a", "ResultCode": 38000, "ResultInfo": ""}]}),
            (None, {"ErrorCode": 39000, "ResultItem": []}),
            (None, {"ErrorCode": "0"}),
            (None, {"ErrorCode": True}),
        ],
    )
    def test_decision(self, word: str | None, answer: dict[str, Any]) -> None:
        """By ErrorCode, by what an answer changes, and for friends by the result of each account."""
        found = TENCENT.feed("before").decision(reply({**PLAIN, **answer}))
        assert word == (None if found is None else found.word)

    def test_comparable(self) -> None:
        """Two answers that say the same are the same decision, whatever the order of their fields."""
        feed = TENCENT.feed("before")
        backwards = dict(reversed([*PLAIN.items(), ("CloudCustomData", "x")]))
        first, second = (feed.decision(reply(one)) for one in ({**PLAIN, "CloudCustomData": "x"}, backwards))
        assert first == second != Decision("modify", "")
        assert first != feed.decision(reply({**PLAIN, "CloudCustomData": "y"}))

    @pytest.mark.parametrize("feed", ASKING, ids=lambda one: one.name)
    def test_documented_answers(self, feed: Feed) -> None:
        """Every documented answer decides something, but for one that says that the receiver has failed."""
        for one in described(feed):
            described_answer = TENCENT.catalogue.answer(one.name)
            assert described_answer is not None
            for example in described_answer.schema["examples"]:
                ignored = "ResultItem" in example and example["ErrorCode"] != 0
                assert ignored is (feed.decision(reply(example)) is None)


class TestContract:
    """What the feeds say of themselves."""

    def test_usual(self) -> None:
        """The chat's console has one address for what is told and what is asked; the kits have others."""
        assert ("after", "before") == tuple(feed.name for feed in TENCENT.usual_feeds)
        assert "after" == FEEDS[0].name

    @by_feed
    def test_every_type_has_a_feed(self, feed: Feed) -> None:
        """No feed is empty, and its types name it."""
        assert feed.event_types
        assert {feed.name} == {one.feed for one in feed.event_types}

    @by_feed
    def test_sources(self, feed: Feed) -> None:
        """Every topic has a document and a section."""
        topics = {"transport", "application", "ack", "deadline", "retry", "duplicates", "order", "payload", "answer"}
        topics |= {"signature", "freshness"} if feed.covers else set()
        topics |= {"decision"} if feed.decides else set()
        assert topics <= set(feed.sources)
        assert all(source.startswith("Tencent ") for source in feed.sources.values())

    @by_feed
    def test_shell(self, feed: Feed) -> None:
        """The time comes first."""
        assert "T" == next(iter(feed.shell()))


class TestBroken:
    """Broken payloads of every event type are recognised, and rejected."""

    @in_each("one", [one for one in TENCENT.catalogue if one.examples], ids=lambda one: one.name)
    def test_missing(self, one: EventType) -> None:
        """Each required field of the payload is missed."""
        sample = one.examples[0]
        for name in one.schema["required"]:
            assert one.problems({key: value for key, value in sample.items() if key != name}), name

    @in_each("one", [one for one in TENCENT.catalogue if one.examples], ids=lambda one: one.name)
    def test_wrong_type(self, one: EventType) -> None:
        """Each described field with a value of a type that nobody sends."""
        for name in one.schema["properties"]:
            if resolve(one.examples[0], f"/{name}", None) is None or "type" not in one.schema["properties"][name]:
                continue
            wrong = 1.5 if one.schema["properties"][name]["type"] == "boolean" else True
            assert one.problems({**one.examples[0], name: wrong}), name


class TestStories:
    """Tests for the stories of `after` and `before`."""

    @pytest.mark.parametrize("name", ["after", "before"])
    @pytest.mark.parametrize("seed", range(4))
    def test_valid(self, name: str, seed: int) -> None:
        """Whatever the seed, every payload is valid, and of the feed."""
        feed = TENCENT.feed(name)
        told = [event for (event,) in islice(tell(TENCENT, Random(seed), NOW, feeds=(feed,)), 400)]
        assert [] == [problem for event in told for problem in TENCENT.catalogue[event.type].problems(event.payload)]
        assert {feed} == {TENCENT.feed_of(event.type) for event in told}

    def told(self) -> list[Event]:
        """Return the beginning of a story."""
        feeds = (TENCENT.feed("after"),)
        return [event for (event,) in islice(tell(TENCENT, Random(1), NOW, feeds=feeds), 2000)]

    def test_what_is_recalled_was_sent(self) -> None:
        """Messages are read, recalled and changed after they were sent, and not after they were recalled."""
        known: set[str] = set()
        for event in self.told():
            key = event.payload.get("MsgKey")
            if event.type == "tencent.c2c-after-send":
                known.add(key)
            elif key is not None:
                assert key in known
                known -= {key} if event.type == "tencent.c2c-after-recall" else set()

    def test_groups(self) -> None:
        """Nothing happens in a group before it is founded or after it is disbanded; MsgSeq rises from 1."""
        numbers: dict[str, int] = {}
        kinds = set()
        for event in self.told():
            group = event.payload.get("GroupId")
            kinds.add(event.type)
            if event.type == "tencent.group-after-create":
                numbers[group] = 0
            elif group is not None:
                assert group in numbers
            if event.type == "tencent.group-after-send":
                numbers[group] += 1
                assert numbers[group] == event.payload["MsgSeq"]
            if event.type == "tencent.group-after-disband":
                del numbers[group]
        assert {"tencent.group-after-join", "tencent.group-after-leave", "tencent.group-after-owner-change"} < kinds

    def test_presence(self) -> None:
        """Nobody goes before he came, and nobody comes twice."""
        online: set[str] = set()
        for event in self.told():
            if event.type == "tencent.state-change":
                info = event.payload["Info"]
                assert (info["Action"] == "Login") is (info["To_Account"] not in online)
                online ^= {info["To_Account"]}
        assert online


def test_request_is_plain() -> None:
    """A request is a POST of JSON to the configured address, its own query kept."""
    one = TENCENT.catalogue["tencent.c2c-before-send"]
    request: Request = TENCENT.feed("before").request(
        [Event(one.name, one.examples[0])], "http://127.0.0.1/im?team=7", CREDENTIALS, Stamp(NOW, "1")
    )
    assert "POST" == request.method
    assert ("team", "7") == query_pairs(request.url)[0]
    assert (("Content-Type", "application/json"),) == request.headers
