"""Payloads in which one value is another: of the other documented type, JSON in another spelling, of no possible type."""

from __future__ import annotations

import json

import pytest
from im_callback.conformance.drift import drifted, drifts, is_either
from im_callback.conformance.embedded import holds_json, rewritten
from im_callback.conformance.wrong_types import mistyped
from im_callback.provider_mock import providers
from im_callback.schemas import resolve

KV = providers.load("rongcloud").catalogue["rongcloud.chatroom-kv"]
CONVERSATION = providers.load("commsease").catalogue["commsease.conversation"]
ENTRY = KV.examples[0]
PICTURE = {
    **next(one for one in CONVERSATION.examples if one["convType"] == "PERSON"),
    "msgType": "PICTURE",
    "attach": '{"md5":"0c","h":1,"w":2,"size":3,"name":"图","url":"https://a.example/1","ext":"png"}',
}


class TestDrifted:
    """Numbers and texts, where the schema admits both."""

    def test_text_to_number(self) -> None:
        """A text that is a number becomes one; nothing else changes."""
        assert list(drifted(KV, ENTRY)) == [("/status", {**ENTRY, "status": 2})]

    def test_number_to_text(self) -> None:
        """And the reverse."""
        assert list(drifted(KV, {**ENTRY, "status": 2})) == [("/status", {**ENTRY, "status": "2"})]

    @pytest.mark.parametrize("text", ["02", "two", "9" * 16, "٢"])
    def test_stays_what_it_says(self, text: str) -> None:
        """No text that would be another one as a number, or one that not everybody can hold."""
        assert list(drifted(KV, {**ENTRY, "status": text})) == []

    def test_which(self) -> None:
        """Fields and event types are found by their schema."""
        assert is_either(KV, "/status")
        assert not is_either(KV, "/version")
        assert drifts(KV)
        assert not drifts(providers.load("rongcloud").catalogue["rongcloud.friend"])


class TestRewritten:
    """JSON inside strings."""

    def test_json(self) -> None:
        """Other spellings say the same; where JSON is due nothing else is sent."""
        found = [(at, changed["attach"]) for at, _, changed in rewritten(CONVERSATION, PICTURE) if at == "/attach"]
        assert found
        for _, attach in found:
            assert attach != PICTURE["attach"]
            assert json.loads(attach) == json.loads(PICTURE["attach"])

    def test_any_text(self) -> None:
        """Where any text may stand, some is no JSON."""
        custom = {**PICTURE, "msgType": "CUSTOM", "attach": "hello"}
        texts = [changed["attach"] for at, _, changed in rewritten(CONVERSATION, custom) if at == "/attach"]
        assert ["{not JSON", "plain words"] == texts

    def test_which(self) -> None:
        """Event types are found by their schema."""
        assert holds_json(CONVERSATION)
        assert not holds_json(KV)


class TestMistyped:
    """Values of types that they never have."""

    def test_each(self) -> None:
        """Every value near the top, one at a time, null among what it becomes."""
        payload = {"a": "x", "n": 1, "o": {"b": [{"deep": 1}]}}
        found = dict(mistyped(payload))
        assert found["/a null"] == {**payload, "a": None}
        assert found["/n a text for a number"] == {**payload, "n": "many"}
        assert found["/o/b an array of a number"] == {**payload, "o": {"b": [7]}}
        assert {name.partition(" ")[0] for name in found} == {"/a", "/n", "/o", "/o/b", "/o/b/0"}
        assert all(resolve(one, "/a") == "x" for name, one in found.items() if not name.startswith("/a "))
