"""The providers' server APIs as plain values: what each call does, causes and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    Caller,
    Credentials,
    Event,
    Moment,
    Said,
    ServerApi,
)
from im_callback.provider_mock.providers.tencent import usersig

from tests.provider_mock.server_api_calls import MADE
from tests.provider_mock.strategies import repeatable

NOW = 1_700_000_000_000
FORMS = ("rongcloud", "commsease")
KEYS = {
    "rongcloud": Credentials("test-key", "secret"),
    "commsease": Credentials("test-key", "secret"),
    "tencent": Credentials("1400000001", "secret"),
}


class Kept(dict[tuple[str, str], dict[str, Any]]):
    """A state in memory."""

    def get(self, kind: str, one: str) -> dict[str, Any] | None:  # type: ignore[override]
        """Return a copy."""
        found = super().get((kind, one))
        return None if found is None else json.loads(json.dumps(found))

    def put(self, kind: str, one: str, value: Mapping[str, Any], *, passing: bool = False) -> None:
        """Keep a copy."""
        del passing
        self[kind, one] = json.loads(json.dumps(value))

    def drop(self, kind: str, one: str) -> None:
        """Forget it."""
        self.pop((kind, one), None)


def api_of(provider: str) -> ServerApi:
    """Return a provider's API."""
    api = providers.load(provider).api
    assert api is not None
    return api


def asked_for(provider: str, path: str, fields: Mapping[str, Any], answers: Mapping[str, Any]) -> ApiRequest:
    """Return a request with what was kept filled in."""

    def filled(value: Any) -> Any:
        whole = isinstance(value, str) and value.startswith("{") and value[1:-1] in answers
        return answers[value[1:-1]] if whole else value

    given = {name: filled(value) for name, value in fields.items()}
    body = urlencode(given, doseq=True) if provider in FORMS else json.dumps(given)
    query = {"identifier": "admin", "sdkappid": "1400000001"} if provider == "tencent" else {}
    return ApiRequest("POST", path, query, {}, body.encode())


def played(
    provider: str, request: ApiRequest, state: Kept, said: Mapping[str, Any] | None = None
) -> tuple[ApiAnswer, list[Event]]:
    """Return the answer to a call, and all events; every question is answered with the same words."""
    caller = Caller(KEYS[provider], Moment(NOW, Random(1)), state)
    call = api_of(provider).call(request)
    assert call is not None
    steps = call(request, caller)
    found: list[Event] = []
    answers: Sequence[Said] | None = None
    while True:
        try:
            asked = next(steps) if answers is None else steps.send(answers)
        except StopIteration as ended:
            return ended.value, [*found, *(event for events in ended.value.events for event in events)]
        found += asked
        feed = providers.load(provider).feed_of
        assert all(feed(event.type).decides for event in asked)
        word = "allow" if said is None else str(said["word"])
        answers = [Said(word, event.payload, {} if said is None else said) for event in asked]


def refused(provider: str, request: ApiRequest, state: Kept) -> Mapping[str, Any]:
    """Return how a call is answered, refused or not."""
    try:
        return played(provider, request, state)[0].body
    except ApiError as error:
        return error.answer.body


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
ROOM = {"creator": "a", "queue": {"k": "v"}, "attributes": {}}
TEAM = {"title": "n", "owner": "a", "members": ["a", "b"]}
CHAT = {"Type": "Public", "Name": "n", "Owner": "a", "Members": ["a"], "Attributes": {}, "Last": 0}
WORLD = {
    ("room", "{roomid}"): ROOM,
    ("team", "{tid}"): TEAM,
    ("group", "h"): TEAM,
    ("group", "{GroupId}"): CHAT,
}


@pytest.mark.parametrize("provider", MADE)
class TestEachCall:
    """Tests for what every call of a provider does."""

    def test_table(self, provider: str) -> None:
        """Each causes what it is to cause, in payloads as they are documented, times rising, and answers a success."""
        state, answers = Kept(), dict[str, Any]()
        catalogue = providers.load(provider).catalogue
        for made in MADE[provider]:
            answer, events = played(provider, asked_for(provider, made.path, made.fields, answers), state)
            assert (made.path, made.events) == (made.path, tuple(one.type.partition(".")[2] for one in events))
            assert [] == [
                (one.type, problem.pointer, problem.message)
                for one in events
                for problem in catalogue[one.type].problems(one.payload)
            ]
            assert answer.status == 200
            assert answer.body.get("code", 200) == 200
            assert answer.body.get("ErrorCode", 0) == 0
            for name, place in made.kept.items():
                found: Any = answer.body
                for part in place.split("/"):
                    found = found[part]
                answers[name] = found

    def test_all_of_them(self, provider: str) -> None:
        """No call is missing above."""
        assert set(api_of(provider).calls) == {made.path.removeprefix("/nimserver") for made in MADE[provider]}

    def test_nothing_given(self, provider: str) -> None:
        """A call without its fields is refused, with a code and words."""
        for path in api_of(provider).calls:
            state = Kept()
            body = refused(provider, asked_for(provider, path, {}, {}), state)
            code = body.get("code", body.get("ErrorCode"))
            assert code not in (0, 200, None)
            assert body.get("errorMessage") or body.get("ErrorInfo") or body.get("desc")

    @repeatable
    @given(data=st.data())
    def test_anything_given(self, provider: str, data: st.DataObject) -> None:
        """Whatever the fields hold, a call ends with an answer."""
        made = data.draw(st.sampled_from(MADE[provider]))
        values = st.text(max_size=5) if provider in FORMS else ODD
        fields = {name: data.draw(values | st.just(value)) for name, value in made.fields.items()}
        refused(provider, asked_for(provider, made.path, fields, {}), Kept(WORLD))

    def test_not_played(self, provider: str) -> None:
        """What is not there is answered with 404, and with what is."""
        api = api_of(provider)
        path = {"rongcloud": "/ultragroup/create.json", "tencent": "/v4/openim/nothing", "commsease": "/im/v2/accounts"}
        request = asked_for(provider, path[provider], {}, {})
        assert api.owns(request.path)
        assert api.call(request) is None
        answer = api.not_played(request)
        assert 404 == answer.status
        assert f"{request.path} is not played here" in json.dumps(answer.body)
        assert next(iter(api.calls)) in json.dumps(answer.body)


class TestDecisions:
    """Tests for what the team's server decides."""

    @pytest.mark.parametrize(("code", "due"), [(1, 20006), (120_001, 120_001)])
    def test_refused(self, code: int, due: int) -> None:
        """A refusal reaches the sender: with the provider's code for 1, else with the team's own."""
        body = MADE["tencent"][5].fields
        request = asked_for("tencent", "/v4/openim/sendmsg", body, {})
        with pytest.raises(ApiError) as caught:
            played("tencent", request, Kept(), {"word": "refuse", "ErrorCode": code, "ErrorInfo": "why"})
        assert (due, "why") == (caught.value.answer.body["ErrorCode"], caught.value.answer.body["ErrorInfo"])

    def test_vanishes(self) -> None:
        """With 2 the sender sees a success, and nothing follows."""
        request = asked_for("tencent", "/v4/openim/sendmsg", MADE["tencent"][5].fields, {})
        answer, events = played("tencent", request, Kept(), {"word": "refuse", "ErrorCode": 2})
        assert (0, ["tencent.c2c-before-send"]) == (answer.body["ErrorCode"], [one.type for one in events])

    def test_stops(self) -> None:
        """RongCloud's 2 delivers, and makes no other callback."""
        request = asked_for("rongcloud", "/message/chatroom/publish.json", MADE["rongcloud"][5].fields, {})
        answer, events = played("rongcloud", request, Kept(), {"word": "allow", "pass": 2})
        assert ["rongcloud.pre-message"] == [one.type for one in events]
        assert 1 == len(answer.body["messageUIDs"])


class TestAttributes:
    """Tests for what is set and told again."""

    def test_versions_rise(self) -> None:
        """Whatever the clock says, each change of an attribute has a higher version than the one before."""
        state = Kept()
        fields = {"chatroomId": "r", "userId": "u", "key": "k", "value": "v"}
        request = asked_for("rongcloud", "/chatroom/entry/set.json", fields, {})
        versions = [played("rongcloud", request, state)[1][0].payload["version"] for _ in range(3)]
        assert [NOW, NOW + 1, NOW + 2] == versions


def test_usersig() -> None:
    """The vector, computed by hand from the documented lines."""
    key = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
    due = "yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60="
    assert due == usersig.usersig(key, "administrator", 1_400_000_000, 1_700_000_000, 86_400)
