"""Every receiver in this folder passes the gate by its own workflow file; two faults that only real threads show are caught.

The workflow's commands are run here in their order, as they stand: what builds the receiver, what installs the gate, and the
gate. Not part of `make test`: what they are built with comes from package registries, `make examples`.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ci import steps as ci_steps
from tests.ci.steps import Step
from tests.programs import needed

HERE = Path(__file__).parent
Stored = Callable[[str], AbstractContextManager[dict[str, str]]]
BUILT = ("node_modules", "target", "__pycache__", ".venv", ".gate")


@dataclass(frozen=True)
class Example:
    """A receiver: what builds it, what is behind it, and its gates by name, with how many checks pass at least.

    What is judged may shrink only on purpose, hence the number.
    """

    folder: str
    programs: tuple[str, ...]
    store: str
    passed: Mapping[str, int]


EXAMPLES = {
    one.folder: one
    for one in (
        Example("go_receiver", ("go",), "postgresql", {"chatroom-kv": 66, "chatroom-status": 65}),
        Example("spring_receiver", ("mvn", "javac"), "postgresql", {"data-sync": 70, "rtc": 68}),
        Example("express_receiver", ("node", "npm"), "redis", {"message-route": 56, "chatroom-kv": 66}),
        Example("fastapi_receiver", (), "", {"data-sync": 68, "third-party": 59}),
        Example("django_receiver", (), "postgresql", {"after": 68, "before": 59}),
        Example("flask_receiver", (), "", {"commsease": 69, "rongcloud": 64, "tencent": 64}),
        Example("php_receiver", ("php",), "mariadb", {"after": 60, "room": 55}),
    )
}


@dataclass(frozen=True)
class Faulty:
    """One of the examples with texts replaced in its files, the feed at which it is judged, and what fails there.

    `may_fail` is what it can show in too, if its moment comes.
    """

    example: str
    feed: str
    fails: frozenset[str]
    replaced: Mapping[str, tuple[tuple[str, str], ...]]
    may_fail: frozenset[str] = frozenset()


GO_KEEPS = "			batch.Queue(newerWins, c.feed, c.room, c.name, c.version, c.removed, c.payload)"
FAULTY = {
    "go-reads-first-and-writes-afterwards": Faulty(
        "go_receiver",
        "chatroom-kv",
        frozenset({"ordering.versions-at-once"}),
        {
            "store.go": (
                ('	"slices"', '	"slices"\n	"time"'),
                (
                    "\n	WHERE excluded.version > state.version OR (excluded.version = state.version AND excluded.removed)",
                    "",
                ),
                (
                    GO_KEEPS,
                    """			const ask = "SELECT version FROM state WHERE feed = $1 AND room = $2 AND name = $3"
			var newest int64
			err := tx.QueryRow(ctx, ask, c.feed, c.room, c.name).Scan(&newest)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if err == nil && (c.version < newest || c.version == newest && !c.removed) {
				continue
			}
			time.Sleep(time.Millisecond) // as the way to a database takes that is not on the same machine
			if _, err := tx.Exec(ctx, newerWins, c.feed, c.room, c.name, c.version, c.removed, c.payload); err != nil {
				return err
			}""",
                ),
            )
        },
        # One by one, 500 changes may take longer than it has.
        frozenset({"payloads.batch-sizes"}),
    ),
    "java-looks-first-and-inserts-afterwards": Faulty(
        "spring_receiver",
        "data-sync",
        frozenset({"deduplication.concurrent"}),
        {
            "src/main/resources/schema.sql": ((",\n    UNIQUE (feed, identity)", ""),),
            "src/main/java/receiver/Store.java": (
                ('\n                        + " ON CONFLICT (feed, identity) DO NOTHING"', ""),
                (
                    '        database.sql("INSERT INTO entry',
                    """        boolean known = database.sql("SELECT count(*) FROM entry WHERE feed = ? AND identity = ?")
                .params(feed, identity).query(Integer.class).single() > 0;
        if (known) {
            return;
        }
        database.sql("INSERT INTO entry""",
                ),
            ),
        },
        frozenset({"deduplication.across-receivers"}),
    ),
}


def copied(folder: Path, one: Example) -> list[Step]:
    """Copy an example to where its workflow is run; return the commands of that."""
    needed("bash", *one.programs)
    shutil.copytree(HERE / one.folder, folder, ignore=shutil.ignore_patterns(*BUILT))
    return list(ci_steps.of_github(ci_steps.read(folder / ".github/workflows/gate.yml")))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in EXAMPLES])
def test_a_good_one_passes(name: str, shop: dict[str, str], stored: Stored, tmp_path: Path) -> None:
    """Nothing is blamed in it, and next to nothing is left out."""
    one, folder = EXAMPLES[name], tmp_path / name
    steps = copied(folder, one)
    with stored(one.store) as places:
        ci_steps.run(steps, folder, places, **shop)
    assert set(one.passed) == {file.stem for file in (folder / "reports").glob("*.json")}
    for gate, passed in one.passed.items():
        counts = Counter(ci_steps.verdicts(folder / "reports" / f"{gate}.json").values())
        sys.stdout.write(f"{name} {gate}: {dict(counts)}\n")
        assert set(counts) <= {"pass", "not-applicable"}
        assert counts["pass"] >= passed
        for kind in ("xml", "html"):
            assert (folder / "reports" / f"{gate}.{kind}").stat().st_size


@pytest.mark.parametrize("name", FAULTY)
def test_what_threads_break_is_caught(name: str, shop: dict[str, str], stored: Stored, tmp_path: Path) -> None:
    """One fault that shows only where requests are handled at the same time, and exactly the checks that name it."""
    faulty, folder = FAULTY[name], tmp_path / "faulty"
    one = EXAMPLES[faulty.example]
    steps = copied(folder, one)
    for file, texts in faulty.replaced.items():
        text = (folder / file).read_text(encoding="utf-8")
        for old, new in texts:
            assert text.count(old) == 1, f"{file} does not have once: {old}"
            text = text.replace(old, new)
        (folder / file).write_text(text, encoding="utf-8")
    result = folder / "reports" / f"{faulty.feed}.json"
    wanted = [step for step in steps if not step.is_gate or str(result.relative_to(folder)) in step.run]
    with stored(one.store) as places, pytest.raises(ci_steps.Failed) as failed:
        ci_steps.run(wanted, folder, places, **shop)
    assert failed.value.status == 1, failed.value
    blamed = {
        check for check, verdict in ci_steps.verdicts(result).items() if verdict not in ("pass", "not-applicable")
    }
    due, possible = (
        {check for check in blamed if check.partition(".")[2] in some} for some in (faulty.fails, faulty.may_fail)
    )
    assert {check.partition(".")[2] for check in due} == faulty.fails, failed.value
    assert blamed == due | possible, failed.value
