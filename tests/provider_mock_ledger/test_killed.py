"""What `accept` returned survives `kill -9`."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing

from im_callback.provider_mock.delivery.ledger import Ledger

from tests.provider_mock_ledger.values import NOW

ROUNDS = int(os.environ.get("LEDGER_KILL_ROUNDS", "3"))
"""How often; more of them for a soak run."""


def test_killed_while_accepting(url: str) -> None:
    """Round after round on one ledger: every id that was printed is there, with its payload, and due or done."""
    rng, printed = random.Random(1), set[int]()
    for _ in range(ROUNDS if url.startswith("sqlite") else max(1, ROUNDS // 2)):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.provider_mock_ledger.accepting", url], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            wanted = rng.randrange(1, 1500)
            for count, line in enumerate(process.stdout, 1):
                printed.add(int(line))
                if count == wanted:
                    process.kill()
        assert -9 == process.returncode

        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
                assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        with Ledger(url) as ledger:
            assert set() == printed - set(ledger._ids([]))
            waiting = ledger.due("shop", NOW, 10**6)
            assert all("x" * 300 == w.payloads[0]["text"] for w in waiting)
            assert {"waiting": len(waiting), "acked": len(ledger._ids([])) - len(waiting)} == {
                state: count for state, count in ledger.counts().items() if count
            }
    assert printed


def test_the_lock_goes_with_the_process(url: str) -> None:
    """Whatever ended it, the next one can open the ledger at once."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.provider_mock_ledger.accepting", url], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    Ledger(url).close()
