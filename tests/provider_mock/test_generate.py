"""Made-up payloads: valid, told apart, and the same again for the same seed, in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.traffic import shape
from im_callback.provider_mock.traffic.generate import LOCALES, CannotGenerate, Generator, Undescribed
from im_callback.provider_mock.traffic.identity import places
from im_callback.provider_mock.traffic.shape import kind_at, leaves, schemas_at
from im_callback.provider_mock.traffic.words import POOL, FakerWords, PlainWords, words
from im_callback.schemas import MISSING, EventType, applicable, jsontext, resolve
from im_callback.schemas.applicable import follow, speaking
from im_callback.schemas.validate import validator

from tests.cases import in_each
from tests.provider_mock.test_identity import told_by

NOW = 1_767_225_600_000
TYPES = [one for name in ("commsease", "rongcloud", "tencent") for one in providers.load(name).catalogue]
BY_NAME = {one.name: one for one in TYPES}
DESCRIBED = [one for one in TYPES if one.status == "documented"]
UNDESCRIBED = [one for one in TYPES if one.status == "undocumented"]
COUNT = 8
each = in_each("event_type", DESCRIBED, ids=lambda one: one.name)
SCRIPT = f"""
import json, sys
from im_callback.provider_mock import providers
from im_callback.provider_mock.traffic.generate import Generator
generator = Generator(int(sys.argv[1]), {NOW})
for name in ("commsease", "rongcloud", "tencent"):
    for one in providers.load(name).catalogue:
        if one.status == "documented":
            for _ in range(3):
                print(json.dumps(generator.event(one).payload))
"""


def made(event_type: EventType, seed: int = 1, count: int = COUNT) -> list[Any]:
    """Return made-up payloads of a source of its own."""
    generator = Generator(seed, NOW)
    return [generator.event(event_type).payload for _ in range(count)]


def embedded(schema: Mapping[str, Any], pointer: str = "") -> Iterator[str]:
    """Yield the pointers of fields that are sent as text that holds JSON, as the properties of a schema say."""
    for name, child in schema.get("properties", {}).items():
        if isinstance(child, Mapping) and "contentSchema" in follow(schema, child) and child["type"] == "string":
            yield f"{pointer}/{name}"


def nodes(schema: Any) -> Iterator[Any]:
    """Yield a schema and everything in it."""
    yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from nodes(inner)


def remembered() -> set[int]:
    """Return the identities of all schemas about which something is kept."""
    return {one for key in (*shape._SHAPES, *applicable._CHECKERS) for one in key}


class TestEvent:
    """Tests for `Generator.event`."""

    @each
    def test_valid(self, event_type: EventType) -> None:
        """What is made up is a valid payload of its event type, and is recognised as that."""
        for seed in (1, 2, 3):
            for payload in made(event_type, seed):
                assert [] == event_type.problems(payload)
                recognised = providers.load(event_type.provider).catalogue.identify(payload)
                assert recognised is event_type

    @each
    def test_unique(self, event_type: EventType) -> None:
        """No two have the same identity."""
        told = [identity for payload in made(event_type, count=30) for identity in told_by(event_type, payload)]
        if event_type.identity:
            assert told
            assert len(told) == len(set(told))

    @each
    def test_identity_is_there(self, event_type: EventType) -> None:
        """Every field that tells events apart has a value, if such a payload has the field."""
        for payload in made(event_type):
            for place in places(event_type, payload):
                assert [] == [
                    pointer
                    for pointer in event_type.identity or ()
                    if speaking(event_type.schema, payload, place + pointer)
                    and resolve(payload, (place + pointer).rpartition("/")[0]) != []
                    and resolve(payload, place + pointer) in (MISSING, "")
                ]

    @each
    def test_same_seed(self, event_type: EventType) -> None:
        """The same seed gives the same payloads, another seed others."""
        assert json.dumps(made(event_type)) == json.dumps(made(event_type))
        assert json.dumps(made(event_type)) != json.dumps(made(event_type, seed=2))

    def test_same_bytes_in_other_processes(self) -> None:
        """Neither the order of hashes, which differs from process to process, plays a part, nor `jsonschema-rs`."""
        slow = f"import sys\nsys.modules['jsonschema_rs'] = None\n{SCRIPT}"
        printed = []
        for script, hash_seed, seed in ((SCRIPT, "1", "7"), (slow, "2", "7"), (SCRIPT, "2", "8")):
            environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
            command = [sys.executable, "-c", script, seed]
            printed.append(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        assert 3 * len(DESCRIBED) == printed[0].count(b"\n")
        assert printed[0] == printed[1]
        assert printed[0] != printed[2]

    @in_each("event_type", UNDESCRIBED, ids=lambda one: one.name)
    def test_undescribed(self, event_type: EventType) -> None:
        """Nothing is made up for an event type that the documents only name."""
        with pytest.raises(
            Undescribed, match=f"^{event_type.name} is named but not described by the documents"
        ) as raised:
            Generator(1, NOW).event(event_type)
        assert event_type.name == raised.value.name

    def test_there_are_undescribed_types(self) -> None:
        """The table above is not empty."""
        assert {"commsease.call-ended-2", "commsease.realtime-audio"} <= {one.name for one in UNDESCRIBED}

    @each
    def test_embedded_json(self, event_type: EventType) -> None:
        """Fields that hold JSON as text do hold it, wherever the schema asks for them."""
        fields = list(embedded(event_type.schema))
        held = [
            jsontext.parse(payload[pointer[1:]])
            for payload in made(event_type, count=20)
            for pointer in fields
            if pointer[1:] in payload
        ]
        assert bool(fields) is bool(held)
        assert all(isinstance(value, (dict, list, str, int)) for value in held)

    def test_branches(self) -> None:
        """Over some seeds every documented kind of an event turns up, here the changes of a chatroom's queue."""
        queue = BY_NAME["commsease.chatroom-queue"]
        seen = {str(payload["qEvent"]) for seed in range(10) for payload in made(queue, seed)}
        assert {str(example["qEvent"]) for example in queue.examples} <= seen

    def test_message_key(self) -> None:
        """MsgKey fits its parts."""
        for payload in made(BY_NAME["tencent.c2c-after-send"], count=30):
            assert f"{payload['MsgSeq']}_{payload['MsgRandom']}_{payload['MsgTime']}" == payload["MsgKey"]

    def test_own_kind(self) -> None:
        """A kind of a provider's own is made up by its examples."""
        room = BY_NAME["commsease.third-party-chatroom-login"]
        assert {"[tag1, tag2]"} == {one["tags"] for one in made(room, count=40) if "tags" in one}

    def test_our_own_mistake(self) -> None:
        """A schema that nothing satisfies is our error, with the event type and the last problem."""
        login = BY_NAME["commsease.login"]
        impossible = {**login.schema, "maxProperties": 0}
        with pytest.raises(CannotGenerate, match=r"^no valid commsease\.login in 20 tries; the last one: "):
            Generator(1, NOW).event(EventType.from_schema(impossible))

    def test_remembers_schemas_only(self) -> None:
        """What it remembers is about the schemas themselves, which live as long as the process, however long a stream is."""
        before = remembered()
        generator = Generator(1, NOW)
        for one in DESCRIBED:
            for _ in range(10):
                generator.event(one)
        assert remembered() - before <= {id(node) for one in DESCRIBED for node in nodes(one.schema)}

    def test_locale(self) -> None:
        """Names come from the locales that are asked for."""
        generator = Generator(1, NOW, locales=("zh_CN",))
        assert all(not generator.fake("name").isascii() for _ in range(20))


class TestKinds:
    """Tests for values of a kind."""

    def test_address(self) -> None:
        """An address with a port is one."""
        for payload in made(BY_NAME["rongcloud.online-status"], count=30):
            if "clientIp" in payload:
                address, _, port = payload["clientIp"].partition(":")
                assert 4 == len(address.split("."))
                assert 1024 <= int(port) < 65536

    def test_own(self) -> None:
        """A provider's own kind has the values that its examples show."""
        assert {"someappKey"} == {payload["appKey"] for payload in made(BY_NAME["rongcloud.pre-message"])}

    def test_no_elements(self) -> None:
        """A list that may hold nothing is empty."""
        payloads = made(BY_NAME["rongcloud.chatroom-status"], count=30)
        assert {0, 1, 2, 3} == {payload["type"] for payload in payloads}
        assert all((payload["type"] in (0, 3)) is (payload["userIds"] == []) for payload in payloads)


class TestKindAt:
    """Tests for `shape.kind_at`."""

    @pytest.mark.parametrize(
        ("expected", "name", "pointer"),
        [
            ("account", "commsease.login", "/accid"),
            ("message-key", "tencent.c2c-after-send", "/MsgKey"),
            ("account", "commsease.read-receipt", "/objects/0/fromAccount"),
            (None, "commsease.login", "/nothing"),
        ],
    )
    def test_kind(self, expected: str | None, name: str, pointer: str) -> None:
        """The kind of a value, also inside embedded JSON."""
        assert expected == kind_at(BY_NAME[name].schema, pointer)


class TestLeaves:
    """Tests for `shape.leaves`."""

    def test_leaves(self) -> None:
        """Every scalar with its pointer; embedded JSON is entered, broken JSON is a text."""
        value = {"a": [1, {"b/c": None}], "d": '{"e":[2]}', "f": "{broken", "g": "text"}
        assert [
            ("/a/0", 1),
            ("/a/1/b~1c", None),
            ("/d/e/0", 2),
            ("/f", "{broken"),
            ("/g", "text"),
        ] == list(leaves(value))


class TestSchemasAt:
    """Tests for `shape.schemas_at`."""

    def test_branches(self) -> None:
        """All branches that may apply are looked at, through references."""
        root = {
            "$defs": {"n": {"type": "integer", "maximum": 5}},
            "allOf": [{"properties": {"a": {"$ref": "#/$defs/n"}}}],
            "if": {},
            "then": {"properties": {"a": {"minimum": 1}}},
        }
        found = schemas_at(root, "/a")
        assert {"type": "integer", "maximum": 5} in found
        assert {"minimum": 1} in found
        assert [] == schemas_at(root, "/b")
        assert validator(root).is_valid({"a": 5})


class TestFakerWords:
    """Tests for `FakerWords`."""

    KINDS = ("name", "word", "sentence", "address", "ipv4_public", "file_name", "file_extension")

    @pytest.mark.parametrize("kind", KINDS)
    def test_drawn(self, kind: str) -> None:
        """Values come from a pool of many different ones, drawn by the seed and not in turn."""
        first, same, other = (words(seed, LOCALES) for seed in (1, 1, 2))
        values = [first.fake(kind) for _ in range(10 * POOL)]
        assert POOL / 4 < len(set(values)) <= POOL
        assert values == [same.fake(kind) for _ in range(10 * POOL)]
        assert values != [other.fake(kind) for _ in range(10 * POOL)]
        assert values[:POOL] != values[POOL : 2 * POOL]

    def test_filled_once(self) -> None:
        """Faker is asked for a pool of each kind, and never again, however many values are drawn."""
        asked: list[str] = []

        class Counting:
            def seed_instance(self, seed: str) -> None:
                asked.append(seed)

            def name(self) -> str:
                asked.append("name")
                return str(len(asked))

        source = FakerWords(Counting(), 3)
        assert [] == asked
        for _ in range(5 * POOL):
            source.fake("name")
        assert ["3 name", *["name"] * POOL] == asked

    def test_order(self) -> None:
        """What is in a pool does not depend on which was filled first."""
        one, two = (words(1, LOCALES) for _ in range(2))
        assert isinstance(one, FakerWords)
        assert isinstance(two, FakerWords)
        for kind in self.KINDS:
            one.fake(kind)
        for kind in reversed(self.KINDS):
            two.fake(kind)
        assert one._pools == two._pools


class TestWithoutFaker:
    """Faker is an extra."""

    @each
    def test_valid(self, event_type: EventType, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without it payloads are made up of plain words, and are as valid."""
        monkeypatch.setitem(sys.modules, "faker", None)
        generator = Generator(5, NOW)
        assert isinstance(generator._words, PlainWords)
        for _ in range(5):
            assert [] == event_type.problems(generator.event(event_type).payload)
