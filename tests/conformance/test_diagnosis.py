"""Why everything is refused, or nothing shows: found by experiment, with the option to set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from im_callback.conformance.effects import mapped
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.verdict import CouldNotRun, Failed
from im_callback.provider_mock.contract import Credentials, Request

from tests.conformance.little_server import Answer
from tests.conformance.running import Keeper, running

NO: Answer = (403, "text/plain", b"go away")


def refusing(when: Callable[[Request, Any], bool], provider: str = "commsease", *, verifies: bool = True) -> Keeper:
    """Return a receiver that refuses what a function says."""
    keeper = Keeper(provider)
    keeper.verifies = verifies
    keeper.refuses = lambda request, payload: NO if when(request, payload) else None
    return keeper


def not_ascii(request: Request, payload: Any) -> bool:
    """Return whether a body has characters beyond ASCII."""
    return not request.body.isascii()


def no_charset(request: Request, payload: Any) -> bool:
    """Return whether the content type names no charset."""
    return not any(n.lower() == "content-type" and "charset" in v for n, v in request.headers)


def other_order(request: Request, payload: Any) -> bool:
    """Return whether the keys of an array's elements come in another order than the alphabet's."""
    return any(list(one) != sorted(one) for one in payload)


def an_array(request: Request, payload: Any) -> bool:
    """Return whether the body is an array."""
    return isinstance(payload, list)


def new_names(request: Request, payload: Any) -> bool:
    """Return whether the time is not signTimestamp, as until 2021, or is not signed."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
    if "signTimestamp" not in query:
        return True
    due = hashlib.sha1(f"test-secret{query['nonce']}{query['signTimestamp']}".encode()).hexdigest()
    return due != query["signature"]


def one_to_one(payload: Any) -> bool:
    """Return whether a payload is a one-to-one message of Tencent's."""
    return bool(payload.get("CallbackCommand") == "C2C.CallbackAfterSendMsg")


class TestWhyRefused:
    """Everything is refused: one change at a time turns the answer."""

    @pytest.mark.parametrize(
        ("expected", "fix", "keeper"),
        [
            ("charset", "--receiver-wire=charset", refusing(no_charset)),
            ("alphabetical", "--receiver-wire=alphabetical", refusing(other_order, "rongcloud")),
            ("array", "--receiver-wire=lone-object", refusing(an_array, "rongcloud")),
            (
                "names of earlier years",
                "--receiver-wire=legacy-names",
                refusing(new_names, "rongcloud", verifies=False),
            ),
        ],
    )
    def test_spelling(self, expected: str, fix: str, keeper: Keeper) -> None:
        """How the provider speaks."""
        with running(keeper) as run:
            with pytest.raises(Failed, match=f"One change turned the answer: .*{expected}") as caught:
                Preflight(run).accepts_valid()
        assert "go away" in caught.value.actual
        assert fix in caught.value.fix

    def test_ascii(self) -> None:
        """Only what is plain ASCII is taken."""
        keeper = refusing(lambda request, payload: "\\u" in request.body.decode() or not request.body.isascii())
        with running(keeper) as run:
            event_type = run.provider.catalogue["commsease.conversation"]
            attempts = run.send(run.shot(run.event(event_type, {**event_type.examples[0], "body": "你好"})))
            from im_callback.conformance.diagnosis import why_refused

            assert "plain ASCII" in why_refused(run, attempts).said

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_other_secret(self, provider: str) -> None:
        """The receiver has another secret: a wrong signature gets the same answer; no secret is shown."""
        keeper = Keeper(provider)
        own = Credentials(keeper.provider.defaults.app_key, "mine, and nobody else's")
        with running(keeper, credentials=own) as run:
            with pytest.raises(Failed, match="the test secret of the documentation") as caught:
                Preflight(run).accepts_valid()
        assert "nobody else" not in str(caught.value) + caught.value.fix
        keeper.refuses = lambda request, payload: (401, "text/plain", b"bad sign")
        with running(keeper, credentials=own) as run:
            with pytest.raises(Failed, match="signed with another secret gets the same answer") as caught:
                Preflight(run).accepts_valid()
        assert "--receiver-app-secret" in caught.value.fix

    def test_other_key(self) -> None:
        """The receiver knows another application."""
        keeper = Keeper("commsease")
        with running(keeper, credentials=Credentials("my-key", "test-secret")) as run:
            with pytest.raises(Failed, match="for the test application") as caught:
                Preflight(run).accepts_valid()
        assert "--receiver-app-key" in caught.value.fix

    def test_behind_the_signature(self) -> None:
        """A wrong signature gets another answer: what refuses comes after it."""
        keeper = Keeper("commsease")

        def refuses(request: Request, payload: Any) -> Answer:
            wrong = keeper.provider.feeds[0].verify(request, keeper.provider.defaults, 0)
            return (401, "text/plain", b"bad sign") if wrong else (500 + 3, "text/plain", b"no database")

        keeper.refuses = refuses
        with running(keeper) as run:
            with pytest.raises(Failed, match=r"no database.*another answer .*bad sign.*the signature is right"):
                Preflight(run).accepts_valid()

    def test_not_ready(self) -> None:
        """The same again is taken: it was not ready."""
        keeper, left = Keeper("tencent"), iter(range(20))
        keeper.refuses = lambda request, payload: NO if next(left, None) is not None else None
        with running(keeper) as run:
            attempts = [run.deliver(run.event()) for _ in range(20)]
            from im_callback.conformance.diagnosis import why_refused

            assert "the same again" in why_refused(run, attempts).said

    @pytest.mark.parametrize(
        "body", [b'{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"invalid callback sign"}', b'{"code":500}', b""]
    )
    def test_declined(self, body: bytes) -> None:
        """What says no in its own words has not accepted, and is quoted; nothing is said of effects."""
        keeper = Keeper("tencent")
        keeper.refuses = lambda request, payload: (200, "application/json", body)
        with running(keeper) as run:
            with pytest.raises(Failed) as caught:
                Preflight(run).accepts_valid()
            with pytest.raises(CouldNotRun) as after:
                Preflight(run).effects_show_delivery()
        assert (body.decode() or "200") in caught.value.actual
        assert "effects-map" not in caught.value.fix + after.value.fix


def shown_as(rename: Callable[[dict[str, Any]], Any]) -> Callable[[list[Any]], list[Any]]:
    """Return what shows payloads in another form."""
    return lambda records: [rename(one) for one in records]


def nested(payload: dict[str, Any]) -> Any:
    return {"id": 1, "data": {"payload": payload}}


def renamed(payload: dict[str, Any]) -> Any:
    return {f"my_{name}": value for name, value in payload.items()}


def hyphens(payload: dict[str, Any]) -> Any:
    return {f"my-{name}": value for name, value in payload.items()}


class TestWhyUnseen:
    """Nothing fits: what was sent is looked for in the records, under whatever names."""

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    @pytest.mark.parametrize("form", [nested, renamed, hyphens])
    def test_ready_map(self, form: Callable[[dict[str, Any]], Any], provider: str) -> None:
        """The map that is proposed makes the records fit."""
        keeper = Keeper(provider)
        with running(keeper) as run:
            run.read_effects = mapped(lambda: [form(one) for one in keeper.records], None)
            with pytest.raises(Failed, match="values that were sent turn up") as caught:
                Preflight(run).effects_show_delivery()
        assert caught.value.fix.startswith("Give --receiver-effects-map='")
        expression = caught.value.fix.partition("='")[2].rstrip("'")
        with running(keeper) as run:
            run.read_effects = mapped(lambda: [form(one) for one in keeper.records], expression)
            Preflight(run).effects_show_delivery()
            assert run.handled

    def test_missing(self) -> None:
        """Fields that are nowhere are named."""
        keeper = Keeper("tencent")
        keeper.keeps = one_to_one
        with running(keeper) as run:
            run.read_effects = mapped(lambda: [{"sender": one["From_Account"]} for one in keeper.records], None)
            with pytest.raises(Failed, match=r"From_Account as sender, without To_Account, MsgKey") as caught:
                Preflight(run).effects_show_delivery()
        assert "missing fields" in caught.value.fix

    def test_acknowledged_and_nowhere(self) -> None:
        """Types that leave no trace are told from those that do."""
        keeper = Keeper("commsease")
        keeper.keeps = lambda payload: payload["eventType"] == "2"
        with running(keeper) as run:
            run.read_effects = mapped(lambda: [renamed(one) for one in keeper.records], None)
            with pytest.raises(Failed, match=r"commsease\.login: .*Acknowledged, and nowhere: .*commsease\.logout"):
                Preflight(run).effects_show_delivery()

    @pytest.mark.parametrize(
        ("expected", "records"),
        [
            ("the effects are empty", []),
            (
                "none of the values that were sent turns up among 1 record; the last record has the fields a",
                [{"a": 1}],
            ),
            ("the last record is no object: text", [None, "text"]),
        ],
    )
    def test_no_trace(self, expected: str, records: list[Any]) -> None:
        """Where nothing turns up, the failure says what is there instead."""
        with running(Keeper("commsease")) as run:
            run.read_effects = mapped(lambda: records, None)
            with pytest.raises(Failed, match=expected):
                Preflight(run).effects_show_delivery()

    def test_others_are_recorded(self) -> None:
        """A type whose records fit nothing is noted where others are recorded: it would silently not be judged."""
        keeper = Keeper("commsease")

        def records() -> list[Any]:
            return [renamed(one) if one["eventType"] == "3" else one for one in keeper.records]

        with running(keeper) as run:
            run.read_effects = mapped(records, None)
            Preflight(run).require(effects=True)
        assert any(note.startswith("not judged: commsease.logout") and "my_accid" in note for note in run.notes)

    def test_switches_are_no_trace(self) -> None:
        """A type that is not recorded is not named for a true or a false that stands in the records of others."""
        keeper = Keeper("commsease")
        keeper.keeps = lambda payload: payload.get("eventType") == "3"
        with running(keeper) as run:
            run.read_effects = mapped(lambda: [{**one, "blocked": True, "seen": False} for one in keeper.records], None)
            Preflight(run).require(effects=True)
        assert not [note for note in run.notes if note.startswith("not judged")]

    def test_raw_records(self) -> None:
        """With a map that is wrong the records are looked at as they are."""
        keeper = Keeper("tencent")
        keeper.keeps = one_to_one
        with running(keeper, mapping="{MsgKey: From_Account}") as run:
            with pytest.raises(Failed, match="MsgKey as MsgKey"):
                Preflight(run).effects_show_delivery()


def test_not_chosen() -> None:
    """A check whose preflight failed, and was not among those chosen, says what that failure would."""
    keeper = Keeper("commsease")
    keeper.refuses = lambda request, payload: (403, "text/plain", json.dumps({"reason": "maintenance"}).encode())
    with running(keeper) as run:
        with pytest.raises(CouldNotRun, match=r"preflight\.accepts-valid failed: .*maintenance"):
            Preflight(run).require(effects=True)
