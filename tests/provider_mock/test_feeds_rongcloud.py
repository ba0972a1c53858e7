"""RongCloud's feeds against a receiver that knows nothing but the documents: it shares no code with the contract."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
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
)
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.stage import Stage
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import EventType

NOW = 1_767_225_600_000
RONGCLOUD = providers.load("rongcloud")
KEY, SECRET = "test-key", "test-secret"
FEEDS = pytest.mark.parametrize("feed", RONGCLOUD.feeds, ids=lambda feed: feed.name)
TYPES = pytest.mark.parametrize(
    "event_type", [one for one in RONGCLOUD.catalogue if one.status == "documented"], ids=lambda one: one.name
)
FORMS = {"message-route", "pre-message", "user-deactivation"}
ARRAYS = {"chatroom-kv", "online-status", "chatroom-status", "group-operation"}
AWKWARD = 'a+b %2B & c=d 中文 👍 ;\n"x"'


class Unread(Exception):
    """A request is not what the documents describe."""


# The receiver: written from the documents alone.


def sha1(text: str) -> str:
    """Return a digest in lower-case hex."""
    return hashlib.sha1(text.encode()).hexdigest()


def read_route(form: dict[str, list[str]]) -> list[Any]:
    """Return a message that was sent: its text, or where its file is."""
    content = json.loads(form["content"][0])
    said = {
        "RC:TxtMsg": lambda: content["content"],
        "RC:ImgMsg": lambda: content["imageUri"],
        "RC:HQVCMsg": lambda: (content["remoteUrl"], int(content["duration"])),
    }[form["objectName"][0]]()
    meant = form.get("groupUserIds", [])
    if meant and form["channelType"] != ["GROUP"]:
        raise Unread("a directed message outside a group")
    if form.get("timestamp", form["msgTimestamp"]) != form["msgTimestamp"]:
        raise Unread("the alias is another time")
    return [(form["msgUID"][0], form["fromUserId"][0], form["toUserId"][0], int(form["msgTimestamp"][0]), said)]


def read_pre(form: dict[str, list[str]]) -> list[Any]:
    """Return a message that waits for an answer."""
    if form["msgType"][0].startswith("RC:"):
        json.loads(form["content"][0])
    return [(form["messageId"][0], form["targetId"][0], int(form["msgTimeStamp"][0]), form["os"][0])]


def read_deactivation(form: dict[str, list[str]]) -> list[Any]:
    """Return who was deactivated or reactivated by which operation."""
    if form["type"][0] not in ("0", "1"):
        raise Unread("an unknown type")
    return [(form["operateId"][0], form["userId"][0], form["code"][0], int(form["time"][0]))]


def read_audit(body: dict[str, Any]) -> list[Any]:
    """Return the result of auditing a message."""
    content = json.loads(body["content"])
    if content["objectName"].startswith("RC:"):
        json.loads(content["message"])
    return [(body["msgUID"], {10000: True, 10001: False}[body["result"]], content["fromUserId"])]


def read_profile(body: dict[str, Any]) -> list[Any]:
    """Return whose profile is what now."""
    profile = body.get("userProfile")
    return [(body["userId"], body["time"] + 0, json.loads(profile) if isinstance(profile, str) else profile)]


READERS: dict[str, Callable[[Any], list[Any]]] = {
    "chatroom-kv": lambda items: [(one["chatroomId"], one["optType"] + 0, one["version"] + 0) for one in items],
    "message-route": read_route,
    "online-status": lambda items: [
        (one["userid"], {"0": True, "1": False, "2": False}[one["status"]], one["time"] + 0, one["sessionId"])
        for one in items
    ],
    "chatroom-status": lambda items: [
        (one["chatRoomId"], ("created", "joined", "left", "destroyed")[one["type"]], list(one["userIds"]), one["time"])
        for one in items
    ],
    "pre-message": read_pre,
    "audit-result": read_audit,
    "message-operation": lambda body: [
        (body["eventType"] + 0, body["conversationInfo"]["targetId"], body["originalMsgInfo"].get("messageId"))
    ],
    "user-deactivation": read_deactivation,
    "user-profile": read_profile,
    "friend": lambda body: [(body["userId"], body["toUserId"], body["eventType"] + 0, body["time"] + 0)],
    "group-operation": lambda items: [
        (one["groupId"], one["eventType"] + 0, one["time"] + 0, one.get("userIds")) for one in items
    ],
    "group-info": lambda body: [(one["groupId"], one["groupName"], one["time"] + 0) for one in body["profiles"]],
    "hosted-info-moderation": lambda body: [(body["eventType"], body["result"] is True, len(body["contents"]))],
    "bot": lambda body: [(body["type"], body["bot"]["userId"], body["data"]["msgUID"], body["data"]["content"])],
}


class Receiver:
    """What arrived and was genuine, and the answer to questions."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.url = ""

    def receive(self, path: str, headers: Any, body: bytes) -> tuple[int, str]:
        """Answer a request; 401 where it is not signed with our secret, for our application."""
        address = urlsplit(path)
        feed, query = address.path.strip("/"), parse_qs(address.query, keep_blank_values=True)
        form = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True) if feed in FORMS else {}
        if not self.genuine(feed, query, headers, form):
            return 401, ""
        kind = headers["Content-Type"].partition(";")[0]
        if kind != ("application/x-www-form-urlencoded" if feed in FORMS else "application/json"):
            return 415, ""
        try:
            document = form if feed in FORMS else json.loads(body)
            if isinstance(document, list) is not (feed in ARRAYS):
                raise Unread("an array in the place of an object, or the other way round")
            self.seen += READERS[feed](document)
        except (Unread, KeyError, TypeError, ValueError, IndexError) as error:
            return 422, repr(error)
        return 200, '{"pass":1}' if feed == "pre-message" else ""

    def genuine(self, feed: str, query: dict[str, list[str]], headers: Any, form: dict[str, list[str]]) -> bool:
        """Return whether signature = sha1(AppSecret + nonce + timestamp), and the application is ours."""
        if feed == "audit-result":
            named = [headers[f"RC-{name}"] for name in ("App-Key", "Nonce", "Timestamp", "Signature")]
        else:
            source = {**query, "appKey": form["appKey"]} if feed == "pre-message" else query
            named = ["".join(source.get(name, ())) for name in ("appKey", "nonce", "timestamp", "signature")]
        key, nonce, timestamp, signature = named
        extra = {"appKey"} if feed == "pre-message" else set()
        return (
            key == KEY
            and bool(nonce)
            and len(nonce) <= 18
            and len(timestamp) == 13
            and sha1(SECRET + nonce + timestamp) == signature
            and not extra & set(query)
        )


@contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    """Serve a receiver on a free port while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = receiver.receive(self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        loop = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        loop.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            server.shutdown()
            loop.join()


@pytest.fixture(name="receiver", scope="module")
def fixture_receiver() -> Iterator[Receiver]:
    """A receiver of all feeds, each at an address of its own."""
    with listening(Receiver()) as receiver:
        yield receiver


# What is sent to it.


def shot(receiver: Receiver, *events: Event, credentials: Credentials | None = None, wire: Wire | None = None) -> Shot:
    """Return the signed request for events, at the address of their feed."""
    feed = RONGCLOUD.feed_of(events[0].type)
    used, stamp = credentials or RONGCLOUD.defaults, Stamp(NOW, "123456789012345678")
    request = feed.request(events, f"{receiver.url}/{feed.name}", used, stamp, wire or Wire())
    return Shot(feed, request, request, events, used, stamp)


def deliver(*shots: Shot) -> list[Attempt]:
    """Send requests one after the other."""
    courier = Courier(Client(5.0))
    return [attempt for one in shots for attempt in courier.send([one])]


def body_of(request: Request) -> Any:
    """Return a request's body as a form's fields or as JSON."""
    if request.body[:1] in (b"{", b"["):
        return json.loads(request.body)
    return parse_qs(request.body.decode(), keep_blank_values=True)


def payloads(event_type: EventType) -> list[dict[str, Any]]:
    """Return every sample, every variant, and five that are made up."""
    generator = Generator(7, NOW)
    return [
        *event_type.examples,
        *(variant_payload(generator, event_type, variant) for variant in event_type.variants),
        *(generator.event(event_type).payload for _ in range(5)),
    ]


class TestDelivered:
    """Everything described is verified, understood and acknowledged."""

    @TYPES
    def test_everything(self, event_type: EventType, receiver: Receiver) -> None:
        """Samples, variants and what is made up, of every type."""
        shots = [shot(receiver, Event(event_type.name, payload)) for payload in payloads(event_type)]
        before = len(receiver.seen)
        answers = [(attempt.status, attempt.outcome, attempt.reply) for attempt in deliver(*shots)]
        assert [Outcome.ACKED] * len(shots) == [outcome for _, outcome, _ in answers], answers
        assert len(receiver.seen) - before >= len(shots)

    @FEEDS
    def test_story(self, feed: Feed, receiver: Receiver) -> None:
        """So is what a story tells, for any seed."""
        for seed in range(3):
            told = feed.story(Stage(Random(seed), NOW))
            if told is None:
                assert feed.name not in {"message-route", "online-status", "chatroom-status", "pre-message"}
                return
            for delivery in islice(told, 40):
                (attempt,) = deliver(shot(receiver, *delivery))
                assert Outcome.ACKED is attempt.outcome, attempt.reply

    @pytest.mark.parametrize("name", sorted(ARRAYS))
    def test_several(self, name: str, receiver: Receiver) -> None:
        """Several events make one array."""
        (event_type,) = RONGCLOUD.feed(name).event_types
        generator = Generator(3, NOW)
        events = [generator.event(event_type) for _ in range(7)]
        (attempt,) = deliver(shot(receiver, *events))
        assert Outcome.ACKED is attempt.outcome
        assert 7 == len(receiver.seen[-7:])
        assert [event.payload for event in events] == json.loads(attempt.shot.request.body)

    @TYPES
    def test_refused(self, event_type: EventType, receiver: Receiver) -> None:
        """What is signed with another secret, or for another application, is not."""
        event = Event(event_type.name, event_type.examples[0])
        strangers = (Credentials(KEY, "another"), Credentials("another", SECRET), Credentials(KEY, KEY))
        shots = [shot(receiver, event, credentials=one) for one in strangers]
        before = len(receiver.seen)
        assert [401, 401, 401] == [attempt.status for attempt in deliver(*shots)]
        assert before == len(receiver.seen)

    @FEEDS
    def test_verify(self, feed: Feed, receiver: Receiver) -> None:
        """The contract's own verification agrees, and names what is wrong without the secret."""
        event_type = next(one for one in feed.event_types if one.examples)
        event = Event(event_type.name, event_type.examples[0])
        genuine = shot(receiver, event).request
        assert feed.verify(genuine, RONGCLOUD.defaults, NOW) is None
        wrong = feed.verify(
            shot(receiver, event, credentials=Credentials(KEY, "another")).request, RONGCLOUD.defaults, 0
        )
        assert wrong is not None
        assert SECRET not in wrong
        for role in ("key", "time", "nonce", "signature"):
            missing = feed.parameter(role).given(genuine)
            assert feed.verify(missing, RONGCLOUD.defaults, NOW), role
            assert feed.verify(feed.parameter(role).given(genuine, "1"), RONGCLOUD.defaults, NOW), role


class TestForms:
    """What is easily lost on the way through a form."""

    @pytest.mark.parametrize("name", ["rongcloud.message", "rongcloud.pre-message"])
    def test_text(self, name: str, receiver: Receiver) -> None:
        """A plus, an escaped plus, separators, line breaks and what takes several bytes arrive as they were."""
        event_type = RONGCLOUD.catalogue[name]
        content = json.dumps({"content": AWKWARD}, ensure_ascii=False)
        sent = shot(receiver, Event(name, {**event_type.examples[0], "content": content}))
        assert AWKWARD == json.loads(body_of(sent.request)["content"][0])["content"]
        assert sent.request.body.isascii()
        assert b"%2B" in sent.request.body
        (attempt,) = deliver(sent)
        assert Outcome.ACKED is attempt.outcome
        if name == "rongcloud.message":
            assert AWKWARD == receiver.seen[-1][-1]
        assert content == attempt.shot.feed.read(sent.request.body)["content"]

    def test_custom(self, receiver: Receiver) -> None:
        """What is no JSON at all, too."""
        event_type = RONGCLOUD.catalogue["rongcloud.message"]
        payload = {**event_type.examples[0], "objectName": "app:note", "content": AWKWARD}
        assert [] == event_type.problems(payload)
        request = shot(receiver, Event(event_type.name, payload)).request
        assert AWKWARD == body_of(request)["content"][0]

    @pytest.mark.parametrize("people", [["u2"], ["u2", "u3", "u 4+"]])
    def test_repeated(self, people: list[str], receiver: Receiver) -> None:
        """A list is a field that is repeated."""
        event_type = RONGCLOUD.catalogue["rongcloud.message"]
        payload = {**event_type.examples[0], "channelType": "GROUP", "groupUserIds": people}
        request = shot(receiver, Event(event_type.name, payload)).request
        assert people == body_of(request)["groupUserIds"]
        read = RONGCLOUD.feed("message-route").read(request.body)
        assert (people if len(people) > 1 else people[0]) == read["groupUserIds"]
        assert [] == event_type.problems(read)

    def test_two_times(self, receiver: Receiver) -> None:
        """The form has a timestamp of its own, which is not that of the signature."""
        (sample,) = RONGCLOUD.catalogue["rongcloud.message"].examples
        request = shot(receiver, Event("rongcloud.message", sample)).request
        assert [sample["msgTimestamp"]] == body_of(request)["timestamp"]
        assert [str(NOW)] == parse_qs(urlsplit(request.url).query)["timestamp"]

    @TYPES
    def test_numbers(self, event_type: EventType, receiver: Receiver) -> None:
        """In forms numbers are text, elsewhere they are numbers."""
        feed = RONGCLOUD.feed_of(event_type.name)
        times = {"time", "timestamp", "optTime", "msgTimestamp", "msgTimeStamp"}
        payload = event_type.examples[0]
        kinds = {type(value) for name, value in payload.items() if name in times}
        assert kinds <= ({str} if feed.encoding == "form" else {int})

    def test_large_numbers(self, receiver: Receiver) -> None:
        """A number beyond 2^53 arrives digit by digit."""
        event = Event("rongcloud.friend", {**RONGCLOUD.catalogue["rongcloud.friend"].examples[0], "time": 2**53 + 1})
        (attempt,) = deliver(shot(receiver, event))
        assert Outcome.ACKED is attempt.outcome
        assert 2**53 + 1 == receiver.seen[-1][-1]


class TestApplication:
    """The application that a question is for stands in the form."""

    def test_key(self, receiver: Receiver) -> None:
        """It is that of the credentials, whatever the payload says; the query does not name it."""
        event = Event("rongcloud.pre-message", RONGCLOUD.catalogue["rongcloud.pre-message"].examples[0])
        request = shot(receiver, event, credentials=Credentials("shop 1", SECRET)).request
        assert ["shop 1"] == body_of(request)["appKey"]
        assert {"timestamp", "nonce", "signature"} == set(parse_qs(urlsplit(request.url).query))
        feed = RONGCLOUD.feed("pre-message")
        written = Written(event.type, json.dumps([event.payload], separators=(",", ":")))
        again = feed.request(written, request.url.partition("?")[0], Credentials("shop 1", SECRET), Stamp(NOW, "1"))
        assert body_of(request) == body_of(again)

    def test_headers(self, receiver: Receiver) -> None:
        """Audit results are signed in headers: those that the vendor reads, or those of the query's names."""
        event = Event("rongcloud.audit-result", RONGCLOUD.catalogue["rongcloud.audit-result"].examples[0])
        request = shot(receiver, event).request
        assert "" == urlsplit(request.url).query
        assert {"RC-App-Key", "RC-Timestamp", "RC-Nonce", "RC-Signature"} < {name for name, _ in request.headers}
        plain = shot(receiver, event, wire=Wire(plain_names=True)).request
        assert {"appKey", "timestamp", "nonce", "signature"} < {name for name, _ in plain.headers}

    @pytest.mark.parametrize("name", ["message-route", "online-status", "chatroom-status"])
    def test_older_names(self, name: str, receiver: Receiver) -> None:
        """Until 2021 the time was called signTimestamp."""
        (event_type,) = RONGCLOUD.feed(name).event_types
        event = Event(event_type.name, event_type.examples[0])
        query = parse_qs(urlsplit(shot(receiver, event, wire=Wire(legacy_names=True)).request.url).query)
        assert "timestamp" not in query
        assert [sha1(SECRET + query["nonce"][0] + query["signTimestamp"][0])] == query["signature"]


def reply(body: str, status: int = 200, seconds: float = 0.1) -> Reply:
    """Return an answer."""
    return Reply(status, (), body.encode(), seconds)


class TestDecision:
    """What an answer to a question decides."""

    FEED = RONGCLOUD.feed("pre-message")

    @pytest.mark.parametrize(
        ("word", "outcome", "body"),
        [
            ("allow", Outcome.ACKED, '{"pass":1}'),
            ("allow", Outcome.ACKED, '{"pass":2}'),
            ("refuse", Outcome.ACKED, '{"pass":0}'),
            ("refuse", Outcome.ACKED, '{"pass":0,"extra":"error"}'),
            ("refuse", Outcome.ACKED, '{"pass":0,"replaceContent":"{}"}'),
            ("modify", Outcome.ACKED, '{"pass":1,"replaceContent":"{\\"content\\":\\"***\\"}"}'),
            ("modify", Outcome.ACKED, '{"pass":2,"replaceDisablePush":true}'),
            (None, Outcome.REFUSED, ""),
            (None, Outcome.REFUSED, "ok"),
            (None, Outcome.REFUSED, "{}"),
            (None, Outcome.REFUSED, "[1]"),
            (None, Outcome.REFUSED, '{"pass":"1"}'),
            (None, Outcome.REFUSED, '{"pass":true}'),
            (None, Outcome.REFUSED, '{"pass":3}'),
            (None, Outcome.REFUSED, '{"pass":NaN}'),
        ],
    )
    def test_answers(self, word: str | None, outcome: Outcome, body: str) -> None:
        """A pass of 0, 1 or 2 decides; to refuse is to have answered."""
        found = self.FEED.decision(reply(body))
        assert word == (None if found is None else found.word)
        assert outcome is self.FEED.judge(reply(body)).outcome

    def test_comparable(self) -> None:
        """Two answers that say the same are equal; what they replace is part of it."""
        one, other = reply('{"pass":1,"replaceContent":"{}"}'), reply('{ "replaceContent" : "{}", "pass" : 1 }')
        assert self.FEED.decision(one) == self.FEED.decision(other) != self.FEED.decision(reply('{"pass":1}'))
        assert Decision("allow", '{"pass":1}') == self.FEED.decision(reply('{"pass":1}'))

    def test_late(self) -> None:
        """What comes too late decides nothing: the message is delivered, and not asked about again."""
        late = reply('{"pass":0}', seconds=3.5)
        assert Outcome.TIMED_OUT is self.FEED.judge(late).outcome
        assert "allowed" == self.FEED.undecided
        tried = [Tried(Outcome.TIMED_OUT, late)]
        assert "dropped" == self.FEED.next_attempt(tried, self.FEED.policies["documented"]).action

    @pytest.mark.parametrize("nothing", [reply('{"pass":0}', 500), NoReply("timed-out", "no answer", 3.0)])
    def test_no_answer(self, nothing: Reply | NoReply) -> None:
        """An error and no answer decide nothing."""
        assert self.FEED.decision(nothing) is None
        assert Outcome.ACKED is not self.FEED.judge(nothing).outcome


class TestPolicies:
    """What the documents say of answers and repetitions."""

    @FEEDS
    def test_common(self, feed: Feed) -> None:
        """200 in 5 s, else two more after a time-out; questions are asked once, with 3 s to answer."""
        (policy,) = feed.policies.values()
        asks = feed.name == "pre-message"
        assert (3.0 if asks else 5.0) == feed.deadline
        assert {200} == feed.acks
        assert (0 if asks else 2) == policy.retries.get(Outcome.TIMED_OUT, 0)
        assert asks is feed.decides

    @FEEDS
    def test_signature_covers(self, feed: Feed) -> None:
        """Not the body, in any of them."""
        assert {"time", "nonce"} == feed.covers

    @FEEDS
    def test_sources(self, feed: Feed) -> None:
        """Every topic has a source."""
        topics = {"transport", "signature", "application", "freshness", "ack", "deadline", "retry", "duplicates"}
        assert topics | {"order", "payload"} <= set(feed.sources)
        assert all(":" in feed.sources[topic] for topic in ("transport", "payload"))
        assert ("decision" in feed.sources) is feed.decides


BROKEN = {
    "audit-result": [{"result": "10000"}, {"content": "{}"}, {"msgUID": None}],
    "bot-message-private": [{"bot": "b"}, {"data": {}}, {"timestamp": "now"}],
    "chatroom-kv": [{"version": "1"}, {"optType": 4}, {"chatroomId": 1}],
    "chatroom-status": [{"userIds": "u"}, {"type": "1"}, {"time": None}],
    "friend": [{"eventType": 6}, {"time": "1"}, {"source": 1}],
    "group-info": [{"profiles": {}}, {"profiles": [{}]}, {"profiles": [{"groupId": "g", "groupName": 1, "time": 1}]}],
    "group-operation": [{"eventType": "1"}, {"userIds": "u"}, {"groupId": 1}],
    "hosted-info-moderation": [{"result": "true"}, {"contents": [{}]}, {"time": "1"}],
    "message": [{"content": "text"}, {"msgTimestamp": 1}, {"channelType": "P2P"}],
    "message-operation": [{"eventType": 3}, {"conversationInfo": {}}, {"originalMsgInfo": {}}],
    "online-status": [{"status": 0}, {"userid": None}, {"clientIp": "203.0.113.7"}],
    "pre-message": [{"content": "text"}, {"msgTimeStamp": 1}, {"disablePush": True}],
    "user-deactivation": [{"type": 0}, {"operateId": None}, {"time": "now"}],
    "user-profile": [{"userProfile": 1}, {"time": "1"}, {"userProfile": "no JSON"}],
}


class TestBroken:
    """What is not as documented is called so."""

    @TYPES
    def test_rejected(self, event_type: EventType) -> None:
        """Wrong types, values and shapes, and each required field missing."""
        (sample, *_) = event_type.examples
        for change in BROKEN[event_type.name.partition(".")[2]]:
            assert event_type.problems({**sample, **change}), change
        for name in event_type.schema["required"]:
            assert event_type.problems({other: value for other, value in sample.items() if other != name}), name
