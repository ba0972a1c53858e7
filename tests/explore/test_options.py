"""The options that explore and replay: what they take, what they refuse, and which checks there are with them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance import options, session
from im_callback.conformance.check import all_checks
from im_callback.conformance.explore import strategies
from im_callback.conformance.explore.finding import Recorded, written
from im_callback.conformance.explore.judging import INVARIANTS
from im_callback.conformance.explore.script import Request, Script, Step, Thing
from im_callback.conformance.given import BadOption, Given
from im_callback.provider_mock import providers

pytest_plugins = ["pytester"]
# Pytester forgets what is imported first while it runs; nothing of this may be there twice.
PRELOADED = (session, all_checks(explored=True), [providers.load(n) for n in providers.names()])
NAME = "rongcloud"
PROVIDER = providers.load(NAME)
FEED = PROVIDER.feeds[0].name
EXPLORED = [f"{NAME}.explored.{invariant}" for invariant in INVARIANTS]
SCRIPT = Script((Thing(PROVIDER.feeds[0].event_types[0].name),), (Step("deliver", (Request((0,)),)),))


@pytest.fixture
def config(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Given]:
    """Return a function that makes the options of a run in an empty folder."""
    for name in list(os.environ):
        if name.startswith("RECEIVER_"):
            monkeypatch.delenv(name)

    def make(*arguments: str) -> Given:
        url = "--receiver-url=http://127.0.0.1:1/callbacks"
        typed = ("-p", "no:xdist", url, f"--receiver-provider={NAME}", *arguments)
        return session.given(pytester.parseconfig(*typed))

    return make


def finding(folder: Path, **changes: Any) -> str:
    """Write a finding's file, with members changed; return its name."""
    document = json.loads(written(Recorded(NAME, FEED, "doubled", SCRIPT, 1, 5), seed=1, made_by="", timeline=[]))
    (folder / "finding.json").write_text(json.dumps({**document, **changes}), encoding="utf-8")
    return "finding.json"


def chosen(config: Given) -> list[str]:
    """Return the ids of the checks that a run has."""
    return [one.id(PROVIDER) for one in options.chosen_checks(config, PROVIDER, PROVIDER.feeds[:1])]


class TestChecks:
    """Which checks there are."""

    def test_without(self, config: Callable[..., Given]) -> None:
        """Nobody explores who does not ask for it."""
        assert not set(EXPLORED) & set(chosen(config()))
        assert options.settings(config()).explore is None

    def test_explore(self, config: Callable[..., Given]) -> None:
        """They stand behind all others, and can be chosen like these."""
        made = config("--receiver-explore=1.5")
        assert EXPLORED == chosen(made)[-len(EXPLORED) :]
        assert 1.5 == options.settings(made).explore
        only = config("--receiver-explore=1", "--receiver-check=*.explored.lost")
        assert [f"{NAME}.explored.lost"] == chosen(only)

    def test_replay(self, config: Callable[..., Given], pytester: pytest.Pytester) -> None:
        """Only preflight and the sequence run."""
        made = config(f"--receiver-replay={finding(pytester.path)}")
        ids = chosen(made)
        assert EXPLORED == ids[-len(EXPLORED) :]
        assert {"preflight"} == {one.split(".")[1] for one in ids[: -len(EXPLORED)]}
        recorded = options.settings(made).replay
        assert recorded is not None
        assert SCRIPT == recorded.script

    def test_levels(self) -> None:
        """They are recommended; where the order itself is inferred, so is what is said of it."""
        checks = [one for one in all_checks(explored=True) if one.family == "explored"]
        assert list(INVARIANTS) == [one.slug for one in checks]
        for provider in map(providers.load, providers.names()):
            assert {"should"} == {one.level(provider.feeds[0]).value for one in checks if one.level(provider.feeds[0])}


class TestWhere:
    """Where findings are written."""

    def test_beside_the_result(self, config: Callable[..., Given], pytester: pytest.Pytester) -> None:
        """They lie beside the JSON result, else in the current folder."""
        (pytester.path / "out").mkdir()
        assert pytester.path == options.settings(config("--receiver-explore=1")).findings
        made = config("--receiver-explore=1", "--receiver-json=out/result.json")
        assert pytester.path / "out" == options.settings(made).findings


class TestRefused:
    """What cannot be used is refused with a reason, before anything is sent."""

    @pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "86401"])
    def test_seconds(self, value: str, config: Callable[..., Given]) -> None:
        """Seconds are a number above 0."""
        with pytest.raises(BadOption, match=f"--receiver-explore={value}: give seconds"):
            options.settings(config(f"--receiver-explore={value}"))

    def test_hypothesis(self, config: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
        """Without Hypothesis the error says what to install."""

        def missing() -> None:
            raise strategies.NoHypothesis

        monkeypatch.setattr(options, "must_be_there", missing)
        with pytest.raises(BadOption, match=r"needs Hypothesis.*im-callback-conformance\[explore\]"):
            options.settings(config("--receiver-explore=1"))

    @pytest.mark.parametrize(
        ("said", "changes"),
        [
            ("it is a sequence of acme; give --receiver-provider=acme", {"provider": "acme"}),
            ("it is a sequence of the feed other, not of", {"feed": "other"}),
            ("it is no finding", {"format": "x"}),
            ("it is of version 9", {"version": 9}),
        ],
    )
    def test_foreign(
        self, said: str, changes: dict[str, Any], config: Callable[..., Given], pytester: pytest.Pytester
    ) -> None:
        """A file of something else is refused."""
        with pytest.raises(BadOption, match=f"--receiver-replay=finding.json: .*{said}"):
            options.settings(config(f"--receiver-replay={finding(pytester.path, **changes)}"))

    def test_no_such_file(self, config: Callable[..., Given]) -> None:
        """A file that is not there is refused."""
        with pytest.raises(BadOption, match="there is no file "):
            options.settings(config("--receiver-replay=nothing.json"))

    def test_both(self, config: Callable[..., Given], pytester: pytest.Pytester) -> None:
        """It is either one or the other."""
        with pytest.raises(BadOption, match="leave out --receiver-explore"):
            options.settings(config(f"--receiver-replay={finding(pytester.path)}", "--receiver-explore=1"))
