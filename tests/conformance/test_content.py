"""What is missing from records is told from what a store never keeps, keeps in part, or keeps in another form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from im_callback.conformance.content import Kept, lost_content
from im_callback.provider_mock import providers

C2C = providers.load("tencent").catalogue["tencent.c2c-after-send"]
CONVERSATION = providers.load("commsease").catalogue["commsease.conversation"]
TEXT = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello there"}}
FILE = {
    "MsgType": "TIMFileElem",
    "MsgContent": {
        "Url": "https://files.example/1",
        "UUID": "f1",
        "FileSize": 7,
        "FileName": "a.pdf",
        "Download_Flag": 2,
    },
}
SAID = {
    "text": {"From_Account": "ann", "MsgKey": "1", "MsgBody": [TEXT], "CloudCustomData": "red"},
    "file": {"From_Account": "ann", "MsgKey": "2", "MsgBody": [FILE], "CloudCustomData": "blue"},
    "both": {"From_Account": "ann", "MsgKey": "3", "MsgBody": [TEXT, FILE], "CloudCustomData": "green"},
}


def lost(records: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where which kind has lost content, of messages whose records are these."""
    kept = [Kept(kind, SAID[kind], record) for kind, record in records.items()]
    return [(one.kind, one.pointer) for one in lost_content(C2C, kept)]


def records(**changes: Any) -> dict[str, Any]:
    """Return the records of a store that keeps payloads whole, but for these changes by kind."""
    return {kind: {**payload, **changes.get(kind, {})} for kind, payload in SAID.items()}


class TestHonestStores:
    """No store of an honest shape has lost anything."""

    @pytest.mark.parametrize(
        "made",
        [
            pytest.param(lambda payload: payload, id="whole"),
            pytest.param(lambda payload: {"MsgKey": payload["MsgKey"]}, id="identity"),
            pytest.param(lambda payload: {**payload, "MsgBody": json.dumps(payload["MsgBody"])}, id="as-json-text"),
            pytest.param(lambda payload: {"body": json.dumps(payload)}, id="other-names"),
            pytest.param(lambda payload: {"CloudCustomData": payload["CloudCustomData"]}, id="one-field"),
            pytest.param(
                lambda payload: {"Text": payload["MsgBody"][0]["MsgContent"].get("Text")}, id="a-column-for-texts"
            ),
            pytest.param(
                lambda payload: {
                    "MsgBody": [
                        {"MsgContent": {name: one["MsgContent"].get(name) for name in ("Text", "Url")}}
                        for one in payload["MsgBody"]
                    ]
                },
                id="only-what-can-be-shown",
            ),
            pytest.param(lambda payload: {**payload, "CloudCustomData": payload["CloudCustomData"][:2]}, id="previews"),
        ],
    )
    def test_nothing_is_lost(self, made: Any) -> None:
        """Whatever is kept of each kind is the same for all of them."""
        assert lost({kind: made(payload) for kind, payload in SAID.items()}) == []

    def test_a_preview_is_another_matter(self) -> None:
        """What stands there in place of what was sent is not missing."""
        assert lost(records(file={"CloudCustomData": "[file]"})) == []


class TestLost:
    """What is kept for one kind and not for another is named once, at its outermost field."""

    @pytest.mark.parametrize("empty", [None, "", [], "[]"])
    def test_empty(self, empty: object) -> None:
        """A field that is there with nothing in it."""
        assert lost(records(file={"MsgBody": empty})) == [("file", "/MsgBody")]

    def test_absent(self) -> None:
        """A field that is not there."""
        kept = records()
        del kept["file"]["MsgBody"]
        assert lost(kept) == [("file", "/MsgBody")]

    def test_without_what_was_said(self) -> None:
        """An element of which only the kind is kept."""
        assert lost(records(file={"MsgBody": [{"MsgType": "TIMFileElem", "MsgContent": {}}]})) == [("file", "/MsgBody")]

    def test_fewer_elements(self) -> None:
        """A list of which the first element is kept."""
        assert lost(records(both={"MsgBody": [TEXT]})) == [("both", "/MsgBody")]

    def test_says_what(self) -> None:
        """The words name the field, the kind, and the kind for which it is kept."""
        (one,) = lost_content(
            C2C, [Kept(kind, SAID[kind], record) for kind, record in records(file={"MsgBody": None}).items()]
        )
        assert str(one) == "/MsgBody of file is empty, though it is kept for text"

    def test_embedded(self) -> None:
        """JSON in a text is looked into, and may be kept as an object."""
        picture = {
            "eventType": "1",
            "convType": "PERSON",
            "msgType": "PICTURE",
            "attach": '{"url":"https://a.example/1","name":"1"}',
        }
        audio = {**picture, "msgType": "AUDIO", "attach": '{"url":"https://a.example/2"}'}
        opened = {**picture, "attach": json.loads(str(picture["attach"]))}
        kept = [Kept("picture", picture, opened), Kept("audio", audio, {**audio, "attach": None})]
        assert [(one.kind, one.pointer) for one in lost_content(CONVERSATION, kept)] == [("audio", "/attach")]
