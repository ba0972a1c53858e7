"""Who owns what: content that an application defines may be anything, what the provider defines is exact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.schemas import EventType, catalogue, replace
from im_callback.schemas.applicable import embeds, speaking
from im_callback.schemas.jsontext import dump

from tests.cases import in_each
from tests.schemas.payloads import BEYOND_SAMPLES, EVENT_TYPES

BY_NAME = {one.name: one for one in EVENT_TYPES}
#: No JSON, scalars, arrays, broken JSON, empty; and what looks like content of the provider's.
ODD = (
    "", " ", "hello", "null", "true", "7", "-1e999", "NaN", '"text"', "[]", "[1,{}]", "{}", "{", '{"a":', "{'a':1}", "\u0000",
    "\u2028", "\ufeff{}", "<xml/>", "a\nb\n", '{"type":1}', '{"type":1,"data":{"value":9}}', '{"type":3,"data":null}',
    '{"md5":1}', '{"vt":9}', '{"id":999,"data":[]}', '{"yidunBusType":9}',
)  # fmt: skip


def conversation(kind: str, message: str) -> Any:
    """Return a conversation's payload."""
    sample = BY_NAME["commsease.conversation"].examples[0]
    return {**sample, "convType": kind, "msgType": message, "to": "13827"}


def room(message: str) -> Any:
    """Return a chat room message."""
    return {**BY_NAME["commsease.chatroom-message"].examples[0], "msgType": message}


def element(name: str, **content: Any) -> Any:
    """Return a message of one element."""
    sample = BY_NAME["tencent.c2c-after-send"].examples[0]
    return {**sample, "MsgBody": [{"MsgType": name, "MsgContent": content}]}


def sample(name: str, place: int = 0) -> Any:
    """Return a documented sample."""
    return BY_NAME[name].examples[place]


def described(name: str, place: int = -1) -> Any:
    """Return a payload beyond the samples, which has the optional fields."""
    return BEYOND_SAMPLES[name][place]


FREE = [
    *(
        (f"{kind}/{message}", conversation(kind, message), ["/attach", "/body"])
        for kind, messages in {
            "PERSON": ("CUSTOM", "TEXT", "TIPS", "NRTC_NETCALL", "ROBOT"),
            "TEAM": ("CUSTOM", "TEXT"),
            "SUPER_TEAM": ("CUSTOM",),
            "CUSTOM_PERSON": ("CUSTOM_P2P_MSG",),
            "CUSTOM_TEAM": ("CUSTOM_TEAM_MSG", "CUSTOM_SUPERTEAM_MSG", "TEAM_INVITE"),
        }.items()
        for message in messages
    ),
    ("conversation", conversation("CUSTOM_PERSON", "CUSTOM_P2P_MSG"), ["/ext", "/customApnsText", "/fromNick"]),
    *((f"room/{message}", room(message), ["/attach"]) for message in ("CUSTOM", "TEXT", "TIPS", "NETCALL_AUDIO")),
    ("room", room("CUSTOM"), ["/ext", "/fromExt", "/fromNick", "/fromAvator", "/msgidClient"]),
    ("login", sample("commsease.login"), ["/customTag", "/deviceId"]),
    ("heartbeat", sample("commsease.heartbeat"), ["/customTag", "/deviceId"]),
    ("call", sample("commsease.call-duration"), ["/ext"]),
    ("call-2", sample("commsease.call-duration-2"), ["/ext"]),
    ("recall", sample("commsease.message-recall"), ["/attach", "/selfMsg"]),
    ("team-recall", sample("commsease.team-message-recall"), ["/attach", "/selfMsg"]),
    ("superteam-recall", sample("commsease.superteam-message-recall"), ["/selfMsg"]),
    ("in-out", sample("commsease.chatroom-in-out"), ["/ext"]),
    ("queue", sample("commsease.chatroom-queue", 1), ["/elements/2"]),
    ("queue-keys", sample("commsease.chatroom-queue", 3), ["/keys/0"]),
    ("sms-uplink", sample("commsease.sms-uplink"), ["/objects/0/content"]),
    (
        "signal",
        sample("commsease.signal"),
        ["/ext", "/attachExt", "/channelName", "/requestId", "/pushTitle", "/pushContent", "/pushPayload"],
    ),
    ("upload", sample("commsease.upload-task"), ["/uploadInfo/uploadMsg"]),
    ("attribute", sample("rongcloud.chatroom-kv"), ["/value"]),
    ("custom-data", sample("tencent.c2c-after-send"), ["/CloudCustomData"]),
    ("text", element("TIMTextElem", Text="x"), ["/MsgBody/0/MsgContent/Text"]),
    (
        "custom",
        element("TIMCustomElem"),
        [f"/MsgBody/0/MsgContent/{name}" for name in ("Data", "Desc", "Ext", "Sound")],
    ),
    ("face", element("TIMFaceElem", Index=1), ["/MsgBody/0/MsgContent/Data"]),
    ("place", element("TIMLocationElem", Latitude=1.5, Longitude=1), ["/MsgBody/0/MsgContent/Desc"]),
    ("merged", described("tencent.c2c-after-send", 0), ["/MsgBody/0/MsgContent/Title"]),
]
PLACES = [
    pytest.param(payload, pointer, id=f"{title}{pointer}") for title, payload, pointers in FREE for pointer in pointers
]
EXACT = [
    ("commsease.conversation", conversation("PERSON", "PICTURE"), "/attach", ("", "hello", "[]", "{}", '{"md5":1}')),
    ("commsease.conversation", conversation("CUSTOM_PERSON", "FRIEND_ADD"), "/attach", ("", "{}", '{"vt":9}')),
    ("commsease.conversation", conversation("TEAM", "NOTIFICATION"), "/attach", ("", "{}", '{"id":999,"data":{}}')),
    ("commsease.chatroom-message", room("FILE"), "/attach", ("", "hello", "[]", "{}")),
    ("commsease.chatroom-message", room("TEXT"), "/yidunRes", ("", "{}", '{"yidunBusType":9,"labels":[]}')),
    ("commsease.chatroom-queue", sample("commsease.chatroom-queue", 1), "/elements", ("", "[]", '{"a":1}')),
    ("commsease.read-receipt", sample("commsease.read-receipt"), "/objects", ("", "[]", "{}", "[{}]")),
    ("commsease.line-call-ended", sample("commsease.line-call-ended"), "/callback", ("", "[]", "{}")),
]  # fmt: skip


def type_of(payload: Any) -> EventType:
    """Return what a payload is."""
    found = [
        one for provider in ("commsease", "rongcloud", "tencent") if (one := catalogue(provider).identify(payload))
    ]
    assert 1 == len(found)
    return found[0]


class TestApplications:
    """What an application defines is free."""

    @in_each(("payload", "pointer"), PLACES)
    def test_anything(self, payload: Any, pointer: str) -> None:
        """Any text is valid there: no JSON, broken JSON, JSON of any shape, nothing."""
        event_type = type_of(payload)
        for text in ODD:
            assert [] == event_type.problems(replace(payload, pointer, text)), text

    @in_each(("payload", "pointer"), PLACES)
    def test_not_claimed(self, payload: Any, pointer: str) -> None:
        """No schema claims to know what is in it, for the payload as it is."""
        assert not [one for one in speaking(type_of(payload).schema, payload, pointer) if embeds(one)]

    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from(PLACES), st.text(max_size=40))
    def test_any_text(self, place: Any, text: str) -> None:
        """So it is for every text."""
        payload, pointer = place.values
        assert type_of(payload).valid(replace(payload, pointer, text))

    def test_games_of_the_demo(self) -> None:
        """Rock, paper, scissors and stickers are messages of the vendor's demo: samples, and no rule."""
        messages = BY_NAME["commsease.chatroom-message"]
        assert [] == messages.problems(room("CUSTOM"))
        assert [] == messages.problems({**room("CUSTOM"), "attach": dump({"type": 1, "data": "ours"})})

    @pytest.mark.parametrize("content", [{}, {"Desc": "d"}, {"Data": "x", "own": [1]}])
    def test_custom_element(self, content: Any) -> None:
        """Which parts of a custom element there are is the application's to say."""
        assert [] == BY_NAME["tencent.c2c-after-send"].problems(element("TIMCustomElem", **content))


class TestProviders:
    """What the provider defines is exact."""

    @pytest.mark.parametrize(("name", "payload", "pointer", "texts"), EXACT, ids=lambda value: str(value)[:30])
    def test_exact(self, name: str, payload: Any, pointer: str, texts: tuple[str, ...]) -> None:
        """Other content than the documents describe is a problem of that field."""
        for text in texts:
            problems = BY_NAME[name].problems({**payload, pointer[1:]: text})
            assert problems, text
            assert all(problem.pointer.startswith(pointer) for problem in problems)
