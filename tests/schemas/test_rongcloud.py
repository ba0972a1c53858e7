"""What RongCloud's feeds have that no other provider's have: forms, its spellings, an answer that decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from im_callback import schemas
from im_callback.schemas import MISSING, catalogue, resolve
from im_callback.schemas.validate import problems, validator

from tests.schemas.mutations import assertions, mutants
from tests.schemas.payloads import valid_payloads

TYPES = catalogue("rongcloud")
FOLDER = Path(schemas.__file__).parent / "rongcloud"
FEEDS = {
    "audit-result": ["audit-result"],
    "chatroom-kv": ["chatroom-kv"],
    "chatroom-status": ["chatroom-status"],
    "friend": ["friend"],
    "group-info": ["group-info"],
    "group-operation": ["group-operation"],
    "hosted-info-moderation": ["hosted-info-moderation"],
    "message-operation": ["message-operation"],
    "message-route": ["message"],
    "online-status": ["online-status"],
    "pre-message": ["pre-message"],
    "user-deactivation": ["user-deactivation"],
    "user-profile": ["user-profile"],
}
FORMS = ("rongcloud.message", "rongcloud.pre-message", "rongcloud.user-deactivation")


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """Return the first sample of a type with some fields changed; those that are MISSING are left out."""
    payload = {**TYPES[f"rongcloud.{name}"].examples[0], **changes}
    return {field: value for field, value in payload.items() if value is not MISSING}


def valid(name: str, **changes: Any) -> bool:
    """Return whether the first sample of a type, so changed, is valid."""
    return TYPES[f"rongcloud.{name}"].valid(sample(name, **changes))


class TestFeeds:
    """Tests for `x-feed`."""

    @pytest.mark.parametrize("feed", FEEDS)
    def test_types(self, feed: str) -> None:
        """Each callback service delivers a type of its own."""
        assert [f"rongcloud.{kind}" for kind in FEEDS[feed]] == [one.name for one in TYPES if one.feed == feed]

    def test_bot(self) -> None:
        """The webhook of bots delivers eleven, of which one is described."""
        bots = [one for one in TYPES if one.feed == "bot"]
        assert 11 == len(bots)
        assert ["message:private"] == [one.code for one in bots if one.status == "documented"]
        assert {*FEEDS, "bot"} == {one.feed for one in TYPES}

    @pytest.mark.parametrize("name", FORMS)
    def test_forms_are_text(self, name: str) -> None:
        """What travels as a form has no numbers and no objects: text, or a list of texts where a field repeats."""
        for payload in valid_payloads(TYPES[name]):
            for value in payload.values():
                assert isinstance(value, str) or all(isinstance(one, str) for one in value)


class TestSpelling:
    """Tests for names that differ between the callbacks."""

    @pytest.mark.parametrize(
        ("name", "right", "wrong"),
        [
            ("chatroom-status", "chatRoomId", "chatroomId"),
            ("chatroom-kv", "chatroomId", "chatRoomId"),
            ("online-status", "userid", "userId"),
            ("message", "msgTimestamp", "msgTimeStamp"),
            ("pre-message", "msgTimeStamp", "msgTimestamp"),
        ],
    )
    def test_spelling(self, name: str, right: str, wrong: str) -> None:
        """The other callback's spelling will not do."""
        assert valid(name)
        assert not valid(name, **{right: MISSING, wrong: sample(name)[right]})


class TestShapes:
    """Tests for what the pages contradict themselves about, and for what depends on another field."""

    @pytest.mark.parametrize(
        ("expected", "name", "changes"),
        [
            (True, "message", {"objectName": "app:gift", "content": "not JSON: 1+1"}),
            (False, "message", {"content": "hello"}),
            (False, "message", {"content": '{"text":"hello"}'}),
            (False, "message", {"msgTimestamp": 1743499753581}),
            (False, "message", {"sensitiveType": 0}),
            (False, "message", {"groupUserIds": "u2"}),
            (True, "message", {"channelType": "GROUP", "groupUserIds": ["u2", "u3"]}),
            (True, "online-status", {"os": MISSING, "clientIp": MISSING}),
            (False, "online-status", {"status": 0}),
            (False, "online-status", {"time": "1574476797772"}),
            (False, "chatroom-status", {"userIds": []}),
            (False, "chatroom-status", {"type": 3}),
            (True, "chatroom-status", {"type": 3, "userIds": [], "status": 3}),
            (False, "chatroom-status", {"status": 3}),
            (True, "user-profile", {"userProfile": '{"level":2}', "type": 1}),
            (False, "user-profile", {"userProfile": "level 2"}),
            (False, "user-profile", {"userProfile": MISSING}),
            (True, "user-profile", {"userProfile": MISSING, "userExtProfile": MISSING, "type": 0}),
            (True, "group-operation", {"optUserId": ["u1"]}),
            (False, "group-operation", {"eventType": 9}),
            (True, "hosted-info-moderation", {"eventType": 1, "targetUserId": MISSING}),
            (False, "hosted-info-moderation", {"eventType": 1, "targetGroupId": MISSING}),
            (False, "hosted-info-moderation", {"eventType": 4, "targetUserId": MISSING}),
            (True, "message-operation", {"eventType": 2, "originalMsgInfo": {}}),
            (False, "message-operation", {"originalMsgInfo": {}}),
            (True, "user-deactivation", {"code": "25101"}),
            (False, "user-deactivation", {"type": 1}),
        ],
    )
    def test_valid(self, expected: bool, name: str, changes: dict[str, Any]) -> None:
        """Both admitted forms are valid, others are not."""
        assert expected is valid(name, **changes)

    def test_wrapped_operations(self) -> None:
        """Group operations wrapped in `profiles`, as the table has them, are not taken for profiles of groups."""
        wrapped = {"profiles": list(TYPES["rongcloud.group-operation"].examples)}
        assert TYPES.identify(wrapped) is None

    def test_aliases(self) -> None:
        """The body's own `timestamp` and the id within an audited message repeat another field."""
        message = TYPES["rongcloud.message"].schema["properties"]["timestamp"]
        assert "/msgTimestamp" == message["x-same-as"]
        audited = TYPES["rongcloud.audit-result"].examples[0]
        assert audited["msgUID"] == resolve(audited, "/content/messageId")

    def test_batch_of_deactivations(self) -> None:
        """One operation on two users is two events."""
        identity = TYPES["rongcloud.user-deactivation"].identity
        assert identity is not None
        one, other = sample("user-deactivation"), sample("user-deactivation", userId="uid2")
        assert [resolve(one, name) for name in identity] != [resolve(other, name) for name in identity]


class TestRemovals:
    """Tests for what takes a state away."""

    @pytest.mark.parametrize(
        ("scope", "name", "changes"),
        [
            (None, "online-status", {"status": "0"}),
            (("/userid", "/sessionId"), "online-status", {"status": "1"}),
            (("/userid", "/sessionId"), "online-status", {"status": "2"}),
            (None, "chatroom-status", {"type": 1}),
            (("/chatRoomId", "/userIds/0"), "chatroom-status", {"type": 2}),
            (("/chatRoomId",), "chatroom-status", {"type": 3}),
            (None, "friend", {"eventType": 5}),
            (("/userId", "/toUserId"), "friend", {"eventType": 4}),
            (None, "group-operation", {"eventType": 7}),
            (("/groupId", "/userIds/0"), "group-operation", {"eventType": 3}),
            (("/groupId", "/userIds/0"), "group-operation", {"eventType": 4}),
            (("/groupId",), "group-operation", {"eventType": 5}),
            (None, "user-profile", {"type": 1}),
            (("/userId",), "user-profile", {"type": 0}),
        ],
    )
    def test_scope(self, scope: tuple[str, ...] | None, name: str, changes: dict[str, Any]) -> None:
        """Who goes offline, leaves, or ends a friendship is gone; a room or group that is destroyed is gone whole."""
        removal = TYPES[f"rongcloud.{name}"].removal(sample(name, **changes))
        assert scope == (None if removal is None else removal.scope)


class TestAnswer:
    """Tests for the answer that decides about a message."""

    SCHEMA = json.loads((FOLDER / "pre-message.response.schema.json").read_text(encoding="utf-8"))

    def test_examples(self) -> None:
        """The examples are valid."""
        assert [[]] * 4 == [problems(validator(self.SCHEMA), one) for one in self.SCHEMA["examples"]]

    def test_mutants(self) -> None:
        """Every assertion rejects a mutant."""
        made = [one for example in self.SCHEMA["examples"] for one in mutants(self.SCHEMA, example)]
        assert set(assertions(self.SCHEMA)) == {(mutant.rule, mutant.schema) for mutant in made}
        for mutant in made:
            assert problems(validator(self.SCHEMA), mutant.payload), mutant

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"pass": "1"},
            {"pass": True},
            {"pass": 3},
            {"pass": 1, "replaceContent": {"content": "***"}},
            {"pass": 1, "replaceContent": "***"},
            {"pass": 1, "replaceDisablePush": "true"},
            {"pass": 0, "extra": "x" * 1025},
        ],
    )
    def test_rejects(self, answer: dict[str, Any]) -> None:
        """What the provider would not understand is no answer."""
        assert problems(validator(self.SCHEMA), answer)
