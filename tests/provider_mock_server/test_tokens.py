"""Tokens by themselves: what is found where, what a file that changes does, when a token ends, and what is shown of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from im_callback.provider_mock.server.config import BadConfig, read, schema
from im_callback.provider_mock.server.tokens import SCOPES, BadToken, Tokens, TokenSettings

from tests.provider_mock_server.served import written

CI = "token-of-the-ci-1"
NEXT = "token-of-the-ci-2"
DAY = datetime(2026, 12, 31, tzinfo=timezone.utc)
TABLES = """
[tokens.ci]
file = "secrets/ci"
scopes = ["read", "send"]
expires = 2026-12-31T01:00:00+01:00

[tokens.on-call]
variable = "ON_CALL_TOKEN"
scopes = ["manage"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with the token of the CI job."""
    written(tmp_path / "ci", CI)
    return tmp_path / "ci"


@pytest.fixture
def one(file: Path) -> Tokens:
    """Return that token alone."""
    return Tokens({"ci": TokenSettings(f"file:{file}", frozenset({"read"}))})


class TestFind:
    """Who gives a token is known by its name."""

    def test_found(self, one: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
        """By what is in the file, without the end of its line, or in the variable."""
        found = one.find(CI)
        assert found is not None
        assert ("ci", {"read"}) == (found.name, found.scopes)
        monkeypatch.setenv("HERE", NEXT)
        assert "there" == getattr(Tokens({"there": TokenSettings("env:HERE")}).find(NEXT), "name", None)

    @pytest.mark.parametrize("given", ["", CI[:-1], f"{CI}x", CI.upper(), "\u00e9", "\udcff"])
    def test_unknown(self, given: str, one: Tokens) -> None:
        """By nothing else."""
        assert one.find(given) is None

    def test_equal(self, tmp_path: Path) -> None:
        """Of equal ones the first counts that has not expired."""
        tokens = Tokens(
            {
                "old": TokenSettings(written(tmp_path / "old", CI), expires=DAY),
                "new": TokenSettings(written(tmp_path / "new", CI)),
            },
            lambda: DAY,
        )
        assert "new" == getattr(tokens.find(CI), "name", None)

    def test_not_held(self, one: Tokens) -> None:
        """The token itself is nowhere to be seen."""
        assert CI not in repr(vars(one))
        assert CI not in repr(one.find(CI))


class TestExpired:
    """A token ends at the moment that it says."""

    def test_moment(self, file: Path) -> None:
        """It is still found then, so that who asks can be told."""
        now = DAY - timedelta(seconds=1)
        tokens = Tokens({"ci": TokenSettings(f"file:{file}", expires=DAY)}, lambda: now)
        found = tokens.find(CI)
        assert found is not None
        assert not tokens.expired(found)
        assert found == tokens.named("ci")
        now = DAY
        assert tokens.expired(found)
        assert found == tokens.find(CI)
        assert tokens.named("ci") is None


class TestLook:
    """What is in a file now is what counts."""

    def test_replaced(self, one: Tokens, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The new token is known and the old one is not; the log says so once, and shows neither."""
        written(file, NEXT)
        with caplog.at_level(logging.INFO):
            one.look()
            one.look()
        assert one.find(CI) is None
        assert one.find(NEXT) is not None
        assert ["the token ci was read again and has changed"] == caplog.messages

    def test_link(self, tmp_path: Path) -> None:
        """A link that leads elsewhere is followed, as where a cluster mounts its secrets."""
        for name, token in (("one", CI), ("two", NEXT)):
            (tmp_path / name).mkdir()
            written(tmp_path / name / "ci", token)
        (tmp_path / "data").symlink_to("one")
        (tmp_path / "ci").symlink_to("data/ci")
        tokens = Tokens({"ci": TokenSettings(f"file:{tmp_path / 'ci'}")})
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "data")
        tokens.look()
        assert (None, True) == (tokens.find(CI), tokens.find(NEXT) is not None)

    @pytest.mark.parametrize(
        ("spoil", "told"),
        [
            (Path.unlink, "cannot be read (No such file or directory); put the token there"),
            (lambda file: file.write_text(""), "the token is empty or holds spaces"),
            (lambda file: file.write_text(f"{CI}\n{NEXT}\n"), "the token is empty or holds spaces"),
            (lambda file: file.write_text("hush-77"), "the token has 7 characters; give it 16 at least"),
            (lambda file: file.write_text("hush-77-hush-77-\u00e9"), "the token is not ASCII"),
            (lambda file: file.write_text("hush-77-" * 1000), "it is longer than 4096 bytes"),
            (lambda file: (file.unlink(), os.mkfifo(file)), "it is no regular file"),
        ],
    )
    def test_spoilt(
        self, spoil: Callable[[Path], object], told: str, one: Tokens, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file that cannot be used takes its token out of use, said once; mended, it is in use again."""
        spoil(file)
        one.look()
        one.look()
        assert one
        assert one.find(CI) is None
        (message,) = caplog.messages
        assert message.startswith("the token ci is out of use: ")
        assert told in message
        assert "hush-77" not in message
        written(file, NEXT)
        one.look()
        assert one.find(NEXT) is not None

    def test_others(self, file: Path, tmp_path: Path) -> None:
        """One that is spoilt leaves the others alone."""
        tokens = Tokens({"ci": TokenSettings(f"file:{file}"), "b": TokenSettings(written(tmp_path / "b", NEXT))})
        file.unlink()
        tokens.look()
        assert (None, True) == (tokens.find(CI), tokens.find(NEXT) is not None)

    def test_pipe(self, tmp_path: Path) -> None:
        """What can be read once only is read once."""
        reading, writing = os.pipe()
        os.write(writing, CI.encode())
        os.close(writing)
        try:
            tokens = Tokens({"ci": TokenSettings(f"file:/dev/fd/{reading}")})
        finally:
            os.close(reading)
        tokens.look()
        assert tokens.find(CI) is not None


class TestMasked:
    """A token that stands where it does not belong is not shown."""

    @pytest.mark.parametrize(
        ("text", "due"),
        [
            ("/api/v1/apps", "/api/v1/apps"),
            (CI, "***"),
            (f"/api/{CI}/x", "/api/***/x"),
            (f"/{CI}{CI}?{NEXT}", f"/******?{NEXT}"),
            (f"{'x' * 30}{CI}", f"{'x' * 30}***"),
            (f"{'x' * 39}{CI}", f"{'x' * 39}*"),
            (f"{'x' * 40}{CI}", "x" * 40),
        ],
    )
    def test_masked(self, text: str, due: str, one: Tokens) -> None:
        """Nor is a part of it, where the text is cut."""
        assert due == one.masked(text, 40)


class TestConfig:
    """Tables of the configuration file."""

    def test_read(self, tmp_path: Path) -> None:
        """Files are relative to it."""
        (tmp_path / "mock.toml").write_text(TABLES)
        found = read(tmp_path / "mock.toml").tokens
        assert {
            "ci": TokenSettings(f"file:{tmp_path / 'secrets/ci'}", frozenset({"read", "send"}), DAY),
            "on-call": TokenSettings("env:ON_CALL_TOKEN", frozenset({"manage"})),
        } == dict(found)

    @pytest.mark.parametrize(
        ("table", "told"),
        [
            (
                "[tokens]\nci = 'hush-77'",
                "tokens.ci cannot be used (its value is not shown: it may be a secret); write",
            ),
            ("tokens = 'hush-77'", "tokens cannot be used (its value is not shown: it may be a secret); write a table"),
            ("[tokens.ci]\nfile = 'x'", 'tokens.ci.scopes is missing; give a list of scopes, such as ["read", "send"]'),
            ("[tokens.ci]\nfile = 'x'\nscopes = []", "tokens.ci.scopes is []; give a list of scopes"),
            ("[tokens.ci]\nfile = 'x'\nscopes = ['all']", "tokens.ci.scopes.0 is 'all'; give read, send, manage"),
            ("[tokens.ci]\nscopes = ['read']", "tokens.ci.file is missing; give it, or variable"),
            (
                "[tokens.ci]\nfile = 'x'\nvariable = 'X'\nscopes = ['read']",
                "tokens.ci: has file and variable; give one of them",
            ),
            ("[tokens.ci]\ntoken = 'hush-77'\nscopes = ['read']", "tokens.ci.token is unknown; choose one of: file"),
            ("[tokens.ci]\nvariable = 'hush-77'\nscopes = ['read']", "tokens.ci.variable cannot be used"),
            (
                "[tokens.'a b']\nfile = 'x'\nscopes = ['read']",
                "tokens.a b has a name that cannot be used; use up to 64",
            ),
            ("[tokens.default]\nfile = 'x'\nscopes = ['read']", "tokens.default: the server has a token of this name"),
            ("[tokens.local]\nfile = 'x'\nscopes = ['read']", "tokens.local: the server has a token of this name"),
            (
                "[tokens.ci]\nfile = 'x'\nscopes = ['read']\nexpires = 2026-12-31T00:00:00",
                "tokens.ci.expires cannot be used (its value is not shown: it may be a secret); give a time with its zone",
            ),
            ("[tokens.ci]\nfile = 'x'\nscopes = ['read']\nexpires = 'hush-77'", "tokens.ci.expires cannot be used"),
            (
                "[tokens.a]\nfile = 'x'\nscopes = ['read']\n[tokens.b]\nfile = 'x'\nscopes = ['send']",
                "tokens.b: is where tokens.a is; give each a token of its own",
            ),
        ],
    )
    def test_told(self, table: str, told: str, tmp_path: Path) -> None:
        """What is wrong is told with its place and fix, and without what could be a token."""
        (tmp_path / "mock.toml").write_text(table)
        with pytest.raises(BadConfig) as caught:
            read(tmp_path / "mock.toml")
        (line,) = caught.value.lines
        assert told in line
        assert "hush-77" not in line

    def test_schema(self) -> None:
        """The schema of the file knows them."""
        table = schema()["properties"]["tokens"]["additionalProperties"]
        assert {"file", "variable", "scopes", "expires"} == set(table["properties"])
        assert list(SCOPES) == table["properties"]["scopes"]["items"]["enum"]


class TestStart:
    """A server does not start with a token that cannot be used."""

    @pytest.mark.parametrize("ref", ["file:/nowhere/ci", "env:NOT_SET_ANYWHERE", "env:SHORT"])
    def test_bad(self, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told which, and why."""
        monkeypatch.setenv("SHORT", "hush-77")
        with pytest.raises(BadToken) as caught:
            Tokens({"ci": TokenSettings(ref)})
        assert "ci" == caught.value.name
        assert "hush-77" not in str(caught.value)
