"""Refusals prove something only beside an acceptance that differs in one thing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.twins import can_see, must_reject
from im_callback.conformance.verdict import CouldNotRun, Failed
from im_callback.provider_mock.contract import Credentials, Request
from im_callback.provider_mock.history import Shot

from tests.conformance.little_server import Answer
from tests.conformance.running import Keeper, running

REFUSED: Answer = (401, "text/plain", b"wrong sign")


def forged(run: Run, note: str = "signed with another secret") -> Shot:
    """Return a delivery signed with another secret."""
    credentials = Credentials(run.settings.credentials.app_key, "another")
    return run.shot(run.event(), credentials=credentials, forged=True, note=note)


def _wrong(keeper: Keeper, request: Request) -> bool:
    return keeper.provider.feeds[0].verify(request, keeper.provider.defaults, 0) is not None


def found(run: Run) -> Run:
    """Return the run once preflight has found out what is recorded."""
    Preflight(run).require(effects=run.read_effects is not None)
    return run


class TestMustReject:
    """Tests for `must_reject`."""

    @pytest.mark.parametrize("effects", [True, False])
    def test_refused(self, effects: bool) -> None:
        """What is refused, and whose twin is taken, passes."""
        with running(Keeper("commsease"), effects=effects) as run:
            must_reject(found(run), [forged(run)])

    @pytest.mark.parametrize("effects", [True, False])
    def test_twin_refused(self, effects: bool) -> None:
        """A receiver that refuses the same event also when it is signed well has proven nothing."""
        keeper, seen = Keeper("commsease"), set[str]()

        def refuses(request: Request, payload: Any) -> Answer | None:
            wrong = keeper.provider.feeds[0].verify(request, keeper.provider.defaults, 0)
            if wrong:
                seen.add(json.dumps(payload))
            return REFUSED if json.dumps(payload) in seen else None

        keeper.refuses = refuses
        with running(keeper, effects=effects) as run:
            shot = forged(found(run))
            with pytest.raises(CouldNotRun, match="was not acknowledged either"):
                must_reject(run, [shot])

    def test_twin_dropped(self) -> None:
        """Neither has one that acknowledges the twin and does not keep it."""
        keeper, seen = Keeper("commsease"), set[str]()

        def refuses(request: Request, payload: Any) -> Answer | None:
            if keeper.provider.feeds[0].verify(request, keeper.provider.defaults, 0):
                seen.add(json.dumps(payload))
            return None

        keeper.refuses = refuses
        keeper.keeps = lambda payload: json.dumps(payload) not in seen
        with running(keeper) as run:
            shot = forged(found(run))
            with pytest.raises(Failed, match=r"the same event, sent validly, shows in the effects"):
                must_reject(run, [shot])

    def test_taken(self) -> None:
        """What is recorded fails, and every bad request that was is named and shown."""
        keeper = Keeper("commsease")
        keeper.verifies = False
        with running(keeper) as run:
            shots = [forged(found(run), note) for note in ("one", "two", "three")]
            with pytest.raises(Failed, match=r"recorded \(one\).*\(and 2 more: two, three\)") as caught:
                must_reject(run, shots)
            assert [] == run.sent.refused(run.binding)
        assert ["one", "two", "three"] == [attempt.shot.note for attempt in caught.value.attempts]
        assert "forged and recorded" == caught.value.cause

    def test_acknowledged(self) -> None:
        """Without effects an acknowledgement counts as taken; a decline is a refusal."""
        for body, taken in ((b"", True), (b'{"code":401,"msg":"bad sign"}', False)):
            keeper = Keeper("commsease")
            keeper.refuses = lambda request, payload, body=body, keeper=keeper: (
                (200, "application/json", body)
                if keeper.provider.feeds[0].verify(request, keeper.provider.defaults, 0)
                else None
            )
            with running(keeper, effects=False) as run:
                if taken:
                    with pytest.raises(Failed, match="acknowledged") as caught:
                        must_reject(found(run), [forged(run)])
                    assert "forged and acknowledged" == caught.value.cause
                    # It may have been dropped all the same: whether that can be seen is another check's matter.
                    assert 2 == len(run.sent.refused(run.binding))
                else:
                    must_reject(found(run), [forged(run)])

    def test_one_thing(self) -> None:
        """Where another secret is refused, the cause is this one thing, and no other failure's."""
        keeper = Keeper("commsease")
        keeper.verifies = False
        keeper.refuses = lambda request, payload: (
            REFUSED if "test-key" in dict(request.headers).get("AppKey", "") and _wrong(keeper, request) else None
        )
        with running(keeper) as run:
            other = Credentials("another-app", "test-secret")
            shot = run.shot(found(run).event(), credentials=other, forged=True, note="for another application")
            with pytest.raises(Failed, match="recorded") as caught:
                must_reject(run, [shot])
        assert "forged and recorded: for another application" == caught.value.cause

    def test_blind(self) -> None:
        """Effects that show nothing prove nothing, whatever is answered."""
        keeper = Keeper("commsease")
        keeper.keeps = lambda payload: False
        with running(keeper) as run:
            with pytest.raises(CouldNotRun):
                Preflight(run).require(effects=True)
            with pytest.raises(CouldNotRun, match="nothing that was delivered shows"):
                must_reject(run, [forged(run)])

    def test_last_has_no_twin(self) -> None:
        """The last of several is never sent validly, so that its effect is looked out for to the end."""
        with running(Keeper("commsease")) as run:
            shots = [forged(found(run), note) for note in ("one", "two")]
            must_reject(run, shots)
            assert set(run.occurrences(*shots[1].events)) == run.sent.forbidden(run.binding)


def test_can_see() -> None:
    """Only effects of recorded kinds would show it."""
    keeper = Keeper("commsease")
    keeper.keeps = lambda payload: payload["eventType"] == "2"
    with running(keeper) as run:
        found(run)
        assert can_see(run, [run.event()])
        assert not can_see(run, [])
        assert not can_see(run, [run.event(run.provider.catalogue["commsease.heartbeat"])])
