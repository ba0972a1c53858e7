"""Whole runs: a sequence is found and kept, plays again, and no longer fails once the receiver is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from im_callback.conformance.explore import finding
from im_callback.conformance.explore.judging import INVARIANTS

from tests.conformance.little_server import serving
from tests.explore.faulty import ForgetsAfterTwoRemovals
from tests.plugin.processes import Ended, pytest_in
from tests.receivers.good import Entry, Good
from tests.receivers.serving import serve

PROVIDER = "rongcloud"
EXPLORED = [f"{PROVIDER}.explored.{invariant}" for invariant in INVARIANTS]


class Doubles(Good):
    """Takes every repeat for new."""

    def repeated(self, entry: Entry) -> bool:
        return False

    def stale(self, entry: Entry) -> bool:
        return super().stale(entry) and self.newest.get(entry.scope) != entry.at


@contextmanager
def options(receiver: Good) -> Iterator[list[str]]:
    """Yield the options of a run against a receiver."""
    with (
        serve(receiver) as url,
        serving(lambda request: (200, "application/json", json.dumps(receiver.effects()).encode())) as effects,
    ):
        yield [
            f"--receiver-url={url}",
            f"--receiver-provider={PROVIDER}",
            f"--receiver-effects={effects.url}",
            "--receiver-settle=0.5",
            "--receiver-seed=1",
        ]


def replayed(receiver: Good, folder: Path, file: str) -> Ended:
    """Return what a replay of a file comes to."""
    with options(receiver) as given:
        return pytest_in(folder, *given, f"--receiver-replay={file}")


def test_explore_and_replay(tmp_path: Path) -> None:
    """What is found is printed as a timeline and kept in a file; that fails again, and passes on a mended receiver."""
    with options(Doubles(PROVIDER)) as given:
        ended = pytest_in(tmp_path, "-v", *given, "--receiver-explore=0.1", f"--receiver-check={PROVIDER}.explored.*")
    assert 1 == ended.status, ended.output
    assert "fail" == ended.verdicts[f"{PROVIDER}.explored.doubled"]
    assert EXPLORED == list(ended.verdicts)
    assert ended.result is not None
    failed, passed = ended.result["checks"][1], ended.result["checks"][0]
    assert "sequences were tried" in passed["reason"]
    assert "what happens:" == failed["timeline"][0]
    (file,) = tmp_path.glob("receiver-finding-doubled-*.json")
    assert f"--receiver-replay={file.name}" in failed["actual"]
    assert ended.lines("    how it is delivered:")
    assert ended.lines("explored: ")
    assert finding.read(file).script.deliveries <= 2
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([file.name, "result.json"])

    again = replayed(Doubles(PROVIDER), tmp_path, file.name)
    assert 1 == again.status, again.output
    assert ["doubled"] == [name.rpartition(".")[2] for name, verdict in again.verdicts.items() if verdict == "fail"]
    mended = replayed(Good(PROVIDER), tmp_path, file.name)
    assert 0 == mended.status, mended.output
    assert EXPLORED == list(mended.verdicts)[-len(EXPLORED) :]
    assert {"preflight", "explored"} == {name.split(".")[1] for name in mended.verdicts}

    # Against a receiver with another fault it says nothing; a file of something else is an error.
    other = replayed(ForgetsAfterTwoRemovals(PROVIDER), tmp_path, file.name)
    assert 0 == other.status, other.output
    foreign = replayed(Good(PROVIDER), tmp_path, "result.json")
    assert 4 == foreign.status
    assert "it is no finding" in foreign.output
