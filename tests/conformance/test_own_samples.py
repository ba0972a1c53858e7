"""A team's own traffic as samples: what is taken, what is left out, and that the checks send it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance import options
from im_callback.conformance.given import BadOption, Given
from im_callback.conformance.own_samples import EACH, sampled
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Reply, Request, Stamp
from im_callback.provider_mock.recording.exchange import Exchange, to_line

from tests.conformance.little_server import serving
from tests.plugin.processes import SECONDS, environment

COMMSEASE = providers.load("commsease")
LOGIN = COMMSEASE.catalogue["commsease.login"]
MESSAGE = COMMSEASE.catalogue["commsease.conversation"]
OWN = {**LOGIN.examples[0], "accid": "zhangsan", "ownField": "of our release"}


def exchange(name: str, payload: Any) -> Exchange:
    """Return an exchange that carries a payload."""
    feed = COMMSEASE.feed_of(name)
    request = feed.request([Event(name, payload)], "http://h/cb", COMMSEASE.defaults, Stamp(1000, "n"))
    return Exchange(request, 1000, Reply(200, (), b"", 0.1), 1100)


def written(folder: Path, *exchanges: Exchange) -> Path:
    """Return a recording."""
    file = folder / "own.jsonl"
    file.write_text("".join(f"{to_line(one)}\n" for one in exchanges), encoding="utf-8")
    return file


def given(folder: Path, **values: str) -> Given:
    """Return the options of a run."""
    typed = {"url": "http://127.0.0.1:1/cb", "seed": "1", **values}
    return Given(typed.get, folder)


class TestSampled:
    """What becomes of recorded payloads."""

    def test_in_place(self) -> None:
        """Of a variant that was recorded they are the only samples; the documented ones of all others stay."""
        other = {**MESSAGE.examples[0], "fromNick": "ours"}
        found = sampled(COMMSEASE, [exchange(LOGIN.name, OWN), exchange(MESSAGE.name, other)]).provider
        assert (OWN,) == found.catalogue[LOGIN.name].examples
        variant = MESSAGE.variant_of(other)
        samples = found.catalogue[MESSAGE.name].examples
        assert [other] == [one for one in samples if MESSAGE.variant_of(one) == variant]
        assert {MESSAGE.variant_of(one) for one in MESSAGE.examples} == {MESSAGE.variant_of(one) for one in samples}
        # Nobody else's provider is another one for it.
        assert LOGIN.examples == providers.load("commsease").catalogue[LOGIN.name].examples
        assert found.feeds[0].provider is found
        assert found.catalogue[LOGIN.name] in found.feed_of(LOGIN.name).event_types

    def test_few(self) -> None:
        """Those are taken that differ in their fields, and of these only some."""
        alike = [exchange(LOGIN.name, {**OWN, "accid": f"a{n}"}) for n in range(9)]
        assert {LOGIN.name: 1} == sampled(COMMSEASE, alike).taken
        differing = [exchange(LOGIN.name, {**OWN, f"own{n}": "x"}) for n in range(9)]
        assert {LOGIN.name: EACH} == sampled(COMMSEASE, differing).taken

    def test_left_out(self) -> None:
        """What the schema refuses is left out, and its values are not told."""
        wrong = exchange(LOGIN.name, {**OWN, "timestamp": {"zhangsan": 1}})
        unknown = exchange(LOGIN.name, {"eventType": "777"})
        found = sampled(COMMSEASE, [wrong, wrong, unknown])
        assert {} == found.taken
        assert {"commsease.login: the schema refuses /timestamp": 2, "of an unknown event type": 1} == found.left


class TestOption:
    """The option `--receiver-samples`."""

    def test_settings(self, tmp_path: Path) -> None:
        """The run has the samples, feeds that deliver them, and notes that say so."""
        file = written(tmp_path, exchange(LOGIN.name, OWN), exchange(LOGIN.name, {"eventType": "2", "accid": 1.5}))
        settings = options.settings(given(tmp_path, samples=file.name))
        assert (OWN,) == settings.provider.catalogue[LOGIN.name].examples
        assert settings.arriving[0].provider is settings.provider
        assert "1 sample of 1 event type is a recorded one: commsease.login" == settings.notes[0]
        assert "1 recorded payload is no sample: commsease.login: the schema refuses /" in settings.notes[1]

    @pytest.mark.parametrize(
        ("expected", "content"),
        [
            ("it is empty; give a file", b""),
            ("it is neither a recording nor a HAR file", b"[]"),
            ("it holds no payload of commsease that can be a sample", to_line(exchange(LOGIN.name, [])).encode()),
        ],
    )
    def test_mistakes(self, expected: str, content: bytes, tmp_path: Path) -> None:
        """A file that cannot be used is named."""
        (tmp_path / "own.jsonl").write_bytes(content)
        with pytest.raises(BadOption, match=f"^--receiver-samples=own.jsonl: {expected}"):
            options.settings(given(tmp_path, samples="own.jsonl"))
        with pytest.raises(BadOption, match="there is no file"):
            options.settings(given(tmp_path, samples="other.jsonl"))

    def test_sent(self, tmp_path: Path) -> None:
        """The checks vary the team's own traffic: its fields, under identities that are new; the result says so."""
        file = written(tmp_path, exchange(LOGIN.name, OWN), exchange(LOGIN.name, {**OWN, "timestamp": None}))
        command = [
            sys.executable,
            "-m",
            "im_callback.provider_mock",
            "check",
            f"--samples={file}",
            "--allow-incomplete",
        ]
        command += ["--check=*.preflight.*", "--json=result.json"]
        with serving(lambda _: (200, "application/json", b"")) as there:
            ended = subprocess.run(
                [*command, f"--to={there.url}"], cwd=tmp_path, env=environment(), timeout=SECONDS, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        assert 0 == ended.returncode, ended.stdout
        logins = [one for one in map(_login, there.got) if one is not None]
        assert {"of our release"} == {one.get("ownField") for one in logins}
        assert "zhangsan" not in {one["accid"] for one in logins}
        words = " ".join(ended.stdout.split())
        assert "1 sample of 1 event type is a recorded one: commsease.login" in words
        assert "1 recorded payload is no sample: commsease.login: the schema refuses /timestamp" in words


def _login(request: Request) -> Any:
    """Return the payload of a request, if it is a login."""
    payload = json.loads(request.body)
    return payload if payload.get("eventType") == "2" else None
