"""People's data is taken out of bodies, and identities are renewed, while everything else stays as it is written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.recording.rewriting import Rewriting
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.shape import kind_in, leaves
from im_callback.schemas import EventType, occurrences, resolve

NOW = 1_795_986_000_000
SCRUBBING, RENEWING = Rewriting(b"s" * 32), Rewriting(b"r" * 32, scrubs=False)
TYPES = [
    one for name in ("commsease", "rongcloud", "tencent") for one in providers.load(name).catalogue if one.examples
]
PERSONAL = {"account", "nickname", "text", "mobile", "device", "ipv4", "address", "url", "team", "room", "undescribed"}
LONG = 8
"""Characters from which on a value does not stand somewhere else by chance."""
COMMSEASE = providers.load("commsease")
DATA = COMMSEASE.feed("data-sync")


def payloads(event_type: EventType) -> list[Any]:
    """Return the samples of an event type, and one that is made up."""
    return [*event_type.examples, Generator(7, NOW).event(event_type).payload]


def rewritten(event_type: EventType, payload: Any, rewriting: Rewriting) -> Any:
    """Return what becomes of a payload in a body of its feed."""
    feed = providers.load(event_type.provider).feed_of(event_type.name)
    (found,) = feed.payloads(feed.read(rewriting.request_body(feed, feed.body([Event(event_type.name, payload)]))))
    return found


def scrubbed(payload: Any, rewriting: Rewriting = SCRUBBING) -> Any:
    """Return what becomes of a payload of CommsEase."""
    return json.loads(rewriting.request_body(DATA, json.dumps(payload, ensure_ascii=False).encode()))


class TestEveryType:
    """Every described event type."""

    @pytest.mark.parametrize("event_type", TYPES, ids=lambda one: one.name)
    def test_valid(self, event_type: EventType) -> None:
        """It is still valid, of the same type and variant, in its place in the order."""
        provider = providers.load(event_type.provider)
        for payload in payloads(event_type):
            for rewriting in (SCRUBBING, RENEWING):
                found = rewritten(event_type, payload, rewriting)
                assert [] == event_type.problems(found)
                assert provider.identify(found, [provider.feed_of(event_type.name)]) is event_type
                assert event_type.variant_of(payload) == event_type.variant_of(found)
                for before, after in zip(occurrences(event_type, payload), occurrences(event_type, found), strict=True):
                    by = event_type.order.by if event_type.order else ()
                    assert [resolve(before, one) for one in by] == [resolve(after, one) for one in by]
                if rewriting is RENEWING and event_type.identity:
                    olds, news = (
                        {
                            json.dumps([resolve(one, at, None) for at in event_type.identity])
                            for one in occurrences(event_type, each)
                        }
                        for each in (payload, found)
                    )
                    assert not olds & news
                    assert len(olds) == len(news)

    @pytest.mark.parametrize("event_type", TYPES, ids=lambda one: one.name)
    def test_nobody(self, event_type: EventType) -> None:
        """Nothing that a person is called, wrote or uses is in it, wherever it stood."""
        for payload in payloads(event_type):
            text = json.dumps(rewritten(event_type, payload, SCRUBBING), ensure_ascii=False)
            for pointer, value in leaves(payload):
                said = str(value)
                # A number can stand in a time by chance.
                if (
                    kind_in(event_type.schema, payload, pointer) in PERSONAL
                    and len(said) >= LONG
                    and not said.isdecimal()
                ):
                    assert said not in text, pointer


class TestScrubbing:
    """What is taken out."""

    LOGIN = {
        "eventType": "2", "accid": "zhangsan", "clientType": "IOS", "clientIp": "8.8.4.4", "code": "200",
        "sdkVersion": "155", "deviceId": "7f1a355e-526e-4523-b3df-44a47467537a", "timestamp": "1795986354521",
    }  # fmt: skip

    def test_fields(self) -> None:
        """Account, address and device are others, all else is as it was."""
        found = scrubbed(self.LOGIN)
        assert {"accid", "clientIp", "deviceId"} == {name for name in found if found[name] != self.LOGIN[name]}
        assert list(self.LOGIN) == list(found)

    def test_relations(self) -> None:
        """The same account is the same stand-in in every event, field and type; another one is another."""
        login = scrubbed(self.LOGIN)
        message = {"eventType": "1", "convType": "PERSON", "msgType": "TEXT", "fromAccount": "zhangsan", "to": "lisi00"}
        message |= {"body": "hello zhangsan", "msgTimestamp": "1795986354521", "msgidServer": "12345678901"}
        found = scrubbed(message)
        assert login["accid"] == found["fromAccount"] != "zhangsan"
        assert found["to"] not in ("lisi00", found["fromAccount"])
        assert "zhangsan" not in json.dumps(found)
        # A number is the same account as its text.
        numbers = scrubbed({**self.LOGIN, "accid": 12345678})
        assert str(numbers["accid"]) == scrubbed({**self.LOGIN, "accid": "12345678"})["accid"]

    def test_inside_texts(self) -> None:
        """JSON in texts is entered, described or not; names that no schema has are replaced as well."""
        attach = json.dumps({"zhangsan": {"phone": 13800138000, "tags": ["zhangsan", True, None, 1.5]}})
        message = {"eventType": "1", "convType": "PERSON", "msgType": "CUSTOM", "fromAccount": "zhangsan", "to": "b"}
        message |= {"attach": attach, "ext": attach, "msgTimestamp": "1795986354521", "msgidServer": "12345678901"}
        found = scrubbed(message)
        for name in ("attach", "ext"):
            ((account, inner),) = json.loads(found[name]).items()
            assert account == found["fromAccount"]
            phone, tags = inner.values()
            assert isinstance(phone, int)
            assert 13800138000 != phone
            assert [account, True, None] == tags[:3]
        assert "zhangsan" not in json.dumps(found)
        assert "13800138000" not in json.dumps(found)

    def test_new_field(self) -> None:
        """A field that no schema has keeps its name at the top, and its value is replaced."""
        found = scrubbed({**self.LOGIN, "realName": "Zhang San", "more": {"zhangsan": 1}})
        assert {"realName", "more"} <= set(found)
        assert "hang" not in json.dumps(found)

    def test_wrong_type(self) -> None:
        """Where something else stands than is due, it is replaced too, and is still what it was."""
        found = scrubbed({**self.LOGIN, "timestamp": "it was zhangsan", "code": {"zhangsan": 1}, "accid": ["zhangsan"]})
        assert (str, dict, list) == (type(found["timestamp"]), type(found["code"]), type(found["accid"]))
        assert "zhangsan" not in json.dumps(found)

    def test_unknown_type(self) -> None:
        """Of an event type that nobody knows, only what names it stays."""
        found = scrubbed({**self.LOGIN, "eventType": "777"})
        assert "777" == found["eventType"]
        assert not {"zhangsan", "8.8.4.4", "1795986354521"} & set(found.values())

    def test_as_written(self) -> None:
        """White space, escapes, the order of names and the way of numbers stay."""
        text = '{ "eventType":"2",\n"clientType" :"IOS", "timestamp":1795986354521.0,"accid":"\\u5f20\\u4e09\\/x" , "accid":"b\\/c"}'
        found = SCRUBBING.request_body(DATA, text.encode()).decode()
        assert found.startswith('{ "eventType":"2",\n"clientType" :"IOS", "timestamp":1795986354521.0,"accid":"\\u')
        assert found.endswith('"}')
        assert 2 == found.count("\\/")

    @pytest.mark.parametrize("body", [b'{"accid":"zhangsan"', b"zhangsan said", b"\xff\xfezhangsan", b'"zhangsan"'])
    def test_no_payload(self, body: bytes) -> None:
        """What cannot be read is replaced as a whole, at its length."""
        found = SCRUBBING.request_body(DATA, body)
        assert b"zhangsan" not in found
        assert len(body) == len(found)

    def test_form(self) -> None:
        """A form is one afterwards, with JSON in its fields."""
        event_type = providers.load("rongcloud").catalogue["rongcloud.message"]
        feed = event_type_feed = providers.load("rongcloud").feed_of(event_type.name)
        body = b"fromUserId=zhang%20san&toUserId=&content=%7B%22content%22%3A%22hi+zhang%22%7D&objectName=RC%3ATxtMsg&toUserId=x"
        found = SCRUBBING.request_body(event_type_feed, body)
        pairs = parse_qsl(found.decode(), keep_blank_values=True)
        assert ["fromUserId", "toUserId", "content", "objectName", "toUserId"] == [name for name, _ in pairs]
        assert b"zhang" not in found
        assert ["content"] == list(json.loads(pairs[2][1]))
        assert b"objectName=RC%3ATxtMsg" in found
        assert feed.read(found)

    def test_reply(self) -> None:
        """A reply keeps the names at its top, and what its own schema lists."""
        tencent = providers.load("tencent")
        body = b'{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"sent to zhangsan","mine":"zhangsan"}'
        found = SCRUBBING.reply_body(tencent.feed("after"), "tencent.c2c-after-send", body)
        answer = json.loads(found)
        assert ("OK", 0) == (answer["ActionStatus"], answer["ErrorCode"])
        assert "zhangsan" not in found.decode()
        assert {"mine"} <= set(answer)


class TestRenewing:
    """What gets an identity of its own."""

    def test_only_identities(self) -> None:
        """Texts, addresses and times are as they were; accounts, devices and ids are not, and nothing unknown is touched."""
        found = scrubbed({**TestScrubbing.LOGIN, "mine": {"zhangsan": "x"}}, RENEWING)
        assert {"accid", "deviceId"} == {
            name for name in TestScrubbing.LOGIN if found[name] != TestScrubbing.LOGIN[name]
        }
        assert {"zhangsan": "x"} == found["mine"]

    def test_runs_apart(self) -> None:
        """Two replays share no identity."""
        other = Rewriting(b"t" * 32, scrubs=False)
        assert scrubbed(TestScrubbing.LOGIN, RENEWING)["accid"] != scrubbed(TestScrubbing.LOGIN, other)["accid"]

    @pytest.mark.parametrize("body", [b'{"accid":"zhangsan"', b"\xff"])
    def test_no_payload(self, body: bytes) -> None:
        """What cannot be read stays."""
        assert body == RENEWING.request_body(DATA, body)
