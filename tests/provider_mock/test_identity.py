"""Fresh identities: every event of a run can be told from the others, and the rest of its payload stays as it is."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest
from im_callback.provider_mock.traffic.composed import COMPOSED, message_id, message_key
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.identity import Identities, places, without
from im_callback.provider_mock.traffic.shape import kind_in, leaves
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import EventType, PointerError, occurrences, replace, resolve
from im_callback.schemas.applicable import speaking
from im_callback.schemas.kinds import unique_kinds
from im_callback.schemas.pointer import join

from tests.cases import in_each
from tests.provider_mock.traffic_types import BY_NAME, DESCRIBED, NOW, TYPES, VARIED
from tests.schemas.strategies import places as pointers_in
from tests.schemas.strategies import unfolded

SAMPLES = [
    pytest.param(one, sample, id=f"{one.name}-{number}") for one in TYPES for number, sample in enumerate(one.examples)
]
WITH_IDENTITY = [one for one in TYPES if one.identity and one.examples]


#: Fields that are unique in reality and no part of an identity, by event type.
UNIQUE = {
    "commsease.conversation": {"/msgidClient"},
    "commsease.chatroom-message": {"/msgidClient"},
    "commsease.message-recall": {"/clientId"},
    "commsease.team-message-recall": {"/clientId"},
    "commsease.superteam-message-recall": {"/clientId"},
    "commsease.call-file": {"/fileinfo/0/vid"},
    "commsease.line-call-ended": {"/callback/session"},
    "commsease.antispam": {"/objects/0/clientMsgId", "/objects/0/yidunRes/taskId"},
    "commsease.signal": {"/channelId"},
    "tencent.c2c-after-send": {"/MsgRandom", "/MsgKey"},
}


def identities(seed: int = 1, run: int | None = None) -> Identities:
    """Return a fresh source."""
    return Identities(Random(seed), NOW, run=run)


def moving(event_type: EventType, payload: Any) -> set[str]:
    """Return the pointers of all fields that tell events apart or order them, in the whole payload."""
    order = event_type.order
    fields = {*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())}
    return {place + field for place in places(event_type, payload) for field in fields}


def unique(event_type: EventType, payload: Any) -> set[str]:
    """Return the pointers of all fields of a kind that the dialect calls unique."""
    return {pointer for pointer, _ in leaves(payload) if kind_in(event_type.schema, payload, pointer) in unique_kinds()}


def repeating(event_type: EventType, payload: Any) -> set[str]:
    """Return the pointers of all fields that repeat another one."""
    return {
        pointer
        for pointer, _ in leaves(payload)
        if any("x-same-as" in schema for schema in speaking(event_type.schema, payload, pointer))
    }


def told_by(event_type: EventType, payload: Any) -> list[tuple[str, ...]]:
    """Return the identity of everything that happened, as text."""
    return [
        tuple(str(resolve(one, pointer, "")) for pointer in event_type.identity or ())
        for one in occurrences(event_type, payload)
    ]


def occurrences_in(text: str) -> list[Any]:
    """Return the elements of a list that stands in a text."""
    found: list[Any] = json.loads(text)
    return found


class TestFresh:
    """Tests for `Identities.fresh`."""

    @in_each(("event_type", "sample"), SAMPLES)
    def test_valid(self, event_type: EventType, sample: Any) -> None:
        """A documented sample with a new identity is as valid as before."""
        event = identities().fresh(event_type, sample)
        assert event_type.name == event.type
        assert [] == event_type.problems(event.payload)

    @in_each(("event_type", "sample"), SAMPLES)
    def test_leaves_the_rest_alone(self, event_type: EventType, sample: Any) -> None:
        """What is neither identity nor order nor unique, and neither follows nor repeats these, stays; so does the keys' order."""
        before = json.dumps(sample)
        fresh = identities().fresh(event_type, sample).payload
        old, new = unfolded(sample), unfolded(fresh)
        assert pointers_in(old) == pointers_in(new)
        changes = {place for place in pointers_in(old) if resolve(old, place) != resolve(new, place)}
        values = {place for place in changes if not isinstance(resolve(old, place), (dict, list))}
        follows = {pointer for pointer, _ in leaves(sample) if kind_in(event_type.schema, sample, pointer) in COMPOSED}
        assert values <= moving(event_type, sample) | unique(event_type, sample) | follows | repeating(
            event_type, sample
        )
        assert before == json.dumps(sample), "the sample itself was changed"

    @in_each(("event_type", "sample"), SAMPLES)
    def test_keeps_types(self, event_type: EventType, sample: Any) -> None:
        """A number stays a number and a text a text, as the sample has it."""
        fresh = identities().fresh(event_type, sample).payload
        for place in moving(event_type, sample) | unique(event_type, sample):
            assert type(resolve(sample, place)) is type(resolve(fresh, place)), place

    @in_each("event_type", WITH_IDENTITY, ids=lambda one: one.name)
    def test_unique(self, event_type: EventType) -> None:
        """No two of a run have the same identity, whatever sample they come from."""
        source = identities()
        told = [
            identity
            for _ in range(20)
            for sample in event_type.examples
            for identity in told_by(event_type, source.fresh(event_type, sample).payload)
        ]
        assert len(told) == len(set(told))

    def test_unique_across_types(self) -> None:
        """Message ids of one event type are not those of another."""
        source = identities()
        seen: list[str] = []
        for one in WITH_IDENTITY:
            payload = source.fresh(one, one.examples[0]).payload
            seen += [
                str(resolve(payload, pointer))
                for pointer in ("/msgidServer", "/msgId", "/msgidClient")
                if payload.get(pointer[1:])
            ]
        assert seen
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize(
        "event_type", [one for one in TYPES if one.order and one.examples], ids=lambda one: one.name
    )
    def test_time_moves_forward(self, event_type: EventType) -> None:
        """Events made later are not older, so that what is sent in turn is in order."""
        source = identities()
        assert event_type.order is not None
        when = []
        for _ in range(10):
            payload = source.fresh(event_type, event_type.examples[0]).payload
            place = places(event_type, payload)[0]
            when.append(int(resolve(payload, place + event_type.order.by[0])))
        assert sorted(when) == when

    @in_each(("event_type", "sample"), SAMPLES)
    def test_same_seed(self, event_type: EventType, sample: Any) -> None:
        """The same seed and time give the same event, another seed another one."""
        first, second = (identities().fresh(event_type, sample) for _ in range(2))
        assert first == second
        if event_type.identity and any(resolve(sample, place) for place in moving(event_type, sample)):
            assert first != identities(seed=2).fresh(event_type, sample)

    def test_keep(self) -> None:
        """A field that is kept stays as it is, and only that one."""
        login = BY_NAME["commsease.login"]
        sample = login.examples[0]
        fresh = identities().fresh(login, sample, keep=["/accid"]).payload
        assert sample["accid"] == fresh["accid"]
        assert sample["timestamp"] != fresh["timestamp"]

    def test_values(self) -> None:
        """A value that is given is taken, also for a field that is not part of the identity."""
        login = BY_NAME["commsease.login"]
        fresh = identities().fresh(login, login.examples[0], values={"/accid": "zhang", "/clientType": "IOS"}).payload
        assert ("zhang", "IOS") == (fresh["accid"], fresh["clientType"])

    def test_values_in_every_element(self) -> None:
        """In a payload that is a list of things, values and identities are set in each of them."""
        receipt = BY_NAME["commsease.read-receipt"]
        sample = receipt.examples[0]
        (one,) = occurrences(receipt, sample)[:1]
        two = replace(sample, "/objects", json.dumps([one, one]))
        fresh = identities().fresh(receipt, two, values={"/fromAccount": "zhang"}).payload
        assert isinstance(fresh["objects"], str)
        assert ["zhang", "zhang"] == [element["fromAccount"] for element in occurrences(receipt, fresh)]
        told = told_by(receipt, fresh)
        assert 2 == len(set(told))

    def test_message_key(self) -> None:
        """Tencent's MsgKey is put together from the new MsgSeq, MsgRandom and MsgTime."""
        message = BY_NAME["tencent.c2c-after-send"]
        source = identities()
        for sample in message.examples * 5:
            payload = source.fresh(message, sample).payload
            assert f"{payload['MsgSeq']}_{payload['MsgRandom']}_{payload['MsgTime']}" == payload["MsgKey"]

    def test_message_key_with_values(self) -> None:
        """It follows a MsgSeq that is given, too."""
        message = BY_NAME["tencent.c2c-after-send"]
        payload = identities().fresh(message, message.examples[0], values={"/MsgSeq": 7}).payload
        assert payload["MsgKey"].startswith("7_")

    def test_repeated(self) -> None:
        """A field that repeats another follows it, also inside embedded JSON; one that is absent stays so."""
        message, audit = BY_NAME["rongcloud.message"], BY_NAME["rongcloud.audit-result"]
        (sample,) = message.examples
        payload = identities().fresh(message, sample).payload
        assert sample["timestamp"] != payload["timestamp"] == payload["msgTimestamp"]
        assert "timestamp" not in identities().fresh(message, without(sample, "/timestamp")).payload
        audited = identities().fresh(audit, audit.examples[0]).payload
        assert audited["msgUID"] == resolve(audited, "/content/messageId")

    def test_repeated_with_values(self) -> None:
        """It follows a value that is given, and stays as it is where it is itself kept."""
        message = BY_NAME["rongcloud.message"]
        (sample,) = message.examples
        payload = identities().fresh(message, sample, values={"/msgTimestamp": "7"}).payload
        assert "7" == payload["timestamp"]
        kept = identities().fresh(message, sample, keep=["/timestamp"]).payload
        assert sample["timestamp"] == kept["timestamp"] != kept["msgTimestamp"]

    def test_grouped(self) -> None:
        """An id in groups of four keeps that form."""
        message = BY_NAME["rongcloud.message"]
        uid = identities().fresh(message, message.examples[0]).payload["msgUID"]
        assert re.fullmatch("[0-9A-V]{4}(-[0-9A-V]{4}){3}", uid)

    @in_each(("event_type", "sample"), SAMPLES)
    def test_everything_unique(self, event_type: EventType, sample: Any) -> None:
        """Every field that is unique in reality is different in every event, wherever in the payload it stands."""
        source = identities()
        payloads = [source.fresh(event_type, sample).payload for _ in range(20)]
        for pointer in unique(event_type, sample):
            if resolve(sample, pointer) != "":
                values = {resolve(payload, pointer) for payload in [sample, *payloads]}
                assert 21 == len(values), pointer

    @pytest.mark.parametrize("name", UNIQUE)
    def test_what_is_unique(self, name: str) -> None:
        """Among them are the ids that receivers look at."""
        sample = BY_NAME[name].examples[0]
        assert UNIQUE[name] <= unique(BY_NAME[name], sample)

    def test_files(self) -> None:
        """The ids of files in a message are renewed, one by one, and so are the random numbers of merged messages."""
        message = BY_NAME["tencent.c2c-after-send"]
        video = message.examples[10]
        content = identities().fresh(message, video).payload["MsgBody"][0]["MsgContent"]
        old = video["MsgBody"][0]["MsgContent"]
        assert {"VideoUUID", "ThumbUUID"} == {name for name in old if old[name] != content[name]}
        merged = identities().fresh(message, message.examples[12]).payload["MsgBody"][0]["MsgContent"]["MsgList"]
        assert [85, 86] == [one["MsgSeq"] for one in merged]
        assert all(one["MsgRandom"] < 2**31 for one in merged)
        assert 3998651049 not in [one["MsgRandom"] for one in merged]

    def test_same_thing(self) -> None:
        """Two fields of a payload that named the same thing still do."""
        message = BY_NAME["tencent.c2c-after-send"]
        elements = [message.examples[5]["MsgBody"][0], message.examples[8]["MsgBody"][0]]
        body = identities().fresh(message, {**message.examples[5], "MsgBody": elements}).payload["MsgBody"]
        assert body[0]["MsgContent"]["UUID"] == body[1]["MsgContent"]["UUID"] != elements[0]["MsgContent"]["UUID"]

    def test_not_unique(self) -> None:
        """A template and a member's number are no ids of events."""
        receipt = BY_NAME["commsease.sms-receipt"]
        assert 1234 == identities().fresh(receipt, receipt.examples[0]).payload["objects"][0]["templateId"]
        signal = BY_NAME["commsease.signal"]
        assert "7" == identities().fresh(signal, {**signal.examples[0], "uid": "7"}).payload["uid"]

    def test_keep_unique(self) -> None:
        """What is kept or given is not renewed, unique or not; nor is anything under what is kept."""
        conversation = BY_NAME["commsease.conversation"]
        sample = conversation.examples[1]
        kept = identities().fresh(conversation, sample, keep=["/msgidClient"]).payload
        assert sample["msgidClient"] == kept["msgidClient"]
        given = identities().fresh(conversation, sample, values={"/msgidClient": "mine"}).payload
        assert "mine" == given["msgidClient"]
        message = BY_NAME["tencent.c2c-after-send"]
        body = message.examples[5]["MsgBody"]
        assert body == identities().fresh(message, message.examples[5], keep=["/MsgBody"]).payload["MsgBody"]

    def test_empty(self) -> None:
        """An empty text stays empty: it says that there is none."""
        conversation = BY_NAME["commsease.conversation"]
        assert (
            ""
            == identities().fresh(conversation, {**conversation.examples[0], "msgidClient": ""}).payload["msgidClient"]
        )

    @pytest.mark.parametrize(
        "attach", ['{"UUID":"mine","md5":"mine"}', '{"session":"mine"}', "{", "7", "[]", "null", ""]
    )
    def test_own_content(self, attach: str) -> None:
        """What the application put into a message is left alone, whatever it looks like."""
        room = BY_NAME["commsease.chatroom-message"]
        assert attach == identities().fresh(room, {**room.examples[0], "attach": attach}).payload["attach"]
        message = BY_NAME["tencent.c2c-after-send"]
        custom = {"MsgType": "TIMCustomElem", "MsgContent": {"Data": attach, "Ext": attach}}
        assert [custom] == identities().fresh(message, {**message.examples[0], "MsgBody": [custom]}).payload["MsgBody"]

    def test_message_id(self) -> None:
        """Tencent's MsgId has the time and the random number of the new message, and another sender."""
        message = BY_NAME["tencent.c2c-after-send"]
        sample = {**message.examples[0], "MsgId": "144115233406643804-1727580296-4026038328"}
        payload = identities().fresh(message, sample).payload
        assert payload["MsgId"].endswith(f"-{payload['MsgTime']}-{payload['MsgRandom']}")
        assert not payload["MsgId"].startswith("144115233406643804")
        kept = identities().fresh(message, sample, keep=["/MsgId"]).payload
        assert sample["MsgId"] == kept["MsgId"]

    def test_of_a_team(self) -> None:
        """To whom a message goes is renewed as what it is: an account, or a team by its number."""
        conversation = BY_NAME["commsease.conversation"]
        sample = conversation.examples[0]
        team = identities().fresh(conversation, {**sample, "convType": "TEAM", "to": "13827"}).payload
        assert [] == conversation.problems(team)
        assert "13827" != team["to"]
        assert not identities().fresh(conversation, sample).payload["to"].isdecimal()

    def test_missing_list(self) -> None:
        """A payload whose list is not there is left alone rather than invented."""
        receipt = BY_NAME["commsease.read-receipt"]
        assert {"eventType": "30"} == identities().fresh(receipt, {"eventType": "30"}).payload
        assert [] == places(receipt, {"eventType": "30", "objects": "no list"})


class TestWidth:
    """Ordinary values fit into what the provider's types hold, and receivers' too."""

    def payloads(self) -> list[tuple[EventType, Any]]:
        """Return payloads of every event type: renewed samples, made-up ones, every variant."""
        generator = Generator(1, NOW)
        ids = generator.identities
        renewed = [
            (one, ids.fresh(one, sample).payload) for one in DESCRIBED for sample in one.examples for _ in range(3)
        ]
        made = [(one, generator.event(one).payload) for one in DESCRIBED for _ in range(20)]
        return [*renewed, *made, *((one, variant_payload(generator, one, variant)) for one, variant in VARIED)]

    def test_numbers(self) -> None:
        """An integer is within 31 bits, or a time in milliseconds; none is longer but where a documented sample is."""
        most = {"millis": 2 * NOW, "version": 2 * NOW, "long-id": 2**63}
        for event_type, payload in self.payloads():
            sampled = [value for sample in event_type.examples for _, value in leaves(sample)]
            for pointer, value in leaves(payload):
                if isinstance(value, int) and value not in sampled:
                    width = most.get(str(kind_in(event_type.schema, payload, pointer)), 2**31)
                    assert -width <= value < width, (event_type.name, pointer)

    def test_digits(self) -> None:
        """Ids of digits are within 31 bits, but for those whose documented samples are longer."""
        seen: dict[str, set[str]] = {}
        for event_type, payload in self.payloads():
            sampled = [value for sample in event_type.examples for _, value in leaves(sample)]
            for pointer, value in leaves(payload):
                kind = kind_in(event_type.schema, payload, pointer)
                # Some documented samples name teams and rooms by numbers of 32 bits.
                if value in sampled:
                    continue
                if isinstance(value, str) and value.isdecimal() and kind not in ("millis", "mobile", "port", None):
                    seen.setdefault(str(kind), set()).add(value)
        long = {kind for kind, values in seen.items() if any(int(value) >= 2**31 for value in values)}
        assert {"long-id"} == long - {"account", "text"}
        assert {"digits-id", "room", "team"} <= set(seen)

    @pytest.mark.parametrize(
        ("name", "pointer"),
        [
            ("commsease.call-duration", "/channelId"),
            ("commsease.call-duration-2", "/channelId"),
            ("commsease.call-file", "/fileinfo/0/channelid"),
            ("commsease.antispam", "/objects/0/serverMsgId"),
        ],
    )
    def test_long_samples(self, name: str, pointer: str) -> None:
        """Where ids are longer, so are the samples, beyond 2**53."""
        event_type = BY_NAME[name]
        fresh = identities().fresh(event_type, event_type.examples[0]).payload
        assert all(2**53 < int(resolve(payload, pointer)) < 2**63 for payload in (event_type.examples[0], fresh))

    def test_kinds(self) -> None:
        """Numbers of a kind differ from event to event, and the random ones rise nowhere for long."""
        source = identities()
        for kind in ("digits-id", "long-id", "random", "sequence", "room", "version"):
            values = [source.value(kind) for _ in range(1000)]
            assert 1000 == len(set(values)), kind
        values = [source.value("random") for _ in range(100)]
        assert sorted(values) != values


class TestRun:
    """Tests for the identities of a run."""

    def test_own(self) -> None:
        """The same seed in another run: everything that tells events apart is different, the rest is the same."""
        for event_type in DESCRIBED:
            for sample in event_type.examples:
                one, two = (identities(run=run).fresh(event_type, sample).payload for run in (1, 2))
                if event_type.identity:
                    assert not set(told_by(event_type, one)) & set(told_by(event_type, two)), event_type.name
                for pointer in unique(event_type, sample):
                    assert resolve(one, pointer) != resolve(two, pointer) or resolve(sample, pointer) == "", pointer

    def test_again(self) -> None:
        """The same run gives the same identities, whatever the seed is."""
        login = BY_NAME["commsease.login"]
        first, second = (identities(seed, run=7).fresh(login, login.examples[0]) for seed in (1, 2))
        assert first == second

    def test_draws_nothing(self) -> None:
        """What is random elsewhere does not depend on how many identities were made."""
        shared = Random(1)
        source = Identities(shared, NOW, run=7)
        for one in DESCRIBED:
            source.fresh(one, one.examples[0])
        assert Random(1).random() == shared.random()

    def test_tag(self) -> None:
        """Every word of a run has its tag in it."""
        source = identities(run=7)
        for kind in ("account", "key", "url", "nickname", "file-name", "anything"):
            assert source.tag in str(source.value(kind)), kind
        assert source.tag != identities(run=8).tag
        assert source.tag == identities(seed=3, run=7).tag

    def test_accounts(self) -> None:
        """Accounts are named as asked for, one after the other."""
        source = Identities(Random(1), NOW, run=7, accounts=lambda number: f"bot{number}")
        assert ["bot1", "bot2"] == [source.value("account") for _ in range(2)]
        login = BY_NAME["commsease.login"]
        assert "bot3" == source.fresh(login, login.examples[0]).payload["accid"]
        conversation = BY_NAME["commsease.conversation"]
        payload = source.fresh(conversation, conversation.examples[0]).payload
        assert {"bot4", "bot5"} == {payload["fromAccount"], payload["to"]}

    def test_every_account(self) -> None:
        """Given names stand for every account in a payload, the same one for the same account, and for lists of them."""
        source = Identities(Random(1), NOW, run=7, accounts=str)
        recall = BY_NAME["commsease.message-recall"]
        payload = source.fresh(recall, recall.examples[0]).payload
        assert payload["from"].isdecimal()
        assert payload["to"].isdecimal()
        call = BY_NAME["commsease.call-duration"]
        members = occurrences_in(source.fresh(call, call.examples[0]).payload["members"])
        assert all(member["accid"].isdecimal() for member in members)
        team = {
            **BY_NAME["commsease.conversation"].examples[0],
            "convType": "TEAM",
            "to": "1",
            "tMembers": "[zhang, li]",
        }
        assert "zhang" not in source.fresh(BY_NAME["commsease.conversation"], team).payload["tMembers"]
        mixed = BY_NAME["commsease.call-file"]
        sample = replace(mixed.examples[0], "/fileinfo/0/user", "0")
        assert "0" == resolve(source.fresh(mixed, sample).payload, "/fileinfo/0/user")
        assert "zhangsan" == identities().fresh(recall, recall.examples[0]).payload["from"]

    def test_generator(self) -> None:
        """Made-up events take their identities from there, too."""
        source = Identities(Random(1), NOW, run=7, accounts=lambda number: f"bot{number}")
        generator = Generator(1, NOW, identities=source)
        assert generator.event(BY_NAME["commsease.login"]).payload["accid"].startswith("bot")


class TestMessageKey:
    """Tests for `message_key`."""

    def test_joined(self) -> None:
        """MsgSeq, MsgRandom, MsgTime: as in the documented sample."""
        assert "48374_2837546_1557481126" == message_key({"MsgTime": 1557481126, "MsgSeq": 48374, "MsgRandom": 2837546})

    def test_message_id(self) -> None:
        """The sender, MsgTime, MsgRandom: as in the documented sample of a MsgId."""
        message = {"MsgTime": 1727580296, "MsgRandom": 4026038328}
        assert "144115233406643804-1727580296-4026038328" == message_id(message, "144115233406643804")


class TestPlaces:
    """Tests for `places`."""

    @pytest.mark.parametrize(
        ("expected", "name", "payload"),
        [
            ([""], "commsease.login", {}),
            (["/objects/0", "/objects/1"], "commsease.read-receipt", {"objects": "[{},{}]"}),
            ([], "commsease.read-receipt", {"objects": "[]"}),
        ],
    )
    def test_places(self, expected: list[str], name: str, payload: dict[str, Any]) -> None:
        """The payload itself, or its elements."""
        assert expected == places(BY_NAME[name], payload)


class TestWithout:
    """Tests for `without`."""

    @pytest.mark.parametrize(
        ("expected", "pointer"),
        [
            ({"b": {"c": 2, "d": [{"e": 3}]}}, "/a"),
            ({"a": 1, "b": {"d": [{"e": 3}]}}, "/b/c"),
            ({"a": 1, "b": {"c": 2, "d": [{}]}}, "/b/d/0/e"),
        ],
    )
    def test_removes(self, expected: Any, pointer: str) -> None:
        """The member is gone from the copy, and only from the copy."""
        payload = {"a": 1, "b": {"c": 2, "d": [{"e": 3}]}}
        assert expected == without(payload, pointer)
        assert 1 == payload["a"]

    def test_embedded(self) -> None:
        """Embedded JSON is entered, and stays text."""
        assert {"a": '{"c":[1]}'} == without({"a": '{"b":1, "c": [1]}'}, "/a/b")

    @pytest.mark.parametrize("pointer", ["/x", "/a/b", join(["b", "x"]), "/c/d", ""])
    def test_nothing_there(self, pointer: str) -> None:
        """A pointer that leads nowhere is an error that says so."""
        with pytest.raises(PointerError, match="there is no such member; name one that the payload has"):
            without({"a": 1, "b": {}, "c": "{"}, pointer)
