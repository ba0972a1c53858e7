"""How the command shows variants."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from im_callback.provider_mock import cli
from im_callback.provider_mock.commands.shared import printed

from tests.provider_mock.traffic_types import BY_NAME


def run(*arguments: str) -> list[str]:
    """Run the command and return its lines, or its error as the only one."""
    ran = CliRunner().invoke(cli.main, arguments)
    if ran.exit_code:
        return [f"{ran.exit_code} {ran.stderr.strip()}"]
    return ran.output.splitlines()


class TestEvents:
    """Tests for `provider-mock events`."""

    def test_json(self) -> None:
        """Every event type is listed with its variants, as the schema has them."""
        shown = {one["name"]: one["variants"] for one in map(json.loads, run("events", "--json"))}
        assert {name: list(one.variants) for name, one in BY_NAME.items()}.items() <= shown.items()

    def test_people(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """People see the first few, and by which fields."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        lines = run("events", "commsease")
        assert (
            "    variants: PERSON/TEXT PERSON/PICTURE PERSON/AUDIO PERSON/VIDEO and 52 more, by /convType /msgType"
            in lines
        )
        assert 1 == lines.count("    variants: IN OUT KICK, by /event")


class TestSample:
    """Tests for `provider-mock sample --variant`."""

    def test_variant(self) -> None:
        """Payloads of the variant, as many as asked for, the same for a seed."""
        arguments = ("sample", "commsease.conversation", "--variant", "TEAM/PICTURE", "--count", "3", "--seed", "1")
        lines = run(*arguments)
        assert 3 == len(set(lines))
        assert {"TEAM/PICTURE"} == {BY_NAME["commsease.conversation"].variant_of(json.loads(line)) for line in lines}
        assert lines == run(*arguments)

    @pytest.mark.parametrize(
        ("expected", "name", "variant"),
        [
            (
                "2 Error: commsease.chatroom-in-out has no variant 'WAIT'; choose one of: IN, OUT, KICK",
                "commsease.chatroom-in-out",
                "WAIT",
            ),
            (
                "2 Error: commsease.login has no variant ''; it has none: leave --variant out",
                "commsease.login",
                "",
            ),
        ],
    )
    def test_unknown(self, expected: str, name: str, variant: str) -> None:
        """One that does not exist is an error that names some that do."""
        assert [expected] == run("sample", name, "--variant", variant)
