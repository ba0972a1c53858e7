"""The schema files themselves: they keep the dialect, name themselves rightly, and recognise what is documented."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from im_callback import schemas
from im_callback.schemas import (
    MISSING,
    EventType,
    catalogue,
    dialect_problems,
    occurrences,
    replace,
    resolve,
)
from im_callback.schemas.kinds import kinds
from im_callback.schemas.pointer import join
from im_callback.schemas.validate import problems, validator

from tests.cases import in_each
from tests.schemas.mutations import Mutant, assertions, mutants
from tests.schemas.payloads import (
    BEYOND_SAMPLES,
    DOCUMENTED,
    EVENT_TYPES,
    PROVIDERS,
    UNDOCUMENTED,
    valid_payloads,
)

FOLDER = Path(schemas.__file__).parent
FILES = sorted(FOLDER.glob("*/*.schema.json"))
RESPONSES = [file for file in FILES if file.name.endswith(".response.schema.json")]
LOGIN = json.loads((FOLDER / "commsease" / "login.schema.json").read_text(encoding="utf-8"))
PRINTED = [
    json.loads(line)
    for line in Path(__file__).with_name("printed_bodies.jsonl").read_text(encoding="utf-8").splitlines()
]
# Every eventType of data sync: those that its overview lists, and those of newer pages.
LISTED = [*range(1, 15), *range(20, 24), *range(25, 32), 35, 36, 42, 80, 83, 84, 85, 89, 90, 91]
by_name = in_each("event_type", EVENT_TYPES, ids=lambda one: one.name)


def read(file: Path) -> Any:
    """Return the schema in a file."""
    return json.loads(file.read_text(encoding="utf-8"))


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


def decisive_places(detect: Mapping[str, Any], place: str = "") -> set[str]:
    """Return the pointers that what tells a type apart looks at."""
    found = {place, *(f"{place}/{name}" for name in detect.get("required", ()))}
    for name, inner in detect.get("properties", {}).items():
        found |= decisive_places(inner, f"{place}/{name}")
    for choice in detect.get("anyOf", ()):
        found |= decisive_places(choice, place)
    return found | (decisive_places(detect["contains"], f"{place}/0") if "contains" in detect else set())


class TestDialect:
    """Tests for `dialect.schema.json`."""

    @in_each("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
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
        used = {schema["x-kind"] for one in EVENT_TYPES for _, schema in subschemas(one.schema) if "x-kind" in schema}
        assert set(kinds()) == {kind for kind in used if "." not in kind}

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
            ("/x-response-to", ["commsease.login"]),
            ("/x-feed", "commsease.data-sync"),
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
        assert {name for name in names if not name.endswith(".response")} == {one.name for one in EVENT_TYPES}
        for one in EVENT_TYPES:
            assert one.schema["$id"].endswith("/" + one.name.replace(".", "/"))

    def test_every_listed_code(self) -> None:
        """Every eventType of data sync has a schema, and there are no others."""
        assert [str(code) for code in LISTED] == [one.code for one in catalogue("commsease") if one.feed == "data-sync"]

    def test_undocumented(self) -> None:
        """Nine types of data sync are named and not described."""
        codes = [one.code for one in UNDOCUMENTED if one.feed == "data-sync"]
        assert ["13", "22", "23", "26", "27", "28", "29", "35", "80"] == codes

    @in_each("event_type", UNDOCUMENTED, ids=lambda one: one.name)
    def test_undocumented_is_bare(self, event_type: EventType) -> None:
        """They require what they are recognised by and nothing else, and have no samples."""
        recognised = event_type.schema["x-detect"]["required"]
        assert recognised == event_type.schema["required"] == list(event_type.schema["properties"])
        assert (None, None, ()) == (event_type.identity, event_type.order, event_type.examples)

    @by_name
    def test_every_leaf_has_a_kind(self, event_type: EventType) -> None:
        """A string or number that const, enum or contentSchema does not settle says what it is."""
        for path, schema in subschemas(event_type.schema):
            types = schema.get("type", [])
            if {"string", "integer", "number"} & set([types] if isinstance(types, str) else types):
                assert {"x-kind", "const", "enum", "contentSchema"} & set(schema), path

    @in_each("event_type", DOCUMENTED, ids=lambda one: one.name)
    def test_identity_fields_are_declared(self, event_type: EventType) -> None:
        """Identity, scope and order point at fields that some valid payload carries."""
        order = event_type.order
        pointers = [*(event_type.identity or ()), *(order.scope + order.by if order else ())]
        things = [one for payload in valid_payloads(event_type) for one in occurrences(event_type, payload)]
        for pointer in pointers:
            assert any(resolve(thing, pointer) is not MISSING for thing in things), pointer

    @in_each("event_type", DOCUMENTED, ids=lambda one: one.name)
    def test_samples_differ(self, event_type: EventType) -> None:
        """No sample is listed twice."""
        texts = [json.dumps(one, sort_keys=True) for one in event_type.examples]
        assert len(set(texts)) == len(texts)

    def test_shared_group(self) -> None:
        """What takes a state away is ordered together with what brings it, and by the same rule."""
        groups: dict[str, list[str]] = {}
        for one in EVENT_TYPES:
            if one.order:
                groups.setdefault(one.order.group, []).append(one.name)
        shared = {group: names for group, names in groups.items() if len(names) > 1}
        assert ["commsease.login", "commsease.logout"] == shared["commsease.presence"]
        for names in shared.values():
            found = [one.order for one in EVENT_TYPES if one.name in names and one.order]
            assert any(order.removals for order in found), names
            assert 1 == len({(order.rule, len(order.scope)) for order in found}), names


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

    @in_each("line", PRINTED, ids=lambda line: line["source"])
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
        decisive = decisive_places(event_type.schema["x-detect"])
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


@pytest.mark.parametrize("file", RESPONSES, ids=lambda file: f"{file.parent.name}/{file.stem}")
class TestResponse:
    """Tests for the schemas of answers."""

    def test_answers_what_exists(self, file: Path) -> None:
        """It names event types, and no other answers the same."""
        named = [name for one in RESPONSES for name in read(one)["x-response-to"]]
        assert set(read(file)["x-response-to"]) <= {one.name for one in EVENT_TYPES}
        assert len(named) == len(set(named))

    def test_examples(self, file: Path) -> None:
        """The documented answers are valid."""
        schema = read(file)
        assert schema["examples"]
        assert [] == [found for one in schema["examples"] if (found := problems(validator(schema), one))]

    def test_mutants(self, file: Path) -> None:
        """Every assertion about what is not a message body, which events have too, rejects a mutant."""
        schema = read(file)
        made = [one for example in schema["examples"] for one in mutants(schema, example)]
        declared = {key for key, path in assertions(schema).items() if not path.startswith("#/$defs/")}
        assert declared <= {(mutant.rule, mutant.schema) for mutant in made}
        for mutant in made:
            assert problems(validator(schema), mutant.payload), mutant


class TestTencent:
    """Tests for what Tencent's files have in common, and for its traps."""

    def test_bodies_are_alike(self) -> None:
        """A message body is described alike wherever there is one: no file refers to another."""
        files = [read(file) for file in FILES if file.parent.name == "tencent"]
        bodies = [schema["$defs"] for schema in files if "body" in schema.get("$defs", {})]
        assert len(bodies) > 5
        assert all(one == bodies[0] for one in bodies)

    def test_every_type_is_answered(self) -> None:
        """The answer to every event type is described, but for calls and what is only named."""
        answered = {name for file in RESPONSES for name in read(file)["x-response-to"]}
        assert {"tencent.call-event", "tencent.call-status", "tencent.live-not-blocked"} == {
            one.name for one in catalogue("tencent") if one.name not in answered
        }

    def test_feeds(self) -> None:
        """What is asked before something happens is another feed than what is told after it."""
        told = [one for one in catalogue("tencent") if one.code.startswith(("C2C.", "Group."))]
        assert [("before" if "Before" in one.code else "after") for one in told] == [one.feed for one in told]

    @pytest.mark.parametrize(
        ("valid", "name", "answer"),
        [
            (True, "c2c-before-send", {"ErrorCode": 130000}),
            (False, "c2c-before-send", {"ErrorCode": 120000}),
            (False, "c2c-before-send", {"ErrorCode": 10100}),
            (False, "c2c-before-send", {"ErrorCode": 3}),
            (True, "c2c-before-send", {"ErrorCode": 0, "CloudCustomData": "x"}),
            (False, "c2c-before-send", {"ErrorCode": 1, "CloudCustomData": "x"}),
            (False, "c2c-before-send", {"ErrorCode": 0, "MsgBody": {}}),
            (False, "c2c-before-send", {"ErrorCode": 0, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {}}]}),
            (True, "group-before-send", {"ErrorCode": 10200}),
            (False, "group-before-send", {"ErrorCode": 120001}),
            (False, "group-before", {"ErrorCode": 2}),
            (True, "group-before-invite-join", {"ErrorCode": 0, "RefusedMembers_Account": []}),
            (False, "group-before-invite-join", {"ErrorCode": 0, "RefusedMembers_Account": "jared"}),
            (False, "after", {"ErrorCode": 2}),
            (False, "after", {"ErrorCode": "0"}),
        ],
    )
    def test_decisions(self, valid: bool, name: str, answer: dict[str, Any]) -> None:
        """Each command has its own codes, and only an answer that lets a message through changes it."""
        schema = read(FOLDER / "tencent" / f"{name}.response.schema.json")
        whole = {"ActionStatus": "OK", "ErrorInfo": "", **answer}
        assert valid is not bool(problems(validator(schema), whole))

    @pytest.mark.parametrize("moment", [1670574414123, "1670574414123"])
    @pytest.mark.parametrize(
        "one", [one for one in catalogue("tencent") if one.code.startswith("Group.")], ids=lambda o: o.name
    )
    def test_event_time(self, one: EventType, moment: object) -> None:
        """Groups' EventTime is a text in samples and a number in tables, or the reverse in newer pages."""
        time = one.schema["properties"].get("EventTime", {})
        if isinstance(time.get("type"), list):
            assert [] == one.problems({**one.examples[0], "EventTime": moment})

    @pytest.mark.parametrize(
        ("valid", "name", "change"),
        [
            (True, "group-after-send", {"TopicId": ""}),
            (False, "group-after-send", {"Type": "Community", "TopicId": 1}),
            (True, "group-after-send", {"Type": "Community", "TopicId": "t"}),
            (False, "group-after-disband", {"Type": "Community"}),
            (False, "group-after-extension", {"OperateType": 3}),
            (True, "group-after-extension", {"OperateType": 3, "ExtensionList": []}),
            (False, "group-after-attribute-change", {"GroupAttr": [{"key": "a"}]}),
            (True, "group-after-attribute-change", {"OptionType": "delete", "GroupAttr": [{"key": "a"}]}),
            (False, "state-change", {"Info": {"Action": "Login", "To_Account": "a", "Reason": "TimeOut"}}),
            (False, "state-change", {"Info": {"Action": "Logout", "To_Account": "a", "Reason": "Unregister"}}),
            (False, "group-member-state", {"EventCause": "Join"}),
            (False, "group-after-member-change", {"Modified_Account": 1}),
            (True, "group-after-delete-topic", {"TopicIdList": "@TGS#_x@TOPIC#_y"}),
            (True, "group-after-send", {"GroupAtInfo": [{"GroupAtAllFlag": 0, "GroupAt_Account": "a"}]}),
            (False, "group-after-send", {"GroupAtInfo": [{"GroupAtAllFlag": 0}]}),
            (False, "group-after-send", {"GroupAtInfo": [{"GroupAtAllFlag": 1, "GroupAt_Account": "a"}]}),
        ],
    )
    def test_conditions(self, valid: bool, name: str, change: dict[str, Any]) -> None:
        """What belongs to one kind of group, operation or state only."""
        one = catalogue("tencent")[f"tencent.{name}"]
        assert valid is not bool(one.problems({**one.examples[0], **change}))
