"""The command `provider-mock traffic`: what it sends, prints and returns."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands import traffic
from im_callback.provider_mock.commands.shared import printed
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.traffic import world

from tests.commands import Run
from tests.programs import spawned
from tests.provider_mock.peers import unused_port
from tests.receivers.good import Answer, Good, Request
from tests.receivers.serving import serve

NAMES = ["commsease", "rongcloud", "tencent"]


class Counting(Good):
    """Counts what arrives, and keeps the bodies."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.bodies: list[bytes] = []
        self.begun = threading.Event()

    def receive(self, request: Request) -> Answer:
        """Answer as a good receiver does."""
        with self.lock:
            self.bodies.append(request.body)
            self.begun.set()
        return super().receive(request)


@pytest.fixture
def run(run: Run) -> Run:
    """Run `provider-mock traffic`."""
    return partial(run, "traffic")


class Refusing(Good):
    """Takes nothing."""

    def receive(self, request: Request) -> Answer:
        """Refuse."""
        return Answer(401)


class TestDeliveries:
    """What arrives."""

    @pytest.mark.parametrize("provider", NAMES)
    def test_good_receiver(self, run: Run, provider: str) -> None:
        """A good receiver acknowledges all, and records each event once; the lines add up."""
        receiver = Counting(provider)
        with serve(receiver) as url:
            ran = run("--to", url, "--rate", "50", "--duration", "1", "--provider", provider, "--seed", "3")
        assert (0, "") == (ran.status, ran.err)
        *seconds, summary = ran.lines
        assert 50 == len(receiver.bodies) == len(set(receiver.bodies))
        assert (50, 50, 0, 0, 0) == tuple(
            summary[name] for name in ("sent", "acked", "refused", "timed_out", "unreachable")
        )
        assert summary["summary"] is True
        assert summary["as_expected"] is True
        assert 3 == summary["seed"]
        assert 0 < summary["ack_ms"]["p50"] <= summary["ack_ms"]["p95"] <= summary["ack_ms"]["max"]
        assert summary["achieved_rate"] > 0
        assert list(range(1, len(seconds) + 1)) == [one["second"] for one in seconds]
        assert 50 == sum(one["sent"] for one in seconds)

    def test_faults(self, run: Run) -> None:
        """Faults disturb a share of the deliveries, and each is sent again as they say."""
        receiver = Counting("commsease")
        with serve(receiver) as url:
            typed = ("--fault", "duplicate:every=6", "--fault", "header-case:on=repeats")
            ran = run("--to", url, "--rate", "100", "--duration", "0.24", *typed)
        assert 0 == ran.status, ran.out
        assert 24 + 4 == len(receiver.bodies) == ran.lines[-1]["acked"]
        assert 24 == len(set(receiver.bodies))

    def test_share(self) -> None:
        """`every` is a share of the whole stream, although plans are made second by second."""
        provider = providers.load("commsease")
        disturbances = [faults.parse("duplicate:every=15"), faults.parse("header-case:on=repeats")]
        source = traffic.ChunkMaker(
            provider, provider.feeds, provider.defaults, "http://127.0.0.1:1/", 10, 45, disturbances, 1
        )
        chunks = list(source.chunks(source.chunk(0)))
        assert [0, 1, 2, 3, 4] == [chunk.at for chunk in chunks]
        assert [11, 11, 10, 11, 5] == [len(chunk.plan) for chunk in chunks]
        assert [[0], [5], [], [0], []] == [[step.index for step in one.plan if step.repeats] for one in chunks]

    def test_forged(self, run: Run) -> None:
        """A forged delivery must be refused: then all is as due."""
        with serve(Good("tencent")) as url:
            typed = ("--provider", "tencent", "--fault", "wrong-secret:every=5")
            ran = run("--to", url, "--rate", "100", "--duration", "0.2", *typed)
        assert (0, 16, 4) == (ran.status, ran.lines[-1]["acked"], ran.lines[-1]["refused"])

    def test_refused(self, run: Run) -> None:
        """A receiver that refuses: exit status 1."""
        with serve(Refusing("commsease")) as url:
            ran = run("--to", url, "--rate", "100", "--duration", "0.1")
        assert 1 == ran.status
        assert (0, 10, False) == tuple(ran.lines[-1][name] for name in ("acked", "refused", "as_expected"))
        assert {"p50": None, "p95": None, "max": None} == ran.lines[-1]["ack_ms"]

    def test_unreachable(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody there, told to people."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        ran = run("--to", f"http://127.0.0.1:{unused_port()}/", "--rate", "100", "--duration", "0.05")
        assert 1 == ran.status
        assert "5 sent: 0 acked, 0 declined, 0 refused, 0 timed out, 5 unreachable\n" in ran.out
        assert ran.out.endswith("not every delivery got what the receiver owes for it\n")

    def test_people(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal: a bar on standard error and a summary to be read."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        with serve(Good("commsease")) as url:
            ran = run("--to", url, "--rate", "100", "--duration", "0.05")
        assert 0 == ran.status
        assert "Delivering" in ran.err
        assert "100%" in ran.err
        assert ran.out.startswith("5 sent: 5 acked, 0 declined, 0 refused")
        assert " ms (p95), " in ran.out

    def test_slow_rate(self, run: Run) -> None:
        """Less than one a second is one delivery."""
        receiver = Counting("commsease")
        with serve(receiver) as url:
            assert 0 == run("--to", url, "--rate", "0.1", "--duration", "3").status
        assert 1 == len(receiver.bodies)

    def test_our_error(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error of ours on the way is not taken for the receiver's."""
        monkeypatch.setattr(traffic.ChunkMaker, "chunks", lambda self, first: _broken(first))
        with serve(Good("commsease")) as url, pytest.raises(ZeroDivisionError):
            run("--to", url, "--rate", "10", "--duration", "0.1")


class TestInterrupted:
    """Ctrl-C."""

    def test_summary(self) -> None:
        """The run ends with the summary, and with all that was under way."""
        receiver = Counting("commsease")
        script = Path(sys.executable).with_name("provider-mock")
        with serve(receiver) as url:
            command = [script, "traffic", "--to", url, "--rate", "20", "--duration", "3600", "--seed", "1"]
            with spawned(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                assert receiver.begun.wait(120)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=120)
        assert (130, "") == (process.returncode, err)
        summary = json.loads(out.splitlines()[-1])
        assert summary["interrupted"] is True
        assert len(receiver.bodies) == summary["sent"] == summary["acked"] > 0

    def test_twice(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Interrupted again while replies are due, the run does not wait for them."""
        monkeypatch.setattr(traffic.Stream, "_hear", _interrupt)
        with serve(Good("commsease")) as url:
            ran = run("--to", url, "--rate", "10", "--duration", "1")
        assert (130, True) == (ran.status, ran.lines[-1]["interrupted"])
        assert ran.lines[-1]["as_expected"] is False


class TestTyped:
    """Values that cannot be used."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--rate", "0"), "--rate 0: give a number of deliveries per second above 0 up to 10000"),
            (("--rate", "nan"), "--rate nan: give a number"),
            (("--rate", "10001"), "--rate 10001: give a number"),
            (("--rate", "fast"), "--rate fast: give a number"),
            (("--duration", "-1"), "--duration -1: give a number of seconds above 0, such as --duration 10"),
            (("--duration", "inf"), "--duration inf: give a number"),
            (("--provider", "nobody"), "no provider is called 'nobody'; choose one of: commsease"),
            (("--to", "here"), "'here' is no address to post to"),
            (("--fault", "duplikate"), "did you mean 'duplicate'?"),
            (("--fault", "header-case:on=repeats"), "finds nothing that is sent again"),
            (("--provider", "rongcloud", "--fault", "tamper-digest"), "rongcloud.chatroom-kv has no parameter"),
            (("--app-key", ""), "--app-key: it is empty"),
        ],
    )
    def test_one_line(self, run: Run, arguments: tuple[str, ...], said: str) -> None:
        """One line with the value and the fix, before anything is sent."""
        valid = ("--to", "http://127.0.0.1:1/", "--rate", "1", "--duration", "1")
        ran = run(*valid, *arguments)
        assert (2, "", 1) == (ran.status, ran.out, ran.err.count("\n"))
        assert said in ran.err

    def test_nothing_to_tell(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A provider without event types has no traffic."""
        monkeypatch.setattr(world, "_described", lambda feed: False)
        ran = run("--to", "http://127.0.0.1:1/", "--rate", "1", "--duration", "1")
        assert (2, 1) == (ran.status, ran.err.count("\n"))


def _broken(first: traffic.Chunk) -> Any:
    yield replace(first, maker=lambda step, millis: 1 // 0)


def _interrupt(self: traffic.Stream, delivered: Any, until: float | None) -> None:
    raise KeyboardInterrupt


def _nothing(provider: Any, random: Any, start: int) -> Any:
    raise world.NothingToTell(provider.name)
    yield
