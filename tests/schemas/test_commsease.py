"""CommsEase's feeds: one number means several things, and answers decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from im_callback import schemas
from im_callback.schemas import catalogue
from im_callback.schemas.validate import problems, validator

TYPES = catalogue("commsease")
ANSWERS = {
    file.name.removesuffix(".response.schema.json"): json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(schemas.__file__).parent / "commsease").glob("*.response.schema.json"))
}


class TestFeeds:
    """Tests for what tells the feeds apart."""

    @pytest.mark.parametrize(
        ("expected", "payload"),
        [
            ("commsease.conversation", {"eventType": "1"}),
            ("commsease.third-party-message", {"eventType": 1}),
            ("commsease.third-party-message", {"eventType": 1.0}),
            ("commsease.rtc-room-started", {"eventType": 1, "data": {}}),
            ("commsease.rtc-room-started", {"eventType": 1, "data": None}),
            ("commsease.meeting-started", {"msgType": 1, "msgBody": {}}),
            ("commsease.rtc-whiteboard-recording", {"eventType": "905", "data": {}}),
            ("commsease.neroom-close-room", {"eventType": "CLOSE_ROOM"}),
            ("commsease.meetingkit-event", {"eventType": "AI_CHAT"}),
            ("commsease.message-update", {"eventType": 89}),
            (None, {"eventType": "905"}),
            (None, {"eventType": True}),
            (None, {"eventType": "-1", "data": {}, "msgType": 1}),
        ],
    )
    def test_told_apart(self, expected: str | None, payload: Any) -> None:
        """Text is data sync or a room, an integer a callback, one with data RTC."""
        found = TYPES.identify(payload)
        assert expected == (None if found is None else found.name)

    def test_same_codes(self) -> None:
        """Within a feed every code is there once."""
        for feed in {one.feed for one in TYPES}:
            codes = [one.code for one in TYPES if one.feed == feed]
            assert len(set(codes)) == len(codes)


class TestAnswers:
    """Tests for the schemas of the answers to third-party callbacks."""

    def test_every_callback_has_one(self) -> None:
        """Every callback has exactly one, and nothing else has."""
        answered = [name for schema in ANSWERS.values() for name in schema["x-response-to"]]
        assert len(set(answered)) == len(answered)
        assert set(answered) == {one.name for one in TYPES if one.feed == "third-party"}

    @pytest.mark.parametrize(
        ("valid", "name", "answer"),
        [
            (True, "third-party", {"errCode": 1, "responseCode": 20099}),
            (False, "third-party", {"errCode": 1, "responseCode": 200}),
            (False, "third-party", {"errCode": 1, "responseCode": 20100}),
            (True, "third-party", {"errCode": 0, "responseCode": 0}),
            (True, "third-party-message", {"errCode": 0, "responseCode": 0}),
            (True, "third-party-message", {"errCode": 1, "responseCode": 200}),
            (False, "third-party-message", {"errCode": 1, "responseCode": 403}),
            (False, "third-party-message", {"errCode": 0, "modifyResponse": {"body": 1}}),
            (False, "third-party-message", {"errCode": "0"}),
            (False, "third-party-message", {"code": 200}),
            (False, "third-party-chatroom-message", {"errCode": 0, "callbackExt": "x" * 1025}),
        ],
    )
    def test_values(self, valid: bool, name: str, answer: dict[str, Any]) -> None:
        """What is allowed, and what is not."""
        assert valid is not bool(problems(validator(ANSWERS[name]), answer))
