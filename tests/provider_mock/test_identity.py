"""Fresh identities: every event of a run can be told from the others, and the rest of its payload stays as it is."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from provider_mock import providers
from provider_mock.traffic.identity import Identities, message_key, places, without
from schemas import EventType, PointerError, occurrences, replace, resolve
from schemas.pointer import join
from tests.schemas.strategies import places as pointers_in
from tests.schemas.strategies import unfolded

NOW = 1_767_225_600_000
TYPES = [one for name in ("commsease", "rongcloud", "tencent") for one in providers.load(name).catalogue]
SAMPLES = [
    pytest.param(one, sample, id=f"{one.name}-{number}") for one in TYPES for number, sample in enumerate(one.examples)
]
BY_NAME = {one.name: one for one in TYPES}
WITH_IDENTITY = [one for one in TYPES if one.identity and one.examples]


def identities(seed: int = 1) -> Identities:
    """Return a fresh source."""
    return Identities(Random(seed), NOW)


def moving(event_type: EventType, payload: Any) -> set[str]:
    """Return the pointers of all fields that a fresh identity changes, in the whole payload."""
    order = event_type.order
    fields = {*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())}
    return {place + field for place in places(event_type, payload) for field in fields}


def told_by(event_type: EventType, payload: Any) -> list[tuple[str, ...]]:
    """Return the identity of everything that happened, as text."""
    return [
        tuple(str(resolve(one, pointer, "")) for pointer in event_type.identity or ())
        for one in occurrences(event_type, payload)
    ]


class TestFresh:
    """Tests for `Identities.fresh`."""

    @pytest.mark.parametrize(("event_type", "sample"), SAMPLES)
    def test_valid(self, event_type: EventType, sample: Any) -> None:
        """A documented sample with a new identity is as valid as before."""
        event = identities().fresh(event_type, sample)
        assert event_type.name == event.type
        assert [] == event_type.problems(event.payload)

    @pytest.mark.parametrize(("event_type", "sample"), SAMPLES)
    def test_leaves_the_rest_alone(self, event_type: EventType, sample: Any) -> None:
        """Only fields of identity and order change; every other value stays, and so does the order of the keys."""
        before = json.dumps(sample)
        fresh = identities().fresh(event_type, sample).payload
        old, new = unfolded(sample), unfolded(fresh)
        assert pointers_in(old) == pointers_in(new)
        changes = {place for place in pointers_in(old) if resolve(old, place) != resolve(new, place)}
        leaves = {place for place in changes if not isinstance(resolve(old, place), (dict, list))}
        assert leaves <= moving(event_type, sample)
        assert before == json.dumps(sample), "the sample itself was changed"

    @pytest.mark.parametrize(("event_type", "sample"), SAMPLES)
    def test_keeps_types(self, event_type: EventType, sample: Any) -> None:
        """A number stays a number and a text a text, as the sample has it."""
        fresh = identities().fresh(event_type, sample).payload
        for place in moving(event_type, sample):
            assert type(resolve(sample, place)) is type(resolve(fresh, place)), place

    @pytest.mark.parametrize("event_type", WITH_IDENTITY, ids=lambda one: one.name)
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
                if pointer[1:] in payload
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

    @pytest.mark.parametrize(("event_type", "sample"), SAMPLES)
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

    def test_limits(self) -> None:
        """Where the schema sets a maximum, as for 32-bit numbers, it is kept and used beyond 2**31."""
        message = BY_NAME["tencent.c2c-after-send"]
        source = identities()
        payloads = [source.fresh(message, message.examples[0]).payload for _ in range(200)]
        numbers = [payload[name] for payload in payloads for name in ("MsgSeq", "MsgRandom")]
        assert all(0 <= number < 2**32 for number in numbers)
        assert any(number >= 2**31 for number in numbers)

    def test_missing_list(self) -> None:
        """A payload whose list is not there is left alone rather than invented."""
        receipt = BY_NAME["commsease.read-receipt"]
        assert {"eventType": "30"} == identities().fresh(receipt, {"eventType": "30"}).payload
        assert [] == places(receipt, {"eventType": "30", "objects": "no list"})


class TestMessageKey:
    """Tests for `message_key`."""

    def test_joined(self) -> None:
        """MsgSeq, MsgRandom, MsgTime: as in the documented sample."""
        assert "48374_2837546_1557481126" == message_key({"MsgTime": 1557481126, "MsgSeq": 48374, "MsgRandom": 2837546})


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

    @pytest.mark.parametrize("pointer", ["/x", "/a/b", join(["b", "x"])])
    def test_nothing_there(self, pointer: str) -> None:
        """A pointer that leads nowhere is an error that says so."""
        with pytest.raises(PointerError, match="there is no such member; name one that the payload has"):
            without({"a": 1, "b": {}}, pointer)
