"""The printed lines of a whole failure, run by a shell: every request in its order, signed afresh."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance.report.curl import sequence
from im_callback.conformance.run import Run
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Event,
    Judgement,
    NoReply,
    Outcome,
    Parameter,
    Provider,
    Reply,
    Request,
    RetryPolicy,
    Stamp,
)
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.providers.commsease import PROVIDER, CommsEase
from im_callback.provider_mock.providers.commsease.data_sync import DataSync
from im_callback.provider_mock.wire import Wire

from tests.conformance.little_server import Answer, LittleServer, serving
from tests.programs import needed

NAMES = ("commsease", "rongcloud", "tencent")
SECRET = "s3cret"
AGO = 5_400_000
"""Milliseconds: what is sent again was first sent an hour and a half ago."""


class Place:
    """A receiver, and a folder in which a shell sends to it."""

    def __init__(self, server: LittleServer, folder: Path, provider: Provider) -> None:
        self.server = server
        self.folder = folder
        credentials = Credentials(provider.defaults.app_key, SECRET)
        self.run = Run(Settings(f"{server.url}/callbacks", provider, credentials, seed=7, settle=0))
        self.then = utc_millis() - AGO

    def shot(self, note: str = "", stamp: int = 0, **more: Any) -> Shot:
        """Return a shot of a fresh event, signed then."""
        return self.run.shot(self.run.event(), stamp=Stamp(self.then + stamp, "4711"), note=note, **more)

    def attempt(self, shot: Shot, at: int, seconds: float = 0.02, *, timed_out: bool = False) -> Attempt:
        """Return an attempt at so many milliseconds."""
        reply = NoReply("timed-out", "", seconds) if timed_out else Reply(403, (), b"", seconds)
        return Attempt(shot, reply, Judgement(Outcome.REFUSED, "rule"), self.then + at)

    def script(self, attempts: Sequence[Attempt], most: int = 8) -> str:
        """Return the lines for the attempts."""
        return "\n".join(sequence(attempts, self.run.settings, most))

    def bodies(self, attempts: Sequence[Attempt], shell: str = "bash") -> list[bytes]:
        """Run the lines; return the bodies that arrived, in order. All are signed correctly."""
        script = self.script(attempts)
        ended = subprocess.run(
            [shell, "-c", f"set -eu\n{script}"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "IM_APP_SECRET": SECRET, "HOME": "/nowhere"},
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert (0, b"") == (ended.returncode, ended.stderr), script
        settings = self.run.settings
        assert {None} == {
            settings.provider.feeds[0].verify(one, settings.credentials, utc_millis()) for one in self.server.got
        }, script
        return [one.body for one in self.server.got]


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Return a place for each provider."""
    needed("bash", "curl")
    with serving(lambda request: (200, "application/json", b"")) as server:
        yield Place(server, tmp_path, providers.load(request.param))


class TestSequence:
    """Tests for `sequence`."""

    def test_in_order(self, place: Place) -> None:
        """Different requests go out in the order in which they left, whatever order they are given in."""
        shots = [place.shot(f"note {n}") for n in range(3)]
        attempts = [place.attempt(shot, at) for shot, at in zip(shots, (0, 50, 100), strict=True)]
        assert [shot.request.body for shot in shots] == place.bodies([attempts[2], attempts[0], attempts[1]])
        comments = [line for line in place.script(attempts).splitlines() if line.startswith("#")]
        assert ["# 1: note 0", "# 2: note 1", "# 3: note 2"] == comments

    def test_repeats(self, place: Place) -> None:
        """The same request several times in a row is a loop."""
        first, second = place.shot("first"), place.shot()
        attempts = [place.attempt(first, n * 50) for n in range(3)] + [place.attempt(second, 200)]
        assert [first.request.body] * 3 + [second.request.body] == place.bodies(attempts)
        script = place.script(attempts)
        assert "# 1: first, 3 times\n" in script
        assert "# 4: as the provider sends it\n" in script
        assert 1 == script.count("for i in $(seq 3); do curl ")

    def test_signed_afresh(self, place: Place) -> None:
        """A repeat that was signed afresh is signed afresh; its body is written once."""
        shot = place.shot("first")
        again = place.run.shot(*shot.events, stamp=Stamp(place.then + 1000, "4712"), note="again")
        attempts = [place.attempt(shot, 0), place.attempt(again, 1000)]
        assert [shot.request.body] * 2 == place.bodies(attempts)
        assert 1 == place.script(attempts).count("> body.json")

    def test_signing_told_once(self, place: Place) -> None:
        """How most requests are signed stands at the top; what is signed in another way has its own lines."""
        wrong = Credentials(place.run.settings.credentials.app_key, "not-the-secret")
        shots = [place.shot(), place.shot(), place.shot(credentials=wrong, forged=True), place.shot()]
        lines = place.script([place.attempt(shot, n * 50) for n, shot in enumerate(shots)]).splitlines()
        assert ["sign() {", '  SECRET="${IM_APP_SECRET:?export it first: the app secret}"'] == lines[:2]
        assert 3 == lines.count("sign")
        assert 1 == lines.count("SECRET=not-the-secret")

    def test_cut(self, place: Place) -> None:
        """Beyond what is printed, the number of the others is."""
        attempts = [place.attempt(place.shot(), n * 50) for n in range(6)]
        script = place.script([*attempts, attempts[-1]], most=4)
        assert 4 == script.count("\ncurl ")
        assert script.endswith("# … and 3 more; run this check again to send them all, with --receiver-seed=7")

    def test_timed_out(self, place: Place) -> None:
        """What was given up at the deadline is given up again."""
        attempts = [place.attempt(place.shot(), 0, timed_out=True), place.attempt(place.shot(), 9000)]
        deadline = place.run.provider.feeds[0].deadline
        assert 1 == place.script(attempts).count(f" --max-time {deadline:g} ")
        assert 2 == len(place.bodies(attempts))

    def test_long(self, place: Place) -> None:
        """A body that is too long to print leaves the others as they are."""
        events = [place.run.event() for _ in range(40)]
        long = Shot(
            place.run.feed,
            place.shot().request._replace(body=b"x" * 5000),
            place.shot().signed,
            tuple(events),
        )
        short = place.shot()
        attempts = [place.attempt(long, 0), place.attempt(short, 50)]
        assert "# the body of 5000 bytes is too long to print" in place.script(attempts)
        assert [short.request.body] == place.bodies(attempts)

    def test_one(self, place: Place) -> None:
        """One request has no number."""
        assert "#" not in place.script([place.attempt(place.shot("note"), 0)])


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_at_once(name: str, copies: int, shell: str, tmp_path: Path) -> None:
    """What was sent at once is on its way at once, each request with its own body."""
    needed(shell, "curl")
    together = threading.Barrier(2 * copies)

    def answer(request: Request) -> Answer:
        # No request is answered before all are there.
        together.wait(20)
        return 200, "application/json", b""

    with serving(answer) as server:
        place = Place(server, tmp_path, providers.load(name))
        shots = [place.shot("one"), place.shot("other")]
        attempts = [place.attempt(shot, 0) for shot in shots for _ in range(copies)]
        due = sorted(shot.request.body for shot in shots for _ in range(copies))
        assert due == sorted(place.bodies(attempts, shell))
        assert place.script(attempts).endswith("\nwait")


def test_at_once_and_after(tmp_path: Path) -> None:
    """What follows waits for what was sent at once."""
    needed("bash", "curl")
    with serving(lambda request: (200, "application/json", b"")) as server:
        place = Place(server, tmp_path, providers.load("commsease"))
        same, last = place.shot("same"), place.shot("last")
        attempts = [*[place.attempt(same, 0)] * 5, place.attempt(last, 100)]
        assert [same.request.body] * 5 + [last.request.body] == place.bodies(attempts)
        script = place.script(attempts)
    assert "# 1: same, 5 times at once\n" in script
    assert script.index("wait") < script.index("# 6: last")


def test_within_a_millisecond() -> None:
    """Two that followed each other within one millisecond were not sent at once."""
    provider = providers.load("commsease")
    run = Run(Settings("http://127.0.0.1/", provider, provider.defaults, seed=7, settle=0))
    attempts = [
        Attempt(run.shot(run.event()), Reply(200, (), b"", 0.0003), Judgement(Outcome.ACKED, "rule"), 1000)
        for _ in range(2)
    ]
    assert "&" not in "\n".join(sequence(attempts, run.settings, 8))


class Hyphenated(DataSync):
    """A provider of another make: its parameters have names that no shell variable can have."""

    parameters = (
        Parameter("X-Hook-Key", "header", "key"),
        Parameter("X-Hook-Time", "header", "time"),
        Parameter("2nd-hook.digest", "header", "digest"),
        Parameter("X-Hook-Signature", "header", "signature"),
    )
    policies: Mapping[str, RetryPolicy] = PROVIDER.feeds[0].policies

    def sign(
        self, body: bytes, command: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the request as CommsEase signs it, under other names."""
        request = PROVIDER.feeds[0].sign(body, command, endpoint, credentials, stamp, wire)
        return self._renamed(
            request, {a.name: b.name for a, b in zip(PROVIDER.feeds[0].parameters, self.parameters, strict=True)}
        )

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with it."""
        names = {b.name: a.name for a, b in zip(PROVIDER.feeds[0].parameters, self.parameters, strict=True)}
        return PROVIDER.feeds[0].verify(self._renamed(request, names), credentials, now_millis)

    def request(
        self,
        events: Sequence[Event],
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the request, signed under other names."""
        body = PROVIDER.feeds[0].request(events, endpoint, credentials, stamp, wire).body
        return self.sign(body, "", endpoint, credentials, stamp, wire)

    def shell(self) -> Mapping[str, str]:
        """Return the expressions under the names of the parameters; one refers to another with `_` for the rest."""
        return {
            "T": "${NOW}000",
            "X-Hook-Time": "$T",
            "2nd-hook.digest": "$(md5sum < body.json | cut -d' ' -f1)",
            "X-Hook-Signature": "$(printf %s \"$SECRET$_2nd_hook_digest$X_Hook_Time\" | sha1sum | cut -d' ' -f1)",
        }

    def _renamed(self, request: Request, names: Mapping[str, str]) -> Request:
        return request._replace(headers=tuple((names.get(k, k), v) for k, v in request.headers))


def test_hyphens(tmp_path: Path) -> None:
    """Parameters whose names have hyphens, dots or digits in front are signed afresh as well."""
    needed("bash", "curl")
    with serving(lambda request: (200, "application/json", b"")) as server:
        place = Place(server, tmp_path, CommsEase(Hyphenated(), *(type(feed)() for feed in PROVIDER.feeds[1:])))
        shots = [place.shot(), place.shot()]
        attempts = [place.attempt(shot, n * 50) for n, shot in enumerate(shots)]
        assert [shot.request.body for shot in shots] == place.bodies(attempts)
    assert "X_Hook_Time=" in place.script(attempts)
