"""The printed lines that send a failure again: the id stays, the signature is made anew wherever it stands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from im_callback.provider_mock.contract import Credentials, Provider, Request, Stamp
from im_callback.provider_mock.delivery.clock import utc_millis

from tests.conformance.little_server import serving
from tests.conformance.test_curl import Place
from tests.programs import needed


@pytest.fixture
def place(acme: Provider, tmp_path: Path) -> Iterator[Place]:
    """A receiver that takes everything, and a folder."""
    needed("bash", "curl", "openssl")
    with serving(lambda request: (200, "application/json", b"")) as server:
        yield Place(server, tmp_path, acme)


class TestSigned:
    """What was signed long ago is signed afresh, and fits."""

    @pytest.mark.parametrize(
        "secret", ["s3cret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"[:-4]]
    )
    def test_fits(self, secret: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """With any secret; a repeat has the id of the first."""
        monkeypatch.setattr("tests.conformance.test_curl.SECRET", secret)
        settings = replace(place.run.settings, credentials=Credentials("test-app", secret))
        place.run.settings = settings
        first, again, other = (
            place.run.shot(event, stamp=Stamp(place.then + at, "1", delivery, number))
            for event in [place.run.event()]
            for at, delivery, number, event in (
                (0, "one", 1, event),
                (1000, "one", 2, event),
                (2000, "two", 1, place.run.event()),
            )
        )
        attempts = [place.attempt(shot, at) for at, shot in ((0, first), (1000, again), (2000, other))]
        assert [first.request.body, first.request.body, other.request.body] == place.bodies(attempts)
        ids = [value for one in place.server.got for name, value in one.headers if name.lower() == "webhook-id"]
        assert ["msg_one", "msg_one", "msg_two"] == ids

    @pytest.mark.parametrize("before", [True, False])
    def test_among_several(self, before: bool, place: Place) -> None:
        """The own signature among others is made anew, the others stay."""
        parameter, other = place.run.parameter("signature"), "v9,c29tZQ=="

        def change(request: Request) -> Request:
            (own,) = parameter.values(request)
            return parameter.given(request, f"{other} {own}" if before else f"{own} {other}")

        place.bodies([place.attempt(place.shot(change=change), 0)])
        (arrived,) = place.server.got
        (value,) = parameter.values(arrived)
        assert other == value.split(" ")[0 if before else 1]

    def test_empty_secret(self, place: Place) -> None:
        """What was signed with nothing is signed with nothing again."""
        empty = Credentials("test-app", "")
        script = place.script([place.attempt(place.shot(credentials=empty, forged=True), 0)])
        assert "SECRET=''" in script
        ended = subprocess.run(
            ["bash", "-c", f"set -eu\n{script}"], check=False, cwd=place.folder, capture_output=True, timeout=30
        )
        assert (0, b"") == (ended.returncode, ended.stderr), script
        (arrived,) = place.server.got
        assert place.run.feed.verify(arrived, empty, utc_millis()) is None
