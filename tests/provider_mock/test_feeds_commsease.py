"""CommsEase's feeds against a receiver that was written from the documents alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import pytest
from im_callback.conformance.check import all_checks
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    Credentials,
    Event,
    Feed,
    NextAttempt,
    NoReply,
    Outcome,
    Reply,
    Request,
    Stamp,
    Tried,
)
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.provider_mock.traffic.world import tell
from im_callback.provider_mock.wire import combined
from im_callback.schemas import EventType

from tests.cases import in_each
from tests.feeds import few_at_once
from tests.provider_mock.commsease_reader import Reader, listening, understand

NOW = 1_767_225_600_000
COMMSEASE = providers.load("commsease")
THIRD, RTC, NEROOM, MEETING = (COMMSEASE.feed(name) for name in ("third-party", "rtc", "neroom", "meeting"))
NEWER = {"83", "84", "85", "89", "90", "91"}
DESCRIBED = [one for one in COMMSEASE.catalogue if one.examples and (one.feed != "data-sync" or one.code in NEWER)]
BARE = [one for one in COMMSEASE.catalogue if not one.examples and one.feed != "data-sync"]
SECRET = "test-secret"
each_feed = pytest.mark.parametrize("feed", COMMSEASE.feeds, ids=lambda feed: feed.name)
each_type = in_each("event_type", DESCRIBED, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """Listen as long as the tests of this module run."""
    with listening() as one:
        yield one


def shot(url: str, event_type: EventType, payload: Any, *wires: str) -> Shot:
    """Return a signed request for a payload."""
    feed = COMMSEASE.feed_of(event_type.name)
    events = (Event(event_type.name, payload),)
    wire = combined(wires, feed.wires)
    request = feed.request(events, url, COMMSEASE.defaults, Stamp(NOW, "4tgggergigwow323t23t"), wire)
    return Shot(feed, request, request, events)


def send(shots: list[Shot]) -> list[Attempt]:
    """Return what became of the requests."""
    return few_at_once(shots, 5.0)


def lowered(request: Request) -> Mapping[str, str]:
    """Return the headers as the receiver reads them."""
    return {name.lower(): value for name, value in request.headers}


def sample(name: str) -> Any:
    """Return the first sample of an event type."""
    return COMMSEASE.catalogue[f"commsease.{name}"].examples[0]


class TestDelivered:
    """Everything described arrives, verifies, and reads as the documents have it."""

    @each_type
    def test_arrives(self, event_type: EventType, reader: Reader) -> None:
        """Every sample, every variant and five made-up payloads are verified, read and acknowledged."""
        generator = Generator(7, NOW)
        payloads = [
            *event_type.examples,
            *(variant_payload(generator, event_type, variant) for variant in event_type.variants),
            *(generator.event(event_type).payload for _ in range(5)),
        ]
        before = len(reader.read)
        attempts = send([shot(reader.url, event_type, payload) for payload in payloads])
        assert [] == [(a.judgement.rule, reader.refused[-1:]) for a in attempts if not a.acked]
        read = [payload for _, payload in reader.read[before:]]
        assert sorted(map(json.dumps, payloads)) == sorted(map(json.dumps, read))

    @in_each("event_type", BARE, ids=lambda one: one.name)
    def test_undescribed(self, event_type: EventType, reader: Reader) -> None:
        """What is only named arrives with nothing but its number."""
        bare = {name: part.get("const", {}) for name, part in event_type.schema["properties"].items()}
        (attempt,) = send([shot(reader.url, event_type, bare)])
        assert attempt.acked
        assert [] == event_type.problems(bare)

    @each_feed
    def test_story(self, feed: Feed) -> None:
        """What a feed tells is read as the documents have it, whatever the seed."""
        for seed in range(3):
            for (event,) in islice(tell(COMMSEASE, Random(seed), NOW, feeds=[feed]), 500):
                assert COMMSEASE.feed_of(event.type) is feed
                request = feed.request((event,), "http://h/", COMMSEASE.defaults, Stamp(NOW, "n"))
                _, read = understand(lowered(request), request.body)
                assert event.payload == read

    @pytest.mark.parametrize("wire", ["java-hashmap", "ascii", "escaped-slashes", "spaces", "lower-case-headers"])
    @each_feed
    def test_wires(self, feed: Feed, wire: str, reader: Reader) -> None:
        """Other ways to write a request verify just as well."""
        described = [one for one in feed.event_types if one.examples]
        attempts = send([shot(reader.url, one, one.examples[0], wire) for one in described])
        assert [] == [a.judgement.rule for a in attempts if not a.acked]


class TestRefused:
    """What the provider did not sign is refused by the receiver, and by `verify`."""

    @pytest.mark.parametrize("part", ["body", "CurTime", "CheckSum", "AppKey", "MD5", "Nonce", "secret", "none"])
    @each_feed
    def test_forged(self, feed: Feed, part: str, reader: Reader) -> None:
        """One changed part is enough, where the feed has it."""
        event_type = next(one for one in feed.event_types if one.examples)
        good = shot(reader.url, event_type, event_type.examples[0])
        names = [one.name for one in feed.parameters]
        request = good.request
        if part == "body":
            request = request._replace(body=request.body[:-1] + b" }")
        elif part == "secret":
            forger = Credentials("test-key", "another")
            request = feed.request(good.events, reader.url, forger, Stamp(NOW, "n"))
        elif part in names:
            request = request._replace(headers=tuple((k, v[::-1] if k == part else v) for k, v in request.headers))
        expected = 200 if request is good.request else 401
        (attempt,) = send([replace(good, request=request)])
        assert expected == attempt.status
        assert (expected == 200) is (feed.verify(request, COMMSEASE.defaults, NOW) is None)

    def test_unmarked(self, reader: Reader) -> None:
        """An RTC event without its header is taken for something else."""
        good = shot(reader.url, *_first(RTC))
        bare = good.request._replace(headers=tuple(h for h in good.request.headers if h[0] != "type"))
        (attempt,) = send([replace(good, request=bare)])
        assert (401, "RTC events are marked by a header") == (attempt.status, reader.refused[-1])
        assert None is RTC.verify(bare, COMMSEASE.defaults, NOW)


class TestSigned:
    """Known answers."""

    @pytest.mark.parametrize("feed", [one for one in COMMSEASE.feeds if one is not MEETING], ids=lambda one: one.name)
    def test_vector(self, feed: Feed) -> None:
        """The formula, the secret and the time of the overview, over an empty object."""
        request = feed.sign(b"{}", "", "http://h/", Credentials("k", "90u757h67n87"), Stamp(1440570500855, "n"))
        headers = lowered(request)
        assert "1440570500855" == headers["curtime"]
        assert "99914b932bd37a50b983c5e7c90ae93b" == headers["md5"]
        assert "76f7afe98e2e1f3659e42d19af316b41aedaea8c" == headers["checksum"]

    def test_meeting(self) -> None:
        """Secret, nonce, time and the body's MD5; the MD5 itself is not sent."""
        request = MEETING.sign(b"{}", "", "http://h/", Credentials("k", "s"), Stamp(1440570500855, "n"))
        due = hashlib.sha1(b"sn144057050085599914b932bd37a50b983c5e7c90ae93b").hexdigest()
        expected = {"appkey": "k", "nonce": "n", "curtime": "1440570500855", "checksum": due}
        assert {"content-type": "application/json", **expected} == lowered(request)

    def test_content_type(self) -> None:
        """Third-party callbacks say their charset."""
        request = THIRD.sign(b"{}", "", "http://h/", COMMSEASE.defaults, Stamp(NOW, "n"))
        assert "application/json; charset=utf-8" == lowered(request)["content-type"]


class TestTraps:
    """What receivers stumble over goes out as the documents have it."""

    def test_long_ids(self) -> None:
        """An id beyond 2**53 leaves with all its digits."""
        recall = shot("http://h/", COMMSEASE.catalogue["commsease.third-party-message-recall"], sample(RECALL))
        assert b'"msgId":184409700039655569,' in recall.request.body

    def test_three_times_one(self) -> None:
        """Type 1 is text, a number, or a number beside data, each in the feed that it belongs to."""
        ones = [sample(name) for name in ("conversation", "third-party-message", "rtc-room-started")]
        assert ["1", 1, 1] == [one["eventType"] for one in ones]
        feeds = [COMMSEASE.feed_of(found.name).name for one in ones if (found := COMMSEASE.identify(one))]
        assert ["data-sync", "third-party", "rtc"] == feeds
        for feed in COMMSEASE.feeds:
            here = [one for one in ones if COMMSEASE.catalogue.identify(one) in feed.event_types]
            assert here == [one for one in ones if COMMSEASE.identify(one, [feed])]

    @pytest.mark.parametrize("name", ["third-party-message", "third-party-team-kick", "session-read", "login-failure"])
    def test_times_are_text(self, name: str) -> None:
        """Made-up times are text of 13 digits, too."""
        event_type = COMMSEASE.catalogue[f"commsease.{name}"]
        payload = Generator(3, NOW).event(event_type).payload
        (time,) = [payload[field] for field in ("msgTimestamp", "timestamp", "ackMsgTime") if field in payload]
        assert isinstance(time, str)
        assert 13 == len(time)

    def test_room_times(self) -> None:
        """Rooms have createtime, members createTime."""
        assert "createtime" in sample("rtc-room-started")["data"]
        assert "createTime" in sample("rtc-user-joined")["data"]


RECALL = "third-party-message-recall"


def answered(body: str, status: int = 200, seconds: float = 0.1) -> Reply:
    """Return a receiver's answer."""
    return Reply(status, (), body.encode(), seconds)


class TestDecision:
    """What the answer to a third-party callback comes to."""

    @pytest.mark.parametrize(
        ("outcome", "word", "reply"),
        [
            (Outcome.ACKED, "allow", answered('{"errCode":0}')),
            (Outcome.ACKED, "allow", answered('{"errCode":0,"responseCode":20000}')),
            (Outcome.ACKED, "allow", answered('{"errCode":0,"modifyResponse":{}}')),
            (Outcome.ACKED, "modify", answered('{"errCode":0,"modifyResponse":{"body":"***"}}')),
            (Outcome.ACKED, "refuse", answered('{"errCode":1,"responseCode":20001}')),
            (Outcome.ACKED, "refuse", answered('{"errCode":1,"modifyResponse":{"body":"***"}}')),
            (Outcome.ACKED, None, answered('{"errCode":"1"}')),
            (Outcome.ACKED, None, answered('{"errCode":true}')),
            (Outcome.ACKED, None, answered('{"errCode":2}')),
            (Outcome.REFUSED, None, answered('{"code":200}')),
            (Outcome.REFUSED, None, answered("[]")),
            (Outcome.REFUSED, None, answered("")),
            (Outcome.REFUSED, None, answered("x" * 1000)),
            (Outcome.REFUSED, None, answered('{"errCode":0}', 201)),
            (Outcome.REFUSED, None, answered('{"errCode":0}', 500)),
            (Outcome.TIMED_OUT, None, answered('{"errCode":0}', seconds=2.1)),
            (Outcome.TIMED_OUT, None, NoReply("timed-out", "", 2.0)),
            (Outcome.UNREACHABLE, None, NoReply("unreachable", "refused", 0.0)),
        ],
    )
    def test_decision(self, outcome: Outcome, word: str | None, reply: Reply | NoReply) -> None:
        """A refusal is an acknowledged answer; what is no answer decides nothing."""
        found = THIRD.decision(reply)
        assert outcome is THIRD.judge(reply).outcome
        assert word == (None if found is None else found.word)

    def test_comparable(self) -> None:
        """What has no effect does not tell two decisions apart; what has does."""
        one, same, other = (
            THIRD.decision(answered(text))
            for text in (
                '{"responseCode":20001,"errCode":1}',
                '{"errCode":1,"responseCode":20001,"modifyResponse":{"body":"x"},"note":1}',
                '{"errCode":1,"responseCode":20002}',
            )
        )
        assert one == same != other

    def test_others_decide_nothing(self) -> None:
        """Only third-party callbacks are decided about."""
        assert [THIRD] == [feed for feed in COMMSEASE.feeds if feed.decides]
        assert {None} == {feed.decision(answered('{"errCode":0}')) for feed in COMMSEASE.feeds if feed is not THIRD}


class TestAcknowledged:
    """What the other feeds take as received, and what follows."""

    @pytest.mark.parametrize(("feed", "taken"), [(RTC, {200, 500}), (NEROOM, {200, 500}), (MEETING, {200})], ids=str)
    def test_statuses(self, feed: Feed, taken: set[int]) -> None:
        """Exactly the documented statuses count."""
        statuses = [200, 201, 204, 302, 400, 401, 404, 500, 502, 503]
        assert taken == {one for one in statuses if feed.judge(answered("", one)).outcome is Outcome.ACKED}

    @pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.UNREACHABLE])
    def test_meeting_intervals(self, outcome: Outcome) -> None:
        """The older meeting component tries again after 2, 4 and 6 seconds and twice after an hour."""
        (policy,) = MEETING.policies.values()
        steps = [MEETING.next_attempt([Tried(outcome)] * made, policy) for made in range(1, 7)]
        assert [2, 4, 6, 3600, 3600] == [one.after for one in steps[:-1]]
        assert NextAttempt("dropped") == steps[-1]

    def test_asked_once(self) -> None:
        """A third-party callback is made once."""
        (policy,) = THIRD.policies.values()
        assert NextAttempt("dropped") == THIRD.next_attempt([Tried(Outcome.TIMED_OUT)], policy)


class TestContract:
    """What a feed must say."""

    @each_feed
    def test_sources(self, feed: Feed) -> None:
        """Every rule that a check asks about has a source."""
        assert all(check.source(feed) for check in all_checks() if check.level(feed) is not None)

    @each_feed
    def test_unknown_type(self, feed: Feed) -> None:
        """What turns a payload into one of a type that does not exist does so for all."""
        for one in feed.event_types:
            for payload in one.examples:
                assert None is COMMSEASE.identify({**payload, **feed.unknown_type})


class TestBroken:
    """Broken payloads are told."""

    @each_type
    def test_missing(self, event_type: EventType) -> None:
        """Whatever is required is missed, also inside."""
        for payload in event_type.examples:
            for name in event_type.schema["required"]:
                assert event_type.problems({key: value for key, value in payload.items() if key != name}), name
            for outer, part in event_type.schema["properties"].items():
                for name in part.get("required", ()):
                    inner = {key: value for key, value in payload[outer].items() if key != name}
                    assert event_type.problems({**payload, outer: inner}), name

    @each_type
    def test_wrong_type(self, event_type: EventType) -> None:
        """No field is null, and none is an object where it is not due."""
        (payload, *_) = event_type.examples
        for name, value in payload.items():
            assert event_type.problems({**payload, name: None}), name
            assert isinstance(value, dict) or event_type.problems({**payload, name: {"x": 1}}), name


def _first(feed: Feed) -> tuple[EventType, Any]:
    one = next(one for one in feed.event_types if one.examples)
    return one, one.examples[0]
