"""What event types say beyond their shape: what absence means, and what takes a state away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from im_callback.schemas import MISSING, EventType, replace
from im_callback.schemas.kinds import kinds, unique_kinds
from im_callback.schemas.validate import problems, validator

from tests.cases import in_each
from tests.schemas.payloads import EVENT_TYPES, valid_payloads

BY_NAME = {one.name: one for one in EVENT_TYPES}
LATEST = [one for one in EVENT_TYPES if one.order and one.order.rule == "latest"]


def defaults(schema: Any) -> Iterator[Any]:
    """Yield every part of a schema that has a default."""
    if isinstance(schema, dict):
        if "default" in schema and not isinstance(schema["default"], dict):
            yield schema
        for name, inner in schema.items():
            if name != "examples":
                yield from defaults(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from defaults(inner)


class TestDefault:
    """Tests for `EventType.default`."""

    @pytest.mark.parametrize(
        ("expected", "name", "pointer"),
        [
            (False, "commsease.call-duration", "/running"),
            (False, "commsease.call-duration-2", "/running"),
            (False, "commsease.call-duration", "/members/0/caller"),
            (False, "commsease.call-file", "/caller"),
            ("false", "commsease.conversation", "/antispam"),
            (MISSING, "commsease.chatroom-message", "/antispam"),
            (MISSING, "commsease.login", "/customTag"),
            (MISSING, "commsease.login", "/nothing"),
            (MISSING, "commsease.login", "/nothing/deeper"),
        ],
    )
    def test_default(self, expected: Any, name: str, pointer: str) -> None:
        """What the documents say that absence means; relative to an element where the payload is a list."""
        assert expected is BY_NAME[name].default(pointer) or expected == BY_NAME[name].default(pointer) == "false"

    @in_each("event_type", EVENT_TYPES, ids=lambda one: one.name)
    def test_admitted(self, event_type: EventType) -> None:
        """A default is a value that the field may have."""
        for part in defaults(event_type.schema):
            assert [] == problems(validator(part), part["default"])

    def test_in_a_branch(self) -> None:
        """It may stand in a branch."""
        branch = {"if": {"required": ["b"]}, "then": {"properties": {"a": {"default": 7}}}}
        schema = {**BY_NAME["commsease.login"].schema, "allOf": [branch]}
        assert 7 == EventType.from_schema(schema).default("/a")


class TestRemovals:
    """Tests for `EventType.removal`."""

    @pytest.mark.parametrize(
        ("scope", "name", "payload"),
        [
            (None, "commsease.login", {"eventType": "2"}),
            (("/accid",), "commsease.logout", {"eventType": "3"}),
            (None, "commsease.chatroom-in-out", {"event": "IN"}),
            (("/roomId", "/accid"), "commsease.chatroom-in-out", {"event": "OUT"}),
            (("/roomId", "/accid"), "commsease.chatroom-in-out", {"event": "KICK"}),
            (None, "commsease.chatroom-in-out", {"event": "WAIT"}),
            (None, "commsease.heartbeat", {"eventType": "42"}),
            (None, "rongcloud.chatroom-kv", {"optType": 1}),
            (("/chatroomId", "/key"), "rongcloud.chatroom-kv", {"optType": 2}),
            (("/chatroomId",), "rongcloud.chatroom-kv", {"optType": 3}),
            (None, "commsease.message-recall", {"eventType": "7"}),
            (None, "tencent.state-change", {"Info": {"Action": "Login"}}),
            (("/Info/To_Account",), "tencent.state-change", {"Info": {"Action": "Disconnect"}}),
            (None, "tencent.c2c-after-extension", {"OperateType": 1}),
            (("/GroupId", "/MsgSeq"), "tencent.group-after-extension", {"OperateType": 3}),
            (None, "tencent.group-after-attribute-change", {"OptionType": "set"}),
            (("/GroupId",), "tencent.group-after-attribute-change", {"OptionType": "delete"}),
            (("/GroupId",), "tencent.group-after-disband", {"CallbackCommand": "Group.CallbackAfterGroupDestroyed"}),
        ],
    )
    def test_removal(self, scope: tuple[str, ...] | None, name: str, payload: Any) -> None:
        """Who leaves is gone from a room, who logs out is gone, an attribute is deleted, a room is cleared."""
        removal = BY_NAME[name].removal(payload)
        assert scope == (None if removal is None else removal.scope)
        assert BY_NAME[name].removes(payload) is (scope is not None)

    def test_values(self) -> None:
        """What a removal asks for, wherever it stands; of several values, the first."""
        order = BY_NAME["tencent.state-change"].order
        assert order is not None
        assert [{"/Info/Action": "Logout"}] == [removal.values for removal in order.removals]

    @in_each("event_type", LATEST, ids=lambda one: one.name)
    def test_scope(self, event_type: EventType) -> None:
        """What a removal takes away lies in the scope of the state, or is all of several such scopes."""
        assert event_type.order is not None
        for removal in event_type.order.removals:
            assert set(removal.scope) <= set(event_type.order.scope)
            assert set(removal.when["properties"]) <= set(event_type.schema["properties"])
            payload = valid_payloads(event_type)[0]
            assert removal.values
            for pointer, value in removal.values.items():
                payload = replace(payload, pointer, value)
            assert event_type.removes(payload)


class TestKinds:
    """Tests for `kinds` and `unique_kinds`."""

    def test_unique(self) -> None:
        """Ids of messages, sessions and files are unique; accounts, templates, connections and members are not."""
        assert {
            "digits-id", "long-id", "uuid", "hex-id", "grouped-id", "message-key", "message-id", "random",
        } == unique_kinds()  # fmt: skip
        assert unique_kinds() < set(kinds())
        assert not {"account", "template", "connection", "member", "device", "sequence"} & unique_kinds()
