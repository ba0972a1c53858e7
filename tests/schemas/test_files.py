"""The schema files themselves: they keep the dialect, name themselves rightly, and recognise what is documented."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import (
    MISSING,
    EventType,
    catalogue,
    dialect_problems,
    occurrences,
    replace,
    resolve,
)
from schemas.pointer import join
from schemas.validate import problems, validator
from tests.schemas.mutations import Mutant, assertions, mutants
from tests.schemas.payloads import (
    BEYOND_SAMPLES,
    DOCUMENTED,
    EVENT_TYPES,
    PROVIDERS,
    valid_payloads,
)

FOLDER = Path(schemas.__file__).parent
FILES = sorted(FOLDER.glob("*/*.schema.json"))
LOGIN = json.loads((FOLDER / "commsease" / "login.schema.json").read_text(encoding="utf-8"))
PRINTED = [
    json.loads(line)
    for line in Path(__file__).with_name("printed_bodies.jsonl").read_text(encoding="utf-8").splitlines()
]
# Data Sync Overview, "Data sync types": every eventType it lists.
LISTED = [*range(1, 15), *range(20, 24), *range(25, 32), 35, 36, 42]
by_name = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda one: one.name)


@cache
def all_mutants(event_type: EventType) -> tuple[Mutant, ...]:
    """Return every mutant of every valid payload of an event type."""
    return tuple(one for payload in valid_payloads(event_type) for one in mutants(event_type.schema, payload))


def subschemas(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield everything that looks like a subschema, with its pointer; examples and x-keywords are left out."""
    if isinstance(schema, dict):
        yield path, schema
        for name, inner in schema.items():
            if name not in {"examples", "enum", "const"} and not name.startswith("x-"):
                yield from subschemas(inner, path + join([name]))
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from subschemas(inner, f"{path}/{number}")


class TestDialect:
    """Tests for `dialect.schema.json`."""

    @pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
    def test_files_keep_it(self, file: Path) -> None:
        """Every file satisfies the dialect."""
        assert [] == dialect_problems(json.loads(file.read_text(encoding="utf-8")))

    def test_readme(self) -> None:
        """README.md explains every keyword."""
        dialect = json.loads((FOLDER / "dialect.schema.json").read_text(encoding="utf-8"))
        readme = (FOLDER / "README.md").read_text(encoding="utf-8")
        assert [] == [keyword for keyword in dialect["properties"] if f"`{keyword}`" not in readme]
        assert set(dialect["propertyNames"]["then"]["enum"]) == set(dialect["properties"])

    def test_kinds_are_used(self) -> None:
        """Every kind is on some value: the list holds no dead words."""
        dialect = json.loads((FOLDER / "dialect.schema.json").read_text(encoding="utf-8"))
        kinds = {kind["const"] for kind in dialect["properties"]["x-kind"]["anyOf"]}
        used = {schema["x-kind"] for one in EVENT_TYPES for _, schema in subschemas(one.schema) if "x-kind" in schema}
        assert kinds == used

    def test_is_valid_itself(self) -> None:
        """The dialect's own schema is valid JSON Schema 2020-12."""
        from jsonschema import Draft202012Validator

        Draft202012Validator.check_schema(json.loads((FOLDER / "dialect.schema.json").read_text(encoding="utf-8")))

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            ("/x-event-type", "login"),
            ("/x-event-type", "Commsease.Login"),
            ("/x-code", 2),
            ("/x-status", "drafted"),
            ("/x-source", []),
            ("/x-source/0/document", ""),
            ("/x-source/0/page", "3"),
            ("/x-detect", "eventType"),
            ("/x-detect/properties/eventType/x-kind", "banana"),
            ("/x-items", "objects"),
            ("/x-identity", []),
            ("/x-identity", ["accid"]),
            ("/x-identity", ["/accid", "/accid"]),
            ("/x-identity/0", "/a~2"),
            ("/x-order/rule", "newest"),
            ("/x-order/by", []),
            ("/x-order/scope", "/accid"),
            ("/x-order/direction", "up"),
            ("/x-order/removes", 1),
            ("/x-identiy", ["/accid"]),
            ("/x-response-to", "commsease.login"),
            ("/type", "objekt"),
            ("/properties/accid/x-kind", "banana"),
            ("/properties/accid/x-knid", "account"),
            ("/properties/accid/pattern", 1),
            ("/properties/accid/contentSchema", {}),
            ("/properties/accid", {"contentMediaType": "application/json", "contentSchema": {"x-kind": "banana"}}),
        ],
    )
    def test_rejects(self, place: str, value: Any) -> None:
        """A broken keyword is reported, however deep it lies."""
        found = dialect_problems(replace(LOGIN, place, value))
        assert found
        assert any(place.startswith(one.pointer) or one.pointer.startswith(place) for one in found)

    @pytest.mark.parametrize(
        "keyword",
        [
            "$id", "title", "description", "type", "properties",
            "x-event-type", "x-code", "x-status", "x-source", "x-detect", "x-identity", "x-order",
        ],
    )  # fmt: skip
    def test_requires(self, keyword: str) -> None:
        """An event type needs every one of these keywords."""
        assert dialect_problems({name: value for name, value in LOGIN.items() if name != keyword})

    @pytest.mark.parametrize("keyword", ["x-identity", "x-order"])
    def test_null_is_explained(self, keyword: str) -> None:
        """A null identity or order needs a $comment."""
        schema = {**copy.deepcopy(LOGIN), keyword: None}
        assert [] == dialect_problems(schema)
        del schema["$comment"]
        assert dialect_problems(schema)

    def test_undocumented_has_no_examples(self) -> None:
        """What is not documented has no documented samples."""
        assert dialect_problems({**LOGIN, "x-status": "undocumented"})


class TestFiles:
    """Tests for what the files say about themselves."""

    def test_ids_are_unique(self) -> None:
        """No two files share an $id."""
        ids = [json.loads(file.read_text(encoding="utf-8"))["$id"] for file in FILES]
        assert len(set(ids)) == len(ids) > 30

    def test_file_names(self) -> None:
        """A file is called as its event type, in the folder of its provider; so is its $id."""
        names = {f"{file.parent.name}.{file.name.removesuffix('.schema.json')}" for file in FILES}
        assert names - {"tencent.c2c-after-send.response"} == {one.name for one in EVENT_TYPES}
        for one in EVENT_TYPES:
            assert one.schema["$id"].endswith("/" + one.name.replace(".", "/"))

    def test_every_listed_code(self) -> None:
        """Every eventType of the overview has a schema, and there are no others."""
        assert [str(code) for code in LISTED] == [one.code for one in catalogue("commsease")]

    def test_undocumented(self) -> None:
        """Eight types are named and not described; they require their code and nothing else."""
        bare = [one for one in EVENT_TYPES if one.status == "undocumented"]
        assert ["13", "22", "23", "26", "27", "28", "29", "35"] == [one.code for one in bare]
        for one in bare:
            assert ["eventType"] == one.schema["required"] == list(one.schema["properties"])
            assert (None, None, ()) == (one.identity, one.order, one.examples)

    @by_name
    def test_every_leaf_has_a_kind(self, event_type: EventType) -> None:
        """A string or number that const, enum or contentSchema does not settle says what it is."""
        for path, schema in subschemas(event_type.schema):
            types = schema.get("type", [])
            if {"string", "integer", "number"} & set([types] if isinstance(types, str) else types):
                assert {"x-kind", "const", "enum", "contentSchema"} & set(schema), path

    @pytest.mark.parametrize("event_type", DOCUMENTED, ids=lambda one: one.name)
    def test_identity_fields_are_declared(self, event_type: EventType) -> None:
        """Identity, scope and order point at fields that some valid payload carries."""
        order = event_type.order
        pointers = [*(event_type.identity or ()), *(order.scope + order.by if order else ())]
        things = [one for payload in valid_payloads(event_type) for one in occurrences(event_type, payload)]
        for pointer in pointers:
            assert any(resolve(thing, pointer) is not MISSING for thing in things), pointer

    @pytest.mark.parametrize("event_type", DOCUMENTED, ids=lambda one: one.name)
    def test_samples_differ(self, event_type: EventType) -> None:
        """No sample is listed twice."""
        texts = [json.dumps(one, sort_keys=True) for one in event_type.examples]
        assert len(set(texts)) == len(texts)

    def test_shared_group(self) -> None:
        """Only login and logout are ordered together."""
        groups: dict[str, list[str]] = {}
        for one in EVENT_TYPES:
            if one.order:
                groups.setdefault(one.order.group, []).append(one.name)
        shared = {group: names for group, names in groups.items() if len(names) > 1}
        assert {"commsease.presence": ["commsease.login", "commsease.logout"]} == shared


class TestPayloads:
    """Tests for the documented samples and payloads beyond them."""

    @by_name
    def test_valid(self, event_type: EventType) -> None:
        """Every sample is valid, and is recognised as its own type and no other."""
        for payload in valid_payloads(event_type):
            assert [] == event_type.problems(payload)
            assert [event_type] == [one for one in catalogue(event_type.provider) if one.detects(payload)]

    def test_no_type_without_samples(self) -> None:
        """Every described type has a sample."""
        assert [] == [one.name for one in DOCUMENTED if not one.examples]
        assert set(BEYOND_SAMPLES) <= {one.name for one in EVENT_TYPES}

    @pytest.mark.parametrize("line", PRINTED, ids=lambda line: line["source"])
    def test_printed(self, line: dict[str, str]) -> None:
        """Every body printed in the documents is recognised and valid."""
        body = json.loads(line["body"])
        types = catalogue(line["expect"].partition(".")[0])
        for payload in body if isinstance(body, list) else [body]:
            found = types.identify(payload)
            assert found is not None
            assert line["expect"] == found.name
            assert [] == found.problems(payload)

    def test_printed_are_examples(self) -> None:
        """Every printed body of a documentation page is an example of its type, with the same embedded text."""
        for line in PRINTED:
            if "public receiver" in line["source"]:
                continue
            body = json.loads(line["body"])
            for payload in body if isinstance(body, list) else [body]:
                provider = line["expect"].partition(".")[0]
                assert payload in catalogue(provider)[line["expect"]].examples

    @by_name
    def test_mutants(self, event_type: EventType) -> None:
        """Each fault is found at its place or above, and the broken payload is still recognised."""
        decisive = {"/eventType", "/type", "/CallbackCommand", "/chatroomId", "/optType", ""}
        found = all_mutants(event_type)
        for mutant in found:
            problems_found = event_type.problems(mutant.payload)
            assert problems_found, mutant
            assert any(mutant.pointer.startswith(one.pointer) for one in problems_found), (mutant, problems_found)
            assert mutant.pointer in decisive or event_type.detects(mutant.payload), mutant
        assert {"required", "type"} <= {mutant.rule for mutant in found}

    @by_name
    def test_mutants_cover(self, event_type: EventType) -> None:
        """Some mutant breaks each assertion that the schema makes, in every branch."""
        declared = assertions(event_type.schema)
        made = {(mutant.rule, mutant.schema) for mutant in all_mutants(event_type)}
        assert declared
        assert [] == [path for key, path in declared.items() if key not in made]

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_unknown_fields_are_allowed(self, provider: str) -> None:
        """A field that nobody documents is no problem: providers add some."""
        for one in catalogue(provider):
            for payload in valid_payloads(one)[:1]:
                assert [] == one.problems({**payload, "brand-new": {"x": 1}})


class TestChoices:
    """Tests for shapes that depend on another field."""

    @pytest.mark.parametrize(
        ("valid", "attach"),
        [
            (True, '{"type":1,"data":{"value":1}}'),
            (False, '{"type":1,"data":{"value":4}}'),
            (False, '{"type":1}'),
            (True, '{"type":3,"data":{"catalog":"xxy","chartlet":"xxy001"}}'),
            (False, '{"type":3,"data":{"catalog":"xxy"}}'),
            (True, '{"type":2,"anything":true}'),
            (True, "{}"),
            (False, "[]"),
            (False, "hello"),
        ],
    )
    def test_custom_attachment(self, valid: bool, attach: str) -> None:
        """A custom chat room message is a hand sign, a sticker or the team's own object."""
        room = catalogue("commsease")["commsease.chatroom-message"]
        assert valid is not bool(room.problems({**room.examples[0], "attach": attach}))

    @pytest.mark.parametrize(
        ("valid", "result"),
        [
            (True, '{"yidunBusType":0,"action":2,"labels":[]}'),
            (True, '{"yidunBusType":1,"labels":[]}'),
            (False, '{"yidunBusType":1,"action":0,"labels":[]}'),
            (False, '{"yidunBusType":3,"action":0,"labels":[]}'),
            (False, '{"yidunBusType":0,"action":3,"labels":[]}'),
        ],
    )
    def test_action_of_text_only(self, valid: bool, result: str) -> None:
        """The content check has an action for text and profiles, not for pictures."""
        room = catalogue("commsease")["commsease.chatroom-message"]
        assert valid is not bool(room.problems({**room.examples[0], "yidunRes": result}))

    @pytest.mark.parametrize(
        ("valid", "conversation", "message"),
        [
            (True, "PERSON", "TIPS"),
            (False, "PERSON", "FRIEND_DELETE"),
            (True, "CUSTOM_PERSON", "FRIEND_DELETE"),
            (False, "CUSTOM_PERSON", "TEAM_APPLY"),
            (True, "CUSTOM_TEAM", "SUPERTEAM_INVITE"),
            (False, "CUSTOM_TEAM", "TEXT"),
        ],
    )
    def test_message_types(self, valid: bool, conversation: str, message: str) -> None:
        """Each kind of conversation has its own kinds of messages."""
        one = catalogue("commsease")["commsease.conversation"]
        payload = {**one.examples[0], "convType": conversation, "msgType": message, "to": "13827"}
        assert valid is not bool(one.problems(payload))

    def test_team_is_a_number(self) -> None:
        """A message to a team names it by digits."""
        one = catalogue("commsease")["commsease.conversation"]
        (problem,) = one.problems({**one.examples[0], "convType": "TEAM", "to": "lisi"})
        assert "/to" == problem.pointer

    def test_notices_have_no_client_id(self) -> None:
        """Messages need msgidClient, notices do not."""
        one = catalogue("commsease")["commsease.conversation"]
        message = {name: value for name, value in one.examples[0].items() if name != "msgidClient"}
        assert ["/msgidClient"] == [problem.pointer for problem in one.problems(message)]

    def test_one_custom_element(self) -> None:
        """A Tencent message holds at most one TIMCustomElem."""
        one = catalogue("tencent")["tencent.c2c-after-send"]
        custom = {"MsgType": "TIMCustomElem", "MsgContent": {"Data": "x"}}
        assert [] == one.problems({**one.examples[0], "MsgBody": [custom]})
        assert one.problems({**one.examples[0], "MsgBody": [custom, custom]})

    @pytest.mark.parametrize(
        ("valid", "change"),
        [
            (True, {"optType": 1}),
            (False, {"optType": 1, "key": ""}),
            (False, {"optType": 2, "key": MISSING}),
            (True, {"optType": 3, "key": MISSING}),
            (False, {"optType": 1, "value": MISSING}),
            (True, {"optType": 2, "value": MISSING}),
            (True, {"status": 2}),
            (True, {"status": MISSING}),
        ],
    )
    def test_attribute(self, valid: bool, change: dict[str, Any]) -> None:
        """Setting needs key and value, deleting a key, deleting all neither; status is anything."""
        one = catalogue("rongcloud")["rongcloud.chatroom-kv"]
        payload = {name: value for name, value in {**one.examples[0], **change}.items() if value is not MISSING}
        assert valid is not bool(one.problems(payload))


class TestResponse:
    """Tests for the schema of Tencent's answer."""

    SCHEMA = json.loads((FOLDER / "tencent" / "c2c-after-send.response.schema.json").read_text(encoding="utf-8"))

    def test_example(self) -> None:
        """The documented answer is valid."""
        assert [[]] == [problems(validator(self.SCHEMA), one) for one in self.SCHEMA["examples"]]

    def test_mutants(self) -> None:
        """Every assertion rejects a mutant."""
        (example,) = self.SCHEMA["examples"]
        made = list(mutants(self.SCHEMA, example))
        assert set(assertions(self.SCHEMA)) == {(mutant.rule, mutant.schema) for mutant in made}
        for mutant in made:
            assert problems(validator(self.SCHEMA), mutant.payload), mutant
